//! Options: what a subscription asks for, with the defaults.

use std::{collections::BTreeMap, num::NonZeroU32, ops::RangeInclusive, time::Duration};

use kafkaesk_client::consumer::Start;
use serde::Deserialize;

use crate::{
    policy::{Contradiction, FailureLimit, STUCK_AFTER, Stated},
    retry::RetryPolicy,
    subscription::Subscription,
};

/// What keeps its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ordering {
    /// Messages of one key in one partition, one after the other; messages without a key have no order.
    #[default]
    Key,
    /// All messages of one partition, one after the other.
    Partition,
    /// Nothing.
    None,
}

/// How many handlers of one instance run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concurrency {
    /// As many.
    Fixed(u32),
    /// As many as help, between these bounds: the worker seeks the level beyond which goodput does not grow, and keeps below
    /// the level at which answers mean *too much* ([`HandlerError::busy`](crate::HandlerError::busy),
    /// [`HandlerError::overloaded`](crate::HandlerError::overloaded), a timeout).
    Between {
        /// The fewest.
        min: u32,
        /// The most.
        max: u32,
    },
}

impl Concurrency {
    /// The most handlers of [`Self::AUTO`].
    pub const AUTO_MOST: u32 = 512;
    /// Between 1 and [`Self::AUTO_MOST`]: `concurrency = "auto"`.
    pub const AUTO: Self = Self::Between {
        min: 1,
        max: Self::AUTO_MOST,
    };
    /// The most handlers of one instance.
    pub const MOST: u32 = 100_000;

    /// What is wrong with it.
    pub(crate) fn problem(self) -> Option<String> {
        let within = |value: u32| (1..=Self::MOST).contains(&value);
        let most = Self::MOST;
        match self {
            Self::Fixed(handlers) if !within(handlers) => Some(format!(
                "concurrency is {handlers}; it must be from 1 to {most}"
            )),
            Self::Between { min, max } if !within(min) || !within(max) || min > max => {
                Some(format!(
                    "concurrency is {min} to {max}; both must be from 1 to {most}, the smaller one first"
                ))
            }
            _ => None,
        }
    }
}

impl From<u32> for Concurrency {
    fn from(handlers: u32) -> Self {
        Self::Fixed(handlers)
    }
}

impl From<RangeInclusive<u32>> for Concurrency {
    fn from(range: RangeInclusive<u32>) -> Self {
        Self::Between {
            min: *range.start(),
            max: *range.end(),
        }
    }
}

/// When a message counts as finished, and when its offset is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Commit {
    /// When its handler has returned; committed every 5 s.
    #[default]
    Interval,
    /// When its [`Committer`](crate::Committer) says so; committed soon after.
    Manual,
}

/// What a batch gathers. A handler with an argument [`Batch`](crate::Batch) gets messages of one partition together, in order.
/// A batch goes to its handler as soon as one of the three bounds is reached.
///
/// ```
/// use std::time::Duration;
///
/// use kafkaesk_worker::BatchOptions;
///
/// let batch = BatchOptions::new().max(1000).wait(Duration::from_millis(50));
/// assert_ne!(batch, BatchOptions::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    pub(crate) max: u32,
    pub(crate) bytes: usize,
    pub(crate) wait: Duration,
    pub(crate) transaction: bool,
}

impl BatchOptions {
    /// The most messages of one batch that can be asked for.
    pub const MAX: u32 = 10_000;
    /// The fewest bytes of one batch that can be asked for.
    pub const LEAST_BYTES: usize = 1024;
    /// The most bytes of one batch that can be asked for.
    pub const MOST_BYTES: usize = 16 * 1024 * 1024;
    /// The shortest wait that can be asked for.
    pub const SHORTEST: Duration = Duration::from_millis(1);
    /// The longest wait that can be asked for.
    pub const LONGEST: Duration = Duration::from_secs(10);

    /// 500 messages, 4 MiB, 200 ms.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many messages a batch holds at most; 1 to 10,000, default 500.
    #[must_use]
    pub fn max(mut self, messages: u32) -> Self {
        self.max = messages;
        self
    }

    /// How many bytes the records of a batch hold at most (keys, headers and values as they were read); 1 KiB to 16 MiB, default
    /// 4 MiB. A larger record is a batch of its own.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How long the oldest message of a batch waits for others at most; 1 ms to 10 s, default 200 ms.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Whether what the handlers publish through their argument `Publisher`, and the offsets of their messages, are committed
    /// in one Kafka transaction (docs/delivery.md, "Exactly once"). Default `false`. The handler takes single messages, which
    /// run as without a batch. A transaction is made as soon as `max` messages are finished, `bytes` are published, or `wait`
    /// has passed since the first of them was finished; once twice `max` messages of a partition are not committed, no further
    /// one of it starts.
    #[must_use]
    pub fn transaction(mut self, transaction: bool) -> Self {
        self.transaction = transaction;
        self
    }

    /// The first bound that is broken, or what does not go together with it.
    fn contradiction(&self, commit: Commit) -> Option<Contradiction> {
        let wrong = |problem| Some(Contradiction::new("batch", problem));
        if !(1..=Self::MAX).contains(&self.max) {
            return wrong(format!(
                "its max is {}; it must be from 1 to {}",
                self.max,
                Self::MAX
            ));
        }
        if !(Self::LEAST_BYTES..=Self::MOST_BYTES).contains(&self.bytes) {
            return wrong(format!(
                "its bytes are {}; they must be from {} to {}",
                self.bytes,
                Self::LEAST_BYTES,
                Self::MOST_BYTES
            ));
        }
        if !(Self::SHORTEST..=Self::LONGEST).contains(&self.wait) {
            return wrong(format!(
                "its wait is {:?}; it must be from {:?} to {:?}",
                self.wait,
                Self::SHORTEST,
                Self::LONGEST
            ));
        }
        if commit == Commit::Manual {
            return Some(Contradiction::new(
                "commit",
                "a batch ends when its handler does; leave `batch` or `commit` out".to_owned(),
            ));
        }
        None
    }
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            max: 500,
            bytes: 4 * 1024 * 1024,
            wait: Duration::from_millis(200),
            transaction: false,
        }
    }
}

/// How many messages of one partition may be unfinished with [`Commit::Manual`].
const MAX_UNCOMMITTED: usize = 10_000;

/// A subscription's options.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) max_partitions: u32,
    pub(crate) max_concurrency: u32,
    pub(crate) concurrency: Concurrency,
    pub(crate) start: Start,
    pub(crate) validate: bool,
    pub(crate) ordering: Ordering,
    pub(crate) commit: Commit,
    pub(crate) batch: Option<BatchOptions>,
    /// As it is stated; see [`Self::max_uncommitted`].
    pub(crate) max_uncommitted: Option<u32>,
    /// What is stated of policies.
    pub(crate) stated: Stated,
    pub(crate) retry: RetryPolicy,
    pub(crate) failure_limit: Option<FailureLimit>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stuck_after: Duration,
    /// Messages started per second, at most.
    pub(crate) throttle: Option<NonZeroU32>,
    pub(crate) kafka_settings: BTreeMap<String, String>,
}

impl Options {
    /// What a batch gathers, if handlers get batches: with `transaction` they get the messages one by one.
    pub(crate) fn gathers(&self) -> Option<BatchOptions> {
        self.batch.filter(|batch| !batch.transaction)
    }

    /// What is wrong with its batches.
    pub(crate) fn batch_contradiction(&self) -> Option<Contradiction> {
        self.batch?.contradiction(self.commit)
    }

    /// Whether what its handlers publish goes with its offsets in transactions.
    pub(crate) fn in_transactions(&self) -> bool {
        self.batch.is_some_and(|batch| batch.transaction)
    }

    /// How many messages of one partition may be unfinished with [`Commit::Manual`].
    pub(crate) fn max_uncommitted(&self) -> usize {
        self.max_uncommitted
            .map_or(MAX_UNCOMMITTED, |most| most as usize)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_partitions: Subscription::MAX_PARTITIONS,
            max_concurrency: 3,
            concurrency: Concurrency::Fixed(32),
            start: Start::Earliest,
            validate: false,
            ordering: Ordering::Key,
            commit: Commit::Interval,
            batch: None,
            max_uncommitted: None,
            stated: Stated::default(),
            retry: RetryPolicy::default(),
            failure_limit: Some(FailureLimit::default()),
            timeout: None,
            stuck_after: STUCK_AFTER,
            throttle: None,
            kafka_settings: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_outside_its_bounds_or_with_committers_is_named() {
        let of = BatchOptions::new;
        let second = Duration::from_secs(1);
        for (batch, commit, setting) in [
            (of(), Commit::Interval, None),
            (of().max(1).bytes(1024).wait(second), Commit::Interval, None),
            (of().max(0), Commit::Interval, Some("batch")),
            (of().max(10_001), Commit::Interval, Some("batch")),
            (of().bytes(1023), Commit::Interval, Some("batch")),
            (of().bytes(16_777_217), Commit::Interval, Some("batch")),
            (of().wait(Duration::ZERO), Commit::Interval, Some("batch")),
            (of().wait(11 * second), Commit::Interval, Some("batch")),
            (of(), Commit::Manual, Some("commit")),
        ] {
            let found = batch.contradiction(commit);
            assert_eq!(found.map(|it| it.setting), setting, "{batch:?} {commit:?}");
        }
    }
}
