//! Options: what a subscription asks for, with the defaults.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use kafkaesk_client::consumer::Start;
use serde::Deserialize;

use crate::{
    policy::{FailureLimit, STUCK_AFTER, Stated},
    retry::RetryPolicy,
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

/// How many messages of one partition may be unfinished with [`Commit::Manual`].
const MAX_UNCOMMITTED: usize = 10_000;

/// A subscription's options.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) max_partitions: u32,
    pub(crate) max_concurrency: u32,
    pub(crate) concurrency: u32,
    pub(crate) start: Start,
    pub(crate) validate: bool,
    pub(crate) ordering: Ordering,
    pub(crate) commit: Commit,
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
    /// How many messages of one partition may be unfinished with [`Commit::Manual`].
    pub(crate) fn max_uncommitted(&self) -> usize {
        self.max_uncommitted
            .map_or(MAX_UNCOMMITTED, |most| most as usize)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_partitions: 40,
            max_concurrency: 3,
            concurrency: 32,
            start: Start::Earliest,
            validate: false,
            ordering: Ordering::Key,
            commit: Commit::Interval,
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
