//! Laws of what a running application shows of itself, and of commands that name a message: over the broker in memory, on tokio's
//! paused clock.

use std::time::Duration;

use kafkaesk_worker::{
    Skip, Skipped, Watch,
    prelude::*,
    snapshot::{AttemptEnd, PausedBy, Snapshot, State, SubscriptionSnapshot},
    subscription,
};

use tokio::sync::oneshot;

use crate::{
    events::Content,
    support::{self, Ran},
};

const ANSWER: Duration = Duration::from_millis(500);

/// Handles everything but "poison", which fails each time.
fn app() -> App {
    let handler = |data: Content| async move {
        match data.foo.as_str() {
            "poison" => Err(HandlerError::msg("no such account")),
            _ => Ok(()),
        }
    };
    App::new().subscribe(
        subscription("content.*", handler)
            .group("g")
            .max_attempts(0),
    )
}

async fn publish(connection: &Connection, texts: &[&str]) {
    for text in texts {
        let event = Content::new(*text);
        let publisher = connection.publisher();
        publisher
            .publish("content.a", &event)
            .key(*text)
            .await
            .unwrap();
    }
}

/// The only subscription, once this holds of it.
async fn once(watch: &Watch, holds: impl Fn(&SubscriptionSnapshot) -> bool) -> Snapshot {
    let seen = tokio::time::timeout(Duration::from_secs(3600), async {
        loop {
            let snapshot = watch.snapshot(ANSWER).await;
            if snapshot.subscriptions.first().is_some_and(|it| holds(it)) {
                return snapshot;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    seen.await.unwrap()
}

/// Ends the application.
async fn end(stop: oneshot::Sender<()>, ran: Ran) {
    stop.send(()).unwrap();
    ran.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn counts_are_those_of_the_attempts_and_stay_after_the_end() {
    let app = app();
    let watch = app.watch();
    assert!(watch.snapshot(ANSWER).await.subscriptions.is_empty());
    let (_broker, connection, stop, ran) = support::start(app);
    publish(&connection, &["1", "2", "3"]).await;
    let seen = once(&watch, |it| {
        it.counts.iter().any(|(_, counts)| counts.finished == 3)
    })
    .await;
    let it = &seen.subscriptions[0];
    assert_eq!((it.group.as_str(), it.pattern.as_str()), ("g", "content.*"));
    assert_eq!(it.state, State::Running);
    let (source, counts) = &it.counts[0];
    assert_eq!(source.topic.as_str(), "content.a");
    assert_eq!((counts.of(AttemptEnd::Done), counts.all_attempts()), (3, 3));
    let (_, meter) = &it.topics[0];
    assert_eq!((meter.elapsed.count(), meter.lead.count()), (3, 3));
    assert_eq!(it.rebalanced.assigned, it.partitions.len() as u64);
    let own = it
        .partitions
        .iter()
        .find(|of| of.source == *source)
        .unwrap();
    assert_eq!(own.position.map(|next| next.0), Some(3));
    end(stop, ran).await;
    let after = watch.snapshot(ANSWER).await;
    let it = &after.subscriptions[0];
    assert_eq!((it.state, it.counts[0].1.finished), (State::Ended, 3));
    assert!(it.partitions.is_empty() && it.concurrency == 0);
    assert!(it.commits >= 1 && after.shutdown.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_held_message_is_named_with_its_attempts_and_its_error() {
    let app = app();
    let watch = app.watch();
    let (_broker, connection, stop, ran) = support::start(app);
    publish(&connection, &["1", "poison", "2"]).await;
    let is_held = |it: &SubscriptionSnapshot| it.held.iter().any(|held| held.attempts >= 3);
    let seen = once(&watch, is_held).await;
    let it = &seen.subscriptions[0];
    let held = &it.held[0];
    assert_eq!((held.source.topic.as_str(), held.offset), ("content.a", 1));
    assert_eq!(held.error.as_deref(), Some("no such account"));
    assert!(held.next >= held.since);
    assert_eq!(it.held_total, 1);
    let partition = it
        .partitions
        .iter()
        .find(|of| of.source == held.source)
        .unwrap();
    assert_eq!(partition.first_unfinished.unwrap().offset, 1);
    assert_eq!(partition.position.map(|next| next.0), Some(1));
    assert_eq!(it.errors[0].error, "no such account");
    assert!(it.errors[0].count >= 3 && it.errors.len() == 1);
    end(stop, ran).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_error_repeats_no_earlier_one() {
    let tries = std::sync::atomic::AtomicU32::new(0);
    let handler = move |_: Content| {
        let first = tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        async move {
            match first {
                true => Err(HandlerError::msg("no such account")),
                false => Ok(Outcome::retry()),
            }
        }
    };
    let app = App::new().subscribe(
        subscription("content.*", handler)
            .group("g")
            .max_attempts(0),
    );
    let watch = app.watch();
    let (_broker, connection, stop, ran) = support::start(app);
    publish(&connection, &["1"]).await;
    let is_held = |it: &SubscriptionSnapshot| it.held.iter().any(|held| held.attempts >= 3);
    let seen = once(&watch, is_held).await;
    let it = &seen.subscriptions[0];
    assert_eq!((it.errors[0].count, it.held[0].error.as_deref()), (1, None));
    end(stop, ran).await;
}

#[tokio::test(start_paused = true)]
async fn exactly_the_named_held_message_is_skipped() {
    let app = app();
    let (watch, control) = (app.watch(), app.control());
    let (broker, connection, stop, ran) = support::start(app);
    publish(&connection, &["1", "poison", "2"]).await;
    once(&watch, |it| it.held_total == 1).await;
    let skip = |place: &str, dead_letter| Skip {
        place: place.parse().unwrap(),
        dead_letter,
    };
    for other in [
        "content.a[0]@0",
        "content.a[0]@2",
        "content.b[0]@1",
        "content.a[1]@1",
    ] {
        assert_eq!(
            control.skip("g", skip(other, false)).await,
            Skipped::NotHeld,
            "{other}"
        );
    }
    assert_eq!(
        control.skip("x", skip("content.a[0]@1", false)).await,
        Skipped::NotHeld
    );
    assert_eq!(
        control.skip("g", skip("content.a[0]@1", false)).await,
        Skipped::Done
    );
    let seen = once(&watch, |it| it.held_total == 0).await;
    assert_eq!(seen.subscriptions[0].counts[0].1.finished, 3);
    control.commit("g").await;
    assert_eq!(broker.lag("g"), 0);
    end(stop, ran).await;
}

#[tokio::test(start_paused = true)]
async fn a_skipped_message_can_be_kept_as_a_dead_letter() {
    let app = app();
    let (watch, control) = (app.watch(), app.control());
    let (_broker, connection, stop, ran) = support::start(app);
    publish(&connection, &["poison"]).await;
    once(&watch, |it| it.held_total == 1).await;
    let skip = Skip {
        place: "content.a[0]@0".parse().unwrap(),
        dead_letter: true,
    };
    assert_eq!(control.skip("g", skip).await, Skipped::Done);
    let seen = once(&watch, |it| !it.dead_letters.is_empty()).await;
    let (reason, count) = seen.subscriptions[0].dead_letters[0];
    assert_eq!((reason.as_str(), count), ("skipped", 1));
    end(stop, ran).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_limited_time_is_shown_with_its_reason_and_ends_by_itself() {
    let app = app();
    let (watch, control) = (app.watch(), app.control());
    let (_broker, connection, stop, ran) = support::start(app);
    once(&watch, |it| it.state == State::Running).await;
    let minute = Duration::from_secs(60);
    assert_eq!(
        control
            .pause_for("g", "the database moves", Some(minute))
            .await,
        1
    );
    let paused = watch.snapshot(ANSWER).await.subscriptions[0]
        .pause
        .clone()
        .unwrap();
    assert_eq!(
        (paused.by, paused.reason.as_str()),
        (PausedBy::Operator, "the database moves")
    );
    assert!(paused.until.unwrap() > paused.since);
    publish(&connection, &["1"]).await;
    let before = tokio::time::Instant::now();
    let done = once(&watch, |it| {
        it.counts.iter().any(|(_, counts)| counts.finished == 1)
    })
    .await;
    assert!(
        before.elapsed() > minute / 2,
        "it was paused for {:?}",
        before.elapsed()
    );
    assert_eq!(done.subscriptions[0].pause, None);
    end(stop, ran).await;
}

#[tokio::test(start_paused = true)]
async fn a_throttle_by_command_holds_until_it_is_taken_back() {
    let app = app();
    let (watch, control) = (app.watch(), app.control());
    let (_broker, connection, stop, ran) = support::start(app);
    once(&watch, |it| it.state == State::Running).await;
    assert_eq!(control.throttle("g", std::num::NonZeroU32::new(2)).await, 1);
    let before = tokio::time::Instant::now();
    publish(&connection, &["1", "2", "3", "4", "5", "6", "7"]).await;
    let all = |it: &SubscriptionSnapshot| it.counts.iter().any(|(_, counts)| counts.finished == 7);
    let seen = once(&watch, all).await;
    assert_eq!(seen.subscriptions[0].throttle, Some(2));
    assert!(
        before.elapsed() >= Duration::from_secs(2),
        "{:?}",
        before.elapsed()
    );
    control.throttle("g", None).await;
    assert_eq!(watch.snapshot(ANSWER).await.subscriptions[0].throttle, None);
    end(stop, ran).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_whose_handler_blocks_its_thread_is_shown_as_silent() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let handler = move |_: Content| {
        // Blocks its thread, as no handler should.
        let _ = blocked
            .lock()
            .unwrap()
            .recv_timeout(Duration::from_secs(30));
        async {}
    };
    let app = App::new().subscribe(subscription("content.*", handler).group("g"));
    let watch = app.watch();
    let (_broker, connection, stop, ran) = support::start(app);
    once(&watch, |it| {
        it.silent_for.is_zero() || it.state == State::Running
    })
    .await;
    publish(&connection, &["1"]).await;
    let silent = once(&watch, |it| it.silent_for > Duration::from_millis(600)).await;
    assert_eq!(silent.subscriptions[0].state, State::Running);
    release.send(()).unwrap();
    let answers =
        |it: &SubscriptionSnapshot| it.counts.iter().any(|(_, counts)| counts.finished == 1);
    let after = once(&watch, answers).await;
    assert!(after.subscriptions[0].silent_for < Duration::from_millis(500));
    end(stop, ran).await;
}
