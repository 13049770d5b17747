//! Carrier: reads and writes a trace context as record headers (W3C Trace Context). What cannot be read counts as absent.

use bytes::Bytes;
use kafkaesk_core::{
    Headers,
    headers::{TRACEPARENT, TRACESTATE},
};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// Headers as the propagator reads them.
struct Carried<'a> {
    parent: &'a str,
    /// All `tracestate` headers as one list.
    state: String,
}

impl Extractor for Carried<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => Some(self.parent),
            TRACESTATE => Some(&self.state),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

/// The context that these headers carry.
pub(super) fn read(headers: &Headers) -> Option<SpanContext> {
    let parent = headers.get_str(TRACEPARENT)?;
    let states = headers.iter().filter(|(name, _)| *name == TRACESTATE);
    let states = states.filter_map(|(_, value)| std::str::from_utf8(value?).ok());
    let state = states.collect::<Vec<_>>().join(",");
    let carried = Carried { parent, state };
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carried);
    let span = context.span().span_context().clone();
    span.is_valid().then_some(span)
}

/// The headers of a context.
pub(super) fn write(span: &SpanContext) -> Headers {
    let mut headers = Headers::new();
    let parent = format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags().to_u8() & 1
    );
    headers.push(TRACEPARENT, Some(Bytes::from(parent)));
    let state = span.trace_state().header();
    if !state.is_empty() {
        headers.push(TRACESTATE, Some(Bytes::from(state)));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> Headers {
        let all = all.iter();
        all.map(|(name, value)| (*name, Some(Bytes::copy_from_slice(value.as_bytes()))))
            .collect()
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_written_reads_the_same() {
        let given = headers(&[("traceparent", PARENT), ("tracestate", "a=1,b=2")]);
        let context = read(&given).unwrap();
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(write(&context), given);
    }

    #[test]
    fn several_tracestates_are_one_list_and_the_last_traceparent_counts() {
        let context = read(&headers(&[
            ("tracestate", "a=1"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("traceparent", PARENT),
            ("tracestate", "b=2"),
        ]));
        let context = context.unwrap();
        assert_eq!(context.trace_state().header(), "a=1,b=2");
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
    }

    #[test]
    fn what_is_not_a_trace_context_is_none() {
        for parent in [
            "",
            "garbage",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473ö-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(&headers(&[("traceparent", parent)])), None, "{parent}");
        }
        let null: Headers = [("traceparent", None)].into_iter().collect();
        assert_eq!(read(&null), None);
    }

    #[test]
    fn a_tracestate_that_cannot_be_read_is_left_out_and_the_parent_goes_on() {
        let context = read(&headers(&[("traceparent", PARENT), ("tracestate", "none")]));
        assert_eq!(context.unwrap().trace_state().header(), "");
    }
}
