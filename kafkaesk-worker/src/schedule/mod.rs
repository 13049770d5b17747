//! Lanes: decides which waiting record may be handled now. Runs nothing and knows no clock.
//!
//! A lane handles one record at a time, in order, or one batch (`gather.rs`). Lanes are served in turns, so a busy lane does not
//! delay the others. A record that is handled at once in an idle lane does not enter the schedule.
//!
//! Next: `instance/attempts.rs` and `instance/batches.rs` run what is ready.

mod backlogs;
mod gather;

pub(crate) use gather::{Gathered, Taken};

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
    ops::{AddAssign, SubAssign},
};

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use backlogs::Backlogs;

use crate::{
    delivery::{Delivery, FailedAttempts},
    options::BatchOptions,
    partitions::Generation,
    tracker::Ticket,
};

/// With this many waiting records in a lane, its partition is paused …
pub(crate) const DEEP: usize = 2048;
/// … until so few are left.
pub(crate) const SHALLOW: usize = 512;
/// With batches, a lane has room for so many of them.
const BATCHES: usize = 4;

/// One lane of one assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LaneId {
    pub(crate) generation: Generation,
    pub(crate) lane: Lane,
}

/// What shares a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// One key, by its hash; keys that share a hash share a lane.
    Key(u64),
    /// The whole partition.
    Partition,
    /// One record alone, by its offset.
    Alone(i64),
    /// The records of a partition that gather into batches. One that fails goes on in the lane that it would have alone.
    Gather,
}

/// A record that waits.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) delivery: Delivery,
    pub(crate) ticket: Ticket,
    /// When it was read, or came back.
    pub(crate) arrived: Instant,
}

/// What a waiting record holds in memory besides its bytes, about.
const OVERHEAD: usize = 256;

impl Item {
    fn amount(&self) -> Amount {
        Amount {
            records: 1,
            bytes: self.delivery.record().size() + OVERHEAD,
        }
    }
}

/// Records and what they hold in memory, about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        self.records -= other.records;
        self.bytes -= other.bytes;
    }
}

#[derive(Debug, PartialEq, Eq)]
enum LaneState {
    /// In the queue of ready lanes.
    Ready,
    /// A record of it is being handled.
    Running,
    /// Its first record is tried again then.
    Waiting(Instant),
    /// Nothing more of its assignment may start for now.
    Parked,
    /// Its records wait for others until then, to be one batch.
    Forming(Instant),
}

#[derive(Debug)]
struct LaneBacklog {
    state: LaneState,
    items: VecDeque<Item>,
    /// How many of its first items belong together, the very first ones last: parts of a batch that came back.
    parts: Vec<usize>,
    /// Of its items.
    amount: Amount,
    deep: bool,
    /// While a record of it is handled: its first one came back and is not tried before then.
    not_before: Option<Instant>,
}

impl LaneBacklog {
    fn new(state: LaneState) -> Self {
        Self {
            state,
            items: VecDeque::new(),
            parts: Vec::new(),
            amount: Amount::default(),
            deep: false,
            not_before: None,
        }
    }

    /// Takes a record back, before all that were read after it.
    fn insert(&mut self, item: Item) {
        let is_before = |other: &&Item| other.ticket.is_before(item.ticket);
        let at = self.items.iter().take_while(is_before).count();
        self.items.insert(at, item);
        if !self.parts.is_empty() {
            // It stands alone, before the parts of a batch.
            self.parts.push(1);
        }
    }

    /// Waits until then with all of its items.
    fn waits(&mut self, until: Instant, backlog: &mut Backlog) {
        if !matches!(self.state, LaneState::Waiting(_)) {
            backlog.backing_off += self.amount;
        }
        self.state = LaneState::Waiting(until);
        self.not_before = None;
    }
}

/// What one assignment has waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    pub(crate) all: Amount,
    /// The part in lanes whose first record waits for its next attempt: no handler could take it now.
    pub(crate) backing_off: Amount,
    /// Lanes that reached [`DEEP`] and are not down to [`SHALLOW`].
    pub(crate) deep: usize,
}

/// A message that failed and waits for its next attempt, at the head of its lane.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) generation: Generation,
    /// When it is tried next; `None` as soon as a handler is free.
    pub(crate) next: Option<Instant>,
    pub(crate) failures: FailedAttempts,
    pub(crate) delivery: &'a Delivery,
    /// How many wait for it.
    pub(crate) waiting: usize,
}

/// All lanes of an instance that are not idle.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    lanes: FxHashMap<LaneId, LaneBacklog>,
    ready: VecDeque<LaneId>,
    due: BinaryHeap<Reverse<(Instant, LaneId)>>,
    backlogs: Backlogs,
    /// Lanes of assignments of which nothing more may start for now.
    parked: FxHashMap<Generation, Vec<LaneId>>,
    /// For a subscription with batches: what one gathers.
    batch: Option<BatchOptions>,
    /// Lanes whose records wait for others, and until when.
    forming: BTreeSet<(Instant, LaneId)>,
}

impl Schedule {
    /// With batches, or without.
    pub(crate) fn new(batch: Option<BatchOptions>) -> Self {
        Self {
            batch,
            ..Self::default()
        }
    }

    /// Whether a record of this lane may be handled at once.
    pub(crate) fn is_idle(&self, lane: LaneId) -> bool {
        !self.lanes.contains_key(&lane)
    }

    /// Whether no lane at all is busy.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether some lane has a record to handle now.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A record waits behind its lane's others.
    pub(crate) fn wait(&mut self, lane: LaneId, item: Item) {
        let (backlog, amount) = (self.backlogs.change(lane.generation), item.amount());
        backlog.all += amount;
        let forms = self.batch.filter(|_| lane.forms());
        let queue = self.lanes.entry(lane).or_insert_with(|| {
            LaneBacklog::new(match forms {
                Some(batch) => {
                    let until = item.arrived + batch.wait;
                    self.forming.insert((until, lane));
                    LaneState::Forming(until)
                }
                None => {
                    self.ready.push_back(lane);
                    LaneState::Ready
                }
            })
        });
        queue.items.push_back(item);
        queue.amount += amount;
        match queue.state {
            LaneState::Waiting(_) => backlog.backing_off += amount,
            LaneState::Forming(until) if forms.is_some_and(|batch| queue.is_whole(batch)) => {
                queue.state = LaneState::Ready;
                self.forming.remove(&(until, lane));
                self.ready.push_back(lane);
            }
            _ => {}
        }
        let deep = self
            .batch
            .map_or(DEEP, |batch| DEEP.max(BATCHES * batch.max as usize));
        if queue.items.len() >= deep && !queue.deep {
            queue.deep = true;
            backlog.deep += 1;
        }
    }

    /// A record of an idle lane is being handled without having waited.
    pub(crate) fn occupy(&mut self, lane: LaneId) {
        let queue = self.lanes.entry(lane);
        queue
            .or_insert_with(|| LaneBacklog::new(LaneState::Running))
            .state = LaneState::Running;
    }

    /// The next record to handle, from the lane whose turn it is; that lane is busy until [`Self::release`] or
    /// [`Self::back_off`].
    pub(crate) fn take(&mut self) -> Option<(LaneId, Item)> {
        while let Some(lane) = self.ready.pop_front() {
            let Some(queue) = self.lanes.get_mut(&lane) else {
                continue;
            };
            if queue.state != LaneState::Ready {
                continue;
            }
            let Some(item) = queue.items.pop_front() else {
                self.lanes.remove(&lane);
                continue;
            };
            queue.state = LaneState::Running;
            let backlog = self.backlogs.change(lane.generation);
            backlog.all -= item.amount();
            queue.amount -= item.amount();
            if queue.deep && queue.items.len() <= SHALLOW {
                queue.deep = false;
                backlog.deep -= 1;
            }
            return Some((lane, item));
        }
        None
    }

    /// A lane's record has ended: its next one is ready, or the lane is idle.
    pub(crate) fn release(&mut self, lane: LaneId) {
        let Some(queue) = self.lanes.get_mut(&lane) else {
            return;
        };
        if queue.items.is_empty() {
            self.lanes.remove(&lane);
        } else if let Some(until) = queue.not_before {
            queue.waits(until, self.backlogs.change(lane.generation));
            self.due.push(Reverse((until, lane)));
        } else {
            self.go_on(lane);
        }
    }

    /// A lane's record will be tried again at this time; the lane waits with it.
    pub(crate) fn back_off(&mut self, lane: LaneId, item: Item, until: Instant) {
        let backlog = self.backlogs.change(lane.generation);
        let queue = self.lanes.entry(lane);
        let queue = queue.or_insert_with(|| LaneBacklog::new(LaneState::Running));
        backlog.all += item.amount();
        queue.amount += item.amount();
        queue.insert(item);
        queue.waits(until, backlog);
        self.due.push(Reverse((until, lane)));
    }

    /// A record that its lane did not wait for comes back, to be tried again at this time, before all that wait in the lane. A
    /// record that is being handled there ends first.
    pub(crate) fn come_back(&mut self, lane: LaneId, item: Item, until: Instant) {
        let amount = item.amount();
        let Some(queue) = self.lanes.get_mut(&lane) else {
            return self.back_off(lane, item, until);
        };
        let backlog = self.backlogs.change(lane.generation);
        backlog.all += amount;
        queue.insert(item);
        match queue.state {
            LaneState::Running => {
                queue.amount += amount;
                queue.not_before = queue.not_before.max(Some(until));
            }
            LaneState::Waiting(other) => {
                queue.amount += amount;
                backlog.backing_off += amount;
                // Its former first record waits on.
                let until = until.max(other);
                queue.state = LaneState::Waiting(until);
                self.due.push(Reverse((until, lane)));
            }
            LaneState::Ready | LaneState::Parked | LaneState::Forming(_) => {
                queue.amount += amount;
                queue.waits(until, backlog);
                self.due.push(Reverse((until, lane)));
            }
        }
    }

    /// A record that was taken waits on at the head of its lane: nothing more of its assignment may start for now.
    pub(crate) fn park(&mut self, lane: LaneId, item: Item) {
        let amount = item.amount();
        let queue = self.lanes.entry(lane);
        let queue = queue.or_insert_with(|| LaneBacklog::new(LaneState::Parked));
        queue.items.push_front(item);
        queue.amount += amount;
        queue.state = LaneState::Parked;
        self.backlogs.change(lane.generation).all += amount;
        self.parked.entry(lane.generation).or_default().push(lane);
    }

    /// Records of this assignment may start again.
    pub(crate) fn unpark(&mut self, generation: Generation) {
        for lane in self.parked.remove(&generation).into_iter().flatten() {
            if let Some(queue) = self.lanes.get_mut(&lane)
                && queue.state == LaneState::Parked
            {
                queue.state = LaneState::Ready;
                self.ready.push_back(lane);
            }
        }
    }

    /// Records of every assignment may start again.
    pub(crate) fn unpark_all(&mut self) {
        let parked: Vec<Generation> = self.parked.keys().copied().collect();
        for generation in parked {
            self.unpark(generation);
        }
    }

    /// When the next lane's wait is over.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let due = self.due.peek().map(|Reverse((until, _))| *until);
        let formed = self.forming.first().map(|(until, _)| *until);
        due.into_iter().chain(formed).min()
    }

    /// Lanes whose wait is over are ready.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.formed(now);
        while let Some(Reverse((until, lane))) = self.due.peek().copied() {
            if until > now {
                return;
            }
            self.due.pop();
            if let Some(queue) = self.lanes.get_mut(&lane)
                && queue.state == LaneState::Waiting(until)
            {
                queue.state = LaneState::Ready;
                self.ready.push_back(lane);
                let backlog = self.backlogs.change(lane.generation);
                backlog.backing_off -= queue.amount;
            }
        }
    }

    /// Drops all waiting records of an assignment, backoffs included. A record that is being handled keeps its lane
    /// until it is released.
    pub(crate) fn forget(&mut self, generation: Generation) {
        self.lanes.retain(|lane, queue| {
            if lane.generation != generation {
                return true;
            }
            queue.items.clear();
            queue.parts.clear();
            queue.amount = Amount::default();
            queue.deep = false;
            queue.not_before = None;
            queue.state == LaneState::Running
        });
        self.due
            .retain(|Reverse((_, lane))| lane.generation != generation);
        self.forming
            .retain(|(_, lane)| lane.generation != generation);
        self.backlogs.forget(generation);
        self.parked.remove(&generation);
    }

    /// How many wait behind the message of a lane that runs.
    pub(crate) fn behind(&self, lane: LaneId) -> usize {
        self.lanes.get(&lane).map_or(0, |queue| queue.items.len())
    }

    /// Messages that failed and wait for their next attempt.
    pub(crate) fn held(&self) -> impl Iterator<Item = Held<'_>> {
        self.lanes.iter().filter_map(|(lane, queue)| {
            let delivery = &queue.items.front()?.delivery;
            Some(Held {
                generation: lane.generation,
                next: match queue.state {
                    LaneState::Waiting(until) => Some(until),
                    _ => None,
                },
                failures: *delivery.failures()?,
                delivery,
                waiting: queue.items.len() - 1,
            })
        })
    }

    /// Takes a message that failed and waits for its next attempt out of the head of its lane, which is busy then.
    pub(crate) fn take_held(
        &mut self,
        is_wanted: impl Fn(&Delivery) -> bool,
    ) -> Option<(LaneId, Item)> {
        let (lane, queue) = self.lanes.iter_mut().find(|(_, queue)| {
            queue.state != LaneState::Running
                && queue.items.front().is_some_and(|item| {
                    item.delivery.failures().is_some() && is_wanted(&item.delivery)
                })
        })?;
        let lane = *lane;
        let backlog = self.backlogs.change(lane.generation);
        if matches!(queue.state, LaneState::Waiting(_)) {
            backlog.backing_off -= queue.amount;
        }
        let item = queue.items.pop_front()?;
        if let Some(part) = queue.parts.pop().filter(|part| *part > 1) {
            queue.parts.push(part - 1);
        }
        queue.state = LaneState::Running;
        queue.amount -= item.amount();
        backlog.all -= item.amount();
        Some((lane, item))
    }

    /// What waits in all lanes.
    pub(crate) fn total(&self) -> Backlog {
        let mut total = Backlog::default();
        for backlog in self.backlogs.all() {
            total.all += backlog.all;
            total.backing_off += backlog.backing_off;
            total.deep += backlog.deep;
        }
        total
    }

    /// How many records wait in a lane, without the one that is being handled.
    pub(crate) fn waiting(&self, lane: LaneId) -> usize {
        self.lanes.get(&lane).map_or(0, |queue| queue.items.len())
    }

    /// How many records wait in all lanes, those that are held included.
    pub(crate) fn records(&self) -> usize {
        self.backlogs.all().map(|backlog| backlog.all.records).sum()
    }

    /// Moves the assignments whose backlog may have changed since the last call to the end of `looked`.
    pub(crate) fn take_changed(&mut self, looked: &mut Vec<Generation>) {
        self.backlogs.take_changed(looked);
    }

    /// An assignment counts as changed: records of it were read.
    pub(crate) fn touch(&mut self, generation: Generation) {
        self.backlogs.touch(generation);
    }

    /// What changed is of no interest.
    pub(crate) fn forget_changes(&mut self) {
        self.backlogs.forget_changes();
    }

    /// What an assignment has waiting.
    pub(crate) fn backlog(&self, generation: Generation) -> Backlog {
        self.backlogs.of(generation)
    }
}

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod tests;
