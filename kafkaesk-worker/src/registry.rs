//! Registry: the instances of an application, as its handles `Control` and `Watch` reach them.

use std::{sync::Arc, time::SystemTime};

use kafkaesk_client::consumer::ConsumerControl;
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    control::{Answer, Command, Request},
    shutdown::Shutdown,
    snapshot::SubscriptionSnapshot,
};

/// How many commands wait for an instance. Further ones wait at their sender.
const INBOX: usize = 16;

/// All instances that an application started.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    instances: Mutex<Vec<Arc<Entry>>>,
    run: Mutex<Option<Run>>,
}

/// A run of the application.
#[derive(Debug)]
struct Run {
    expected: usize,
    shutdown: Shutdown,
}

/// One instance, running or ended.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its group without prefix.
    pub(crate) group: String,
    inbox: mpsc::Sender<Command>,
    consumer: Arc<dyn ConsumerControl>,
    shown: Mutex<Shown>,
}

/// What an instance showed last.
#[derive(Debug)]
struct Shown {
    snapshot: Arc<SubscriptionSnapshot>,
    at: Instant,
}

/// An instance's side of its entry. Dropping it ends the entry's questions.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) inbox: mpsc::Receiver<Command>,
    entry: Arc<Entry>,
}

impl Registered {
    /// Keeps what the instance shows.
    pub(crate) fn show(&self, snapshot: Arc<SubscriptionSnapshot>) {
        *self.entry.shown.lock() = Shown {
            snapshot,
            at: Instant::now(),
        };
    }
}

impl Registry {
    /// A new instance that has shown this so far.
    pub(crate) fn add(
        &self,
        first: SubscriptionSnapshot,
        consumer: Arc<dyn ConsumerControl>,
    ) -> Registered {
        let (sender, inbox) = mpsc::channel(INBOX);
        let entry = Arc::new(Entry {
            group: first.name.clone(),
            inbox: sender,
            consumer,
            shown: Mutex::new(Shown {
                snapshot: Arc::new(first),
                at: Instant::now(),
            }),
        });
        self.instances.lock().push(entry.clone());
        Registered { inbox, entry }
    }

    /// The run that its instances belong to. It starts so many of them.
    pub(crate) fn begin(&self, expected: usize, shutdown: Shutdown) {
        self.instances.lock().clear();
        *self.run.lock() = Some(Run { expected, shutdown });
    }

    /// How many instances the run starts.
    pub(crate) fn expected(&self) -> usize {
        self.run.lock().as_ref().map_or(0, |run| run.expected)
    }

    /// When its shutdown began, if it did.
    pub(crate) fn shutdown(&self) -> Option<SystemTime> {
        self.run.lock().as_ref()?.shutdown.begun()
    }

    /// The instances, in the order of their start.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.instances.lock().clone()
    }

    /// The instances of a group.
    pub(crate) fn of(&self, group: &str) -> Vec<Arc<Entry>> {
        let mut all = self.all();
        all.retain(|entry| entry.group == group);
        all
    }
}

impl Entry {
    /// Asks the instance. `None` if it ended. Waits while it does something else.
    pub(crate) async fn ask(&self, request: Request) -> Option<Answer> {
        let (done, answer) = oneshot::channel();
        self.inbox.send(Command { request, done }).await.ok()?;
        // An instance that ends drops its commands.
        answer.await.ok()
    }

    /// What it showed last, and how long ago that was.
    pub(crate) fn last(&self) -> (Arc<SubscriptionSnapshot>, std::time::Duration) {
        let shown = self.shown.lock();
        (shown.snapshot.clone(), shown.at.elapsed())
    }

    /// Its consumer.
    pub(crate) fn consumer(&self) -> &dyn ConsumerControl {
        &*self.consumer
    }
}
