//! The program itself, called as its users call it, against a real Apache Kafka. Those tests that need one fail
//! without it.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod bad_kafka;
mod batches;
mod children;
mod colour;
mod completion;
mod dead_letters;
mod dev;
mod ends;
mod faults;
mod github;
mod growth;
mod init;
mod lag;
mod library;
mod man;
mod no_envelope;
mod operate;
mod probe;
mod publish;
mod schemas;
mod server;
mod slips;
mod stderr;
mod streams;
mod support;
mod tail;
mod terminal;
mod tombstones;
#[cfg(feature = "otel")]
mod traces;
mod unreadable;
mod versions;
mod watch;
