//! Meters: plain counts of what a process did since its start. Asks Kafka nothing.

mod histogram;

pub use self::histogram::{Histogram, SIZES, TIMES};
