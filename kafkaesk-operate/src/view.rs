//! View: all that is shown of a process at one moment, as plain data. `observer` makes it; `metrics` and `health` read it.

use std::{sync::Arc, time::Duration};

use kafkaesk_client::meter::Published;
use kafkaesk_worker::snapshot::{Snapshot, SubscriptionSnapshot};

use crate::{lag::Judged, rates::Point};

/// A process at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// What the application shows.
    pub(crate) snapshot: Snapshot,
    /// Its partitions, judged: one list for each subscription of the snapshot.
    pub(crate) lags: Vec<Vec<Judged>>,
    /// What the connection published and asked.
    pub(crate) published: Published,
    /// How the subscriptions did in the last minutes, in the order of the snapshot.
    pub(crate) rates: Vec<Vec<Point>>,
    /// How long ago a broker last answered; `None` before the first answer.
    pub(crate) answered: Option<Duration>,
    /// Whether there is a connection.
    pub(crate) connected: bool,
}

impl View {
    /// The subscriptions with their judged partitions.
    pub(crate) fn subscriptions(
        &self,
    ) -> impl Iterator<Item = (&SubscriptionSnapshot, &[Judged])> + Clone {
        let subscriptions = self.snapshot.subscriptions.iter().map(Arc::as_ref);
        subscriptions.zip(self.lags.iter().map(Vec::as_slice))
    }
}
