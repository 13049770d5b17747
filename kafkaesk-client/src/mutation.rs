//! Mutations: faults that the chaos suite puts into the code, to show that it notices them. Without the feature
//! `_mutations`, which nothing that is shipped has, [`is`] is `false` at compile time and costs nothing.

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A message counts as finished once it is read.
    CommitBeforeFinish,
    /// An answer of a former assignment counts in the present one.
    IgnoreGeneration,
    /// A revoke is acknowledged without waiting for what runs.
    DropOnRevoke,
    /// A commit is one offset too far.
    WatermarkOffByOne,
    /// A partition that was paused for its backlog stays so.
    PauseNeverResumed,
    /// A lane's next message starts while one of it runs.
    LaneReleasedTooEarly,
    /// A subscription whose handlers are all stuck keeps its partitions.
    StuckKeepsPartitions,
    /// A key does not wait for its handler of a former assignment.
    NoFence,
    /// A message counts as given up although its dead letter is not written.
    DeadLetterNotConfirmed,
    /// A transaction commits its records without the offsets, which are committed beside it.
    OffsetsBesideTransaction,
    /// What a handler publishes is sent at once, although its subscription works in transactions.
    SentBesideTransaction,
    /// What a failed attempt published goes with its message's transaction.
    FailedOutboxKept,
    /// A transaction that was refused counts as committed.
    RefusedTransactionDropped,
    /// With manual commit, a message counts as finished when its handler returns.
    CustodyEndsAtReturn,
    /// With manual commit, a committer that is dropped counts as done.
    DroppedIsDone,
    /// A batch that failed is given up as a whole.
    BatchGivenUpWhole,
    /// With manual commit, a revoke does not wait for committers.
    RevokePassesCustody,
}

/// The variable that names the fault of this process.
pub const VARIABLE: &str = "KAFKAESK_MUTATION";

/// Whether this process has this fault.
#[cfg(not(feature = "_mutations"))]
#[inline(always)]
pub const fn is(_: Mutation) -> bool {
    false
}

/// Whether this process has this fault. The variable is read once.
#[cfg(feature = "_mutations")]
pub fn is(mutation: Mutation) -> bool {
    static NAMED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var(VARIABLE).ok());
    named
        .as_ref()
        .is_some_and(|name| *name == format!("{mutation:?}"))
}
