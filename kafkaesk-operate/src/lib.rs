//! Operating a kafkaesk application: metrics for Prometheus, lag with a verdict, health, stats and a page over HTTP.
//!
//! Reads what `kafkaesk-worker` and `kafkaesk-client` show of themselves. The worker knows nothing of this crate.

mod options;
mod view;

pub use options::{Detail, Options};
pub use view::{Brokers, PartitionLag, SubscriptionLag, View};
