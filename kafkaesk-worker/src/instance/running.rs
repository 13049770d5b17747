//! Running: what an instance remembers of a message whose handler runs as a task, to name it in its log and for those who look.

use std::sync::Arc;

use bytes::Bytes;
use kafkaesk_core::{Offset, RecordPlace, Source};
use tokio::time::Instant;

use crate::{delivery::Delivery, snapshot::AttemptEnd};

/// What runs as a task for a message: its handler, or the writing of its dead letter.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) source: Arc<Source>,
    /// The partition that it was read from, as it was assigned.
    pub(super) assigned: Arc<Source>,
    pub(super) offset: i64,
    pub(super) key: Option<Bytes>,
    pub(super) attempt: u32,
    /// When it began.
    pub(super) began: Instant,
    /// When its first attempt failed, or this one began.
    pub(super) since: Instant,
    /// The multiple of `stuck-after` at which the log names it next; `None` if no handler runs.
    pub(super) named: Option<u32>,
    /// Its failed attempts; `None` at the first one.
    pub(super) failed: Option<Box<Failed>>,
    /// How many messages its batch has, of which this is the first; 1 without batches.
    pub(super) messages: u32,
}

/// What happened to a message before the attempt that runs.
#[derive(Debug)]
pub(super) struct Failed {
    /// Its offset in the partition that was read.
    pub(super) place: Offset,
    pub(super) attempts: u32,
    /// How the last attempt ended.
    pub(super) end: AttemptEnd,
    pub(super) error: Option<String>,
}

impl Failed {
    pub(super) fn of(delivery: &Delivery) -> Option<Box<Self>> {
        Some(Box::new(Self {
            attempts: delivery.failures()?.attempts,
            place: delivery.place(),
            end: delivery.last_end().unwrap_or(AttemptEnd::Retry),
            error: delivery.last_error().map(str::to_owned),
        }))
    }
}

impl Running {
    /// The place of its message.
    pub(super) fn place(&self) -> RecordPlace {
        RecordPlace {
            stream: self.source.stream.clone(),
            partition: self.source.partition,
            offset: Offset(self.offset),
        }
    }
}
