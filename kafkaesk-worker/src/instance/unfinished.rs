//! Names the messages that were begun and did not end: while the instance runs, the held ones; at its end, all.

use std::{sync::Arc, time::SystemTime};

use kafkaesk_core::{Occurrences, Source, timestamp};
use tokio::time::Instant;
use tracing::warn;

use super::Instance;
use crate::{RunReport, Unfinished, notices::QUIET};

/// When to log that messages are held: their own lines may have been left out as repetitions.
#[derive(Debug)]
pub(super) struct Reminder {
    at: Instant,
    /// Minutes in a row in which something was held.
    minutes: Occurrences,
}

impl Reminder {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: now + QUIET,
            minutes: Occurrences::default(),
        }
    }
}

/// A message that was begun and did not end.
struct Open {
    since: Instant,
    source: Arc<Source>,
    offset: i64,
    attempts: u32,
    held: bool,
    in_custody: bool,
    messages: u32,
    waiting: usize,
}

impl Open {
    fn named(&self, group: &str) -> Unfinished {
        Unfinished {
            group: group.to_owned(),
            topic: self.source.topic.as_str().to_owned(),
            partition: self.source.partition,
            offset: self.offset,
            attempts: self.attempts,
            since: wall(self.since),
            held: self.held,
            in_custody: self.in_custody,
            messages: self.messages,
            waiting: self.waiting,
        }
    }
}

impl Instance {
    /// Called once a minute: logs that messages are held, after 1, 2, 4, 8 … minutes in a row.
    pub(super) fn remind(&mut self, now: Instant) {
        if now < self.reminder.at {
            return;
        }
        self.reminder.at = now + QUIET;
        let long = self.held().filter(|held| now - held.since >= QUIET);
        let (mut count, mut oldest) = (0_usize, None::<Open>);
        for held in long {
            count += 1;
            if oldest
                .as_ref()
                .is_none_or(|oldest| held.since < oldest.since)
            {
                oldest = Some(held);
            }
        }
        let Some(oldest) = oldest else {
            self.reminder.minutes = Occurrences::default();
            return;
        };
        if self.reminder.minutes.count().is_some() {
            warn!(
                group = self.context.group,
                held = count,
                oldest = %format_args!("{}@{}", oldest.source, oldest.offset),
                since = text(oldest.since),
                attempts = oldest.attempts,
                waiting_for_it = oldest.waiting,
                "messages are held: their attempts fail, and nothing behind them in their partitions is committed"
            );
        }
    }

    /// Logs and reports the messages that were begun and did not end, oldest first, and the number of messages that are
    /// delivered again because of them.
    pub(super) fn name_unfinished(&mut self) {
        let running = self.running.iter().map(|(lane, running)| Open {
            since: running.since,
            source: running.source.clone(),
            offset: running.offset,
            attempts: running.attempt,
            held: false,
            in_custody: false,
            messages: running.messages,
            waiting: self.schedule.waiting(*lane),
        });
        let in_custody = self.in_custody().map(|kept| Open {
            since: kept.since,
            source: kept.delivery.record().source.clone(),
            offset: kept.delivery.record().offset.0,
            attempts: kept.delivery.attempt(),
            held: false,
            in_custody: true,
            messages: 1,
            waiting: 0,
        });
        let mut open: Vec<Open> = running.chain(in_custody).chain(self.held()).collect();
        open.sort_by_key(|open| open.since);
        for open in open.iter().take(RunReport::LISTED) {
            let unfinished = open.named(&self.context.group);
            warn!(
                group = unfinished.group,
                topic = unfinished.topic,
                partition = unfinished.partition,
                offset = unfinished.offset,
                attempts = unfinished.attempts,
                since = text(open.since),
                messages = (unfinished.messages > 1).then_some(unfinished.messages),
                waiting_for_it = unfinished.waiting,
                "{}; the message is delivered again at the next start",
                match (unfinished.held, unfinished.in_custody) {
                    (true, _) => "held: its last attempt failed",
                    (false, true) =>
                        "in custody: its committer was not finished before the shutdown's deadline",
                    (false, false) => "a handler did not finish before the shutdown's deadline",
                }
            );
            self.report.unfinished.push(unfinished);
        }
        let redelivered = self.partitions.redelivered();
        let held = open.iter().filter(|open| open.held).count();
        let waiting = self.schedule.records().saturating_sub(held);
        if !open.is_empty() || redelivered > 0 {
            warn!(
                group = self.context.group,
                unfinished = open.len(),
                listed = open.len().min(RunReport::LISTED),
                waiting,
                redelivered,
                "not everything is committed: at the next start the unfinished messages are delivered again, and so are the handled ones that follow an unfinished or unread one in their partition"
            );
        }
        self.report.unfinished_total = open.len() as u64;
        self.report.interrupted = (open.len() - held) as u64;
        self.report.in_custody = self.partitions.in_custody() as u64;
        self.report.waiting = waiting as u64;
        self.report.redelivered = redelivered as u64;
    }

    /// Messages that failed and wait for their next attempt.
    fn held(&self) -> impl Iterator<Item = Open> {
        self.schedule.held().map(|held| Open {
            since: held.failures.since,
            source: held.delivery.record().source.clone(),
            offset: held.delivery.record().offset.0,
            attempts: held.failures.attempts,
            held: true,
            in_custody: false,
            messages: 1,
            waiting: held.waiting,
        })
    }
}

/// The time of day of a moment.
pub(super) fn wall(moment: Instant) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(moment.elapsed()).unwrap_or(now)
}

/// The same in RFC 3339.
fn text(moment: Instant) -> Option<String> {
    let since = wall(moment).duration_since(SystemTime::UNIX_EPOCH).ok()?;
    timestamp::format(i64::try_from(since.as_millis()).ok()?)
}
