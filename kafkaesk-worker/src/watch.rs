//! Watch: a handle that looks at a running application and changes nothing.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{
    control::Request,
    registry::{Entry, Registry, Slot},
    snapshot::{Snapshot, State, SubscriptionSnapshot, merge},
};

/// A handle that looks at an application that runs or will run. All clones are the same handle.
///
/// ```
/// # use kafkaesk_worker::prelude::*;
/// # use std::time::Duration;
/// # async fn run(app: App) {
/// let watch = app.watch();
/// for subscription in watch.snapshot(Duration::from_millis(500)).await.subscriptions {
///     println!("{}: {} waiting", subscription.group, subscription.ready.records);
/// }
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Watch(pub(crate) Arc<Registry>);

impl Watch {
    /// What the application does now. Each instance answers between two messages, which costs nothing while nobody asks. One that
    /// does not answer within `within` is shown as it was at its last answer, with the time since then
    /// ([`SubscriptionSnapshot::silent_for`]). Empty before the application runs. Cancel safe.
    pub async fn snapshot(&self, within: Duration) -> Snapshot {
        let slots = self.0.slots();
        let subscriptions = join_all(slots.iter().map(|slot| look_at_all(slot, within))).await;
        Snapshot {
            subscriptions: subscriptions.into_iter().flatten().collect(),
            expected: self.0.expected(),
            shutdown: self.0.shutdown(),
        }
    }
}

/// All instances of a subscription as one; `None` before the first one has started.
async fn look_at_all(slot: &Slot, within: Duration) -> Option<Arc<SubscriptionSnapshot>> {
    let parts = join_all(slot.instances.iter().map(|entry| look(entry, within))).await;
    let mut all = merge(parts.into_iter().chain(slot.former.clone()))?;
    if slot.scaled.is_some() || slot.wanted.is_some() || slot.grown.is_some() {
        let all = Arc::make_mut(&mut all);
        all.scaled_instances.clone_from(&slot.scaled);
        all.wanted_processes.clone_from(&slot.wanted);
        all.scaled_partitions.clone_from(&slot.grown);
    }
    Some(all)
}

/// One instance.
pub(crate) async fn look(entry: &Entry, within: Duration) -> Arc<SubscriptionSnapshot> {
    let ended = matches!(timeout(within, entry.ask(Request::Show)).await, Ok(None));
    let (last, ago) = entry.last();
    if last.state == State::Ended {
        return last;
    }
    let mut snapshot = (*last).clone();
    // An instance that is about to end takes no question, and is not stuck.
    snapshot.silent_for = if ended { Duration::ZERO } else { ago };
    snapshot.thread_silent_for = entry.consumer().silent_for();
    Arc::new(snapshot)
}
