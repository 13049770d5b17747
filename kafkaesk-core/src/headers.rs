//! Record headers: an ordered list, as Kafka keeps them. A name may repeat, a value may be null.

use bytes::Bytes;

/// Headers that begin so are kafkaesk's; user headers may not.
pub const RESERVED_PREFIX: &str = "kafkaesk-";
/// The event's own identity, kept by copies.
pub const ID: &str = "kafkaesk-id";
/// W3C Trace Context: <https://www.w3.org/TR/trace-context/>.
pub const TRACEPARENT: &str = "traceparent";
/// W3C Trace Context, vendor part.
pub const TRACESTATE: &str = "tracestate";

/// A record's headers in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Option<Bytes>)>);

impl Headers {
    /// No headers; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one behind the others; an equal name is kept as well.
    pub fn push(&mut self, name: impl Into<String>, value: Option<Bytes>) {
        self.0.push((name.into(), value));
    }

    /// The last non-null value of a name, as Kafka's own `lastHeader` reads it.
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

    /// All in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&Bytes>)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref()))
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
