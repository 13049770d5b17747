//! Time spans: reads `"24h"`, `"7d"`, or a number of seconds.

use std::time::Duration;

use thiserror::Error;

/// Why a text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a span of time; write seconds as a number, or a whole number with `ms`, `s`, `m`, `h`, `d` or `w`, as in \"24h\""
)]
pub struct SpanError(pub String);

/// Reads `"24h"`, `"7d"`, `"250 ms"`, `"3600"` (seconds): digits, perhaps spaces (U+0020), perhaps a unit.
///
/// # Errors
/// [`SpanError`] for anything else, or a span of more than `i64::MAX` milliseconds.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    let refused = || SpanError(text.to_owned());
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refused())?;
    let millis: u64 = match unit.trim_start_matches(' ') {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err(refused()),
    };
    let total = number
        .checked_mul(millis)
        .filter(|total| i64::try_from(*total).is_ok())
        .ok_or_else(refused)?;
    Ok(Duration::from_millis(total))
}

/// A span for people: its two largest units, `4m 12s`, `2d 3h`.
pub fn rough_span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Writes the shortest text that [`parse_span`] reads back: `7d`, `90m`, `1500ms`.
pub fn format_span(span: Duration) -> String {
    let millis = span.as_millis();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if millis != 0 && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rough_span_has_its_two_largest_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (252, "4m 12s"),
            (7_260, "2h 1m"),
            (183_600, "2d 3h"),
        ] {
            assert_eq!(rough_span(Duration::from_secs(seconds)), text);
        }
    }
}
