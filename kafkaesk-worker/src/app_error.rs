//! What keeps an application from starting, or stops it.

use kafkaesk_client::{ClientError, schema::DocumentError};
use kafkaesk_core::RecordPlace;
use thiserror::Error;

/// Why an application does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppError {
    /// A subscription that cannot be registered.
    #[error("subscription to {pattern:?}: {message}")]
    Subscription {
        /// Its pattern.
        pattern: String,
        /// What is wrong and what to write instead.
        message: String,
    },
    /// Two subscriptions would get each other's messages.
    #[error(
        "subscriptions to {first:?} and {second:?} overlap in group {group:?}, and one group gets each message once; give one of them another group or a narrower pattern"
    )]
    Overlap {
        /// The group, without `group-prefix`.
        group: String,
        /// One pattern.
        first: String,
        /// The other.
        second: String,
    },
    /// No such group among the subscriptions.
    #[error("no subscription has the group {group:?}; there are: {known}")]
    UnknownGroup {
        /// What was asked for.
        group: String,
        /// What there is, comma separated.
        known: String,
    },
    /// No subscription contains a record that is to be passed over.
    #[error("{record} cannot be passed over: no subscription that runs reads stream {:?}", record.stream.as_str())]
    SkipsNothing {
        /// The record.
        record: RecordPlace,
    },
    /// Nothing to do.
    #[error("the application has no subscriptions; add one: `App::new().subscribe(…)`")]
    NothingToRun,
    /// A handler's state is missing.
    #[error(
        "the handler of {pattern:?} takes State<{state}>, but the application has none; give it one: `App::new().state(…)`"
    )]
    MissingState {
        /// The subscription's pattern.
        pattern: String,
        /// The type's name.
        state: String,
    },
    /// `state_with` failed.
    #[error("the application's state {state} could not be made: {message}")]
    State {
        /// The type's name.
        state: String,
        /// The error and its sources.
        message: String,
    },
    /// An event type's document is not a schema.
    #[error("{0}")]
    Document(#[from] DocumentError),
    /// Kafka.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A group's topic of dead letters is absent and cannot be created.
    #[error(
        "group {group}: its topic of dead letters, {topic}, cannot be created: {source}; create it with `kafkaesk-cli schema push`, or set `dead-letters = false`: a message that used up its attempts is then held, and a rejected one is logged and passed over"
    )]
    DeadLetters {
        /// The group, as sent to Kafka.
        group: String,
        /// The topic.
        topic: String,
        /// Why.
        source: ClientError,
    },
    /// A subscription's consumer ended.
    #[error("group {group}, {pattern}: reading stopped: {source}")]
    Consumer {
        /// The group, as sent to Kafka.
        group: String,
        /// Its pattern.
        pattern: String,
        /// Why.
        source: ClientError,
    },
    /// A handler answered [`crate::Outcome::Abort`].
    #[error(
        "group {group}: the handler aborted on {topic}[{partition}]@{offset}; the message is not committed and will be delivered again"
    )]
    Aborted {
        /// The group, as sent to Kafka.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// An instance panicked: a bug in kafkaesk.
    #[error("group {group}: the consumer's task ended unexpectedly: {message}")]
    Internal {
        /// The group, as sent to Kafka.
        group: String,
        /// What the runtime says.
        message: String,
    },
}
