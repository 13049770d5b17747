//! One binary for all of this crate's integration tests; none needs Kafka.

mod derive;
mod github;
mod log;
mod validator;
