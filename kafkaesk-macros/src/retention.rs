//! `retention = …`: reads `"24h"`, `"7d"` or a number of seconds, as milliseconds.

use kafkaesk_core::span::parse_span;
use syn::{Error, LitInt, LitStr, Result, parse::ParseStream};

const WANTED: &str = "retention is seconds as a number, or a whole number with `ms`, `s`, `m`, `h`, `d` or `w`, as in `retention = \"24h\"`";

/// At least one millisecond.
pub(crate) fn parse(input: ParseStream<'_>) -> Result<u64> {
    let (text, span) = if input.peek(LitInt) {
        let seconds: LitInt = input.parse()?;
        (seconds.base10_digits().to_owned(), seconds.span())
    } else {
        let text: LitStr = input
            .parse()
            .map_err(|error| Error::new(error.span(), WANTED))?;
        (text.value(), text.span())
    };
    parse_span(&text)
        .ok()
        .and_then(|span| u64::try_from(span.as_millis()).ok())
        .filter(|millis| *millis > 0)
        .ok_or_else(|| Error::new(span, WANTED))
}
