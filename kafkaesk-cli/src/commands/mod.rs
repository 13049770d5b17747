//! One file for each command: its arguments, and what it does with them.

pub mod complete;
pub mod completions;
pub mod config;
pub mod dead_letters;
pub mod dev;
pub mod groups;
pub mod lag;
pub mod pause;
pub mod publish;
pub mod schema;
pub mod streams;
pub mod tail;
pub mod top;
pub mod worker;
