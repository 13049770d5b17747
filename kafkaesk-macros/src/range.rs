//! Version ranges: reads `accepts = "1..=2"` as its two bounds.

use kafkaesk_core::schema_id::MAX_VERSION;
use syn::{Error, LitInt, LitStr, Result, parse::ParseStream};

const WANTED: &str =
    "versions are `\"1..=2\"`, `\"2..\"`, `\"..=3\"` or one version, each from 1 to 2147483647";

/// Which versions a type takes.
pub(crate) struct VersionRange {
    literal: LitStr,
    low: u32,
    high: u32,
}

impl VersionRange {
    pub(crate) fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(LitInt) {
            let one: LitInt = input.parse()?;
            return Self::of(LitStr::new(one.base10_digits(), one.span()));
        }
        let literal = input
            .parse()
            .map_err(|error: Error| Error::new(error.span(), WANTED))?;
        Self::of(literal)
    }

    fn of(literal: LitStr) -> Result<Self> {
        match bounds(literal.value().trim()) {
            Some((low, high)) => Ok(Self { literal, low, high }),
            None => Err(Error::new(literal.span(), WANTED)),
        }
    }

    /// The bounds, both included; an error unless the type's own version lies between them.
    pub(crate) fn bounds_around(&self, version: u32) -> Result<(u32, u32)> {
        if (self.low..=self.high).contains(&version) {
            return Ok((self.low, self.high));
        }
        Err(Error::new(
            self.literal.span(),
            format!("these versions leave out {version}, which the type itself is"),
        ))
    }
}

fn bounds(text: &str) -> Option<(u32, u32)> {
    let (low, high) = match text.split_once("..") {
        None => (version(text)?, version(text)?),
        Some((low, high)) => {
            let low = if low.is_empty() { 1 } else { version(low)? };
            let high = match high.strip_prefix('=') {
                Some(high) => version(high)?,
                // A half-open range would be read wrongly by half of its readers.
                None if high.is_empty() => MAX_VERSION,
                None => return None,
            };
            (low, high)
        }
    };
    (low <= high).then_some((low, high))
}

fn version(text: &str) -> Option<u32> {
    text.trim()
        .parse()
        .ok()
        .filter(|version| (1..=MAX_VERSION).contains(version))
}
