//! Simulation: the worker's controllers of scaling on a model of a group, an hour in milliseconds, beside rivals and under laws.
//! Deterministic: a seed decides everything. Knows no Kafka and no clock.
#![forbid(unsafe_code)]

mod autoscaler;
pub mod faults;
pub mod laws;
pub mod loads;
pub mod model;
pub mod plot;
pub mod rivals;
pub mod run;
pub mod scale;
pub mod scenarios;
pub mod service;
pub mod suite;
