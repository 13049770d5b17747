//! Record headers: an ordered list, as Kafka keeps them. A name may repeat, a value may be null.

use bytes::Bytes;
use thiserror::Error;

/// Header names with this prefix belong to kafkaesk; user headers must not have it.
pub const RESERVED_PREFIX: &str = "kafkaesk-";
/// The event's own identity, kept by copies.
pub const ID: &str = "kafkaesk-id";
/// W3C Trace Context: <https://www.w3.org/TR/trace-context/>.
pub const TRACEPARENT: &str = "traceparent";
/// W3C Trace Context, vendor part.
pub const TRACESTATE: &str = "tracestate";

/// A header name that users may not give.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "header {name:?} is reserved: names that begin with `kafkaesk-` are kafkaesk's own; choose another (an event's own identity is set as its id)"
)]
pub struct ReservedHeader {
    /// The refused name.
    pub name: String,
}

/// Checks a header name from a user. Every name is allowed, even an empty one (`contract/vectors/headers.json`), unless
/// it begins with [`RESERVED_PREFIX`] in any case of its letters: record headers also become HTTP headers, which do not
/// distinguish `Kafkaesk-Id` from `kafkaesk-id`.
///
/// # Errors
/// [`ReservedHeader`].
pub fn check_user_header(name: &str) -> Result<(), ReservedHeader> {
    let start = name.as_bytes().get(..RESERVED_PREFIX.len());
    if start.is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX.as_bytes())) {
        return Err(ReservedHeader {
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// A record's headers in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Option<Bytes>)>);

impl Headers {
    /// No headers; allocates nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header at the end; headers with the same name stay.
    pub fn push(&mut self, name: impl Into<String>, value: Option<Bytes>) {
        self.0.push((name.into(), value));
    }

    /// The value of the last header of a name, as Kafka's own `lastHeader` finds it; `None` when that one is null.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .and_then(|(_, value)| value.as_ref())
    }

    /// The last value of a name, if it is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// The event's own identity, if it carries one that is text.
    pub fn id(&self) -> Option<&str> {
        self.get_str(ID)
    }

    /// The trace context to carry on: the last `traceparent` and every `tracestate`, in their order.
    /// Empty without a `traceparent`, since a `tracestate` alone means nothing. Values are handed on as they are.
    pub fn trace(&self) -> Headers {
        let mut trace = Headers::new();
        if let Some(parent) = self.get(TRACEPARENT) {
            trace.push(TRACEPARENT, Some(parent.clone()));
            for (name, value) in &self.0 {
                if name == TRACESTATE && value.is_some() {
                    trace.push(TRACESTATE, value.clone());
                }
            }
        }
        trace
    }

    /// These headers with another trace in place of theirs: no `traceparent` and `tracestate` but those of `trace`, at the
    /// end.
    #[must_use]
    pub fn with_trace(&self, trace: &Headers) -> Headers {
        let own = self.0.iter();
        let own = own.filter(|(name, _)| name != TRACEPARENT && name != TRACESTATE);
        Self(own.chain(&trace.0).cloned().collect())
    }

    /// All in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&Bytes>)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref()))
    }

    /// The bytes of all names and values; every bound on headers uses this measure.
    pub fn bytes(&self) -> usize {
        self.0
            .iter()
            .map(|(name, value)| name.len() + value.as_ref().map_or(0, Bytes::len))
            .sum()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>> FromIterator<(N, Option<Bytes>)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, Option<Bytes>)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(n, v)| (n.into(), v)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, Option<&'static str>)]) -> Headers {
        all.iter()
            .map(|(n, v)| (*n, v.map(|v| Bytes::from_static(v.as_bytes()))))
            .collect()
    }

    #[test]
    fn our_own_names_are_refused_to_users_in_any_case() {
        for reserved in ["kafkaesk-id", "kafkaesk-", "Kafkaesk-Id", "KAFKAESK-x"] {
            assert!(check_user_header(reserved).is_err(), "{reserved}");
        }
        for free in ["kafkaesk", "traceparent", "", "x-kafkaesk-id", "kafkaesk–é"] {
            assert!(check_user_header(free).is_ok(), "{free}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_name_counts() {
        let all = headers(&[("a", Some("1")), ("b", None), ("a", Some("2"))]);
        assert_eq!(all.get_str("a"), Some("2"));
        assert_eq!(all.get("b"), None);
        assert_eq!(all.len(), 3);
        assert_eq!(headers(&[("a", Some("1")), ("a", None)]).get("a"), None);
    }

    #[test]
    fn bytes_are_those_of_names_and_values() {
        assert_eq!(headers(&[("ab", Some("123")), ("c", None)]).bytes(), 6);
    }

    #[test]
    fn a_trace_goes_on_with_parent_and_state_and_nothing_else() {
        let all = headers(&[
            ("tracestate", Some("a=1")),
            ("source", Some("import")),
            ("traceparent", Some("00-x")),
            ("tracestate", Some("b=2")),
        ]);
        let trace = headers(&[
            ("traceparent", Some("00-x")),
            ("tracestate", Some("a=1")),
            ("tracestate", Some("b=2")),
        ]);
        assert_eq!(all.trace(), trace);
        assert!(headers(&[("tracestate", Some("a=1"))]).trace().is_empty());
    }

    #[test]
    fn another_trace_stands_for_the_whole_trace_and_for_nothing_else() {
        let all = headers(&[
            ("tracestate", Some("a=1")),
            ("source", Some("import")),
            ("traceparent", None),
            ("source", None),
        ]);
        let trace = headers(&[("traceparent", Some("00-y"))]);
        let expected = headers(&[
            ("source", Some("import")),
            ("source", None),
            ("traceparent", Some("00-y")),
        ]);
        assert_eq!(all.with_trace(&trace), expected);
    }
}
