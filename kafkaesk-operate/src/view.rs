//! View: all that is shown of a process at one moment, as plain data. `observer` makes it; `metrics` and `health` read it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kafkaesk_client::{dead_letters::Unsettled, lag::Verdict, meter::Published};
use kafkaesk_core::Source;
use kafkaesk_worker::snapshot::{Snapshot, State, SubscriptionSnapshot};

use crate::{lag::Judged, rates::Point, traces::Dropped};

/// How long ago a broker's last answer may be.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A setting as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    /// Its name, such as `topic-prefix`.
    pub key: String,
    /// Its value, without secrets.
    pub value: String,
    /// Where it comes from, such as `kafkaesk.toml:3` or `default`.
    pub source: String,
}

/// A process at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// What the application shows.
    pub(crate) snapshot: Snapshot,
    /// Its partitions, judged: one list for each subscription of the snapshot.
    pub(crate) lags: Vec<Vec<Judged>>,
    /// What the connection published and asked.
    pub(crate) published: Published,
    /// The unsettled dead letters of the groups that this process counts.
    pub(crate) letters: BTreeMap<String, Unsettled>,
    /// How the subscriptions did in the last minutes, in the order of the snapshot.
    pub(crate) rates: Vec<Vec<Point>>,
    /// How long ago a broker last answered; `None` before the first answer.
    pub(crate) answered: Option<Duration>,
    /// How long a subscription may give no sign of life.
    pub(crate) alive_within: Duration,
    /// The partitions of each subscription that a restart would help, in the order of the snapshot.
    pub(crate) standing: Vec<Vec<Arc<Source>>>,
    /// The effective settings, without secrets.
    pub(crate) settings: Arc<Vec<ShownSetting>>,
    /// Whether the keys of messages may be shown.
    pub(crate) show_keys: bool,
    /// Whether there is a connection.
    pub(crate) connected: bool,
    /// Spans that were dropped; `None` where traces are off.
    pub(crate) spans_dropped: Option<Arc<Dropped>>,
}

/// How long ago the task of a subscription, or its consumer's thread, last gave a sign of life.
pub(crate) fn silence(it: &SubscriptionSnapshot) -> Duration {
    it.silent_for.max(it.thread_silent_for)
}

impl View {
    /// Whether a broker answered lately: otherwise nothing that is known of Kafka is known to be so still.
    pub(crate) fn hears(&self) -> bool {
        self.connected && self.answered.is_some_and(|ago| ago <= ANSWER_WITHIN)
    }

    /// The worst verdict of a subscription. Nothing is well of which nothing is known.
    pub(crate) fn verdict(&self, it: &SubscriptionSnapshot, judged: &[Judged]) -> Verdict {
        let verdicts = judged.iter().map(|it| it.verdict);
        let worst = match it.apart {
            Some(_) => Verdict::Stall,
            None => verdicts.max().unwrap_or(Verdict::Ok),
        };
        let worst = match it.pause {
            Some(_) => worst.max(Verdict::Paused),
            None => worst,
        };
        match self.hears() && it.state != State::Joining {
            true => worst,
            false => worst.max(Verdict::Unknown),
        }
    }

    /// The subscriptions with their judged partitions.
    pub(crate) fn subscriptions(
        &self,
    ) -> impl Iterator<Item = (&SubscriptionSnapshot, &[Judged])> + Clone {
        let subscriptions = self.snapshot.subscriptions.iter().map(Arc::as_ref);
        subscriptions.zip(self.lags.iter().map(Vec::as_slice))
    }
}
