//! Watch: a handle that looks at a running application and changes nothing.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{
    control::Request,
    registry::{Entry, Registry},
    snapshot::{Snapshot, State, SubscriptionSnapshot},
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
        let entries = self.0.all();
        let subscriptions = join_all(entries.iter().map(|entry| look(entry, within))).await;
        Snapshot {
            subscriptions,
            expected: self.0.expected(),
            shutdown: self.0.shutdown(),
        }
    }
}

async fn look(entry: &Entry, within: Duration) -> Arc<SubscriptionSnapshot> {
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
