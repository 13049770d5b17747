#![doc = include_str!("docs/crate.md")]
#![forbid(unsafe_code)]

// The macros' paths are absolute, here as well.
extern crate self as kafkaesk_worker;

mod app;
mod app_error;
mod attempt;
mod backpressure;
mod commit;
mod context;
mod control;
mod custody;
mod delivery;
mod dispatch;
mod drain;
mod error;
pub mod extract;
mod failures;
mod fence;
mod handle;
mod handler;
mod instance;
mod judge;
mod members;
mod meter;
mod needs;
mod notices;
mod options;
mod outcome;
mod partitions;
mod pause;
mod policy;
pub mod prelude;
mod prepare;
mod registry;
mod report;
pub mod retry;
mod router;
mod routes;
mod run;
mod scale;
mod schedule;
mod scope;
mod shutdown;
pub mod snapshot;
mod state;
mod subscription;
mod telemetry;
#[cfg(feature = "memory")]
pub mod testing;
mod throttle;
mod tracker;
mod transact;
mod watch;
mod worker;

pub use app::App;
pub use app_error::AppError;
pub use control::{Control, Skip, Skipped};
pub use delivery::Delivery;
pub use error::{Classified, Classify, HandlerError};
pub use extract::{
    Attempt, Batch, CommitError, Committer, Done, FromDelivery, Json, Publisher, Raw, Record,
    Schema, State,
};
pub use handle::Handle;
pub use handler::HandlerFn;
pub use kafkaesk_client as client;
pub use kafkaesk_client::{core, schema};
#[cfg(feature = "macros")]
pub use kafkaesk_macros::subscribe;
pub use needs::Needs;
pub use options::{BatchOptions, Commit, Concurrency, Ordering};
pub use outcome::{
    AttemptResult, BatchOutcome, HandlerCall, IntoAttemptResult, Outcome, Rejection,
};
pub use policy::{Contradiction, FailureLimit, OnFailure, OnMismatch, OnNoEvent, OnReject};
pub use report::{RunReport, Unfinished};
pub use router::Router;
pub use subscription::{IntoSubscription, Subscription, subscription};
#[cfg(feature = "memory")]
pub use testing::TestApp;
pub use watch::Watch;

/// Pages.
pub mod docs {
    #[doc = include_str!("docs/handlers.md")]
    pub mod handlers {}
}

/// What the macros' expansions name; not for hand-written code.
#[doc(hidden)]
pub mod private {
    pub use kafkaesk_client::{broker::BoxFuture, consumer::Start};
    pub use std::boxed::Box;
}
