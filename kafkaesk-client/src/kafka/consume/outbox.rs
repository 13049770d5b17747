//! Events on their way to the reader: in order, into a bounded channel, without ever blocking for longer than asked.

use std::{
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use kafkaesk_core::Source;
use tokio::sync::mpsc::{Sender, error::TrySendError};

use crate::consumer::{ConsumerEvent, Events};

/// How long a full channel is left alone before it is looked at again.
const LOOK: Duration = Duration::from_millis(1);

/// What waits for room. Holds one batch and its rebalance, at most: nothing is popped while something waits here.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Events,
    sender: Sender<Events>,
}

impl Outbox {
    pub(super) fn new(sender: Sender<Events>) -> Self {
        Self {
            waiting: Events::new(),
            sender,
        }
    }

    pub(super) fn push(&mut self, event: ConsumerEvent) {
        self.waiting.push_back(event);
    }

    /// Sends what waits if there is room for it. Returns whether nothing waits any more. What was popped together goes
    /// together: one by one, thousands of partitions with a record each would fill the channel with a few records.
    pub(super) fn flush(&mut self) -> bool {
        if self.waiting.is_empty() {
            return true;
        }
        match self.sender.try_send(mem::take(&mut self.waiting)) {
            Ok(()) | Err(TrySendError::Closed(_)) => true,
            Err(TrySendError::Full(waiting)) => {
                self.waiting = waiting;
                false
            }
        }
    }

    /// The same, waiting for room until then.
    pub(super) fn flush_until(&mut self, deadline: Instant) -> bool {
        while !self.flush() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }

    /// Drops records of partitions that are given up: their next owner reads them.
    pub(super) fn forget(&mut self, sources: &[Arc<Source>]) {
        self.waiting.retain(|event| match event {
            ConsumerEvent::Records(batch) => !sources
                .iter()
                .any(|source| Arc::ptr_eq(source, &batch.source)),
            _ => true,
        });
    }

    /// Whether the reader has taken everything.
    pub(super) fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.sender.capacity() == self.sender.max_capacity()
    }

    /// Whether the reader is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn a_full_channel_holds_whole_parcels_however_few_records_each_event_has() {
        let (sender, mut parcels) = mpsc::channel(2);
        let mut outbox = Outbox::new(sender);
        let mut bring = |count: usize| {
            for number in 0..count {
                outbox.push(ConsumerEvent::Warning(number.to_string()));
            }
            outbox.flush()
        };
        assert!(bring(512) && bring(512));
        assert!(!bring(512), "the channel is full");
        let sizes: Vec<usize> =
            std::iter::from_fn(|| parcels.try_recv().ok().map(|it| it.len())).collect();
        assert_eq!(sizes, [512, 512]);
        assert!(outbox.flush() && outbox.flush());
        let rest = parcels.try_recv().unwrap();
        assert!(
            matches!(&rest[0], ConsumerEvent::Warning(first) if first == "0") && rest.len() == 512
        );
    }
}
