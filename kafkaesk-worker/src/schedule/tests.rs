//! The lanes' laws.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafkaesk_client::{
    ClientError, Connection, Settings,
    broker::BoxFuture,
    consumer::{CommitResults, Commits, ConsumerControl},
};
use kafkaesk_core::{Headers, Offset, Record, Source, StreamId, TopicPrefix};
use proptest::prelude::*;

use super::*;
use crate::policy::{Policies, Stated};
use crate::{
    Raw,
    backpressure::{Backpressure, FULL, PACKED},
    context::{Context, SeenSchemas},
    partitions::Partitions,
    state::States,
    subscription,
    tracker::Tracker,
};

pub(super) const GENERATION: Generation = 1;

/// Makes records of one assignment.
pub(super) struct Maker {
    context: Arc<Context>,
    tracker: Tracker,
    source: Arc<Source>,
    offset: i64,
}

impl Maker {
    pub(super) fn new() -> Self {
        let subscription = subscription("s", |_: Raw| async {}).group("g");
        let context = Context {
            group: "g".to_owned(),
            pattern: "s".to_owned(),
            policies: Policies::of(&Stated::default(), false).unwrap(),
            dead_letters: None,
            options: subscription.options.clone(),
            handler: subscription.handler.clone(),
            decodes: false,
            states: Arc::new(States::default()),
            connection: Connection::in_memory(Settings::default()),
            seen: SeenSchemas::default(),
            telemetry: None,
        };
        Self {
            context: Arc::new(context),
            tracker: Tracker::new(GENERATION),
            source: source(),
            offset: 0,
        }
    }

    fn item(&mut self) -> Item {
        self.item_of(None)
    }

    /// With a key of one byte.
    pub(super) fn item_of(&mut self, key: Option<u8>) -> Item {
        self.offset += 1;
        let record = Record {
            source: self.source.clone(),
            offset: Offset(self.offset),
            timestamp: None,
            key: key.map(|key| Bytes::from(vec![key])),
            headers: Headers::new(),
            value: Some(Bytes::from_static(b"data")),
            unreadable: None,
        };
        Item {
            delivery: Delivery::new(record, self.context.clone()),
            ticket: self.tracker.push(Offset(self.offset)),
            arrived: Instant::now(),
        }
    }
}

fn lane(key: u64) -> LaneId {
    LaneId {
        generation: GENERATION,
        lane: Lane::Key(key),
    }
}

fn source() -> Arc<Source> {
    let stream = StreamId::new("s").unwrap();
    Arc::new(Source {
        topic: TopicPrefix::default().topic(&stream).unwrap(),
        stream,
        partition: 0,
    })
}

fn backing_off(schedule: &Schedule) -> usize {
    schedule.backlog(GENERATION).backing_off.records
}

#[test]
fn what_backs_off_is_counted_with_all_behind_it_until_its_wait_is_over() {
    let (mut maker, mut schedule) = (Maker::new(), Schedule::default());
    let until = Instant::now() + Duration::from_secs(1);
    schedule.wait(lane(1), maker.item());
    schedule.wait(lane(1), maker.item());
    let (taken, item) = schedule.take().unwrap();
    assert_eq!((taken, backing_off(&schedule)), (lane(1), 0));
    schedule.back_off(lane(1), item, until);
    schedule.wait(lane(1), maker.item());
    schedule.wait(lane(2), maker.item());
    assert_eq!(backing_off(&schedule), 3);
    assert_eq!(schedule.backlog(GENERATION).all.records, 4);
    schedule.wake(until);
    assert_eq!(schedule.backlog(GENERATION).backing_off, Amount::default());
    while let Some((lane, _)) = schedule.take() {
        schedule.release(lane);
    }
    assert!(schedule.is_empty());
    assert_eq!(schedule.backlog(GENERATION), Backlog::default());
}

#[test]
fn a_lane_runs_one_record_at_a_time_in_order_and_holds_up_no_other() {
    let (mut maker, mut schedule) = (Maker::new(), Schedule::default());
    for key in [1, 1, 2] {
        schedule.wait(lane(key), maker.item());
    }
    let first = schedule.take().unwrap();
    let second = schedule.take().unwrap();
    assert_eq!((first.0, second.0), (lane(1), lane(2)));
    assert!(schedule.take().is_none());
    schedule.release(lane(1));
    let (_, third) = schedule.take().unwrap();
    assert_eq!(third.delivery.record().offset, Offset(2));
}

#[test]
fn what_is_forgotten_waits_for_nothing_and_is_counted_no_more() {
    let (mut maker, mut schedule) = (Maker::new(), Schedule::default());
    let until = Instant::now();
    schedule.back_off(lane(1), maker.item(), until);
    schedule.wait(lane(2), maker.item());
    schedule.forget(GENERATION);
    schedule.wake(until);
    assert!(schedule.is_empty() && schedule.take().is_none());
    assert_eq!(schedule.backlog(GENERATION), Backlog::default());
}

#[test]
fn records_that_back_off_slow_no_reading_and_are_bounded_all_the_same() {
    let (mut maker, mut schedule) = (Maker::new(), Schedule::default());
    let (mut backpressure, mut partitions) = (Backpressure::default(), Partitions::default());
    assert_eq!(partitions.assign(source(), 0), GENERATION);
    let until = Instant::now() + Duration::from_secs(1);
    let mut paused = |schedule: &mut Schedule, backpressure: &mut Backpressure| {
        backpressure.update(&mut partitions, schedule, &Nobody);
        partitions.get_mut(GENERATION).unwrap().paused
    };
    for key in 0..FULL + 1 {
        schedule.back_off(lane(key as u64), maker.item(), until);
    }
    assert!(!paused(&mut schedule, &mut backpressure) && !backpressure.full);
    schedule.wake(until);
    assert!(!paused(&mut schedule, &mut backpressure) && backpressure.full);
    for key in FULL + 1..PACKED {
        schedule.back_off(lane(key as u64), maker.item(), until);
    }
    assert!(paused(&mut schedule, &mut backpressure));
}

/// Three quarters of a MiB, so that a few fill an instance.
static LARGE: [u8; 3 << 18] = [0; 3 << 18];

proptest! {
    #[test]
    fn looking_at_what_changed_decides_as_looking_at_everything(
        steps in prop::collection::vec((0_u8..10, 0_u64..12, any::<bool>()), 1..400),
    ) {
        let (mut maker, mut schedule, now) = (Maker::new(), Schedule::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        let (mut ours, mut all) = (Partitions::default(), Partitions::default());
        // With committers it looks even while nothing waits, and nothing here has committers.
        let mut of_changes = Backpressure::new(None, None);
        let mut of_all = Backpressure::new(Some(usize::MAX), None);
        let mut running = Vec::new();
        for (step, number, looks) in steps {
            let generation = number / 2 + 1;
            let lane = LaneId { generation, lane: Lane::Key(number) };
            match step {
                0..=4 if ours.get(generation).is_some() => {
                    let mut item = maker.item();
                    item.delivery = large(&maker, item.delivery.place());
                    schedule.wait(lane, item);
                }
                5 => running.extend(schedule.take()),
                6 if !running.is_empty() => schedule.release(running.swap_remove(0).0),
                7 if !running.is_empty() => {
                    let (lane, item) = running.swap_remove(0);
                    if ours.get(lane.generation).is_some() {
                        schedule.back_off(lane, item, later);
                    }
                }
                8 => schedule.wake(later),
                9 if ours.get(generation).is_some() => {
                    schedule.forget(generation);
                    ours.remove(&[generation]);
                    all.remove(&[generation]);
                }
                _ => {
                    for partitions in [&mut ours, &mut all] {
                        let partition = partitions.len() as i32;
                        partitions.assign(Arc::new(Source { partition, ..(*source()).clone() }), 0);
                    }
                }
            }
            if looks {
                of_changes.update(&mut ours, &mut schedule, &Nobody);
                (1..=ours.edition().1).for_each(|every| schedule.touch(every));
                of_all.update(&mut all, &mut schedule, &Nobody);
                let paused = |partitions: &Partitions| {
                    let paused = partitions.iter().filter(|(_, it)| it.paused);
                    paused.map(|(generation, _)| generation).collect::<BTreeSet<_>>()
                };
                prop_assert_eq!(paused(&ours), paused(&all));
                prop_assert_eq!(of_changes.full, of_all.full);
                prop_assert_eq!(of_changes.is_slow(), of_all.is_slow());
            }
        }
    }
}

fn large(maker: &Maker, offset: Offset) -> Delivery {
    let record = Record {
        source: maker.source.clone(),
        offset,
        timestamp: None,
        key: None,
        headers: Headers::new(),
        value: Some(Bytes::from_static(&LARGE)),
        unreadable: None,
    };
    Delivery::new(record, maker.context.clone())
}

/// The offsets of a lane's records, in the order in which they are taken by this time.
fn taken(schedule: &mut Schedule, now: Instant) -> Vec<i64> {
    let mut offsets = Vec::new();
    schedule.wake(now);
    while let Some((lane, item)) = schedule.take() {
        offsets.push(item.delivery.place().0);
        schedule.release(lane);
    }
    offsets
}

#[test]
fn records_that_come_back_are_tried_in_their_order_before_all_that_wait() {
    let (mut schedule, mut maker, now) = (Schedule::default(), Maker::new(), Instant::now());
    let [first, second, third, fourth] = std::array::from_fn(|_| maker.item());
    schedule.wait(lane(1), fourth);
    let until = now + Duration::from_secs(1);
    schedule.come_back(lane(1), third, until);
    schedule.come_back(lane(1), first, now);
    schedule.come_back(lane(1), second, until);
    assert_eq!(schedule.total().backing_off.records, 4);
    assert_eq!(taken(&mut schedule, now), [0_i64; 0]);
    assert_eq!(taken(&mut schedule, until), [1, 2, 3, 4]);
    assert!(schedule.is_empty());
    assert_eq!(schedule.total(), Backlog::default());
}

#[test]
fn a_record_that_comes_back_waits_for_the_one_that_runs_in_its_lane_and_for_its_time() {
    let (mut schedule, mut maker, now) = (Schedule::default(), Maker::new(), Instant::now());
    let [first, second, third] = std::array::from_fn(|_| maker.item());
    schedule.wait(lane(1), second);
    schedule.wait(lane(1), third);
    let (running, second) = schedule.take().unwrap();
    let until = now + Duration::from_secs(1);
    schedule.come_back(lane(1), first, until);
    schedule.wake(until);
    assert!(schedule.take().is_none());
    schedule.release(running);
    assert!(schedule.take().is_none());
    assert_eq!(schedule.total().backing_off.records, 2);
    schedule.wait(lane(2), second);
    assert_eq!(taken(&mut schedule, now), [2]);
    assert_eq!(taken(&mut schedule, until), [1, 3]);
    assert_eq!(schedule.total(), Backlog::default());
}

#[test]
fn parked_lanes_wait_until_their_assignment_goes_on() {
    let (mut schedule, mut maker, now) = (Schedule::default(), Maker::new(), Instant::now());
    for key in [1, 2] {
        schedule.wait(lane(key), maker.item());
        schedule.wait(lane(key), maker.item());
    }
    for _ in [1, 2] {
        let (lane, item) = schedule.take().unwrap();
        schedule.park(lane, item);
    }
    assert!(!schedule.has_ready());
    assert_eq!(schedule.records(), 4);
    schedule.unpark(GENERATION + 1);
    assert!(!schedule.has_ready());
    schedule.unpark(GENERATION);
    assert_eq!(taken(&mut schedule, now), [1, 3, 2, 4]);
    assert_eq!(schedule.total(), Backlog::default());
    schedule.wait(lane(1), maker.item());
    let (of, item) = schedule.take().unwrap();
    schedule.park(of, item);
    schedule.forget(GENERATION);
    schedule.unpark(GENERATION);
    assert!(schedule.is_empty());
}

/// A consumer that nobody hears.
#[derive(Debug)]
struct Nobody;

impl ConsumerControl for Nobody {
    fn silent_for(&self) -> Duration {
        Duration::ZERO
    }

    fn is_joined(&self) -> bool {
        true
    }

    fn commit(&self, _: Commits) {}

    fn commit_acknowledged(&self, _: Commits) -> BoxFuture<'static, CommitResults> {
        Box::pin(std::future::ready(CommitResults::new()))
    }

    fn take_part(&self, _: bool) {}

    fn pause(&self, _: &[Arc<Source>]) {}

    fn resume(&self, _: &[Arc<Source>]) {}

    fn close_within(&self, _: Commits, _: Duration) -> BoxFuture<'_, Result<(), ClientError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
