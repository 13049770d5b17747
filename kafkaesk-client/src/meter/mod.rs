//! Meters: plain counts of what a process did since its start. Asks Kafka nothing.
//!
//! `published` is what a connection shows of its publishes; `topics` counts them, and `partitions` what each partition took.

mod histogram;
mod partitions;
mod published;
mod topics;

pub(crate) use self::topics::{Begun, Flight, Handed, Tally, TopicMeter, TopicMeters};
pub use self::{
    histogram::{Histogram, SIZES, TIMES},
    published::{PublishEnd, Published, PublishedElsewhere, PublishedPartition, PublishedTopic},
};
