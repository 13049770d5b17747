//! Batches in a `TestApp`: what a handler gets, and how each message ends.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering as Atomic},
};

use kafkaesk_worker::prelude::*;
use parking_lot::Mutex;

use crate::events::Content;

/// What a handler got, one entry for each batch.
type Seen = Arc<Mutex<Vec<Vec<String>>>>;

fn foos(batch: &Batch<Content>) -> Vec<String> {
    batch.iter().map(|content| content.foo.clone()).collect()
}

async fn publish(app: &TestApp, foos: &[&str]) {
    for text in foos {
        let content = Content::new(*text);
        let publish = app.publish("content.edited", &content);
        publish.partition(0).await.unwrap();
    }
}

#[subscribe("content.*", group = "load", batch(max = 100))]
async fn load(
    batch: Batch<Content>,
    records: Batch<Record>,
    seen: State<Seen>,
) -> Result<(), HandlerError> {
    assert_eq!(batch.len(), records.len());
    let offsets = batch.offsets().unwrap();
    assert_eq!(*offsets.start(), records[0].offset.0);
    assert_eq!(*offsets.end(), records[records.len() - 1].offset.0);
    assert_eq!((batch.stream(), batch.partition()), ("content.edited", 0));
    assert_eq!(batch.records().len(), batch.len());
    seen.lock().push(foos(&batch));
    match batch
        .iter()
        .any(|content| content.foo.starts_with("poison"))
    {
        true => Err(HandlerError::msg("a poisonous batch")),
        false => Ok(()),
    }
}

#[tokio::test]
async fn what_is_published_before_settle_is_one_batch() {
    let seen = Seen::default();
    let app = TestApp::start(App::new().state(seen.clone()).subscribe(load)).await;
    publish(&app, &["a", "b", "c"]).await;
    assert_eq!(app.settle().await.outcomes(), vec![Outcome::Done; 3]);
    assert_eq!(*seen.lock(), [["a", "b", "c"]]);
    publish(&app, &["d"]).await;
    assert_eq!(app.settle().await.outcomes(), [Outcome::Done]);
    assert_eq!(seen.lock().len(), 2);
}

#[tokio::test]
async fn one_poison_among_many_stands_alone_and_the_others_are_handled_once() {
    let seen = Seen::default();
    let app = TestApp::start(App::new().state(seen.clone()).subscribe(load)).await;
    app.expect_dead_letters();
    let all: Vec<String> = (0..64)
        .map(|i| {
            if i == 37 {
                "poison".to_owned()
            } else {
                i.to_string()
            }
        })
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    publish(&app, &all).await;
    app.settle().await;
    let dead = app.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].letter.offset.0, 37);
    assert_eq!(dead[0].letter.attempts, 20);
    let seen = seen.lock();
    let good = seen
        .iter()
        .filter(|batch| !batch.contains(&"poison".to_owned()));
    let mut good: Vec<&str> = good.flatten().map(String::as_str).collect();
    good.sort_unstable_by_key(|foo| foo.parse::<u32>().unwrap());
    let expected: Vec<&str> = all.iter().copied().filter(|foo| *foo != "poison").collect();
    assert_eq!(good, expected);
    // One batch of 64, two for each halving, and the other attempts at the poison alone.
    assert_eq!(seen.len(), 1 + 2 * 6 + 19);
}

#[subscribe("content.*", group = "each", batch())]
async fn each(batch: Batch<Content>) -> Result<BatchOutcome, HandlerError> {
    let one = |content: &Content| match content.foo.as_str() {
        "reject" => Err(HandlerError::reject("no")),
        "fail" => Err(HandlerError::msg("not now")),
        "skip" => Ok(Outcome::Skip),
        _ => Ok(Outcome::Done),
    };
    Ok(batch.iter().map(one).collect())
}

#[tokio::test]
async fn each_message_is_judged_by_its_own_outcome() {
    let app = TestApp::start(App::new().subscribe(each)).await;
    app.expect_dead_letters();
    publish(&app, &["a", "reject", "skip", "fail", "b"]).await;
    let handled = app.settle().await;
    let ends: Vec<_> = handled
        .messages()
        .iter()
        .map(|it| (it.outcome.clone(), it.attempts))
        .collect();
    let rejected = Outcome::reject("no");
    let expected = [
        (Outcome::Done, 1),
        (rejected, 1),
        (Outcome::Skip, 1),
        (Outcome::retry(), 20),
        (Outcome::Done, 1),
    ];
    assert_eq!(ends, expected);
    assert_eq!(app.dead_letters().len(), 2);
}

#[tokio::test]
async fn a_wrong_number_of_outcomes_fails_the_batch_and_names_both() {
    let wrong = subscription("content.*", |batch: Batch<Content>| async move {
        let mut outcome = BatchOutcome::new();
        for _ in 0..batch.len() + 1 {
            outcome.push(());
        }
        outcome
    });
    let app = App::new().subscribe(wrong.group("wrong").batch(BatchOptions::new()));
    let app = TestApp::start(app).await;
    publish(&app, &["a", "b"]).await;
    let error = app.try_settle().await.unwrap_err().to_string();
    assert!(
        error.contains("returned 2 result(s) for a batch of 1 message(s)"),
        "{error}"
    );
}

#[tokio::test]
async fn what_does_not_fit_never_reaches_the_handler_and_fails_no_other() {
    #[subscribe("content.*", group = "load", on_mismatch = "dead-letter", batch())]
    async fn typed(batch: Batch<Content>, seen: State<Seen>) {
        seen.lock().push(foos(&batch));
    }
    let seen = Seen::default();
    let app = TestApp::start(
        App::new()
            .event::<Content>()
            .state(seen.clone())
            .subscribe(typed),
    )
    .await;
    app.expect_dead_letters();
    publish(&app, &["a"]).await;
    app.publish_raw("content.edited", "no envelope").await;
    app.publish_raw("content.edited", r#"{"schema":"Other:1","data":{}}"#)
        .await;
    publish(&app, &["b"]).await;
    app.settle().await;
    let reasons: Vec<String> = app
        .dead_letters()
        .iter()
        .map(|dead| dead.letter.reason.to_string())
        .collect();
    assert_eq!(reasons, ["no-event", "mismatch"]);
    assert_eq!(*seen.lock(), [["a", "b"]]);
}

#[tokio::test]
async fn what_breaks_its_stored_schema_never_reaches_the_handler() {
    #[subscribe(
        "content.*",
        group = "load",
        on_mismatch = "dead-letter",
        validate = true,
        batch()
    )]
    async fn checked(batch: Batch<Json>, seen: State<Seen>) {
        seen.lock()
            .push(batch.iter().map(|json| json["foo"].to_string()).collect());
    }
    let seen = Seen::default();
    let app = TestApp::start(
        App::new()
            .event::<Content>()
            .state(seen.clone())
            .subscribe(checked),
    )
    .await;
    app.expect_dead_letters();
    publish(&app, &["a"]).await;
    app.publish_raw(
        "content.edited",
        r#"{"schema":"Content:1","data":{"foo":5}}"#,
    )
    .await;
    app.publish_raw("content.edited", r#"{"schema":"Absent:1","data":{}}"#)
        .await;
    publish(&app, &["b"]).await;
    app.settle().await;
    assert_eq!(*seen.lock(), [["\"a\"", "\"b\""]]);
    assert_eq!(app.dead_letters().len(), 2);
}

#[tokio::test]
async fn a_batch_whose_handler_asks_for_another_attempt_comes_again_as_it_is() {
    static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
    #[subscribe("content.*", group = "again", batch())]
    async fn again(
        batch: Batch<Content>,
        attempt: Attempt,
        seen: State<Seen>,
    ) -> Result<(), HandlerError> {
        seen.lock().push(foos(&batch));
        assert_eq!(
            *attempt as usize,
            ATTEMPTS.fetch_add(1, Atomic::Relaxed) + 1
        );
        match *attempt {
            1 => Err(HandlerError::unavailable("the database is down")),
            2 => Err(HandlerError::retry_after(std::time::Duration::from_secs(1))),
            _ => Ok(()),
        }
    }
    let seen = Seen::default();
    let app = TestApp::start(App::new().state(seen.clone()).subscribe(again)).await;
    publish(&app, &["a", "b", "c"]).await;
    let handled = app.settle().await;
    assert_eq!(handled.outcomes(), vec![Outcome::Done; 3]);
    assert!(handled.messages().iter().all(|it| it.attempts == 3));
    assert_eq!(*seen.lock(), vec![vec!["a", "b", "c"]; 3]);
}

#[tokio::test]
async fn an_abort_stops_the_worker_and_commits_nothing_of_the_batch() {
    let stop = subscription("content.*", |_: Batch<Content>| async { Outcome::Abort });
    let app = App::new().subscribe(stop.group("stop").batch(BatchOptions::new()));
    let app = TestApp::start(app).await;
    publish(&app, &["a", "b"]).await;
    let error = app.try_settle().await.unwrap_err().to_string();
    assert!(error.contains("the handler aborted on"), "{error}");
    assert!(error.contains("@0;"), "{error}");
}

#[test]
fn what_does_not_go_with_batches_is_refused_before_it_runs() {
    let refusal = |subscription: Subscription| {
        let app = App::new().subscribe(subscription.group("g"));
        app.check().unwrap_err().to_string()
    };
    let without = refusal(subscription("a", |_: Batch<Json>| async {}));
    assert!(without.contains("write `batch()`"), "{without}");
    let batch = BatchOptions::new();
    let single = refusal(subscription("a", |_: Json| async {}).batch(batch));
    assert!(single.contains("`batch: Batch<Json>`"), "{single}");
    let both = subscription("a", |_: Batch<Json>, _: Record| async {}).batch(batch);
    assert!(refusal(both).contains("beside the `Batch` is made of one message"));
    let committers = subscription("a", |_: Batch<Committer>| async {}).batch(batch);
    assert!(refusal(committers).contains("a batch ends when its handler does"));
    let manual = subscription("a", |_: Batch<Json>| async {})
        .batch(batch)
        .commit(Commit::Manual);
    assert!(refusal(manual).contains("commit: a batch ends when its handler does"));
}

#[tokio::test]
async fn a_panic_and_a_timeout_are_split_like_an_error() {
    let quick = std::time::Duration::from_millis(20);
    let panics = subscription("content.*", |batch: Batch<Content>| async move {
        assert!(!batch.iter().any(|it| it.foo == "panic"), "no");
        if batch.iter().any(|it| it.foo == "slow") {
            std::future::pending::<()>().await;
        }
    });
    let panics = panics
        .group("panics")
        .batch(BatchOptions::new())
        .max_attempts(2)
        .timeout(quick);
    let app = TestApp::start(App::new().subscribe(panics)).await;
    app.expect_dead_letters();
    publish(&app, &["a", "panic", "b", "slow", "c"]).await;
    let handled = app.settle().await;
    let attempts: Vec<u32> = handled.messages().iter().map(|it| it.attempts).collect();
    assert_eq!(attempts, [1, 2, 1, 2, 1]);
    assert_eq!(app.dead_letters().len(), 2);
}
