//! Everything that an application needs: `use kafkaesk_worker::prelude::*;`.
//!
//! The derives of serde and schemars name their own crates, so serde and schemars stand in the application's
//! `Cargo.toml` as well.

pub use std::process::ExitCode;

#[cfg(feature = "macros")]
pub use kafkaesk_macros::subscribe;

pub use kafkaesk_client::{
    Connection, Settings,
    consumer::Start,
    schema::{Event, Events, private::schemars::JsonSchema},
};
pub use serde::{Deserialize, Serialize};

#[cfg(feature = "memory")]
pub use crate::TestApp;
pub use crate::{
    App, AppError, Attempt, Batch, BatchOptions, BatchOutcome, Classify, Commit, CommitError,
    Committer, Concurrency, FailureLimit, HandlerError, Json, OnFailure, OnMismatch, OnNoEvent,
    OnReject, Ordering, Outcome, Publisher, Raw, Record, Router, Schema, State, Subscription,
    subscription,
};
