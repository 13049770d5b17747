//! Batches against a naive model: the messages of a key run in order and in one lane at a time, and nothing is lost.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use proptest::prelude::*;

use super::{
    Backlog, Gathered, Item, Lane, LaneId, Schedule, Taken,
    tests::{GENERATION, Maker},
};
use crate::{delivery::Delivery, options::BatchOptions};
use tokio::time::Instant;

const GATHER: LaneId = LaneId {
    generation: GENERATION,
    lane: Lane::Gather,
};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A record of this key is read.
    Read(u8),
    /// What is ready starts.
    Start,
    /// The oldest that runs ends well.
    Done,
    /// It fails: a batch is split, a message alone waits in its own lane.
    Fail,
    /// It waits and comes again as it is.
    Again,
    /// Every second message of it is retried, and the others are done.
    Each,
    /// Time passes.
    Pass,
    /// Reading is slowed down.
    Hurry,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4_u8).prop_map(Step::Read),
        4 => Just(Step::Start),
        3 => Just(Step::Done),
        2 => Just(Step::Fail),
        1 => Just(Step::Again),
        1 => Just(Step::Each),
        1 => Just(Step::Pass),
        1 => Just(Step::Hurry),
    ];
    prop::collection::vec(step, 1..200)
}

fn side(delivery: &Delivery) -> Lane {
    let key = delivery.record().key.as_deref();
    Lane::Key(
        key.and_then(|key| key.first())
            .copied()
            .unwrap_or_default()
            .into(),
    )
}

fn own(delivery: &Delivery) -> LaneId {
    LaneId {
        lane: side(delivery),
        ..GATHER
    }
}

/// A schedule, and what the model knows of it.
struct Model {
    schedule: Schedule,
    maker: Maker,
    now: Instant,
    running: VecDeque<(LaneId, Taken)>,
    /// The offsets of each key that are not done, in order.
    pending: BTreeMap<Lane, VecDeque<i64>>,
    most: usize,
}

impl Model {
    fn new(most: u32) -> Self {
        let batch = BatchOptions::new().max(most);
        Self {
            schedule: Schedule::new(Some(batch)),
            maker: Maker::new(),
            now: Instant::now(),
            running: VecDeque::new(),
            pending: BTreeMap::new(),
            most: most as usize,
        }
    }

    fn read(&mut self, key: u8) {
        let item = Item {
            arrived: self.now,
            ..self.maker.item_of(Some(key))
        };
        let offsets = self.pending.entry(side(&item.delivery)).or_default();
        offsets.push_back(item.delivery.place().0);
        self.schedule.wait(GATHER, item);
    }

    fn start(&mut self) {
        self.schedule.wake(self.now);
        while let Some((lane, taken)) = self.schedule.take_batch(side) {
            assert!(
                self.running.iter().all(|(other, _)| *other != lane),
                "{lane:?} twice"
            );
            let mut of_key: BTreeMap<Lane, Vec<i64>> = BTreeMap::new();
            let deliveries = match &taken {
                Taken::One(item) => std::slice::from_ref(&item.delivery),
                Taken::Batch(gathered) => &gathered.deliveries,
            };
            assert!(deliveries.len() <= self.most);
            for delivery in deliveries {
                let offsets = of_key.entry(side(delivery)).or_default();
                offsets.push(delivery.place().0);
            }
            for (key, offsets) in of_key {
                let first = self.pending[&key].iter().take(offsets.len());
                let first: Vec<i64> = first.copied().collect();
                assert_eq!(offsets, first, "{key:?} out of order");
            }
            self.running.push_back((lane, taken));
        }
    }

    fn done(&mut self, delivery: &Delivery) {
        let offsets = self.pending.get_mut(&side(delivery)).unwrap();
        offsets.retain(|offset| *offset != delivery.place().0);
    }

    fn retry(&mut self, mut item: Item, until: Instant) {
        item.delivery.failed(self.now, true);
        let lane = own(&item.delivery);
        self.schedule.come_back(lane, item, until);
    }

    fn later(&self) -> Instant {
        self.now + Duration::from_secs(1)
    }

    fn end(&mut self, step: &Step) {
        let Some((lane, taken)) = self.running.pop_front() else {
            return;
        };
        match (taken, step) {
            (Taken::One(item), Step::Fail | Step::Again | Step::Each) => {
                self.retry(item, self.later());
                self.schedule.release(lane);
            }
            (Taken::One(item), _) => {
                self.done(&item.delivery);
                self.schedule.release(lane);
            }
            (Taken::Batch(gathered), Step::Fail) => {
                let first = gathered.len() / 2;
                let parts = [first, gathered.len() - first];
                self.schedule.split(lane, gathered, &parts);
            }
            (Taken::Batch(mut gathered), Step::Again) => {
                for delivery in &mut gathered.deliveries {
                    delivery.failed(self.now, false);
                }
                self.schedule.back_off_all(lane, gathered, self.later());
            }
            (Taken::Batch(gathered), Step::Each) => self.each(lane, gathered),
            (Taken::Batch(gathered), _) => {
                for delivery in &gathered.deliveries {
                    self.done(delivery);
                }
                self.schedule.release(lane);
            }
        }
    }

    fn each(&mut self, lane: LaneId, gathered: Gathered) {
        for (at, item) in gathered.into_items(self.now).enumerate() {
            match at % 2 {
                0 => self.retry(item, self.later()),
                _ => self.done(&item.delivery),
            }
        }
        self.schedule.release(lane);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Read(key) => self.read(*key),
            Step::Start => self.start(),
            Step::Done | Step::Fail | Step::Again | Step::Each => self.end(step),
            Step::Pass => self.now += Duration::from_millis(700),
            Step::Hurry => self.schedule.hurry(|_| true),
        }
    }

    /// From now on all ends well.
    fn finish(&mut self) {
        while self.pending.values().any(|offsets| !offsets.is_empty()) {
            let left: usize = self.pending.values().map(VecDeque::len).sum();
            self.now += Duration::from_secs(2);
            self.start();
            assert!(!self.running.is_empty(), "{left} records are lost");
            while !self.running.is_empty() {
                self.end(&Step::Done);
            }
        }
    }
}

proptest! {
    #[test]
    fn keys_keep_their_order_and_nothing_is_lost(steps in steps(), most in 1..9_u32) {
        let mut model = Model::new(most);
        for step in &steps {
            model.step(step);
        }
        model.finish();
        prop_assert!(model.schedule.is_empty());
        prop_assert_eq!(model.schedule.total(), Backlog::default());
        prop_assert!(model.schedule.next_due().is_none_or(|due| due <= model.now));
    }
}

#[test]
fn records_wait_for_others_until_there_are_enough_or_time_has_passed() {
    let mut model = Model::new(3);
    let wait = BatchOptions::new().wait;
    model.read(1);
    model.start();
    assert!(model.running.is_empty());
    assert_eq!(model.schedule.next_due(), Some(model.now + wait));
    model.read(2);
    model.read(3);
    model.read(1);
    model.start();
    assert!(matches!(&model.running[0].1, Taken::Batch(three) if three.len() == 3));
    model.end(&Step::Done);
    model.start();
    assert!(model.running.is_empty());
    model.now += wait;
    model.start();
    assert!(matches!(&model.running[0].1, Taken::One(_)));
}

#[test]
fn a_batch_that_is_forgotten_waits_for_nothing() {
    let mut model = Model::new(3);
    model.read(1);
    model.schedule.forget(GENERATION);
    assert!(model.schedule.is_empty() && !model.schedule.is_forming());
    assert_eq!(model.schedule.next_due(), None);
}
