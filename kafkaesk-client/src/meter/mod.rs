//! Meters: plain counts of what a process did since its start. Nothing here asks Kafka, and nothing is exported; that is
//! `kafkaesk-operate`'s.

mod histogram;
mod published;

pub use self::{
    histogram::{Histogram, SIZES, TIMES},
    published::{Action, Published, PublishedPartition, PublishedTopic},
};
