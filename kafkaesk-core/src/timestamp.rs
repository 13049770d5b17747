//! Timestamps: converts Kafka's milliseconds to RFC 3339 in UTC, and back. Knows no clock and no time zones.

/// The last millisecond of the year 9999, after which RFC 3339 has no form.
pub const MAX_MILLIS: i64 = 253_402_300_799_999;

const DAY: i64 = 86_400_000;

/// `2026-11-24T10:00:00.123Z`; `None` for a time before 1970 or after [`MAX_MILLIS`].
pub fn format(millis: i64) -> Option<String> {
    if !(0..=MAX_MILLIS).contains(&millis) {
        return None;
    }
    let (year, month, day) = date_of(millis / DAY);
    let rest = millis % DAY;
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1_000 % 60, rest % 1_000);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
    ))
}

/// Reads RFC 3339 with any offset; digits beyond milliseconds are cut. `None` for anything else, for a leap second, and
/// for a time that [`format()`] cannot write.
pub fn parse(text: &str) -> Option<i64> {
    let (date, time) = (text.get(..10)?, text.get(11..)?);
    if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (
        digits(date, 0, 4)?,
        digits(date, 5, 2)?,
        digits(date, 8, 2)?,
    );
    let (hour, minute, second) = (
        digits(time, 0, 2)?,
        digits(time, 3, 2)?,
        digits(time, 6, 2)?,
    );
    let marks = |s: &str, at: [usize; 2], mark| at.iter().all(|i| s.as_bytes()[*i] == mark);
    let days = days_of(year, month, day);
    if !(marks(date, [4, 7], b'-') && marks(time, [2, 5], b':'))
        || date_of(days) != (year, month, day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let mut rest = &time[8..];
    let mut milli = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let cut = fraction.get(..count.min(3)).filter(|s| !s.is_empty())?;
        milli = cut.parse::<i64>().ok()? * [100, 10, 1][cut.len() - 1];
        rest = &fraction[count..];
    }
    let millis = days * DAY + hour * 3_600_000 + minute * 60_000 + second * 1_000 + milli;
    let utc = millis - offset(rest)?;
    (0..=MAX_MILLIS).contains(&utc).then_some(utc)
}

fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hour, minute) = (digits(text, 1, 2)?, digits(text, 4, 2)?);
    (text.len() == 6 && text.as_bytes()[3] == b':' && hour < 24 && minute < 60)
        .then_some(sign * (hour * 60 + minute) * 60_000)
}

fn digits(text: &str, at: usize, count: usize) -> Option<i64> {
    let part = text.get(at..at + count)?;
    part.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| part.parse().ok())?
}

/// Days since 1970 of a date in the Gregorian calendar. Years begin in March here, so that the leap day is the last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 306 + 5) / 10
        + (day - 1)
        - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    // An estimate by the mean length of a year is at most one off, so start one above it.
    let mut year = (days + 719_468) * 400 / 146_097 + 1;
    let first_of_march = |year| days_of(year, 3, 1);
    while first_of_march(year) > days {
        year -= 1;
    }
    let of_year = days - first_of_march(year);
    let month = (of_year * 10 + 5) / 306;
    let day = of_year - (month * 306 + 5) / 10 + 1;
    let month = (month + 2) % 12 + 1;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments_have_their_dates() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (MAX_MILLIS, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format(millis).as_deref(), Some(text));
            assert_eq!(parse(text), Some(millis));
        }
        assert_eq!(format(-1), None);
        assert_eq!(format(MAX_MILLIS + 1), None);
    }

    #[test]
    fn offsets_and_fractions_are_read() {
        assert_eq!(parse("1970-01-01T01:00:00.5+01:00"), Some(500));
        assert_eq!(parse("1969-12-31t23:30:00.123456-00:30"), Some(123));
        assert_eq!(parse("1970-01-01 00:00:01z"), Some(1_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "1970",
            "1970-02-30T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+1:00",
            "1969-12-31T23:59:59Z",
            "1970/01/01T00:00:00Z",
            "1970-01-01T00:00:00Zx",
            "1970-01-01X00:00:00Z",
            "2023-02-29T00:00:00Z",
            "197é-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_comes_back(millis in 0..=MAX_MILLIS) {
            prop_assert_eq!(parse(&format(millis).unwrap()), Some(millis));
        }

        #[test]
        fn days_follow_each_other(days in 0_i64..2_932_896) {
            let (today, tomorrow) = (date_of(days), date_of(days + 1));
            prop_assert!(today < tomorrow);
            prop_assert!(tomorrow.2 == today.2 + 1 || tomorrow.2 == 1);
        }

        #[test]
        fn no_text_panics(text in "[0-9TZtz:.+ é-]{0,30}") {
            let _ = parse(&text);
        }
    }
}
