//! Meters: plain counts of what a process did since its start. Asks Kafka nothing.
//!
//! `published` is what a connection shows; `topics` counts its publishes, `partitions` what each partition took, and `actions`
//! its questions to the brokers.

mod actions;
mod histogram;
mod partitions;
mod published;
mod topics;

pub(crate) use self::actions::Actions;
pub(crate) use self::topics::{Begun, Flight, Handed, Tally, TopicMeter, TopicMeters};
pub use self::{
    actions::{Action, ActionKind},
    histogram::{Histogram, SIZES, TIMES},
    published::{PublishEnd, Published, PublishedElsewhere, PublishedPartition, PublishedTopic},
};
