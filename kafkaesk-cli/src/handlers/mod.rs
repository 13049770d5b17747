//! Handlers of the configuration: each takes a message and gives an [`Answer`]. Each kind has its folder or file.

pub(crate) mod adapter;
pub(crate) mod answer;
pub(crate) mod exec;
pub(crate) mod http;
pub(crate) mod stdout;

pub(crate) use adapter::Configured;
pub(crate) use answer::Answer;
