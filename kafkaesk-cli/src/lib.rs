//! kafkaesk on the command line, and the same command line for an application's own `main`.
//!
//! - [`run`] gives an application every command in one line.
//! - [`Options`], [`Command`] and [`execute`] do the same for a program with arguments of its own.
//! - The program `kafkaesk-cli` is [`run`] with an empty application: its subscriptions stand in `kafkaesk.toml`, with
//!   handlers in any language (`http`, `exec`, `stdout`).
//!
//! A program that depends on this crate alone finds the other crates in [`worker`], [`client`], [`schema`] and [`core`].

#![forbid(unsafe_code)]

// The macros' paths are absolute, here as well.
extern crate self as kafkaesk_cli;

mod arguments;
mod called;
mod colour;
pub mod commands;
mod completion;
mod configuration;
mod context;
mod errors;
mod exit;
mod format;
mod handlers;
mod input;
mod lines;
mod logging;
mod operate_options;
mod output;
mod processes;
mod progress;
mod progress_bar;
mod reading;
mod run;
mod signals;
mod stderr;
mod terminal;
mod turns;
mod violations;
mod writer;

pub use arguments::{Command, Options};
pub use colour::ColorWhen;
pub use format::{LogFormat, OutputFormat};
pub use kafkaesk_client as client;
pub use kafkaesk_core as core;
pub use kafkaesk_schema as schema;
pub use kafkaesk_worker as worker;
pub use operate_options::OperateOptions;
pub use run::{execute, run, run_arguments};
