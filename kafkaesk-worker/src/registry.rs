//! Registry: the subscriptions of an application and their instances, as its handles `Control` and `Watch` reach them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use kafkaesk_client::consumer::ConsumerControl;
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    control::{Answer, Command, Request},
    shutdown::Shutdown,
    snapshot::{ScaledInstances, ScaledPartitions, SubscriptionSnapshot, WantedProcesses, merge},
};

/// How many commands wait for an instance. Further ones wait at their sender.
const INBOX: usize = 16;

/// All instances that an application started.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    slots: Mutex<Vec<Slot>>,
    run: Mutex<Option<Run>>,
}

/// What a subscription's instances are to their application.
pub(crate) type SlotIndex = usize;

/// The instances of one subscription.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    /// In the order of their start.
    pub(crate) instances: Vec<Arc<Entry>>,
    /// What those showed last that scaling removed.
    pub(crate) former: Option<Arc<SubscriptionSnapshot>>,
    /// How their number follows the load.
    pub(crate) scaled: Option<Box<ScaledInstances>>,
    /// How many processes its group needs.
    pub(crate) wanted: Option<Box<WantedProcesses>>,
    /// Which of its streams have too few partitions.
    pub(crate) grown: Option<Box<ScaledPartitions>>,
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
    /// Nanoseconds in which its task held a thread.
    worked: AtomicU64,
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
    /// Its entry.
    pub(crate) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Keeps what the instance shows.
    pub(crate) fn show(&self, snapshot: Arc<SubscriptionSnapshot>) {
        *self.entry.shown.lock() = Shown {
            snapshot,
            at: Instant::now(),
        };
    }
}

impl Registry {
    /// A new subscription, without an instance.
    pub(crate) fn slot(&self) -> SlotIndex {
        let mut slots = self.slots.lock();
        slots.push(Slot::default());
        slots.len() - 1
    }

    /// A new instance that has shown this so far.
    pub(crate) fn add(
        &self,
        slot: SlotIndex,
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
            worked: AtomicU64::new(0),
        });
        if let Some(slot) = self.slots.lock().get_mut(slot) {
            slot.instances.push(entry.clone());
        }
        Registered { inbox, entry }
    }

    /// An instance that scaling removed has ended: its counts stay.
    pub(crate) fn retire(&self, slot: SlotIndex, entry: &Arc<Entry>) {
        if let Some(slot) = self.slots.lock().get_mut(slot) {
            slot.instances.retain(|known| !Arc::ptr_eq(known, entry));
            let (last, _) = entry.last();
            slot.former = merge(slot.former.take().into_iter().chain([last]));
        }
    }

    /// How the number of a subscription's instances follows its load.
    pub(crate) fn scaled(&self, slot: SlotIndex, scaled: ScaledInstances) {
        if let Some(slot) = self.slots.lock().get_mut(slot) {
            slot.scaled = Some(Box::new(scaled));
        }
    }

    /// What its whole group needs, if this one says it.
    pub(crate) fn wanted(
        &self,
        slot: SlotIndex,
        wanted: Option<WantedProcesses>,
        grown: ScaledPartitions,
    ) {
        if let Some(slot) = self.slots.lock().get_mut(slot) {
            slot.wanted = wanted.map(Box::new);
            slot.grown = Some(Box::new(grown));
        }
    }

    /// The run that its instances belong to. It starts so many subscriptions.
    pub(crate) fn begin(&self, expected: usize, shutdown: Shutdown) {
        self.slots.lock().clear();
        *self.run.lock() = Some(Run { expected, shutdown });
    }

    /// How many subscriptions the run starts.
    pub(crate) fn expected(&self) -> usize {
        self.run.lock().as_ref().map_or(0, |run| run.expected)
    }

    /// When its shutdown began, if it did.
    pub(crate) fn shutdown(&self) -> Option<SystemTime> {
        self.run.lock().as_ref()?.shutdown.begun()
    }

    /// The subscriptions, in the order of their start.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.slots.lock().clone()
    }

    /// The instances of a subscription.
    pub(crate) fn instances(&self, slot: SlotIndex) -> Vec<Arc<Entry>> {
        let slots = self.slots.lock();
        slots
            .get(slot)
            .map_or_else(Vec::new, |it| it.instances.clone())
    }

    /// All instances, those of a subscription together.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        let slots = self.slots.lock();
        slots
            .iter()
            .flat_map(|slot| slot.instances.iter().cloned())
            .collect()
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

    /// Leaves a request to an instance that does not run yet, without waiting for an answer.
    pub(crate) fn leave(&self, request: Request) {
        let (done, _) = oneshot::channel();
        // Its inbox has room: it was registered a moment ago.
        let _ = self.inbox.try_send(Command { request, done });
    }

    /// Resolves when it ended.
    pub(crate) async fn ended(&self) {
        self.inbox.closed().await;
    }

    /// How long its task held a thread so far.
    pub(crate) fn worked(&self) -> Duration {
        Duration::from_nanos(self.worked.load(Ordering::Relaxed))
    }

    /// What it showed last, and how long ago that was.
    pub(crate) fn last(&self) -> (Arc<SubscriptionSnapshot>, Duration) {
        let shown = self.shown.lock();
        (shown.snapshot.clone(), shown.at.elapsed())
    }

    /// Its task held a thread for this long.
    pub(crate) fn work(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.worked.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Its consumer.
    pub(crate) fn consumer(&self) -> &dyn ConsumerControl {
        &*self.consumer
    }
}
