//! Takes the consumer's events: partitions are assigned, revoked or lost; records go to their lanes.
//!
//! Next: `attempts` for each record.

use std::{sync::Arc, time::SystemTime};

use kafkaesk_client::{
    ClientError,
    consumer::{Batch, ConsumerEvent},
};
use kafkaesk_core::Source;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Instance, stuck::GivenUp};
use crate::{AppError, delivery::Delivery, snapshot::RebalanceEvent};

impl Instance {
    pub(super) async fn event(&mut self, event: Option<ConsumerEvent>) {
        match event {
            Some(ConsumerEvent::Records(batch)) => {
                self.records(batch);
                // A batch in place may have taken long: let other tasks and timers run.
                tokio::task::yield_now().await;
            }
            Some(event) => {
                self.hint_at = None;
                self.change(event);
            }
            None => self.fail(ClientError::Closed),
        }
    }

    /// Everything but records.
    pub(super) fn change(&mut self, event: ConsumerEvent) {
        if matches!(
            event,
            ConsumerEvent::Assigned(_) | ConsumerEvent::Revoked(..) | ConsumerEvent::Lost(_)
        ) {
            self.limit.disturbed();
        }
        match event {
            ConsumerEvent::Assigned(sources) => {
                info!(group = self.context.group, partitions = %names(&sources), "assigned");
                let count = sources.len();
                for source in sources {
                    // The former assignment was not revoked: drop everything of it.
                    if let Some(former) = self.partitions.generation(&source) {
                        self.schedule.forget(former);
                    }
                    let topic = self.meter.topic(&source);
                    let generation = self.partitions.assign(source.clone(), topic);
                    if let Some(manual) = &self.manual
                        && let Some(partition) = self.partitions.get_mut(generation)
                    {
                        partition.custody = Some(manual.custody(generation));
                    }
                    if self.transacting.is_some()
                        && let Some(partition) = self.partitions.get_mut(generation)
                    {
                        partition.work_in_transactions();
                    }
                    self.fence(&source, generation);
                }
                self.meter
                    .rebalanced(RebalanceEvent::Assigned, count, self.partitions.len());
            }
            ConsumerEvent::Finished(source, completions) => {
                debug!(group = self.context.group, %source, "what was finished before is passed over");
                if let Some(partition) = self
                    .partitions
                    .generation(&source)
                    .and_then(|generation| self.partitions.get_mut(generation))
                {
                    partition.tracker.finished_before(completions);
                }
            }
            ConsumerEvent::Revoked(sources, ack) => {
                info!(group = self.context.group, partitions = %names(&sources), "revoked");
                let left = self.partitions.len().saturating_sub(sources.len());
                self.meter
                    .rebalanced(RebalanceEvent::Revoked, sources.len(), left);
                self.drains
                    .begin(&mut self.partitions, &mut self.schedule, &sources, ack);
                if self.given_up.as_ref().is_some_and(GivenUp::is_stuck) {
                    // Stuck handlers are not awaited.
                    self.drains.release_all(&mut self.partitions);
                }
            }
            ConsumerEvent::Lost(sources) => {
                let lost = names(&sources);
                if let Some(count) = self.notices.said.occurred(&lost, Instant::now()) {
                    warn!(
                        group = self.context.group,
                        partitions = lost,
                        count,
                        "lost; what was in flight there is delivered again, here or to another member"
                    );
                }
                let left = self.partitions.len().saturating_sub(sources.len());
                self.meter
                    .rebalanced(RebalanceEvent::Lost, sources.len(), left);
                self.drains
                    .lose(&mut self.partitions, &mut self.schedule, &sources);
            }
            ConsumerEvent::Warning(message) => {
                if let Some(count) = self.notices.said.occurred(&message, Instant::now()) {
                    warn!(
                        group = self.context.group,
                        pattern = self.context.pattern,
                        count,
                        "{message}"
                    );
                }
            }
            ConsumerEvent::Stalled(stalled) => {
                let (source, offset, now) = (&stalled.source, stalled.offset.0, Instant::now());
                if let Some(count) = self.notices.stalled.occurred_to(source, offset, now) {
                    warn!(group = self.context.group, count, "{stalled}");
                }
                if let Some(partition) = self
                    .partitions
                    .generation(&stalled.source)
                    .and_then(|generation| self.partitions.get_mut(generation))
                {
                    partition.stalled = Some(stalled);
                }
            }
            ConsumerEvent::Failed(error) => self.fail(error),
            other => debug!(group = self.context.group, event = ?other, "nothing to do"),
        }
    }

    fn fail(&mut self, source: ClientError) {
        self.stop.get_or_insert(AppError::Consumer {
            group: self.context.group.clone(),
            pattern: self.context.pattern.clone(),
            source,
        });
    }

    fn records(&mut self, mut batch: Batch) {
        let Some(generation) = self.partitions.generation(&batch.source) else {
            debug!(
                group = self.context.group,
                "records of a partition that is not ours are dropped"
            );
            return;
        };
        let Some(partition) = self.partitions.get_mut(generation) else {
            return;
        };
        if partition.revoking {
            return;
        }
        if !batch.records.is_empty() {
            partition.stalled = None;
            self.meter
                .read(partition.topic, &batch.records, now_millis());
        }
        self.schedule.touch(generation);
        let is_retry = self.routes.is_retry(&batch.source);
        let gathers = self.context.options.gathers().is_some() && !is_retry;
        let tracker = &partition.tracker;
        if tracker.has_finished_before() {
            batch
                .records
                .retain(|record| !tracker.is_finished(record.offset));
        }
        if gathers {
            let now = Instant::now();
            for record in batch.records {
                let delivery = Delivery::new(record, self.context.clone());
                self.gather(generation, delivery, now);
            }
            return self.partitions.reached(generation, batch.next);
        }
        self.dispatch.begin();
        self.measured = generation;
        for record in batch.records {
            if self.stop.is_some() {
                break;
            }
            match is_retry {
                false => {
                    let delivery = Delivery::new(record, self.context.clone());
                    self.offer(generation, delivery);
                }
                true => self.offer_redriven(generation, record),
            }
        }
        self.measure();
        if self.stop.is_none() {
            self.partitions.reached(generation, batch.next);
        }
    }
}

/// The time of day, in milliseconds since the Unix epoch.
fn now_millis() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}

/// How many partitions one line of the log names.
const NAMED: usize = 20;

/// Partitions as a log names them.
fn names(sources: &[Arc<Source>]) -> String {
    let named = sources.iter().take(NAMED);
    let mut names: Vec<_> = named.map(|source| source.to_string()).collect();
    if let Some(more) = sources.len().checked_sub(NAMED).filter(|more| *more > 0) {
        names.push(format!("and {more} more"));
    }
    names.join(" ")
}
