//! kafkaesk-client on a real Apache Kafka: laws of the catalog, the publisher and the consumers.
#![allow(clippy::unwrap_used)]

mod support;

mod asked;
mod catalog;
mod conformance;
mod connect;
mod consume;
mod created_again;
mod dev;
mod failed_producer;
mod kip848;
mod lag;
mod leave;
mod outage;
mod publish;
mod pulse;
mod read;
mod topics;
mod vectors;
