//! Examples that need more than a Kafka. A test fails where what it needs is missing.
#![allow(clippy::unwrap_used)]

mod postgres;
mod sink_postgres;
