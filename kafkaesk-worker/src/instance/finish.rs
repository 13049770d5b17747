//! The end of an instance: waits for what runs up to the deadline, commits what is finished, leaves the group, and names
//! what did not finish.

use std::{sync::Arc, time::Duration};

use kafkaesk_client::consumer::ConsumerEvent;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::warn;

use super::{
    Instance, custody,
    transactions::{self, Transacting},
};
use crate::{
    AppError, RunReport, commit,
    shutdown::{ShutdownDeadlines, left},
    snapshot::State,
};

/// What is kept of the time for leaving behind the last transaction.
const LEAVING: Duration = Duration::from_millis(500);

impl Instance {
    /// Logs which partitions stand still, so that the end of a run does not look as if all was read. Returns their
    /// number.
    fn name_stalled(&self) -> u64 {
        let mut count = 0;
        for stalled in self.partitions.stalled() {
            warn!(group = self.context.group, "at the end, {stalled}");
            count += 1;
        }
        count
    }

    /// Starts nothing more, waits for what runs, commits, leaves the group. `begun`: the end of the whole worker, whose
    /// deadlines may be earlier.
    pub(super) async fn finish(
        mut self,
        mut deadlines: ShutdownDeadlines,
        mut begun: watch::Receiver<Option<ShutdownDeadlines>>,
    ) -> Result<RunReport, AppError> {
        self.ending = true;
        self.control.expect_turn(false);
        self.show(State::Ending);
        let mut sources = Vec::new();
        for (_, partition) in self.partitions.iter_mut() {
            partition.revoking = true;
            sources.push(partition.source.clone());
        }
        // Records in the event stream are dropped uncommitted; a revoke is still acknowledged.
        self.control.pause(&sources);
        self.revoke_custody();
        let mut ended = false;
        while !self.running.is_empty() || self.partitions.in_custody() > 0 {
            tokio::select! {
                biased;
                Ok(()) = begun.changed() => {
                    let all = *begun.borrow_and_update();
                    deadlines = all.map_or(deadlines, |all| deadlines.sooner(all));
                }
                Some(finished) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.finished(finished, Instant::now());
                }
                Some(event) = custody::next(&mut self.manual) => {
                    self.hear(event);
                    self.hear_custody();
                }
                Some(ended) = transactions::next(&mut self.transacting) => self.transacted(ended),
                Some(command) = self.registered.inbox.recv() => self.obey(command),
                event = self.consumer.next(), if !ended => match event {
                    Some(ConsumerEvent::Records(_)) => {}
                    Some(event) => self.change(event),
                    None => ended = true,
                },
                () = sleep_until(deadlines.handlers) => break,
            }
            self.commit_custody(false);
            self.transact_soon();
            self.transact(Instant::now());
            self.drains
                .release_drained(&mut self.partitions, Instant::now());
        }
        self.hear_custody();
        self.last_transactions(deadlines.leaving, &mut ended).await;
        self.name_unfinished();
        let stalled = self.name_stalled();
        self.tasks.abort_all();

        let group = self.context.group.clone();
        // Acknowledges the remaining revokes now: no handler is awaited any more.
        self.drains.release_all(&mut self.partitions);
        self.commit_custody(true);
        let commits = commit::all_final_commits(&self.partitions);
        let control = self.control.clone();
        let mut closing = control.close_within(commits.clone(), left(deadlines.leaving));
        let closed = loop {
            tokio::select! {
                closed = &mut closing => break closed,
                Some(command) = self.registered.inbox.recv() => self.obey(command),
                event = self.consumer.next(), if !ended => match event {
                    // The close commits the partitions that are still assigned; a revoke before it removes them.
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
        self.meter.commits += commits.len() as u64;
        self.show(State::Ended);
        match (self.stop, closed) {
            (Some(stop), _) => Err(stop),
            (None, Err(error)) if self.removed.is_none() => Err(AppError::Consumer {
                group,
                pattern: self.context.pattern.clone(),
                source: error,
            }),
            (None, closed) => {
                if let Err(error) = closed {
                    warn!(
                        group,
                        pattern = self.context.pattern,
                        %error,
                        "an instance that scaling removed did not leave its group properly; the others go on"
                    );
                }
                self.report.without_event = self.notices.no_event.total() + self.notices.blank;
                self.report.failed_attempts =
                    self.notices.failed.total() + self.notices.held.total() + self.notices.last;
                self.report.pauses = self.pause.total();
                self.report.stalled = stalled;
                Ok(self.report)
            }
        }
    }

    /// Commits what is finished. A group that rebalances refuses it for a while: so nearly all of the time for leaving is for it.
    async fn last_transactions(&mut self, leaving: Instant, ended: &mut bool) {
        let until = leaving - LEAVING.min(left(leaving) / 4);
        while self.is_uncommitted() {
            let now = Instant::now();
            self.transact_soon();
            self.transact(now);
            let due = self.transacting.as_ref().and_then(Transacting::due);
            tokio::select! {
                biased;
                Some(ended) = transactions::next(&mut self.transacting) => self.transacted(ended),
                event = self.consumer.next(), if !*ended => match event {
                    Some(ConsumerEvent::Records(_)) => {}
                    Some(event) => self.change(event),
                    None => *ended = true,
                },
                () = sleep_until(due.unwrap_or(until).min(until)) => {}
            }
            self.drains
                .release_drained(&mut self.partitions, Instant::now());
            if Instant::now() >= until {
                break;
            }
        }
    }
}
