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
mod page;
mod rates;
mod service;
pub mod stats;
#[cfg(test)]
mod testing;
mod thread;
mod view;

pub use board::{JudgedGroup, LagBoard};
pub use letters::LetterLooks;
pub use operate::{Operate, StartError};
pub use view::ShownSetting;
