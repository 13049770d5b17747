//! Gathering: forms batches of the records that wait in a lane, and takes back those that failed, in parts.
//!
//! The records of an assignment gather in one lane, until there are enough of them or the first has waited long enough. A record
//! whose own lane is busy, since an earlier one of its key failed and waits there, goes to that lane when a batch is formed.
//!
//! Next: `instance/batches.rs` runs what is taken.

use std::cmp::Reverse;

use tokio::time::Instant;

use super::{
    Amount, BATCHES, Item, Lane, LaneBacklog, LaneId, LaneState, OVERHEAD, SHALLOW, Schedule,
};
use crate::{delivery::Delivery, options::BatchOptions, partitions::Generation, tracker::Ticket};

/// The messages of one batch, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathered {
    /// What a handler gets.
    pub(crate) deliveries: Vec<Delivery>,
    /// Their tickets, in the same order.
    pub(crate) tickets: Vec<Ticket>,
}

impl Gathered {
    fn with_capacity(messages: usize) -> Self {
        Self {
            deliveries: Vec::with_capacity(messages),
            tickets: Vec::with_capacity(messages),
        }
    }

    /// Adds the next message.
    pub(crate) fn push(&mut self, item: Item) {
        self.deliveries.push(item.delivery);
        self.tickets.push(item.ticket);
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// The messages one by one. `now`: when they come back.
    pub(crate) fn into_items(self, now: Instant) -> impl DoubleEndedIterator<Item = Item> {
        let all = self.deliveries.into_iter().zip(self.tickets);
        all.map(move |(delivery, ticket)| Item {
            delivery,
            ticket,
            arrived: now,
        })
    }
}

/// What a lane runs next.
#[derive(Debug)]
pub(crate) enum Taken {
    /// One message.
    One(Item),
    /// Two or more messages as one batch.
    Batch(Gathered),
}

impl LaneId {
    /// Whether the records of this lane wait for others, to be one batch.
    pub(crate) fn forms(self) -> bool {
        matches!(self.lane, Lane::Gather | Lane::Partition)
    }
}

impl Item {
    /// Whether it is never part of a batch that is formed: it failed, is given up, or comes from the retry topic, which holds
    /// messages of several subscriptions.
    fn stands_alone(&self) -> bool {
        self.delivery.failures().is_some()
            || self.delivery.given_up().is_some()
            || self.delivery.redriven_from().is_some()
    }

    /// The bytes of its record.
    fn bytes(&self) -> usize {
        self.amount().bytes - OVERHEAD
    }
}

impl LaneBacklog {
    /// Whether its first batch waits for no further record.
    pub(super) fn is_whole(&self, batch: BatchOptions) -> bool {
        let bytes = self.amount.bytes - self.amount.records * OVERHEAD;
        self.items.len() >= batch.max as usize
            || bytes >= batch.bytes
            || !self.parts.is_empty()
            || self.items.front().is_some_and(Item::stands_alone)
    }
}

impl Schedule {
    /// A lane that has records and runs none: it is ready, or its records wait for others.
    pub(super) fn go_on(&mut self, lane: LaneId) {
        let Some(queue) = self.lanes.get_mut(&lane) else {
            return;
        };
        let forms = self.batch.filter(|_| lane.forms());
        if let Some(batch) = forms.filter(|batch| !queue.is_whole(*batch))
            && let Some(first) = queue.items.front()
        {
            let until = first.arrived + batch.wait;
            queue.state = LaneState::Forming(until);
            self.forming.insert((until, lane));
            return;
        }
        queue.state = LaneState::Ready;
        self.ready.push_back(lane);
    }

    /// Lanes whose first record has waited long enough for others are ready.
    pub(super) fn formed(&mut self, now: Instant) {
        while let Some((until, lane)) = self.forming.first().copied()
            && until <= now
        {
            self.forming.pop_first();
            self.is_formed(until, lane);
        }
    }

    fn is_formed(&mut self, until: Instant, lane: LaneId) {
        if let Some(queue) = self.lanes.get_mut(&lane)
            && queue.state == LaneState::Forming(until)
        {
            queue.state = LaneState::Ready;
            self.ready.push_back(lane);
        }
    }

    /// Whether records wait for others.
    pub(crate) fn is_forming(&self) -> bool {
        !self.forming.is_empty()
    }

    /// Records of these assignments wait for no others any more: reading is slowed down or paused, so few may follow.
    pub(crate) fn hurry(&mut self, of: impl Fn(Generation) -> bool) {
        let mut waiting = std::mem::take(&mut self.forming);
        waiting.retain(|(until, lane)| {
            let hurries = of(lane.generation);
            if hurries {
                self.is_formed(*until, *lane);
            }
            !hurries
        });
        self.forming = waiting;
    }

    /// The next batch, or the next record that stands alone, from the lane whose turn it is; that lane is busy until
    /// [`Self::release`], [`Self::back_off`], [`Self::split`] or [`Self::back_off_all`]. `side`: the lane that a record would have
    /// without batches. Where that one is busy, the record waits there.
    pub(crate) fn take_batch(
        &mut self,
        side: impl Fn(&Delivery) -> Lane,
    ) -> Option<(LaneId, Taken)> {
        while let Some(lane) = self.ready.pop_front() {
            let Some(taken) = self.take_from(lane, &side) else {
                continue;
            };
            if taken.len() > 1 {
                return Some((lane, Taken::Batch(taken)));
            }
            if let Some(item) = taken.into_items(Instant::now()).next() {
                return Some((lane, Taken::One(item)));
            }
        }
        None
    }

    /// Forms a batch in a lane that is ready. `None` if nothing of it can run.
    fn take_from(&mut self, lane: LaneId, side: impl Fn(&Delivery) -> Lane) -> Option<Gathered> {
        let batch = self.batch.unwrap_or_default();
        let others = self.has_others(lane);
        let queue = self.lanes.get_mut(&lane)?;
        if queue.state != LaneState::Ready {
            return None;
        }
        let mut items = std::mem::take(&mut queue.items);
        let part = queue.parts.pop();
        let most = part.unwrap_or(batch.max as usize);
        let mut taken = Gathered::with_capacity(most.min(items.len()));
        let (mut gone, mut seen, mut bytes) = (Amount::default(), 0, 0);
        while seen < most
            && let Some(first) = items.front()
        {
            let (alone, size) = (first.stands_alone(), first.bytes());
            if part.is_none() && taken.len() > 0 && (alone || bytes + size > batch.bytes) {
                break;
            }
            let Some(mut item) = items.pop_front() else {
                break;
            };
            gone += item.amount();
            let own = LaneId {
                lane: if others {
                    side(&item.delivery)
                } else {
                    lane.lane
                },
                ..lane
            };
            if own != lane && self.lanes.contains_key(&own) {
                // What waits there may wait for long.
                item.delivery.keep();
                self.wait(own, item);
                // A part shrinks by it; a batch that is formed does not.
                seen += usize::from(part.is_some());
                continue;
            }
            seen += 1;
            bytes += size;
            taken.push(item);
            if alone && part.is_none() {
                break;
            }
        }
        let backlog = self.backlogs.change(lane.generation);
        backlog.all -= gone;
        let queue = self.lanes.get_mut(&lane)?;
        queue.items = items;
        queue.amount -= gone;
        let shallow = SHALLOW.max(BATCHES / 2 * batch.max as usize);
        if queue.deep && queue.items.len() <= shallow {
            queue.deep = false;
            backlog.deep -= 1;
        }
        queue.state = LaneState::Running;
        if taken.len() == 0 {
            self.release(lane);
            return None;
        }
        Some(taken)
    }

    /// Whether other lanes of the assignment are busy while its records gather in this one.
    fn has_others(&self, lane: LaneId) -> bool {
        lane.lane == Lane::Gather
            && self
                .lanes
                .keys()
                .any(|other| other.generation == lane.generation && other.lane != lane.lane)
    }

    /// The messages of a batch come back to the head of their lane.
    fn take_back(&mut self, lane: LaneId, gathered: Gathered) -> Option<&mut LaneBacklog> {
        let mut amount = Amount::default();
        let queue = self.lanes.get_mut(&lane)?;
        for item in gathered.into_items(Instant::now()).rev() {
            amount += item.amount();
            queue.items.push_front(item);
        }
        queue.amount += amount;
        self.backlogs.change(lane.generation).all += amount;
        Some(queue)
    }

    /// A batch, or a part of it, comes back to the head of its lane, which goes on with it at once, in parts of these sizes.
    pub(crate) fn split(&mut self, lane: LaneId, gathered: Gathered, parts: &[usize]) {
        if let Some(queue) = self.take_back(lane, gathered) {
            queue.parts.extend(parts.iter().rev());
            queue.state = LaneState::Ready;
            self.ready.push_front(lane);
        }
    }

    /// A batch will be tried again at this time, as it is; its lane waits with it.
    pub(crate) fn back_off_all(&mut self, lane: LaneId, gathered: Gathered, until: Instant) {
        let messages = gathered.len();
        if let Some(queue) = self.take_back(lane, gathered) {
            queue.parts.push(messages);
        }
        let backlog = self.backlogs.change(lane.generation);
        if let Some(queue) = self.lanes.get_mut(&lane) {
            queue.waits(until, backlog);
            self.due.push(Reverse((until, lane)));
        }
    }
}
