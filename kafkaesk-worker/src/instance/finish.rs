//! The end of an instance: waits for what runs up to the deadline, commits what is finished, leaves the group, and names
//! what did not finish.

use std::{sync::Arc, time::SystemTime};

use kafkaesk_client::consumer::ConsumerEvent;
use kafkaesk_core::{Source, timestamp};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::Instance;
use crate::{
    AppError, RunReport, Unfinished, drain,
    end::{Deadlines, left},
};

impl Instance {
    /// Starts nothing more, waits for what runs, commits, leaves the group.
    pub(super) async fn finish(mut self, deadlines: Deadlines) -> Result<RunReport, AppError> {
        self.ending = true;
        let mut sources = Vec::new();
        for (_, partition) in self.partitions.iter_mut() {
            partition.revoking = true;
            sources.push(partition.source.clone());
        }
        // Records that are still on their way are dropped uncommitted; a revoke among them is answered.
        self.control.pause(&sources);
        let mut ended = false;
        while !self.running.is_empty() {
            tokio::select! {
                biased;
                Some(finished) = self.tasks.join_next() => self.finished(finished),
                event = self.consumer.next(), if !ended => match event {
                    Some(ConsumerEvent::Records(_)) => {}
                    Some(event) => self.change(event),
                    None => ended = true,
                },
                () = sleep_until(deadlines.handlers) => break,
            }
            drain::release_drained(&mut self, Instant::now());
        }
        self.name_unfinished();
        self.tasks.abort_all();

        let group = self.context.group.clone();
        // What still waits for an acknowledgement has it now: nothing is awaited any more.
        drain::release_all(&mut self);
        let commits = self.partitions.last_word(None);
        let control = self.control.clone();
        let mut closing = control.close_within(commits.clone(), left(deadlines.leaving));
        let closed = loop {
            tokio::select! {
                closed = &mut closing => break closed,
                event = self.consumer.next(), if !ended => match event {
                    // The close commits what is still ours then, and a revoke takes these away before.
                    Some(ConsumerEvent::Revoked(sources, ack)) => {
                        let mut last = commits.clone();
                        last.retain(|(source, _)| sources.iter().any(|gone| Arc::ptr_eq(gone, source)));
                        ack.release(last);
                    }
                    Some(_) => {}
                    None => ended = true,
                },
            }
        };
        match (self.stop, closed) {
            (Some(stop), _) => Err(stop),
            (None, Err(error)) => Err(AppError::Consumer {
                group,
                pattern: self.context.pattern.clone(),
                source: error,
            }),
            (None, Ok(())) => {
                self.report.without_event = self.notices.no_event.total() + self.notices.blank;
                self.report.failed_attempts =
                    self.notices.failed.total() + self.notices.held.total();
                self.report.pauses = self.pause.total();
                Ok(self.report)
            }
        }
    }

    /// Logs and reports what was begun and did not end, the oldest first, and what it makes come again.
    fn name_unfinished(&mut self) {
        let running = self.running.iter().map(|(lane, running)| Open {
            since: running.since,
            source: running.source.clone(),
            offset: running.offset,
            attempts: running.attempt,
            held: false,
            waiting: self.schedule.waiting(*lane),
        });
        let held = self.schedule.held().map(|held| Open {
            since: held.since,
            source: held.delivery.record().source.clone(),
            offset: held.delivery.record().offset.0,
            // The next one has not begun.
            attempts: held.delivery.attempt - 1,
            held: true,
            waiting: held.waiting,
        });
        let mut open: Vec<Open> = running.chain(held).collect();
        open.sort_by_key(|open| open.since);
        let redelivered = self.partitions.redelivered();
        for open in open.iter().take(RunReport::LISTED) {
            let unfinished = open.named(&self.context.group);
            let since = millis(unfinished.since).and_then(timestamp::format);
            warn!(
                group = unfinished.group,
                topic = unfinished.topic,
                partition = unfinished.partition,
                offset = unfinished.offset,
                attempts = unfinished.attempts,
                since = since.as_deref(),
                waiting_for_it = unfinished.waiting,
                "{}; the message is delivered again at the next start",
                match unfinished.held {
                    true => "held: its last attempt failed",
                    false => "a handler did not finish before the shutdown's deadline",
                }
            );
            self.report.unfinished.push(unfinished);
        }
        if !open.is_empty() || redelivered > 0 {
            warn!(
                group = self.context.group,
                unfinished = open.len(),
                listed = open.len().min(RunReport::LISTED),
                redelivered,
                "not everything is committed: at the next start the unfinished messages are delivered again, and so are the handled ones that follow an unfinished or unread one in their partition"
            );
        }
        self.report.unfinished_total = open.len() as u64;
        self.report.redelivered = redelivered as u64;
    }
}

/// A message that was begun and did not end.
struct Open {
    since: Instant,
    source: Arc<Source>,
    offset: i64,
    attempts: u32,
    held: bool,
    waiting: usize,
}

impl Open {
    fn named(&self, group: &str) -> Unfinished {
        let now = SystemTime::now();
        Unfinished {
            group: group.to_owned(),
            topic: self.source.topic.as_str().to_owned(),
            partition: self.source.partition,
            offset: self.offset,
            attempts: self.attempts,
            since: now.checked_sub(self.since.elapsed()).unwrap_or(now),
            held: self.held,
            waiting: self.waiting,
        }
    }
}

/// Milliseconds since the Unix epoch.
fn millis(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}
