//! Tracer: begins and ends the spans of publishes and attempts, by the messaging conventions. Next: `queue`.

use std::{
    sync::{
        Arc,
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
        let links = remote.iter().cloned().map(Link::with_context).collect();
        let parent = below(remote.filter(|_| self.goes_on(processing)));
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
            let id = record.headers.id();
            all.extend(id.map(|id| KeyValue::new(names::MESSAGE_ID, id.to_owned())));
            all.extend(self.key(record.key.as_deref()));
            all
        };
        Some(self.begin(name, SpanKind::Consumer, links, &parent, attributes))
    }
}

/// A span that has begun, as a context in which it is the active one.
#[derive(Debug)]
struct OtelSpan {
    context: Context,
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
