//! The project's own chores, as a library for the test crates that need a broker of their own. Never shipped.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod broker;
pub mod command;
pub mod kafka;
pub mod machine;
pub mod paths;
pub mod python;
