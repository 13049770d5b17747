//! Queue: ended spans that wait to be sent. Bounded: what finds it full is dropped and counted. Never waits. Next: `export`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::environment::Batches;
use crate::traces::{DropReason, Dropped};

/// The queue, shared by the tracers and the thread that sends.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    batches: Batches,
    /// Signals a full batch, and the end.
    pub(super) ready: Notify,
    pub(super) dropped: Arc<Dropped>,
    /// Taken, and neither sent nor dropped yet.
    in_flight: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<SpanData>,
    is_closed: bool,
}

impl Queue {
    pub(super) fn new(batches: Batches, dropped: Arc<Dropped>) -> Self {
        Self {
            state: Mutex::default(),
            batches,
            ready: Notify::new(),
            dropped,
            in_flight: AtomicUsize::new(0),
        }
    }

    fn push(&self, span: SpanData) {
        let mut state = self.state.lock();
        let reason = if state.is_closed {
            Some(DropReason::End)
        } else if state.spans.len() >= self.batches.queue {
            Some(DropReason::Queue)
        } else {
            None
        };
        if let Some(reason) = reason {
            drop(state);
            return self.dropped.add(reason, 1);
        }
        state.spans.push(span);
        let is_batch = state.spans.len() == self.batches.size;
        drop(state);
        if is_batch {
            self.ready.notify_one();
        }
    }

    /// Up to a batch of spans, the oldest first.
    pub(super) fn take(&self) -> Vec<SpanData> {
        let mut state = self.state.lock();
        let size = state.spans.len().min(self.batches.size);
        let rest = state.spans.split_off(size);
        let batch = std::mem::replace(&mut state.spans, rest);
        self.in_flight.store(batch.len(), Ordering::Relaxed);
        batch
    }

    /// Whether a whole batch waits.
    pub(super) fn has_batch(&self) -> bool {
        self.state.lock().spans.len() >= self.batches.size
    }

    /// What was taken is sent, or was dropped.
    pub(super) fn settled(&self) {
        self.in_flight.store(0, Ordering::Relaxed);
    }

    /// Takes no further span, and wakes the thread that sends.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.ready.notify_one();
    }

    /// Whether no further span waits or comes.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state.lock();
        state.is_closed && state.spans.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Drops what was not sent in time.
    pub(super) fn give_up(&self) {
        let left = std::mem::take(&mut self.state.lock().spans).len();
        let left = left + self.in_flight.swap(0, Ordering::Relaxed);
        self.dropped.add(DropReason::End, left);
    }
}

/// The SDK's end of the queue.
#[derive(Debug)]
pub(super) struct Sender(pub(super) Arc<Queue>);

impl SpanProcessor for Sender {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.0.push(span);
        }
    }

    // The end is ours: a flush of the SDK's has no deadline.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::{
        InstrumentationScope,
        trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState},
    };
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span(flags: TraceFlags) -> SpanData {
        let (trace, own) = (1_u128, 1_u64);
        let state = TraceState::default();
        SpanData {
            span_context: SpanContext::new(trace.into(), own.into(), flags, false, state),
            parent_span_id: 0.into(),
            parent_span_is_remote: false,
            span_kind: SpanKind::Producer,
            name: "send".into(),
            start_time: std::time::UNIX_EPOCH,
            end_time: std::time::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    fn queue() -> Sender {
        let batches = Batches {
            queue: 10,
            size: 4,
            delay: Duration::ZERO,
        };
        Sender(Arc::new(Queue::new(batches, Arc::default())))
    }

    fn dropped(queue: &Queue) -> [u64; 3] {
        DropReason::ALL.map(|reason| queue.dropped.of(reason))
    }

    #[test]
    fn what_finds_the_queue_full_is_dropped_and_counted_and_batches_are_bounded() {
        let sender = queue();
        for _ in 0..13 {
            sender.on_end(span(TraceFlags::SAMPLED));
            sender.on_end(span(TraceFlags::default()));
        }
        let sizes: Vec<usize> = (0..4).map(|_| sender.0.take().len()).collect();
        assert_eq!(sizes, [4, 4, 2, 0]);
        assert_eq!(dropped(&sender.0), [3, 0, 0]);
    }

    #[test]
    fn after_the_end_each_span_is_counted_once_waiting_taken_or_late() {
        let sender = queue();
        for _ in 0..6 {
            sender.on_end(span(TraceFlags::SAMPLED));
        }
        assert_eq!(sender.0.take().len(), 4);
        sender.0.close();
        sender.on_end(span(TraceFlags::SAMPLED));
        assert!(!sender.0.is_done());
        sender.0.give_up();
        assert_eq!(dropped(&sender.0), [0, 0, 7]);
        assert!(sender.0.is_done());
        sender.0.give_up();
        assert_eq!(dropped(&sender.0), [0, 0, 7]);
    }
}
