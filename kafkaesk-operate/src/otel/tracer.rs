//! Tracer: begins and ends the spans of publishes and attempts, by the messaging conventions. Next: `queue`.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kafkaesk_client::{
    Settings,
    settings::{OperateSettings, Role},
    trace::{DROPPED, Entered, Processing, Sending, Span, SpanEnd, SpanIds, Tracer},
};
use kafkaesk_core::{Headers, Record};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;

use super::{carrier, names};

/// The client's name where the settings give none.
const CLIENT: &str = "kafkaesk";

/// Traces one connection.
#[derive(Debug)]
pub(super) struct OtelTracer {
    tracer: SdkTracer,
    /// The age of a record from which on its trace is only linked to.
    max_age: Duration,
    show_keys: bool,
    prefix: String,
    producer: String,
    consumer: String,
    /// The id of the cluster, once it is known.
    pub(super) cluster: Arc<OnceLock<String>>,
}

impl OtelTracer {
    /// Of a connection with these settings.
    pub(super) fn new(tracer: SdkTracer, shown: &OperateSettings, settings: &Settings) -> Self {
        let client = |role| {
            let given = settings.kafka_settings.get(role, "client.id");
            given.unwrap_or(CLIENT).to_owned()
        };
        Self {
            tracer,
            max_age: shown.trace_parent_max_age,
            show_keys: shown.show_keys,
            prefix: settings.topic_prefix.to_string(),
            producer: client(Role::Producer),
            consumer: client(Role::Consumer),
            cluster: Arc::default(),
        }
    }

    /// Begins a span; `attributes` are made only if it is recorded.
    fn begin(
        &self,
        name: String,
        kind: SpanKind,
        links: Vec<Link>,
        parent: &Context,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Arc<dyn Span> {
        let builder = self
            .tracer
            .span_builder(name)
            .with_kind(kind)
            .with_links(links);
        let span = self.tracer.build_with_context(builder, parent);
        let context = parent.with_span(span);
        if context.span().is_recording() {
            context.span().set_attributes(attributes());
        }
        Arc::new(OtelSpan {
            context,
            cluster: self.cluster.clone(),
            has_ended: AtomicBool::new(false),
        })
    }

    /// The key, if keys are shown and it is text.
    fn key(&self, key: Option<&[u8]>) -> Option<KeyValue> {
        let key = key.filter(|_| self.show_keys)?;
        let key = std::str::from_utf8(key).ok()?;
        Some(KeyValue::new(names::KEY, key.to_owned()))
    }

    /// Whether an attempt goes on with the record's trace: it is neither old nor a dead letter that came back.
    fn goes_on(&self, processing: &Processing<'_>) -> bool {
        !processing.redriven && age(processing.record).is_none_or(|age| age <= self.max_age)
    }
}

/// How old a record is; `None` without a timestamp.
fn age(record: &Record) -> Option<Duration> {
    let millis = u64::try_from(record.timestamp?).ok()?;
    let written = UNIX_EPOCH + Duration::from_millis(millis);
    Some(
        SystemTime::now()
            .duration_since(written)
            .unwrap_or_default(),
    )
}

fn below(remote: Option<SpanContext>) -> Option<Context> {
    remote.map(|span| Context::new().with_remote_span_context(span))
}

impl Tracer for OtelTracer {
    fn send(&self, sending: &Sending<'_>) -> Option<Arc<dyn Span>> {
        let topic = sending.topic.as_str();
        let parent = below(carrier::read(sending.parent)).unwrap_or_else(Context::current);
        let name = format!("{} {topic}", names::SEND);
        let attributes = || {
            let mut all = vec![
                KeyValue::new(names::SYSTEM, names::KAFKA),
                KeyValue::new(names::OPERATION_NAME, names::SEND),
                KeyValue::new(names::OPERATION_TYPE, names::SEND),
                KeyValue::new(names::DESTINATION, topic.to_owned()),
                KeyValue::new(names::CLIENT, self.producer.clone()),
            ];
            let schema = sending.schema.map(ToString::to_string);
            all.extend(schema.map(|schema| KeyValue::new(names::SCHEMA, schema)));
            all.extend(
                sending
                    .id
                    .map(|id| KeyValue::new(names::MESSAGE_ID, id.to_owned())),
            );
            all.extend(self.key(sending.key));
            all
        };
        Some(self.begin(name, SpanKind::Producer, Vec::new(), &parent, attributes))
    }

    fn process(&self, processing: &Processing<'_>) -> Option<Arc<dyn Span>> {
        let record = processing.record;
        let remote = carrier::read(&record.headers);
        let is_batch = processing.messages > 1;
        let of_batch = processing.linked.iter();
        let mut traces: Vec<SpanContext> = match is_batch {
            true => of_batch
                .filter_map(|record| carrier::read(&record.headers))
                .collect(),
            false => remote.iter().cloned().collect(),
        };
        // What one handler published together has one context.
        traces.dedup();
        let links = traces.into_iter().map(Link::with_context).collect();
        let parent = below(remote.filter(|_| !is_batch && self.goes_on(processing)));
        let parent = parent.unwrap_or_default();
        // A pattern's name stands for all that it matches, so that the names of spans stay few.
        let template = is_template(processing.pattern)
            .then(|| format!("{}{}", self.prefix, processing.pattern));
        let shown = template.as_deref().unwrap_or(record.topic());
        let name = format!("{} {shown}", names::PROCESS);
        let attributes = || {
            let mut all = vec![
                KeyValue::new(names::SYSTEM, names::KAFKA),
                KeyValue::new(names::OPERATION_NAME, names::PROCESS),
                KeyValue::new(names::OPERATION_TYPE, names::PROCESS),
                KeyValue::new(names::DESTINATION, record.topic().to_owned()),
                KeyValue::new(names::PARTITION, record.partition().to_string()),
                KeyValue::new(names::OFFSET, record.offset.0),
                KeyValue::new(names::GROUP, processing.group.to_owned()),
                KeyValue::new(names::CLIENT, self.consumer.clone()),
                KeyValue::new(names::ATTEMPT, i64::from(processing.attempt)),
            ];
            all.extend(template.map(|template| KeyValue::new(names::TEMPLATE, template)));
            if is_batch {
                let messages = i64::try_from(processing.messages).unwrap_or(i64::MAX);
                all.push(KeyValue::new(names::MESSAGES, messages));
            }
            let id = record.headers.id().filter(|_| !is_batch);
            all.extend(id.map(|id| KeyValue::new(names::MESSAGE_ID, id.to_owned())));
            all.extend(self.key(record.key.as_deref().filter(|_| !is_batch)));
            all
        };
        Some(self.begin(name, SpanKind::Consumer, links, &parent, attributes))
    }
}

/// A span that has begun, as a context in which it is the active one.
#[derive(Debug)]
struct OtelSpan {
    context: Context,
    cluster: Arc<OnceLock<String>>,
    has_ended: AtomicBool,
}

impl Span for OtelSpan {
    fn carried(&self) -> Headers {
        carrier::write(self.context.span().span_context())
    }

    fn ids(&self) -> Option<SpanIds> {
        let span = self.context.span();
        let context = span.span_context();
        context.is_sampled().then(|| SpanIds {
            trace: context.trace_id().to_string(),
            span: context.span_id().to_string(),
        })
    }

    fn enter(&self) -> Entered {
        Box::new(self.context.clone().attach())
    }

    fn end(&self, end: &SpanEnd<'_>) {
        if self.has_ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let span = self.context.span();
        if span.is_recording() {
            if let Some(id) = self.cluster.get() {
                span.set_attribute(KeyValue::new(names::CLUSTER, id.clone()));
            }
            if let Some((partition, offset)) = end.place {
                span.set_attribute(KeyValue::new(names::PARTITION, partition.to_string()));
                if let Some(offset) = offset {
                    span.set_attribute(KeyValue::new(names::OFFSET, offset.0));
                }
            }
            if let Some(schema) = end.schema {
                span.set_attribute(KeyValue::new(names::SCHEMA, schema.to_owned()));
            }
            if let Some(error) = end.error {
                span.set_attribute(KeyValue::new(names::ERROR, error));
                if is_failure(error) {
                    // Without a text: an error may quote the message.
                    span.set_status(Status::error(""));
                }
            }
        }
        span.end();
    }
}

impl Drop for OtelSpan {
    fn drop(&mut self) {
        let mut end = SpanEnd::default();
        end.error = Some(DROPPED);
        self.end(&end);
    }
}

/// A message that was passed over is named as such; nothing failed.
fn is_failure(error: &str) -> bool {
    error != kafkaesk_worker::snapshot::AttemptEnd::Skip.name()
}

/// Whether it may match more than one stream.
fn is_template(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafkaesk_core::{Offset, Source, StreamId, TopicName, headers::TRACEPARENT};
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SdkTracerProvider, SpanData, SpanProcessor},
    };
    use parking_lot::Mutex;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Kept {
        fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn traced(use_tracer: impl FnOnce(&OtelTracer)) -> Vec<SpanData> {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(kept.clone())
            .build();
        let (shown, settings) = (OperateSettings::default(), Settings::default());
        use_tracer(&OtelTracer::new(provider.tracer("t"), &shown, &settings));
        let mut kept = kept.0.lock();
        std::mem::take(&mut *kept)
    }

    fn record(timestamp: Option<i64>) -> Record {
        let mut headers = Headers::new();
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        headers.push(TRACEPARENT, Some(Bytes::from(parent)));
        Record {
            source: Arc::new(Source {
                topic: TopicName::new("a").unwrap(),
                stream: StreamId::new("a").unwrap(),
                partition: 0,
            }),
            offset: Offset(0),
            timestamp,
            key: None,
            headers,
            value: None,
            unreadable: None,
        }
    }

    #[test]
    fn a_redriven_or_old_message_is_linked_to_and_a_record_without_a_time_or_of_the_future_goes_on()
    {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_millis()).unwrap();
        for (timestamp, redriven, goes_on) in [
            (Some(now), false, true),
            (Some(now), true, false),
            (Some(0), false, false),
            (Some(now - 3_700_000), false, false),
            (Some(now + 3_700_000), false, true),
            (None, false, true),
        ] {
            let record = record(timestamp);
            let spans = traced(|tracer| {
                let processing = Processing::new(&record, "g", "a", 1, redriven);
                let span = tracer.process(&processing).unwrap();
                span.end(&SpanEnd::default());
            });
            let trace = spans[0].span_context.trace_id().to_string();
            assert_eq!(trace == TRACE, goes_on, "{timestamp:?} {redriven}");
            let linked = spans[0].links[0].span_context.trace_id().to_string();
            assert_eq!(linked, TRACE);
        }
    }

    #[test]
    fn a_batch_begins_a_trace_of_its_own_that_links_to_those_of_its_records() {
        let (first, mut second) = (record(None), record(None));
        second.headers = Headers::new();
        let other = "0af7651916cd43dd8448eb211c80319c";
        let parent = format!("00-{other}-00f067aa0ba902b7-01");
        second.headers.push(TRACEPARENT, Some(Bytes::from(parent)));
        let linked = [&first, &first, &second];
        let spans = traced(|tracer| {
            let processing = Processing::new(&first, "g", "a", 1, false);
            drop(tracer.process(&processing.of_batch(3, &linked)));
        });
        let traces = spans[0]
            .links
            .iter()
            .map(|link| link.span_context.trace_id());
        let traces: Vec<_> = traces.map(|trace| trace.to_string()).collect();
        assert_eq!(traces, [TRACE, other]);
        assert!(!traces.contains(&spans[0].span_context.trace_id().to_string()));
        let mut all = spans[0].attributes.iter();
        assert!(all.any(|it| it.key.as_str() == names::MESSAGES && it.value.as_str() == "3"));
    }

    #[test]
    fn only_the_first_end_counts_and_without_one_a_span_ends_as_dropped() {
        let record = record(None);
        let processing = || Processing::new(&record, "g", "a", 1, false);
        let error = |span: &SpanData| {
            let mut all = span.attributes.iter();
            let found = all.find(|it| it.key.as_str() == names::ERROR);
            found.map(|it| it.value.to_string())
        };
        let spans = traced(|tracer| {
            drop(tracer.process(&processing()));
            let ended = tracer.process(&processing()).unwrap();
            ended.end(&SpanEnd::default());
            ended.end(&SpanEnd::default());
            drop(ended);
        });
        let errors: Vec<_> = spans.iter().map(error).collect();
        assert_eq!(errors, [Some(DROPPED.to_owned()), None]);
    }

    #[test]
    fn the_clusters_id_is_named_once_it_is_known() {
        let record = record(None);
        let spans = traced(|tracer| {
            for id in [None, Some("c-1")] {
                if let Some(id) = id {
                    tracer.cluster.set(id.to_owned()).unwrap();
                }
                drop(tracer.process(&Processing::new(&record, "g", "a", 1, false)));
            }
        });
        let has = |span: &SpanData| {
            let mut all = span.attributes.iter();
            all.any(|it| it.key.as_str() == names::CLUSTER && it.value.as_str() == "c-1")
        };
        assert_eq!(spans.iter().map(has).collect::<Vec<_>>(), [false, true]);
    }
}
