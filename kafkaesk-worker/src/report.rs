//! What a run leaves to say: how it ended and what it left unfinished.

/// How a run ended that was asked to end.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunReport {
    /// Messages whose handling came to an end (done, rejected or skipped).
    pub handled: u64,
    /// Handlers that were still running at the drain's deadline; their messages come again.
    pub unfinished: Vec<Unfinished>,
}

/// A message whose handler did not finish in time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The group, as sent to Kafka.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}
