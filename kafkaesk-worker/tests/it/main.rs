//! Integration tests of the worker: one binary.
// A handler takes up to eight arguments, and one test takes them all.
#![allow(clippy::unwrap_used, clippy::too_many_arguments)]

mod batch_laws;
mod batches;
mod bed;
mod committers;
mod compile_fail;
mod completions;
mod control;
mod custody;
mod dead_letters;
mod delivery;
mod ends;
mod events;
mod fence;
mod instances;
mod log;
mod manual;
mod partitions;
mod pressure;
mod registration;
mod scale;
mod start;
mod stuck;
mod support;
mod test_app;
mod trace;
mod transactions;
mod unavailable;
mod vectors;
mod watch;
