//! Laws of dead letters: what is read of them, and that a redrive hands each back once, whatever stops it.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafkaesk_client::{
    ClientError, DeadLetters,
    consumer::{ConsumerSpec, Start},
    core::{DeadLetter, Headers, Offset, Reason, Record, SettledBy, Source, TopicName},
    dead_letters::{Filter, Letter, Order, READER_WAIT, TRANSACTION_LETTERS, Tally, TopicState},
};

use super::fixture::{Fixture, Seen, Tap, outgoing, spec};

/// A group's dead letters, in a topic that is there.
async fn of(law: &Fixture) -> DeadLetters {
    let letters = DeadLetters::of(&law.connection, &law.group()).unwrap();
    assert_eq!(letters.create(&[]).await.unwrap(), TopicState::Created);
    letters
}

/// What became of record `n` of the stream `a`.
fn origin(law: &Fixture, n: i64) -> DeadLetter {
    DeadLetter {
        topic: law.topic("a"),
        partition: 1,
        offset: Offset(n),
        timestamp: Some(1_700_000_000_000 + n),
        group: law.group(),
        schema: Some("Order:1".to_owned()),
        reason: match n % 2 {
            0 => Reason::Rejected,
            _ => Reason::Attempts,
        },
        error: format!("error {n}"),
        attempts: 3,
        first: Some(1_700_000_000_000),
        last: Some(1_700_000_001_000),
        redriven: 0,
    }
}

/// Record `n`: its key is `k<n>`, its value no UTF-8, and it has headers of its own.
fn record(law: &Fixture, n: i64) -> Record {
    let mut headers = Headers::new();
    headers.push("kafkaesk-id", Some(Bytes::from(format!("id-{n}"))));
    headers.push("null", None);
    Record {
        source: std::sync::Arc::new(Source {
            topic: law.topic("a"),
            stream: kafkaesk_client::core::StreamId::new("a").unwrap(),
            partition: 1,
        }),
        offset: Offset(n),
        timestamp: Some(1_700_000_000_000 + n),
        key: Some(Bytes::from(format!("k{n}"))),
        headers,
        value: Some(value_of(n)),
        unreadable: None,
    }
}

fn value_of(n: i64) -> Bytes {
    let mut value = format!("value {n} ").into_bytes();
    value.push(0xff);
    Bytes::from(value)
}

async fn fill(law: &Fixture, letters: &DeadLetters, numbers: impl IntoIterator<Item = i64>) {
    let writes = numbers.into_iter().map(|n| async move {
        let written = letters.write(&record(law, n), &origin(law, n)).await;
        written.unwrap();
    });
    futures_util::future::join_all(writes).await;
}

/// A member of the group that reads its retry topic, and no stream.
async fn member(law: &Fixture, letters: &DeadLetters) -> Tap {
    law.tap(ConsumerSpec {
        retry_topic: Some(letters.retry_topic().clone()),
        ..spec(Some(&law.group()), "none", Start::Earliest)
    })
    .await
}

/// The letters, by the offset of their origin, and how many have none.
async fn all(letters: &DeadLetters) -> (BTreeMap<i64, Letter>, usize) {
    let (mut found, mut foreign) = (BTreeMap::new(), 0);
    let snapshot = letters.snapshot().await.unwrap().unwrap();
    let mut reading = letters.letters(&snapshot).await.unwrap();
    while let Some(letter) = reading.next().await.unwrap() {
        match &letter.origin {
            Ok(origin) => {
                assert!(found.insert(origin.offset.0, letter).is_none());
            }
            Err(_) => foreign += 1,
        }
    }
    (found, foreign)
}

pub(super) async fn unsettled_letters_are_counted_with_the_age_of_the_oldest(law: Fixture) {
    let absent = DeadLetters::of(&law.connection, &law.group()).unwrap();
    assert_eq!(absent.unsettled().await.unwrap(), None);
    let letters = of(&law).await;
    let none = letters.unsettled().await.unwrap().unwrap();
    assert_eq!((none.letters, none.oldest), (0, None));
    let fourteen_days = Duration::from_secs(14 * 24 * 60 * 60);
    assert_eq!(none.retention, Some(fourteen_days));
    fill(&law, &letters, 0..6).await;
    let some = letters.unsettled().await.unwrap().unwrap();
    let oldest = all(&letters)
        .await
        .0
        .values()
        .filter_map(|it| it.record.timestamp)
        .min();
    assert_eq!((some.letters, some.oldest), (6, oldest));
    let tally = letters.purge(&Order::default(), on).await.unwrap();
    assert_eq!((tally.settled, tally.left), (6, 0));
    are_seen(&letters).await;
    let after = letters.unsettled().await.unwrap().unwrap();
    assert_eq!((after.letters, after.oldest), (0, None));
}

/// Returns when readers of committed records see what was settled: the coordinator answers a commit before it has marked the
/// partitions (KIP-98), and begins no other transaction until then.
async fn are_seen(letters: &DeadLetters) {
    let none = Order {
        limit: Some(0),
        ..Order::default()
    };
    letters.purge(&none, on).await.unwrap();
}

fn unsettled(letters: &BTreeMap<i64, Letter>) -> Vec<i64> {
    let left = letters.iter().filter(|(_, it)| it.settled.is_none());
    left.map(|(n, _)| *n).collect()
}

/// Everything in the retry topic, read by a member until it has `count` records and one more that says that it is all.
async fn redriven(
    law: &Fixture,
    tap: &mut Tap,
    letters: &DeadLetters,
    count: usize,
) -> Vec<Record> {
    let partitions = partitions(law, letters.retry_topic()).await;
    for partition in 0..partitions {
        let mut last = outgoing(letters.retry_topic(), Some("last"), "last");
        last.partition = Some(partition);
        law.send(last).await.unwrap();
    }
    let (mut found, mut ended) = (Vec::new(), 0);
    while ended < partitions {
        match tap.next().await.unwrap() {
            Seen::Records(records) => {
                for record in records {
                    match record.key() {
                        Some(b"last") => ended += 1,
                        _ => found.push(record),
                    }
                }
            }
            _ => continue,
        }
    }
    assert_eq!(found.len(), count);
    found
}

async fn partitions(law: &Fixture, topic: &TopicName) -> i32 {
    let info = law.connection.broker().topic(topic, "Read").await.unwrap();
    info.unwrap().partitions as i32
}

fn on(_: &Tally) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn numbers(records: &[Record]) -> Vec<i64> {
    let mut numbers: Vec<i64> = records
        .iter()
        .map(|record| DeadLetter::read(&record.headers).unwrap().offset.0)
        .collect();
    numbers.sort_unstable();
    numbers
}

pub(super) async fn what_is_settled_is_known_and_what_is_no_letter_is_shown(law: Fixture) {
    let letters = DeadLetters::of(&law.connection, &law.group()).unwrap();
    assert!(letters.snapshot().await.unwrap().is_none());
    let letters = of(&law).await;
    assert_eq!(all(&letters).await.0.len(), 0);
    fill(&law, &letters, 0..4).await;
    let foreign = outgoing(letters.topic(), None, "foreign");
    law.send(foreign).await.unwrap();
    let (found, without) = all(&letters).await;
    assert_eq!((unsettled(&found), without), (vec![0, 1, 2, 3], 1));
    let letter = &found[&2];
    assert_eq!(letter.origin.as_ref().unwrap(), &origin(&law, 2));
    assert_eq!(letter.record.value(), &value_of(2)[..]);

    // A letter whose own message came with a marker's headers stays a letter.
    let mut odd = record(&law, 4);
    (odd.key, odd.value) = (None, None);
    for (name, value) in [
        ("kafkaesk-dead-settles", "0"),
        ("kafkaesk-dead-settled-by", "purge"),
    ] {
        odd.headers
            .push(name, Some(Bytes::from_static(value.as_bytes())));
    }
    letters.write(&odd, &origin(&law, 4)).await.unwrap();

    let rejected = Order {
        filter: Filter {
            reason: Some(Reason::Rejected),
            ..Filter::default()
        },
        ..Order::default()
    };
    let tally = letters.purge(&rejected, on).await.unwrap();
    assert_eq!((tally.settled, tally.left), (3, 0));
    are_seen(&letters).await;
    let (found, without) = all(&letters).await;
    assert_eq!((unsettled(&found), without), (vec![1, 3], 1));
    assert_eq!(found[&0].settled, Some(SettledBy::Purge));
    // A purge needs no member and makes no retry topic, and leaves what is not a letter.
    let broker = law.connection.broker();
    let retry = broker.topic(letters.retry_topic(), "Read").await.unwrap();
    assert!(retry.is_none());
    for settled in [2, 0] {
        let tally = letters.purge(&Order::default(), on).await.unwrap();
        assert_eq!((tally.settled, tally.left), (settled, 1));
    }
}

pub(super) async fn a_redrive_hands_each_letter_back_once_and_unchanged(law: Fixture) {
    let letters = of(&law).await;
    fill(&law, &letters, 0..3).await;
    law.send(outgoing(letters.topic(), None, "foreign"))
        .await
        .unwrap();
    let mut tap = member(&law, &letters).await;
    let tally = letters.redrive(&Order::default(), on).await.unwrap();
    assert_eq!((tally.settled, tally.left), (3, 1));
    let tally = letters.redrive(&Order::default(), on).await.unwrap();
    assert_eq!((tally.settled, tally.left), (0, 1));
    let (found, _) = all(&letters).await;
    assert!(
        found
            .values()
            .all(|it| it.settled == Some(SettledBy::Redrive))
    );

    let mut records = redriven(&law, &mut tap, &letters, 3).await;
    records.sort_by_key(|record| record.key.clone());
    for (record, n) in records.iter().zip(0..) {
        assert_eq!(record.key(), Some(format!("k{n}").as_bytes()));
        assert_eq!(record.value(), &value_of(n)[..]);
        assert_eq!(record.headers.id(), Some(&*format!("id-{n}")));
        assert_eq!(record.headers.get("null"), None);
        let read = DeadLetter::read(&record.headers).unwrap();
        assert_eq!(
            read,
            DeadLetter {
                redriven: 1,
                ..origin(&law, n)
            }
        );
    }
    tap.close().await;
}

pub(super) async fn a_redrive_that_was_ended_goes_on_where_it_ended(law: Fixture) {
    const LETTERS: usize = 2 * TRANSACTION_LETTERS + 50;
    let letters = of(&law).await;
    fill(&law, &letters, 0..LETTERS as i64).await;
    let mut tap = member(&law, &letters).await;
    let limited = Order {
        limit: Some(7),
        ..Order::default()
    };
    assert_eq!(letters.redrive(&limited, on).await.unwrap().settled, 7);
    let ended = letters
        .redrive(&Order::default(), |_| ControlFlow::Break(()))
        .await;
    assert_eq!(ended.unwrap().settled, TRANSACTION_LETTERS as u64);
    let rest = letters.redrive(&Order::default(), on).await.unwrap();
    assert_eq!(rest.settled as usize, LETTERS - TRANSACTION_LETTERS - 7);
    let records = redriven(&law, &mut tap, &letters, LETTERS).await;
    assert!(numbers(&records).into_iter().eq(0..LETTERS as i64));
    tap.close().await;
}

/// As a process that is killed at any moment, the last one before its end included.
pub(super) async fn a_redrive_that_is_cut_off_anywhere_repeats_and_loses_nothing(law: Fixture) {
    const LETTERS: i64 = 300;
    let letters = of(&law).await;
    fill(&law, &letters, 0..LETTERS).await;
    let mut tap = member(&law, &letters).await;
    letters.wait_for_reader().await.unwrap();
    // Ten letters a transaction, so that there are many moments.
    let order = Order {
        rate: NonZeroU32::new(100),
        ..Order::default()
    };
    let (mut cuts, mut span) = (0, Duration::from_millis(150));
    loop {
        match tokio::time::timeout(span, letters.redrive(&order, on)).await {
            Ok(done) => {
                done.unwrap();
                break;
            }
            Err(_) => cuts += 1,
        }
        span += Duration::from_millis(37);
    }
    assert!(cuts > 3, "{cuts} cuts prove little");
    let records = redriven(&law, &mut tap, &letters, LETTERS as usize).await;
    assert!(numbers(&records).into_iter().eq(0..LETTERS));
    let (found, _) = all(&letters).await;
    assert_eq!(unsettled(&found), Vec::<i64>::new());
    tap.close().await;
}

pub(super) async fn a_second_redrive_takes_over_from_the_first(law: Fixture) {
    const LETTERS: i64 = 60;
    let letters = of(&law).await;
    fill(&law, &letters, 0..LETTERS).await;
    let mut tap = member(&law, &letters).await;
    letters.wait_for_reader().await.unwrap();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let mut started = Some(started);
    let slow = Order {
        rate: NonZeroU32::new(2),
        ..Order::default()
    };
    let first = letters.clone();
    let first = tokio::spawn(async move {
        let each = |_: &Tally| {
            if let Some(started) = started.take() {
                let _ = started.send(());
            }
            ControlFlow::Continue(())
        };
        first.redrive(&slow, each).await
    });
    has_started.await.unwrap();
    let second = letters.redrive(&Order::default(), on).await.unwrap();
    assert!((1..LETTERS as u64).contains(&second.settled), "{second:?}");
    let error = first.await.unwrap().unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, ClientError::TransactionFenced { .. }) && text.contains("took over"),
        "{text}"
    );
    let records = redriven(&law, &mut tap, &letters, LETTERS as usize).await;
    assert!(numbers(&records).into_iter().eq(0..LETTERS));
    tap.close().await;
}

pub(super) async fn nothing_is_redriven_to_a_group_that_does_not_read_it(law: Fixture) {
    let letters = of(&law).await;
    fill(&law, &letters, 0..2).await;
    // A member of the group that does not read redriven messages, and a reader of the retry topic in another group.
    let idle = law
        .consume(Some(&law.group()), "none", Start::Earliest)
        .await;
    let mut other = spec(
        Some(&format!("{}.other", law.group())),
        "none",
        Start::Earliest,
    );
    other.retry_topic = Some(letters.retry_topic().clone());
    let other = law.tap(other).await;
    let begun = (Instant::now(), tokio::time::Instant::now());
    let error = letters.redrive(&Order::default(), on).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::NoRetryReader { .. }), "{text}");
    assert!(
        text.contains(&law.group()) && text.contains("kafkaesk-cli worker"),
        "{text}"
    );
    assert!(begun.1.elapsed() >= READER_WAIT && begun.0.elapsed() < 3 * READER_WAIT);
    let (found, _) = all(&letters).await;
    assert_eq!(unsettled(&found), [0, 1]);
    idle.abandon().await;
    other.abandon().await;
}
