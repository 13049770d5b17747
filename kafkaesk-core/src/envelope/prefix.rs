//! Envelope prefix: the bytes before the data. A reader compares them instead of parsing the envelope.

use crate::{
    SchemaId,
    json::{MAX_DATA_DEPTH, depth_within},
};

/// `{"schema":"Name:1","data":`, made once for each schema id. An envelope is this, the data and `}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopePrefix(Box<[u8]>);

impl EnvelopePrefix {
    /// The bytes before the data.
    pub fn new(schema: &SchemaId) -> Self {
        // A schema id has no character that JSON escapes.
        Self(
            format!("{{\"schema\":\"{schema}\",\"data\":")
                .into_bytes()
                .into(),
        )
    }

    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The fast path: the bytes between this prefix and the last `}`. `None` unless the value begins with the prefix,
    /// ends with `}`, is UTF-8, nests within the contract's bound, and has no white space around the data. So the data
    /// begins right after [`Self::as_bytes`], and ends one byte before the value does.
    ///
    /// The slice is *not validated*. A caller must decode all of it (no trailing bytes), and on an error call
    /// [`Envelope::read`](crate::Envelope::read), which reports the mistake. A caller that does not decode must not use
    /// this: it would accept `{"x":1},"other":2`.
    pub fn strip<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        let data = value.strip_prefix(&*self.0)?.strip_suffix(b"}")?;
        // Decoders skip members without checking UTF-8, so it is checked here: 20 ns for 300 bytes.
        std::str::from_utf8(data).ok()?;
        let bare = !data.first().is_some_and(is_space) && !data.last().is_some_and(is_space);
        (bare && depth_within(data, MAX_DATA_DEPTH)).then_some(data)
    }
}

/// JSON's white space. White space around the data is not part of it; the slow path removes it.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
