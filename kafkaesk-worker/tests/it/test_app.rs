//! Handlers over the in-memory broker: arguments, outcomes, policies, errors.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use kafkaesk_client::ClientError;
use kafkaesk_worker::prelude::*;
use kafkaesk_worker::testing::TestError;

use crate::events::{Content, ContentChange, ContentV2, Removed};

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Seen {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

type SeenState = State<Arc<Seen>>;

fn seen() -> Arc<Seen> {
    Arc::default()
}

#[subscribe("content.*")]
async fn everything(
    attempt: Attempt,
    state: SeenState,
    schema: Schema,
    record: Record,
    json: Json,
    data: Content,
    raw: Raw,
    publisher: Publisher,
) {
    let published = publisher.publish("copies", &data).key("copy").await;
    state.add(format!(
        "{} {schema} {} {} {} {} {}",
        *attempt,
        record.stream(),
        json["foo"],
        data.foo,
        String::from_utf8_lossy(&raw),
        published.is_ok()
    ));
}

#[tokio::test]
async fn a_handler_gets_every_kind_of_argument_in_any_order() {
    let seen = seen();
    let app = TestApp::start(App::new().state(seen.clone()).subscribe(everything)).await;
    let event = Content::new("bar");
    app.publish("content.edited", &event)
        .key("k")
        .await
        .unwrap();
    assert_eq!(app.settle().await.outcomes(), [Outcome::Done]);
    assert_eq!(
        seen.all(),
        [
            r#"1 Content:1 content.edited "bar" bar {"schema":"Content:1","data":{"foo":"bar"}} true"#
        ]
    );
    assert_eq!(app.published("copies")[0].event::<Content>(), event);
}

#[tokio::test]
async fn a_handlers_publisher_carries_the_trace_on() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let app = TestApp::start(App::new().state(seen()).subscribe(everything)).await;
    let event = Content::new("bar");
    let publish = app.publish("content.edited", &event);
    let publish = publish
        .header("tracestate", "a=b")
        .header("traceparent", TRACE)
        .header("tracestate", "c=d");
    publish.header("other", "x").await.unwrap();
    app.settle().await;
    let copy = &app.published("copies")[0];
    assert_eq!(copy.headers.get_str("traceparent"), Some(TRACE));
    let states = copy
        .headers
        .iter()
        .filter(|(name, _)| *name == "tracestate");
    let states: Vec<_> = states.filter_map(|(_, value)| value.cloned()).collect();
    assert_eq!(states, ["a=b", "c=d"]);
    assert_eq!(copy.headers.get_str("other"), None);

    let alone = app.publish("content.edited", &event);
    alone.header("tracestate", "a=b").await.unwrap();
    app.settle().await;
    let copy = app.published("copies").pop().unwrap();
    assert!(copy.headers.is_empty(), "a tracestate alone means nothing");
}

#[subscribe("change.*")]
async fn changes(change: ContentChange, seen: SeenState) {
    seen.add(format!("{change:?}"));
}

#[tokio::test]
async fn an_enum_takes_whichever_schema_the_message_carries() {
    let seen = seen();
    let app = TestApp::start(App::new().state(seen.clone()).subscribe(changes)).await;
    let v2 = ContentV2 {
        foo: "b".into(),
        bar: 2,
    };
    app.publish("change.content", &Content::new("a"))
        .key("k")
        .await
        .unwrap();
    app.publish("change.content", &v2).key("k").await.unwrap();
    app.publish("change.removed", &Removed { id: 3 })
        .key("k")
        .await
        .unwrap();
    app.settle().await;
    let mut all = seen.all();
    all.sort();
    assert_eq!(
        all,
        [
            r#"Removed(Removed { id: 3 })"#,
            r#"V1(Content { foo: "a" })"#,
            r#"V2(ContentV2 { foo: "b", bar: 2 })"#,
        ]
    );
}

async fn typed(_: Content) {}

#[tokio::test]
async fn any_version_of_the_name_that_fits_is_taken() {
    let app = TestApp::start(App::new().subscribe(subscription("c", typed))).await;
    app.publish(
        "c",
        &ContentV2 {
            foo: "b".into(),
            bar: 2,
        },
    )
    .await
    .unwrap();
    assert_eq!(app.settle().await.outcomes(), [Outcome::Done]);
}

#[tokio::test]
async fn what_does_not_fit_is_held_rejected_or_skipped_as_the_subscription_says() {
    let app = App::new()
        .subscribe(
            subscription("r", typed)
                .group("reject")
                .on_mismatch(OnMismatch::Reject),
        )
        .subscribe(
            subscription("r", typed)
                .group("skip")
                .on_mismatch(OnMismatch::Skip),
        );
    let app = TestApp::start(app).await;
    app.publish_raw("r", r#"{"schema":"Other:1","data":{}}"#)
        .await;
    let handled = app.settle().await;
    let reject = &handled.outcomes_of("reject")[0];
    assert!(
        matches!(reject, Outcome::Reject { reason } if reason.contains("does not take schema Other:1")),
        "{reject:?}"
    );
    assert_eq!(handled.outcomes_of("skip"), [Outcome::Skip]);

    let app = TestApp::start(App::new().subscribe(subscription("r", typed).group("hold"))).await;
    app.publish_raw("r", r#"{"schema":"Content:1","data":{"foo":1}}"#)
        .await;
    let error = app.try_settle().await.unwrap_err().to_string();
    assert!(error.contains("r[0]@0 failed 3 times"), "{error}");
    assert!(
        error.contains("Content:1: the data does not fit"),
        "{error}"
    );
    assert_eq!(app.broker().committed("hold", "r", 0), None);
}

/// Values of every kind that is not an envelope.
const NO_EVENT: [&[u8]; 8] = [
    b"",
    b" \n",
    b"hello",
    b"\xff",
    b"[1]",
    br#"{"schema":"Content:1"}"#,
    br#"{"schema":"Content","data":{"foo":"a"}}"#,
    br#"{"schema":1,"data":{"foo":"a"}}"#,
];

/// Runs an application that has one event, the values of [`NO_EVENT`] and a tombstone before it.
async fn with_no_event(app: App) -> TestApp {
    let app = TestApp::start(app).await;
    app.publish("r", &Content::new("bound")).await.unwrap();
    app.settle().await;
    for value in NO_EVENT {
        app.publish_raw("r", value).await;
    }
    app.tombstone("r", "k").await.unwrap();
    app.publish("r", &Content::new("behind")).await.unwrap();
    app
}

#[tokio::test]
async fn a_record_without_an_event_is_skipped_rejected_or_held_as_the_subscription_says() {
    let subscribed = |group: &str| subscription("r", typed).group(group);
    let app = App::new()
        .subscribe(subscribed("skip").on_no_event(OnNoEvent::Skip))
        .subscribe(subscribed("reject").on_no_event(OnNoEvent::Reject));
    let app = with_no_event(app).await;
    let handled = app.settle().await;
    let mut skipped = vec![Outcome::Skip; NO_EVENT.len() + 1];
    skipped.push(Outcome::Done);
    assert_eq!(handled.outcomes_of("skip"), skipped);
    let rejected = handled.outcomes_of("reject");
    let reasons = rejected.iter().filter(|outcome| {
        matches!(outcome, Outcome::Reject { reason } if reason.starts_with("the record holds no event: "))
    });
    assert_eq!(reasons.count(), NO_EVENT.len() + 1);
    let report = app.stop().await.unwrap();
    assert_eq!(report.without_event, NO_EVENT.len() as u64 + 1);
    assert_eq!(report.unfinished_total, 0);

    let app = App::new().subscribe(subscribed("hold").on_no_event(OnNoEvent::Hold));
    let app = with_no_event(app).await;
    let error = app.try_settle().await.unwrap_err().to_string();
    assert!(error.contains("held by on-no-event"), "{error}");
}

#[tokio::test]
async fn many_messages_settle_in_the_order_of_publishing() {
    let app = TestApp::start(App::new().subscribe(subscription("r", typed))).await;
    for _ in 0..2 {
        for number in 0..3_000 {
            let event = Content::new(number.to_string());
            app.publish("r", &event)
                .enqueue()
                .await
                .unwrap()
                .await
                .unwrap();
        }
        let handled = app.settle().await;
        assert_eq!(handled.messages().len(), 3_000);
        for (message, number) in handled.messages().iter().zip(0..) {
            let data = format!("\"foo\":\"{number}\"");
            let value = String::from_utf8_lossy(message.record.value());
            assert!(value.contains(&data), "{value}");
        }
    }
}

#[subscribe("r", on_no_event = "reject")]
async fn by_attribute(_: Json) {}

#[tokio::test]
async fn json_and_schema_need_an_event_as_well() {
    async fn by_schema(_: Schema) {}
    let app = App::new().subscribe(by_attribute).subscribe(
        subscription("r", by_schema)
            .group("schema")
            .on_no_event(OnNoEvent::Reject),
    );
    let app = with_no_event(app).await;
    let handled = app.settle().await;
    for group in ["by_attribute", "schema"] {
        let outcomes = handled.outcomes_of(group);
        let rejected = outcomes
            .iter()
            .filter(|o| matches!(o, Outcome::Reject { .. }));
        assert_eq!(rejected.count(), NO_EVENT.len() + 1, "{group}");
        assert_eq!(outcomes.last(), Some(&Outcome::Done));
    }
}

#[tokio::test]
async fn an_option_is_none_for_a_tombstone_and_for_nothing_else() {
    async fn content(data: Option<Content>, record: Record, seen: SeenState) {
        seen.add(format!(
            "content {:?} {:?}",
            data.map(|d| d.foo),
            record.key
        ));
    }
    async fn change(data: Option<ContentChange>, seen: SeenState) {
        seen.add(format!("change {}", data.is_some()));
    }
    async fn json(data: Option<Json>, seen: SeenState) {
        seen.add(format!("json {:?}", data.map(|data| data.0)));
    }
    for validate in [false, true] {
        let seen = seen();
        let subscribed = |subscription: Subscription| {
            subscription
                .validate(validate)
                .on_no_event(OnNoEvent::Reject)
        };
        let app = App::new()
            .event::<Content>()
            .state(seen.clone())
            .subscribe(subscribed(subscription("r", content).group("content")))
            .subscribe(subscribed(subscription("r", change).group("change")))
            .subscribe(subscribed(subscription("r", json).group("json")));
        let app = with_no_event(app).await;
        let handled = app.settle().await;
        for group in ["content", "change", "json"] {
            let outcomes = handled.outcomes_of(group);
            let done = outcomes.iter().filter(|outcome| **outcome == Outcome::Done);
            assert_eq!(done.count(), 2, "{group}: {outcomes:?}");
        }
        let mut all = seen.all();
        all.sort();
        assert_eq!(
            all,
            [
                "change false",
                "change true",
                "change true",
                r#"content None Some(b"k")"#,
                r#"content Some("behind") None"#,
                r#"content Some("bound") None"#,
                "json None",
                r#"json Some(Object {"foo": String("behind")})"#,
                r#"json Some(Object {"foo": String("bound")})"#,
            ]
        );
    }
}

#[tokio::test]
async fn data_that_is_null_is_an_event_and_not_a_tombstone() {
    async fn json(data: Option<Json>, seen: SeenState) {
        seen.add(format!("{:?}", data.map(|data| data.0)));
    }
    let seen = seen();
    let app = App::new()
        .state(seen.clone())
        .subscribe(subscription("r", json));
    let app = TestApp::start(app).await;
    app.publish_raw("r", r#"{"schema":"A:1","data":null}"#)
        .await;
    app.settle().await;
    assert_eq!(seen.all(), ["Some(Null)"]);
}

#[tokio::test]
async fn a_handlers_tombstone_carries_the_trace_on() {
    async fn erase(data: Content, publisher: Publisher) -> Result<(), HandlerError> {
        publisher.publish("state", &data).key("k").await?;
        publisher.tombstone("state", "k").await?;
        Ok(())
    }
    let app = TestApp::start(App::new().subscribe(subscription("r", erase))).await;
    let publish = app.publish("r", &Content::new("a"));
    publish.header("traceparent", "00-x").await.unwrap();
    app.settle().await;
    let state = app.published("state");
    assert_eq!(state[1].value, None);
    assert_eq!(state[1].headers.get_str("traceparent"), Some("00-x"));
}

#[tokio::test]
async fn raw_and_record_take_what_is_no_envelope() {
    async fn raw(raw: Raw, record: Record, seen: SeenState) {
        seen.add(format!("{} {:?}", record.offset, raw));
    }
    let seen = seen();
    let app = App::new()
        .state(seen.clone())
        .subscribe(subscription("r", raw));
    let app = TestApp::start(app).await;
    app.publish_raw("r", "no envelope").await;
    assert_eq!(app.settle().await.outcomes(), [Outcome::Done]);
    assert_eq!(seen.all(), [r#"0 Raw(b"no envelope")"#]);
}

#[tokio::test]
async fn other_members_before_and_behind_the_data_are_ignored() {
    let app = TestApp::start(App::new().subscribe(subscription("r", typed))).await;
    app.publish_raw("r", r#"{"schema":"Content:1","data":{"foo":"a"}}"#)
        .await;
    app.publish_raw("r", r#"{"schema":"Content:1","data":{"foo":"a"},"x":2}"#)
        .await;
    app.publish_raw("r", r#" {"x":[1],"data":{"foo":"a"},"schema":"Content:1"}"#)
        .await;
    assert_eq!(
        app.settle().await.outcomes(),
        [Outcome::Done, Outcome::Done, Outcome::Done]
    );
}

#[tokio::test]
async fn validation_on_consumption_is_the_consumers_choice() {
    async fn any(_: Json) {}
    let app = App::new()
        .event::<Content>()
        .subscribe(
            subscription("r", any)
                .group("checked")
                .validate(true)
                .on_mismatch(OnMismatch::Reject),
        )
        .subscribe(subscription("r", any).group("unchecked"));
    let app = TestApp::start(app).await;
    app.publish_raw("r", r#"{"schema":"Content:1","data":{"foo":1}}"#)
        .await;
    app.publish_raw("r", r#"{"schema":"Content:1","data":{"foo":"a"}}"#)
        .await;
    app.publish_raw("r", r#"{"schema":"Unknown:1","data":{}}"#)
        .await;
    let handled = app.settle().await;
    assert_eq!(
        handled.outcomes_of("unchecked"),
        [Outcome::Done, Outcome::Done, Outcome::Done]
    );
    let reasons: Vec<_> = handled
        .outcomes_of("checked")
        .iter()
        .map(|o| format!("{o:?}"))
        .collect();
    assert!(reasons[0].contains("/foo"), "{}", reasons[0]);
    assert_eq!(reasons[1], "Done");
    assert!(reasons[2].contains("Unknown:1"), "{}", reasons[2]);
}

#[derive(Default)]
struct Calls(AtomicU32);

#[subscribe("f.error")]
async fn failing(_: Raw, calls: State<Calls>) -> Result<(), HandlerError> {
    calls.0.fetch_add(1, SeqCst);
    let _: u32 = "x".parse()?;
    Ok(())
}

#[subscribe("f.panic")]
async fn panicking(_: Raw, attempt: Attempt) {
    assert!(*attempt == 2, "only the second attempt is good");
}

#[subscribe("f.reject")]
async fn rejecting(_: Raw) -> Result<Outcome, HandlerError> {
    let _: u32 = "x".parse().or_reject("unknown customer")?;
    Ok(Outcome::Done)
}

#[tokio::test]
async fn an_error_is_retried_and_settle_fails_with_it() {
    let calls = App::new().state(Calls::default()).subscribe(failing);
    let app = TestApp::start(calls).await;
    app.publish_raw("f.error", "1").await;
    let error = app.try_settle().await.unwrap_err();
    assert!(
        matches!(error, TestError::Handler { attempts: 20, .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("invalid digit found in string"),
        "{error}"
    );
}

#[tokio::test]
async fn a_panic_is_an_error_like_any_other() {
    let app = TestApp::start(App::new().subscribe(panicking)).await;
    app.publish_raw("f.panic", "1").await;
    let handled = app.settle().await;
    assert_eq!(handled.outcomes(), [Outcome::Done]);
    assert_eq!(handled.messages()[0].attempts, 2);
}

#[tokio::test]
async fn a_rejected_message_is_passed_over() {
    let app = TestApp::start(App::new().subscribe(rejecting)).await;
    app.publish_raw("f.reject", "1").await;
    assert_eq!(
        app.settle().await.outcomes(),
        [Outcome::reject("unknown customer")]
    );
    app.publish_raw("f.reject", "2").await;
    assert_eq!(app.settle().await.outcomes().len(), 1);
}

#[tokio::test]
async fn outcomes_stand_in_publish_order_then_registration_order() {
    async fn by_value(json: Json) -> Outcome {
        tokio::time::sleep(Duration::from_millis(
            20 - json["foo"].as_str().map_or(0, |f| f.len() as u64),
        ))
        .await;
        match json["foo"].as_str() {
            Some("skip") => Outcome::Skip,
            _ => Outcome::Done,
        }
    }
    async fn second(_: Raw) -> Outcome {
        Outcome::reject("second")
    }
    let app = App::new()
        .subscribe(subscription("*", by_value).group("a"))
        .subscribe(subscription("*", second).group("b"));
    let app = TestApp::start(app).await;
    app.publish("x", &Content::new("done")).await.unwrap();
    app.publish("y", &Content::new("skip")).await.unwrap();
    let second = Outcome::reject("second");
    assert_eq!(
        app.settle().await.outcomes(),
        [Outcome::Done, second.clone(), Outcome::Skip, second]
    );
}

#[tokio::test]
async fn abort_stops_the_worker_and_commits_nothing_of_it() {
    async fn aborts(raw: Raw) -> Outcome {
        if raw.as_ref() == b"bad" {
            Outcome::Abort
        } else {
            Outcome::Done
        }
    }
    let app = TestApp::start(App::new().subscribe(subscription("a", aborts).group("g"))).await;
    app.publish_raw("a", "good").await;
    assert_eq!(app.settle().await.outcomes(), [Outcome::Done]);
    app.publish_raw("a", "bad").await;
    assert_eq!(app.settle().await.outcomes(), [Outcome::Abort]);
    let committed = |app: &TestApp| -> i64 {
        let next = (0..7).filter_map(|p| app.broker().committed("g", "a", p));
        next.map(|next| next.0).sum()
    };
    tokio::time::timeout(Duration::from_secs(10), async {
        while committed(&app) == 0 {
            app.broker().changed().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(committed(&app), 1);
    let error = app.stop().await.unwrap_err();
    assert!(matches!(error, AppError::Aborted { .. }), "{error:?}");
}

#[tokio::test]
async fn state_is_made_at_start_and_hooks_run_at_the_end() {
    async fn counts(_: Raw, calls: State<Calls>) {
        calls.0.fetch_add(1, SeqCst);
    }
    let hook = Arc::new(Calls::default());
    let hooked = hook.clone();
    let app = App::new()
        .state_with(|_| async { Ok(Calls::default()) })
        .on_shutdown(move || async move {
            hooked.0.fetch_add(1, SeqCst);
        })
        .subscribe(subscription("s", counts));
    let app = TestApp::start(app).await;
    app.publish_raw("s", "1").await;
    app.settle().await;
    assert_eq!(hook.0.load(SeqCst), 0);
    let report = app.stop().await.unwrap();
    assert_eq!(report.handled, 1);
    assert_eq!(hook.0.load(SeqCst), 1);
}

#[tokio::test]
async fn a_type_that_handlers_only_take_is_registered_by_nobody_here_as_on_kafka() {
    let app = TestApp::start(App::new().subscribe(subscription("c", typed))).await;
    let data = serde_json::json!({"foo": "a"});
    let refused = app.publish_json("c", "Content:1", data.clone()).await;
    assert!(
        matches!(&refused, Err(ClientError::UnknownSchema { .. })),
        "{refused:?}"
    );
    let declared = App::new()
        .event::<Content>()
        .subscribe(subscription("c", typed));
    let app = TestApp::start(declared).await;
    app.publish_json("c", "Content:1", data).await.unwrap();
}
