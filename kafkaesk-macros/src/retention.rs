//! `retention = …`: `"24h"`, `"7d"` or a number of seconds in, milliseconds out.

use syn::{Error, LitInt, LitStr, Result, parse::ParseStream};

const WANTED: &str = "retention is seconds as a number, or a whole number with `ms`, `s`, `m`, `h`, `d` or `w`, as in `retention = \"24h\"`";

/// As kafkaesk-core's `parse_span` reads it; at least one millisecond.
pub(crate) fn parse(input: ParseStream<'_>) -> Result<u64> {
    if input.peek(LitInt) {
        let seconds: LitInt = input.parse()?;
        return seconds
            .base10_parse::<u64>()
            .ok()
            .and_then(|seconds| millis(seconds, 1_000))
            .ok_or_else(|| Error::new(seconds.span(), WANTED));
    }
    let text: LitStr = input
        .parse()
        .map_err(|error| Error::new(error.span(), WANTED))?;
    of_text(&text.value()).ok_or_else(|| Error::new(text.span(), WANTED))
}

fn of_text(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    millis(number.parse().ok()?, unit)
}

fn millis(number: u64, unit: u64) -> Option<u64> {
    number
        .checked_mul(unit)
        .filter(|millis| *millis > 0 && i64::try_from(*millis).is_ok())
}
