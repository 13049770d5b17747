//! One file for each command: its arguments, and what it does with them.

pub mod complete;
pub mod completions;
pub mod config;
pub mod dead_letters;
pub mod dev;
pub mod groups;
pub mod init;
pub mod lag;
pub mod man;
mod near;
pub mod pause;
pub mod probe;
pub mod publish;
pub mod scale;
pub mod schema;
pub mod streams;
pub mod tail;
pub mod top;
pub mod worker;
