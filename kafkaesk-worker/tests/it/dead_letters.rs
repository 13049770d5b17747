//! Dead letters, over the broker in memory: what is given up is kept whole, and nothing is passed over before.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering as Memory},
    },
    time::Duration,
};

use kafkaesk_client::{
    DeadLetters,
    broker::Outgoing,
    core::{self, Reason, dead_letter},
    memory::MemoryBroker,
};
use kafkaesk_worker::{prelude::*, testing::TestError};

use crate::{
    events::Content,
    support::{start, start_with},
};

async fn fails(data: Content) -> Result<(), HandlerError> {
    match data.foo.as_str() {
        "bad" => Err(HandlerError::msg("not today")),
        "rejected" => Err(HandlerError::reject("unknown customer")),
        _ => Ok(()),
    }
}

fn failing() -> Subscription {
    subscription("a", fails).group("g")
}

#[tokio::test]
async fn a_message_that_used_up_its_attempts_is_kept_whole_and_the_next_of_its_key_follows() {
    let app = TestApp::start(App::new().subscribe(failing().max_attempts(5))).await;
    app.expect_dead_letters();
    let bad = Content::new("bad");
    let sent = app.publish("a", &bad).key("k").header("source", "import");
    let sent = sent.await.unwrap();
    app.publish("a", &Content::new("good"))
        .key("k")
        .await
        .unwrap();
    let handled = app.settle().await;
    assert_eq!(handled.messages()[0].attempts, 5);
    assert_eq!(handled.messages()[1].outcome, Outcome::Done);

    let [dead] = &app.dead_letters()[..] else {
        panic!("{:?}", app.dead_letters());
    };
    let letter = &dead.letter;
    assert_eq!(letter.reason, Reason::Attempts);
    assert_eq!((letter.attempts, letter.redriven), (5, 0));
    assert_eq!(
        (&letter.topic, letter.partition),
        (&sent.topic, sent.partition)
    );
    assert_eq!(Some(letter.offset), sent.offset);
    assert_eq!(letter.group, "g");
    assert_eq!(letter.schema.as_deref(), Some("Content:1"));
    assert_eq!(letter.error, "not today");
    assert!(letter.first.unwrap() <= letter.last.unwrap());
    let original = &app.published("a")[0];
    assert_eq!(dead.record.key, original.key);
    assert_eq!(dead.record.value, original.value);
    assert_eq!(letter.timestamp, original.timestamp);
    assert_eq!(
        dead_letter::original(&dead.record.headers),
        original.headers
    );

    let report = app.stop().await.unwrap();
    assert_eq!((report.handled, report.dead_letters), (2, 1));
    assert_eq!((report.failed_attempts, report.unfinished_total), (5, 0));
}

#[tokio::test]
async fn settle_fails_with_a_message_that_used_up_its_attempts_unless_a_test_expects_it() {
    let app = TestApp::start(App::new().subscribe(failing().max_attempts(2))).await;
    app.publish("a", &Content::new("bad")).await.unwrap();
    let error = app.try_settle().await.unwrap_err();
    assert!(
        matches!(error, TestError::Handler { attempts: 2, .. }),
        "{error}"
    );
    assert_eq!(app.dead_letters().len(), 1);
}

#[tokio::test]
async fn what_is_rejected_or_does_not_fit_becomes_a_dead_letter_where_the_policy_says_so() {
    let app = App::new()
        .subscribe(failing())
        .subscribe(
            subscription("a", fails)
                .group("skips")
                .on_reject(OnReject::Skip),
        )
        .subscribe(
            subscription("b", fails)
                .group("mismatches")
                .on_mismatch(OnMismatch::DeadLetter),
        );
    let app = TestApp::start(app).await;
    app.publish("a", &Content::new("rejected")).await.unwrap();
    app.publish_raw("b", &br#"{"schema":"Other:1","data":{}}"#[..])
        .await;
    let handled = app.settle().await;
    for outcome in handled.outcomes() {
        assert!(matches!(outcome, Outcome::Reject { .. }), "{outcome:?}");
    }
    let mut reasons: Vec<_> = app
        .dead_letters()
        .into_iter()
        .map(|dead| (dead.letter.group, dead.letter.reason, dead.letter.error))
        .collect();
    reasons.sort();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert_eq!(reasons[0].0, "g");
    assert_eq!(reasons[0].1, Reason::Rejected);
    assert_eq!(reasons[0].2, "unknown customer");
    assert_eq!(
        (reasons[1].0.as_str(), reasons[1].1),
        ("mismatches", Reason::Mismatch)
    );
}

#[tokio::test]
async fn a_value_that_is_not_an_event_is_kept_and_a_blank_one_is_passed_over() {
    let app = TestApp::start(App::new().subscribe(failing())).await;
    app.publish("a", &Content::new("bound")).await.unwrap();
    app.tombstone("a", "k").await.unwrap();
    let values: [&[u8]; 5] = [b"", b" \n", b"hello", b"\xff", b"[1]"];
    for value in values {
        app.publish_raw("a", value).await;
    }
    let outcomes = app.settle().await.outcomes();
    let blank = outcomes.iter().filter(|outcome| **outcome == Outcome::Skip);
    assert_eq!(blank.count(), 3);
    let dead = app.dead_letters();
    assert!(
        dead.iter()
            .all(|dead| dead.letter.reason == Reason::NoEvent)
    );
    let mut kept: Vec<_> = dead.iter().map(|dead| dead.record.value()).collect();
    kept.sort_unstable();
    assert_eq!(kept, [&b"[1]"[..], b"hello", b"\xff"]);
    assert_eq!(app.stop().await.unwrap().without_event, 3);
}

/// Waits until this holds; tokio's paused clock jumps meanwhile.
async fn until(broker: &MemoryBroker, what: &str, holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(7200), async {
        while !holds() {
            broker.changed().await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_dead_letter_cannot_be_written_is_not_passed_over() {
    let (broker, connection, stop, task) = start(App::new().subscribe(failing().max_attempts(2)));
    let publisher = connection.publisher();
    let letters = DeadLetters::of(&connection, "g").unwrap();
    until(&broker, "the topic is created", || {
        broker.groups().contains(&"g".to_owned())
    })
    .await;
    assert!(broker.delete_topic(letters.topic().as_str()));
    publisher.publish("a", &Content::new("bad")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(broker.committed("g", "a", 0), None);

    letters.create(&[]).await.unwrap();
    until(&broker, "the message is passed over", || {
        broker
            .committed("g", "a", 0)
            .is_some_and(|next| next.0 == 1)
    })
    .await;
    let records = broker.records(letters.topic().as_str());
    assert_eq!(records.len(), 1);
    stop.send(()).unwrap();
    assert_eq!(task.await.unwrap().unwrap().dead_letters, 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_pauses_the_subscription_and_gives_nothing_up() {
    static DOWN: AtomicU32 = AtomicU32::new(1);
    static CALLS: AtomicU32 = AtomicU32::new(0);
    async fn needs_a_backend(_: Content) -> Result<(), HandlerError> {
        CALLS.fetch_add(1, Memory::Relaxed);
        match DOWN.load(Memory::Relaxed) {
            0 => Ok(()),
            _ => Err(HandlerError::msg("500")),
        }
    }
    let subscribed = subscription("a", needs_a_backend)
        .group("g")
        .max_attempts(3);
    let (broker, connection, stop, task) = start(App::new().subscribe(subscribed));
    let publisher = connection.publisher();
    for key in 0..200 {
        let publish = publisher.publish("a", &Content::new("x"));
        publish.key(key.to_string()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let calls = CALLS.load(Memory::Relaxed);
    assert!(calls < 400, "{calls} calls during an hour's outage");
    let dead = || broker.records("__dead__g").len();
    let given_up = dead();
    DOWN.store(0, Memory::Relaxed);
    until(&broker, "all are handled", || {
        broker
            .committed("g", "a", 0)
            .is_some_and(|next| next.0 == 200)
    })
    .await;
    stop.send(()).unwrap();
    let report = task.await.unwrap().unwrap();
    assert_eq!((given_up, dead()), (0, 0));
    assert_eq!(report.handled, 200);
    assert!(report.pauses > 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_unavailable_and_a_delay_that_is_asked_for_use_no_attempt() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    async fn waits(_: Content) -> Result<(), HandlerError> {
        match CALLS.fetch_add(1, Memory::Relaxed) {
            call @ 0..40 if call % 3 == 0 => Err(HandlerError::unavailable("no database")),
            call @ 0..40 if call % 3 == 1 => Err(HandlerError::busy("429")),
            0..40 => Err(HandlerError::retry_after(Duration::from_secs(1))),
            _ => Ok(()),
        }
    }
    let subscribed = subscription("a", waits).group("g").max_attempts(2);
    let (broker, connection, stop, task) = start(App::new().subscribe(subscribed));
    let publisher = connection.publisher();
    publisher.publish("a", &Content::new("x")).await.unwrap();
    until(&broker, "it is handled", || {
        broker
            .committed("g", "a", 0)
            .is_some_and(|next| next.0 == 1)
    })
    .await;
    stop.send(()).unwrap();
    assert_eq!(task.await.unwrap().unwrap().dead_letters, 0);
    assert_eq!(CALLS.load(Memory::Relaxed), 41);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_runs_into_its_timeout_has_failed() {
    async fn hangs(_: Content) {
        std::future::pending::<()>().await;
    }
    let subscribed = subscription("a", hangs)
        .group("g")
        .timeout(Duration::from_secs(5))
        .max_attempts(3);
    let (broker, connection, stop, task) = start(App::new().subscribe(subscribed));
    let publisher = connection.publisher();
    publisher.publish("a", &Content::new("x")).await.unwrap();
    until(&broker, "it is given up", || {
        broker.records("__dead__g").len() == 1
    })
    .await;
    let record = &broker.records("__dead__g")[0];
    let error = record.headers.get_str(dead_letter::ERROR).unwrap();
    assert!(error.contains("timeout of 5s"), "{error}");
    stop.send(()).unwrap();
    assert_eq!(task.await.unwrap().unwrap().failed_attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn no_more_messages_start_per_second_than_the_throttle_allows() {
    let (broker, connection, stop, task) = start(App::new().subscribe(failing().throttle(50)));
    let publisher = connection.publisher();
    for _ in 0..500 {
        publisher.publish("a", &Content::new("x")).await.unwrap();
    }
    let started = tokio::time::Instant::now();
    until(&broker, "all are handled", || {
        broker
            .committed("g", "a", 0)
            .is_some_and(|next| next.0 == 500)
    })
    .await;
    let took = started.elapsed().as_secs();
    assert!(
        (9..=16).contains(&took),
        "{took} s for 500 at 50 per second"
    );
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_dead_letters_what_fails_is_held_and_no_topic_is_created() {
    let app = App::new().subscribe(failing().max_attempts(2));
    let (broker, connection, stop, task) =
        start_with(app, |settings| settings.dead_letters = false);
    let publisher = connection.publisher();
    publisher.publish("a", &Content::new("bad")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(broker.committed("g", "a", 0), None);
    let cluster = connection.broker().cluster().await.unwrap();
    assert!(
        cluster
            .topics
            .keys()
            .all(|topic| !topic.contains("__dead__"))
    );
    stop.send(()).unwrap();
    assert_eq!(task.await.unwrap().unwrap().unfinished_total, 1);

    let asks = App::new().subscribe(failing().on_failure(OnFailure::DeadLetter));
    let (_, _, _stop, task) = start_with(asks, |settings| settings.dead_letters = false);
    let error = task.await.unwrap().unwrap_err().to_string();
    assert!(
        error.contains("on-failure") && error.contains("`dead-letters`"),
        "{error}"
    );
}

/// What a handler saw: stream, partition, offset, text.
type Seen = Arc<Mutex<Vec<(String, i32, i64, String)>>>;

#[tokio::test(start_paused = true)]
async fn a_redriven_message_reaches_its_group_alone_as_the_message_that_it_was() {
    async fn sees(record: Record, data: Content, seen: State<Seen>) -> Outcome {
        let place = (
            record.stream().to_owned(),
            record.partition(),
            record.offset().0,
        );
        let mut seen = seen.lock().unwrap();
        seen.push((place.0, place.1, place.2, data.foo.clone()));
        // The first attempt is rejected, and what is called so again.
        match seen.len() == 1 || data.foo == "again" {
            true => Outcome::reject("not yet"),
            false => Outcome::Done,
        }
    }
    static OTHERS: AtomicU32 = AtomicU32::new(0);
    async fn counts(_: Record) {
        OTHERS.fetch_add(1, Memory::Relaxed);
    }
    let seen = Seen::default();
    let app = App::new()
        .state(seen.clone())
        .subscribe(subscription("a", sees).group("g"))
        .subscribe(subscription("b", counts).group("g"))
        .subscribe(subscription("*", counts).group("other"));
    let (broker, connection, stop, task) = start(app);
    let publisher = connection.publisher();
    publisher
        .publish("a", &Content::new("x"))
        .key("k")
        .await
        .unwrap();
    until(&broker, "it is given up", || {
        broker.records("__dead__g").len() == 1
    })
    .await;

    let letters = DeadLetters::of(&connection, "g").unwrap();
    letters.create_retry().await.unwrap();
    redrive(&connection, &letters, &broker.records("__dead__g")[0]).await;
    until(&broker, "it is handled", || {
        broker
            .committed("g", "__retry__g", 0)
            .is_some_and(|next| next.0 == 1)
    })
    .await;
    let first = ("a".to_owned(), 0, 0, "x".to_owned());
    assert_eq!(*seen.lock().unwrap(), [first.clone(), first]);
    assert_eq!(OTHERS.load(Memory::Relaxed), 1);

    // One that fails again keeps its origin, and counts how often it came back.
    publisher
        .publish("a", &Content::new("again"))
        .key("k")
        .await
        .unwrap();
    for redriven in 1..=3 {
        until(&broker, "it is given up again", || {
            broker.records("__dead__g").len() == 1 + redriven
        })
        .await;
        let last = broker.records("__dead__g").pop().unwrap();
        let letter = dead_letter_of(&last);
        assert_eq!(letter.redriven as usize, redriven - 1);
        assert_eq!((letter.topic.as_str(), letter.offset.0), ("a", 1));
        let own = broker.records("a")[1].headers.clone();
        assert_eq!(dead_letter::original(&last.headers), own);
        let names = last
            .headers
            .iter()
            .filter(|(name, _)| *name == dead_letter::TOPIC);
        assert_eq!(names.count(), 1);
        redrive(&connection, &letters, &last).await;
    }

    // Nobody takes this stream any more.
    let mut foreign = broker.records("__dead__g").pop().unwrap();
    let topic = Some(bytes::Bytes::from_static(b"gone"));
    foreign.headers.push(dead_letter::TOPIC, topic);
    redrive(&connection, &letters, &foreign).await;
    until(&broker, "it is kept", || {
        let records = broker.records("__dead__g");
        let last = records.last().unwrap();
        dead_letter_of(last).reason == Reason::Unroutable
    })
    .await;
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

fn dead_letter_of(record: &core::Record) -> core::DeadLetter {
    core::DeadLetter::read(&record.headers).unwrap()
}

/// Writes the copy that a redrive writes.
async fn redrive(connection: &Connection, letters: &DeadLetters, dead: &core::Record) {
    let copy = Outgoing {
        topic: letters.retry_topic().clone(),
        partition: None,
        key: dead.key.clone(),
        value: dead.value.clone(),
        headers: dead_letter_of(dead).redrive(&dead.headers),
        timestamp: None,
        batch: Default::default(),
    };
    connection
        .broker()
        .queue(copy)
        .await
        .unwrap()
        .await
        .unwrap();
}
