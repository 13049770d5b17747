//! Traces of an application over the broker in memory, as a collector gets them.

use std::{
    future::poll_fn,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kafkaesk_client::{memory::MemoryBroker, settings::OperateSettings};
use kafkaesk_collector::{Collected, Collector, Manner};
use kafkaesk_operate::{Operate, Traces};
use kafkaesk_worker::{prelude::*, subscription};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::support::{Content, Running, app, shown, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn content(text: &str) -> Content {
    Content { text: text.into() }
}

fn traced(url: &str) -> OperateSettings {
    let mut settings = OperateSettings::default();
    settings.otel_endpoint = Some(url.to_owned());
    settings
}

fn millis_ago(age: Duration) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from((now - age).as_millis()).unwrap()
}

/// Runs an application, publishes, and ends it once all was handled. Gives what the collector has then.
async fn spans_of(
    app: App,
    change: impl FnOnce(&mut OperateSettings),
    publish: impl AsyncFnOnce(&kafkaesk_client::Publisher),
) -> Vec<Collected> {
    let collector = Collector::start(Manner::Takes);
    let mut shown = traced(&collector.url);
    change(&mut shown);
    let mut settings = Settings::default();
    settings.topic_prefix = kafkaesk_client::core::TopicPrefix::new("shop.").unwrap();
    settings.partitions = 1;
    let broker = Arc::new(MemoryBroker::with_prefix(settings.topic_prefix.clone()));
    let connection = Connection::with_broker(settings, broker.clone());
    let mut operate = Operate::start(shown, app.watch(), app.control())
        .await
        .unwrap();
    operate.connected(&connection);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let ran = tokio::spawn(app.run_on(connection.clone(), shutdown));
    publish(&connection.publisher()).await;
    timeout(Duration::from_secs(30), async {
        loop {
            let changed = broker.changed();
            if broker.groups().contains(&"g".to_owned()) && broker.lag("g") == 0 {
                return;
            }
            changed.await;
        }
    })
    .await
    .unwrap();
    stop.send(()).unwrap();
    ran.await.unwrap().unwrap();
    operate.finish(Duration::from_secs(10)).await;
    collector.spans()
}

fn named<'a>(spans: &'a [Collected], name: &str) -> Vec<&'a Collected> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn two_attempts_and_what_they_publish_are_one_trace_with_parents_and_links() {
    async fn second_time(
        data: Content,
        attempt: Attempt,
        publisher: Publisher,
    ) -> Result<(), HandlerError> {
        if *attempt == 1 {
            return Err(HandlerError::msg("a planted error"));
        }
        publisher.publish("content.b", &data).id("e-2").await?;
        Ok(())
    }
    async fn ends(_: Content) {}
    let quick = Duration::from_millis(1);
    let app = App::new()
        .subscribe(
            subscription("content.a", second_time)
                .group("g")
                .retry_backoff(quick, quick),
        )
        .subscribe(subscription("content.b*", ends).group("g"));
    let spans = spans_of(
        app,
        |_| {},
        async |publisher| {
            let publish = publisher.publish("content.a", &content("x"));
            publish.key("user-7").id("e-1").await.unwrap();
        },
    )
    .await;
    assert_eq!(spans.len(), 5, "{spans:#?}");
    let [send] = named(&spans, "send shop.content.a")[..] else {
        panic!("{spans:#?}");
    };
    let attempts = named(&spans, "process shop.content.a");
    let [first, second] = attempts[..] else {
        panic!("{spans:#?}");
    };
    let [again] = named(&spans, "send shop.content.b")[..] else {
        panic!("{spans:#?}");
    };
    let [last] = named(&spans, "process shop.content.b*")[..] else {
        panic!("{spans:#?}");
    };
    assert!(spans.iter().all(|span| span.trace == send.trace));
    let link = |to: &Collected| vec![(to.trace.clone(), to.span.clone())];
    assert_eq!((send.parent.as_str(), send.kind), ("", 4));
    assert!(send.links.is_empty());
    for (span, of) in [(first, send), (second, send), (last, again)] {
        assert_eq!((&span.parent, span.kind), (&of.span, 5));
        assert_eq!(span.links, link(of));
    }
    assert_eq!(again.parent, second.span);
    assert_eq!((first.status, first.get("error.type")), (2, "retry"));
    assert_eq!((second.status, second.get("error.type")), (0, ""));
    for (span, attempt) in [(first, "1"), (second, "2")] {
        for (name, expected) in [
            ("messaging.system", "kafka"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", "shop.content.a"),
            ("messaging.destination.partition.id", "0"),
            ("messaging.consumer.group.name", "g"),
            ("messaging.client.id", "kafkaesk"),
            ("messaging.kafka.offset", "0"),
            ("messaging.message.id", "e-1"),
            ("kafkaesk.schema", "Content:1"),
            ("kafkaesk.attempt", attempt),
        ] {
            assert_eq!(span.get(name), expected, "{name}: {span:#?}");
        }
        assert_eq!(span.get("messaging.destination.template"), "");
    }
    assert_eq!(
        last.get("messaging.destination.template"),
        "shop.content.b*"
    );
    for (name, expected) in [
        ("messaging.operation.type", "send"),
        ("messaging.destination.partition.id", "0"),
        ("messaging.kafka.offset", "0"),
        ("messaging.message.id", "e-1"),
        ("kafkaesk.schema", "Content:1"),
    ] {
        assert_eq!(send.get(name), expected, "{name}: {send:#?}");
    }
    assert!(spans.iter().all(|span| span.service == "kafkaesk"));
    let schema_url = "https://opentelemetry.io/schemas/1.44.0";
    assert!(spans.iter().all(|span| span.schema_url == schema_url));
    // The key may be a secret.
    assert!(!format!("{spans:?}").contains("user-7"));
}

#[tokio::test]
async fn a_trace_from_elsewhere_goes_on_unless_its_record_is_old_or_its_header_cannot_be_read() {
    let app = App::new().subscribe(subscription("content.*", |_: Content| async {}).group("g"));
    let spans = spans_of(
        app,
        |shown| shown.trace_parent_max_age = Duration::from_secs(600),
        async |publisher| {
            for (parent, age) in [(PARENT, 500), (PARENT, 700), ("garbage", 0)] {
                let publish = publisher.publish("content.a", &content("x"));
                let publish = publish.header("traceparent", parent);
                let at = millis_ago(Duration::from_secs(age));
                publish.timestamp(at).await.unwrap();
            }
        },
    )
    .await;
    let of = |operation: &str, offset: &str| {
        let found = spans.iter().find(|span| {
            span.get("messaging.operation.type") == operation
                && span.get("messaging.kafka.offset") == offset
        });
        found.unwrap_or_else(|| panic!("{operation} {offset}: {spans:#?}"))
    };
    let link = [(TRACE.to_owned(), "00f067aa0ba902b7".to_owned())];
    // The caller's own traceparent is the parent of the publish, and what the record carries.
    for offset in ["0", "1"] {
        let send = of("send", offset);
        assert_eq!(
            (send.trace.as_str(), send.parent.as_str()),
            (TRACE, "00f067aa0ba902b7")
        );
    }
    let young = of("process", "0");
    assert_eq!(
        (young.trace.as_str(), young.parent.as_str()),
        (TRACE, "00f067aa0ba902b7")
    );
    assert_eq!(young.links, link);
    let old = of("process", "1");
    assert_eq!((old.parent.as_str(), &old.links[..]), ("", &link[..]));
    assert_ne!(old.trace, TRACE);
    let unread = of("process", "2");
    assert_eq!((unread.parent.as_str(), unread.links.len()), ("", 0));
    assert_ne!(unread.trace, of("send", "2").trace);
}

#[tokio::test]
async fn a_key_is_shown_only_where_keys_are() {
    let app = || App::new().subscribe(subscription("content.*", |_: Content| async {}).group("g"));
    for show in [false, true] {
        let publish = async |publisher: &kafkaesk_client::Publisher| {
            let publish = publisher.publish("content.a", &content("x"));
            publish.key("user-7").await.unwrap();
        };
        let spans = spans_of(app(), |shown| shown.show_keys = show, publish).await;
        let keys: Vec<_> = spans
            .iter()
            .map(|it| it.get("messaging.kafka.message.key"))
            .collect();
        assert_eq!(keys, [if show { "user-7" } else { "" }; 2]);
    }
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent_and_its_flag_goes_on() {
    async fn passes_on(data: Content, publisher: Publisher) -> Result<(), HandlerError> {
        publisher.publish("content.b", &data).await?;
        Ok(())
    }
    async fn shows(record: Record) {
        let parent = record.headers.get_str("traceparent").unwrap();
        assert!(
            parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-00"),
            "{parent}"
        );
    }
    let app = App::new()
        .subscribe(subscription("content.a", passes_on).group("g"))
        .subscribe(subscription("content.b", shows).group("g").max_attempts(1));
    let spans = spans_of(
        app,
        |_| {},
        async |publisher| {
            let publish = publisher.publish("content.a", &content("x"));
            let unsampled = PARENT.replace("-01", "-00");
            publish.header("traceparent", unsampled).await.unwrap();
        },
    )
    .await;
    assert_eq!(spans.len(), 0, "{spans:#?}");
}

#[tokio::test]
async fn a_publish_in_a_span_of_the_programs_own_belongs_to_it() {
    let collector = Collector::start(Manner::Takes);
    let traces = Traces::start(&traced(&collector.url)).unwrap();
    let connection = Connection::in_memory(Settings::default());
    traces.of(&connection);
    let own = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex("00f067aa0ba902b7").unwrap(),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    let own = Context::new().with_remote_span_context(own);
    let publisher = connection.publisher();
    let mut publish = Box::pin(publisher.publish("content.a", &content("x")).into_future());
    poll_fn(|cx| {
        let _entered = own.clone().attach();
        publish.as_mut().poll(cx)
    })
    .await
    .unwrap();
    traces.finish(Duration::from_secs(5)).await;
    let [send] = &collector.spans()[..] else {
        panic!("{:#?}", collector.spans());
    };
    assert_eq!(
        (send.trace.as_str(), send.parent.as_str()),
        (TRACE, "00f067aa0ba902b7")
    );
}

/// An application whose collector is like this handles everything, and ends in time; what is not sent is counted.
async fn ends_well_with(url: &str, within: Duration) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.txt");
    let mut shown = traced(url);
    shown.listen = Some("127.0.0.1:0".into());
    shown.metrics_file = Some(file.clone());
    let mut settings = Settings::default();
    settings.partitions = 1;
    let connection = Connection::in_memory(settings);
    let (handled, mut handles) = mpsc::unbounded_channel();
    let handler = move |_: Content| {
        let handled = handled.clone();
        async move { handled.send(()).unwrap() }
    };
    let app = App::new().subscribe(subscription("content.*", handler).group("g"));
    let running = Running::start_on(app, connection, shown).await;
    for _ in 0..100 {
        running.publish(&["x"]).await;
    }
    for _ in 0..100 {
        timeout(Duration::from_secs(30), handles.recv())
            .await
            .unwrap();
    }
    let (operate, report) = running.end().await;
    assert_eq!(report.handled, 100);
    let begun = Instant::now();
    operate.finish(within).await;
    assert!(
        begun.elapsed() < within + Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    std::fs::read_to_string(file).unwrap()
}

fn dropped(metrics: &str, reason: &str) -> u64 {
    let series = format!("kafkaesk_spans_dropped_total{{reason=\"{reason}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    value
        .unwrap_or_else(|| panic!("{metrics}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_collector_that_is_away_delays_nothing_and_what_it_does_not_get_is_counted() {
    // The port of a listener that is gone.
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", away.local_addr().unwrap());
    drop(away);
    let metrics = ends_well_with(&url, Duration::from_secs(20)).await;
    assert_eq!(dropped(&metrics, "export"), 200, "{metrics}");
    assert_eq!(dropped(&metrics, "end") + dropped(&metrics, "queue"), 0);
}

#[tokio::test]
async fn a_collector_that_refuses_delays_nothing_and_what_it_does_not_get_is_counted() {
    for status in [400, 500, 307] {
        let collector = Collector::start(Manner::Refuses(status));
        let metrics = ends_well_with(&collector.url, Duration::from_secs(20)).await;
        assert_eq!(dropped(&metrics, "export"), 200, "{status}: {metrics}");
        assert!(collector.requests() > 0);
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_nothing_but_the_end_and_that_within_its_time() {
    let collector = Collector::start(Manner::Silent);
    let metrics = ends_well_with(&collector.url, Duration::from_secs(2)).await;
    assert_eq!(dropped(&metrics, "end"), 200, "{metrics}");
    assert_eq!(collector.requests(), 1);
}

#[tokio::test]
async fn dropped_spans_are_no_metric_where_traces_are_off() {
    let running = Running::start(app(), shown()).await;
    let answer = until(running.address, "/metrics", |answer| answer.status == 200).await;
    assert!(!answer.body.contains("kafkaesk_spans_dropped"));
    running.end().await;
}

#[test]
fn what_is_not_a_collectors_url_is_refused_at_the_start_without_its_secrets() {
    for url in ["http://[zz]:4318", "http://me:planted@/x", "nonsense"] {
        let error = Traces::start(&traced(url)).unwrap_err().to_string();
        assert!(
            error.contains("is not a URL such as http://localhost:4318"),
            "{error}"
        );
        assert!(!error.contains("planted"), "{error}");
    }
}

#[test]
fn where_nothing_but_this_machine_may_be_contacted_no_other_collector_is() {
    let mut settings = traced("http://203.0.113.1:4318");
    settings.loopback_only = true;
    let traces = Traces::start(&settings).unwrap();
    assert_eq!(format!("{traces:?}"), "Traces { running: None }");
}
