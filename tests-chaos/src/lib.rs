//! kafkaesk under faults: seeded schedules on a real Kafka, a ledger outside of the workers, a checker. Never shipped.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod batches;
mod checker;
mod ledger;
mod line;
mod places;
mod sink;
mod suite;
mod work;
mod worker;

pub use suite::main as suite;
pub use worker::main as worker;
