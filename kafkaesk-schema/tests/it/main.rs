//! One binary for all of this crate's integration tests; none needs Kafka.

#![allow(clippy::unwrap_used)]

mod budget;
mod bundle;
mod compile_fail;
mod derive;
mod expressions;
mod github;
mod log;
mod portable;
mod properties;
mod refusals;
mod validator;
mod vectors;
