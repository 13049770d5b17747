//! Operate: shows what a running application does, and takes commands, over HTTP.
#![doc = ""]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod board;
mod health;
mod lag;
mod letters;
pub mod metrics;
mod observer;
mod operate;
#[cfg(feature = "otel")]
mod otel;
mod page;
mod rates;
mod service;
mod standstill;
pub mod stats;
#[cfg(test)]
mod testing;
mod thread;
mod traces;
mod view;

pub use board::{JudgedGroup, LagBoard};
pub use letters::LetterLooks;
pub use operate::{Operate, StartError};
pub use traces::{Traces, TracesError};
pub use view::ShownSetting;
