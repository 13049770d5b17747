//! Scope: what surrounds one attempt while it runs: the span of its trace, and the log context of its handler. Decides
//! nothing.
//!
//! Where the connection is not traced and no subscriber wants the log context, a scope is two branches.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as PollContext, Poll},
};

use kafkaesk_client::{
    broker::BoxFuture,
    trace::{LINKED, Processing, Span, SpanEnd},
};
use tracing::{field::Empty, info_span};

use crate::{delivery::Delivery, outcome::AttemptResult, snapshot::AttemptEnd};

/// The target of the log context, by which a filter switches it off.
const TARGET: &str = "kafkaesk::handler";

/// An attempt from its begin to its end. Dropped without an end, its span ends as dropped.
#[derive(Debug)]
pub(crate) struct Scope {
    span: Option<Arc<dyn Span>>,
    /// Disabled where no subscriber wants it.
    log: tracing::Span,
}

impl Scope {
    /// An attempt at this delivery begins.
    pub(crate) fn begin(delivery: &mut Delivery) -> Self {
        let context = delivery.context();
        let span = context.connection.tracer().and_then(|tracer| {
            let processing = Processing::new(
                delivery.record(),
                &context.group,
                &context.pattern,
                delivery.attempt(),
                delivery.redriven_from().is_some(),
            );
            let Some(batch) = delivery.batch() else {
                return tracer.process(&processing);
            };
            let linked: Vec<_> = batch.iter().take(LINKED).map(Delivery::record).collect();
            tracer.process(&processing.of_batch(batch.len(), &linked))
        });
        let record = delivery.record();
        let log = info_span!(
            target: TARGET,
            "handle",
            group = delivery.group(),
            stream = record.stream(),
            partition = record.partition(),
            offset = record.offset.0,
            attempt = delivery.attempt(),
            messages = delivery.batch().map(<[Delivery]>::len),
            trace_id = Empty,
            span_id = Empty,
        );
        if let Some(span) = &span {
            if let Some(ids) = (!log.is_disabled()).then(|| span.ids()).flatten() {
                log.record("trace_id", ids.trace);
                log.record("span_id", ids.span);
            }
            delivery.set_span(Some(span.clone()));
        }
        Self { span, log }
    }

    /// Runs a part of the attempt.
    pub(crate) fn run<T>(&self, part: impl FnOnce() -> T) -> T {
        let _log = self.log.enter();
        let _span = self.span.as_ref().map(|span| span.enter());
        part()
    }

    /// The attempt is over.
    pub(crate) fn end(self, delivery: &mut Delivery, result: &AttemptResult) {
        let Some(span) = self.span else {
            return;
        };
        delivery.set_span(None);
        let end = result.end();
        let schema = delivery.likely_schema();
        let mut ended = SpanEnd::default();
        ended.error = (end != AttemptEnd::Done).then(|| end.name());
        ended.schema = schema.as_ref().map(|schema| schema.text.as_str());
        span.end(&ended);
    }
}

/// The rest of an attempt, each poll of it in the attempt's scope.
pub(crate) struct Scoped<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) rest: BoxFuture<'static, AttemptResult>,
}

impl Future for Scoped<'_> {
    type Output = AttemptResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut PollContext<'_>) -> Poll<AttemptResult> {
        let scope = self.scope;
        scope.run(|| self.rest.as_mut().poll(cx))
    }
}
