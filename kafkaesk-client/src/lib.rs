//! Publish and read Apache Kafka under the kafkaesk contract.
//!
//! The one crate that names rdkafka, and nothing of it in its public types.
#![cfg_attr(feature = "macros", doc = "")]
#![cfg_attr(feature = "macros", doc = include_str!("../README.md"))]

extern crate self as kafkaesk_client;

pub mod broker;
pub mod catalog;
pub mod connection;
pub mod consumer;
pub mod dead_letters;
mod delivery;
#[cfg(feature = "dev-broker")]
pub mod dev;
pub mod error;
pub mod growth;
mod kafka;
pub mod lag;
#[cfg(test)]
mod librdkafka_sources;
#[cfg(feature = "memory")]
pub mod memory;
pub mod meter;
#[doc(hidden)]
pub mod mutation;
mod outgoing;
#[cfg(test)]
mod property_table;
pub mod publisher;
#[doc(hidden)]
pub mod repeats;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;
pub mod transaction;

pub use connection::Connection;
pub use dead_letters::DeadLetters;
pub use delivery::{Delivery, Receipt};
pub use error::ClientError;
pub use kafkaesk_core as core;
pub use kafkaesk_schema as schema;
pub use kafkaesk_settings as settings;
pub use kafkaesk_settings::Settings;
pub use publisher::{Publish, Publisher};
pub use transaction::Transaction;
