//! Notices: what the log of one subscription repeats, by kind and partition (`kafkaesk_client::repeats` thins it).

use std::sync::Arc;

use kafkaesk_client::repeats::Repeats;
use kafkaesk_core::{Record, Source};
use tokio::time::Instant;

pub(crate) use kafkaesk_client::repeats::{QUIET, Streak};

/// One kind of failure of messages, by partition.
#[derive(Debug, Default)]
pub(crate) struct OfMessages(Repeats<Arc<Source>>);

impl OfMessages {
    /// Counts one of this message. Returns the count in its partition if it is to be logged.
    pub(crate) fn occurred(&mut self, record: &Record, now: Instant) -> Option<u64> {
        self.0.occurred_to(&record.source, record.offset.0, now)
    }

    /// How often in the whole run.
    pub(crate) fn total(&self) -> u64 {
        self.0.total()
    }
}

/// The kinds of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// Attempts that ended with an error, a panic or a mismatch that is held.
    pub(crate) failed: OfMessages,
    /// Attempts that failed as the last of their message, which was given up then.
    pub(crate) last: u64,
    /// Attempts whose handler asked for another one, without an error.
    pub(crate) asked: OfMessages,
    /// Rejected messages that `on-reject` holds.
    pub(crate) held: OfMessages,
    /// Messages that were passed over and are kept nowhere: rejected ones, and those that used up their attempts.
    pub(crate) dropped: OfMessages,
    /// Records passed over since they hold no event, without the blank ones.
    pub(crate) no_event: OfMessages,
    /// Null and empty values passed over: not worth a line.
    pub(crate) blank: u64,
    /// Delays that were cut to the bound.
    pub(crate) cut: OfMessages,
    /// Messages that became dead letters.
    pub(crate) dead: OfMessages,
    /// Batches that failed and were split, by the first message.
    pub(crate) split: OfMessages,
    /// Dead letters that could not be written.
    pub(crate) not_written: OfMessages,
    /// Handlers that ended after their partition was given up.
    pub(crate) late: OfMessages,
    /// Partitions that stand still at a record.
    pub(crate) stalled: Repeats<Arc<Source>>,
    /// Partitions that were lost, and what else the consumer says, by its words.
    pub(crate) said: Repeats<String>,
}
