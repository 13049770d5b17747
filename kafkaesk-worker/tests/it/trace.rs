//! The spans of publishes and attempts, and the log context of handlers, with a tracer of the test's own. Over the broker in
//! memory.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use kafkaesk_client::{
    core::Headers,
    trace::{DROPPED, Entered, Processing, Sending, Span, SpanEnd, SpanIds, Tracer},
};
use kafkaesk_worker::{Delivery, Handle, HandlerCall, TestApp, prelude::*};

use crate::{events::Content, log::Log, support::start};

/// A tracer whose spans are numbered; the traceparent of the third is `span-3`.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Vec<Recorded>>>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Recorded {
    name: String,
    parent: Option<String>,
    /// The error of its end, or `ok`; `None` while it runs.
    end: Option<&'static str>,
    place: Option<(i32, Option<i64>)>,
    schema: Option<String>,
    entered: u32,
}

#[derive(Debug)]
struct Numbered {
    recorder: Recorder,
    number: usize,
}

fn parent(headers: &Headers) -> Option<String> {
    headers.get_str("traceparent").map(str::to_owned)
}

impl Recorder {
    fn begin(&self, name: String, parent: Option<String>) -> Option<Arc<dyn Span>> {
        let mut all = self.0.lock().unwrap();
        all.push(Recorded {
            name,
            parent,
            ..Recorded::default()
        });
        Some(Arc::new(Numbered {
            recorder: self.clone(),
            number: all.len(),
        }))
    }

    fn on(app: &TestApp) -> Self {
        let recorder = Self::default();
        app.connection().trace_with(Arc::new(recorder.clone()));
        recorder
    }

    /// Name, parent and end of each.
    fn spans(&self) -> Vec<(String, Option<String>, Option<&'static str>)> {
        let all = self.0.lock().unwrap();
        let all = all.iter();
        all.map(|it| (it.name.clone(), it.parent.clone(), it.end))
            .collect()
    }
}

impl Tracer for Recorder {
    fn send(&self, sending: &Sending<'_>) -> Option<Arc<dyn Span>> {
        self.begin(format!("send {}", sending.topic), parent(sending.parent))
    }

    fn process(&self, processing: &Processing<'_>) -> Option<Arc<dyn Span>> {
        let (record, attempt) = (processing.record, processing.attempt);
        let name = format!("process {}@{} {attempt}", record.source, record.offset);
        self.begin(name, parent(&record.headers))
    }
}

impl Numbered {
    fn change(&self, change: impl FnOnce(&mut Recorded)) {
        change(&mut self.recorder.0.lock().unwrap()[self.number - 1]);
    }
}

impl Span for Numbered {
    fn carried(&self) -> Headers {
        let own = format!("span-{}", self.number);
        [("traceparent", Some(own.into()))].into_iter().collect()
    }

    fn ids(&self) -> Option<SpanIds> {
        Some(SpanIds {
            trace: "t".repeat(32),
            span: format!("span-{}", self.number),
        })
    }

    fn enter(&self) -> Entered {
        self.change(|it| it.entered += 1);
        Box::new(())
    }

    fn end(&self, end: &SpanEnd<'_>) {
        self.change(|it| {
            if it.end.is_none() {
                it.end = Some(end.error.unwrap_or("ok"));
                it.place = end.place.map(|(p, offset)| (p, offset.map(|it| it.0)));
                it.schema = end.schema.map(str::to_owned);
            }
        });
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        self.change(|it| {
            it.end.get_or_insert(DROPPED);
        });
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_publish_of_a_handler_goes_on_with_the_span_of_its_attempt() {
    async fn passes_on(data: Content, publisher: Publisher) -> Result<(), HandlerError> {
        publisher.publish("b", &data).await?;
        Ok(())
    }
    async fn ends(_: Content) {}
    let app = App::new()
        .subscribe(subscription("a", passes_on).group("g"))
        .subscribe(subscription("b", ends).group("h"));
    let app = TestApp::start(app).await;
    let recorder = Recorder::on(&app);
    app.publish("a", &Content::new("x"))
        .partition(0)
        .await
        .unwrap();
    app.settle().await;
    let spans = recorder.spans();
    let expected = [
        ("send a", None, Some("ok")),
        ("process a[0]@0 1", some("span-1"), Some("ok")),
        ("send b", some("span-2"), Some("ok")),
    ];
    for (span, (name, parent, end)) in spans.iter().zip(expected) {
        assert_eq!(*span, (name.to_owned(), parent, end));
    }
    let (last, of_last, _) = &spans[3];
    assert!(last.starts_with("process b["), "{last}");
    assert_eq!(*of_last, some("span-3"));
    let all = recorder.0.lock().unwrap();
    assert_eq!(all[0].place, Some((0, Some(0))));
    assert_eq!(all[1].schema, some("Content:1"));
    assert!(all[1].entered > 0);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_a_span_with_its_own_end() {
    static TRIES: AtomicU32 = AtomicU32::new(0);
    async fn varies(_: Content) -> Result<Outcome, HandlerError> {
        match TRIES.fetch_add(1, SeqCst) {
            0 => Err(HandlerError::msg("not today")),
            1 => panic!("a planted panic"),
            2 => {
                tokio::time::sleep(Duration::from_secs(3_600)).await;
                Ok(Outcome::Done)
            }
            3 => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                panic!("a planted panic behind a wait")
            }
            _ => Ok(Outcome::Skip),
        }
    }
    let varies = subscription("a", varies)
        .group("g")
        .timeout(Duration::from_secs(1));
    let app = TestApp::start(App::new().subscribe(varies)).await;
    let recorder = Recorder::on(&app);
    app.publish("a", &Content::new("x"))
        .partition(0)
        .await
        .unwrap();
    app.settle().await;
    let spans = recorder.spans();
    let ends = ["retry", "panic", "timeout", "panic", "skip"];
    assert_eq!(spans.len(), 1 + ends.len(), "{spans:#?}");
    for (attempt, (span, end)) in (1..).zip(spans[1..].iter().zip(ends)) {
        let name = format!("process a[0]@0 {attempt}");
        assert_eq!(*span, (name, some("span-1"), Some(end)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_traceparent_of_the_callers_own_is_the_parent_and_is_sent_as_it_is() {
    async fn shows(delivery: Record) {
        assert_eq!(delivery.headers.get_str("traceparent"), Some("own"));
        assert_eq!(delivery.headers.len(), 1);
    }
    let app = TestApp::start(App::new().subscribe(subscription("a", shows).group("g"))).await;
    let recorder = Recorder::on(&app);
    let publish = app.publish("a", &Content::new("x"));
    publish.header("traceparent", "own").await.unwrap();
    app.settle().await;
    let spans = recorder.spans();
    assert_eq!(spans[0].1, some("own"));
    assert_eq!(spans[1].1, some("own"));
    assert_eq!(spans[1].2, Some("ok"));
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_is_refused_or_given_up_ends_with_its_error() {
    async fn ends(_: Content) {}
    let app = App::new()
        .event::<Content>()
        .subscribe(subscription("a", ends).group("g"));
    let app = TestApp::start(app).await;
    let recorder = Recorder::on(&app);
    let wrong = app.publish_json("a", "Content:1", r#"{"foo": 1}"#).await;
    assert!(wrong.is_err());
    let reserved = app.publish("a", &Content::new("x"));
    assert!(reserved.header("kafkaesk-x", "y").await.is_err());
    // Looking up the stream takes a turn, and nobody waits for it.
    let mut begun = Box::pin(app.publish("new", &Content::new("x")).into_future());
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(begun.as_mut().poll(cx))).await;
    let is_pending = polled.is_pending();
    drop(begun);
    let spans = recorder.spans();
    assert_eq!(spans[0].2, Some("schema"));
    assert_eq!(spans[1].2, Some("other"));
    assert_eq!(spans[2].2, Some(if is_pending { DROPPED } else { "ok" }));
    // A name that no stream can have goes nowhere.
    assert!(app.publish("__no__", &Content::new("x")).await.is_err());
    assert_eq!(recorder.spans().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_cut_off_ends_as_dropped() {
    async fn hangs(_: Content) {
        std::future::pending::<()>().await;
    }
    let app = App::new().subscribe(subscription("a", hangs).group("g"));
    let (_, connection, stop, task) = start(app);
    let recorder = Recorder::default();
    connection.trace_with(Arc::new(recorder.clone()));
    let publisher = connection.publisher();
    publisher.publish("a", &Content::new("x")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(recorder.spans()[1].2, None);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
    assert_eq!(recorder.spans()[1].2, Some(DROPPED));
}

#[tokio::test(start_paused = true)]
async fn without_a_tracer_headers_are_those_of_the_record_byte_for_byte() {
    async fn passes_on(data: Content, publisher: Publisher) -> Result<(), HandlerError> {
        publisher.publish("b", &data).await?;
        Ok(())
    }
    let app = TestApp::start(App::new().subscribe(subscription("a", passes_on).group("g"))).await;
    let publish = app.publish("a", &Content::new("x"));
    let publish = publish.header_bytes("traceparent", b"\xff\x00");
    publish.header("tracestate", "").await.unwrap();
    app.publish("a", &Content::new("y")).await.unwrap();
    app.settle().await;
    let published = app.published("b");
    let of = |foo: &str| {
        let of = published.iter().find(|it| it.event::<Content>().foo == foo);
        of.unwrap().headers.clone()
    };
    let trace: Headers = [
        ("traceparent", Some(bytes::Bytes::from_static(b"\xff\x00"))),
        ("tracestate", Some(bytes::Bytes::new())),
    ]
    .into_iter()
    .collect();
    assert_eq!(of("x"), trace);
    assert!(of("y").is_empty());
}

#[tokio::test]
async fn a_handlers_own_lines_name_the_message_the_attempt_and_the_trace() {
    struct Logs;
    impl Handle for Logs {
        fn handle(&self, delivery: &Delivery) -> HandlerCall {
            tracing::info!("at the call");
            let own = format!("span-{}", 2 * (delivery.record().offset.0 + 1));
            assert_eq!(parent(&delivery.trace()), Some(own));
            HandlerCall::run(async {
                tracing::info!("at once");
                tokio::time::sleep(Duration::from_millis(1)).await;
                tracing::info!("behind a wait");
            })
        }
    }
    let (log, _guard) = Log::capture();
    let app = App::new().subscribe(Subscription::new("a", Logs).group("g"));
    let app = TestApp::start(app).await;
    let _recorder = Recorder::on(&app);
    let event = Content::new("x");
    let publish = || app.publish("a", &event).partition(0);
    publish().await.unwrap();
    app.settle().await;
    // Another test's thread may have met the callsite first, when nobody listened.
    tracing::callsite::rebuild_interest_cache();
    publish().await.unwrap();
    app.settle().await;
    let trace = "t".repeat(32);
    let context = format!(
        "handle{{group=\"g\" stream=\"a\" partition=0 offset=1 attempt=1 trace_id=\"{trace}\" span_id=\"span-4\"}}: "
    );
    for line in ["at the call", "at once", "behind a wait"] {
        let lines = log.lines(line);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[1].contains(&context), "{}", lines[1]);
    }
}
