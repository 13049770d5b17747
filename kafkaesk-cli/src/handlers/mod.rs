//! Handlers of the configuration: each takes a message and gives a [`Reply`]. Each kind has its folder or file.

pub(crate) mod adapter;
pub(crate) mod exec;
pub(crate) mod http;
mod reply;
pub(crate) mod stdout;

pub(crate) use adapter::Configured;
pub(crate) use reply::Reply;
