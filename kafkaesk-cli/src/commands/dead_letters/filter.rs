//! Input: the options that select dead letters. Output: a filter, or the mistake in an option.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, builder::PossibleValuesParser};
use kafkaesk_client::dead_letters::Filter;
use kafkaesk_core::{Offset, Pattern, Reason, SchemaId, SchemaName, span::parse_span, timestamp};

use crate::errors::Usage;

/// Selects dead letters: every given option must match.
#[derive(Args, Clone, Debug, Default)]
#[non_exhaustive]
pub struct FilterArguments {
    /// The consumer group, as in kafkaesk.toml; not needed if that has only one group
    pub group: Option<String>,
    /// Only those that came from these streams: a stream id or a pattern (quote it from the shell)
    #[arg(long, value_name = "PATTERN")]
    pub stream: Option<String>,
    /// Only those of this schema, or of this version of it
    #[arg(long, value_name = "NAME[:VERSION]")]
    pub schema: Option<String>,
    /// Only those that were given up for this reason
    #[arg(long, value_name = "WORD", value_parser = PossibleValuesParser::new(Reason::ALL.map(Reason::as_str)))]
    pub reason: Option<String>,
    /// Only those that were given up since then: a span such as 2h, or a time such as 2026-11-24T10:00:00Z
    #[arg(long, value_name = "SPAN|TIME")]
    pub since: Option<String>,
    /// Only those with this key
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub key: Option<String>,
    /// Only the one at this place of the topic of dead letters, as `list` shows it
    #[arg(long, value_name = "PARTITION@OFFSET")]
    pub offset: Option<String>,
}

impl FilterArguments {
    /// Whether anything is asked for.
    pub(super) fn is_given(&self) -> bool {
        let given = [
            &self.stream,
            &self.schema,
            &self.reason,
            &self.since,
            &self.key,
            &self.offset,
        ];
        given.into_iter().any(Option::is_some)
    }

    /// The filter.
    ///
    /// # Errors
    /// [`Usage`] for an option that makes no sense.
    pub(super) fn filter(&self) -> Result<Filter, Usage> {
        let stream = self.stream.as_deref().map(Pattern::new).transpose();
        Ok(Filter {
            stream: stream.map_err(Usage::of)?,
            schema: self.schema.as_deref().map(schema).transpose()?,
            reason: self.reason.as_deref().and_then(Reason::parse),
            since: self.since.as_deref().map(since).transpose()?,
            key: self.key.clone(),
            place: self.offset.as_deref().map(place).transpose()?,
        })
    }
}

fn schema(text: &str) -> Result<String, Usage> {
    match text.contains(':') {
        true => text.parse::<SchemaId>().map(drop).map_err(Usage::of)?,
        false => SchemaName::new(text).map(drop).map_err(Usage::of)?,
    }
    Ok(text.to_owned())
}

fn since(text: &str) -> Result<i64, Usage> {
    if let Ok(span) = parse_span(text) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let back = now.unwrap_or_default().saturating_sub(span);
        return Ok(i64::try_from(back.as_millis()).unwrap_or(i64::MAX));
    }
    timestamp::parse(text).ok_or_else(|| {
        Usage(format!(
            "--since {text:?} is neither a span such as `2h` nor a time such as `2026-11-24T10:00:00Z`"
        ))
    })
}

fn place(text: &str) -> Result<(i32, Offset), Usage> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.split_once('@')
        .filter(|(partition, offset)| digits(partition) && digits(offset))
        .and_then(|(partition, offset)| {
            Some((partition.parse().ok()?, Offset(offset.parse().ok()?)))
        })
        .ok_or_else(|| {
            Usage(format!(
                "--offset {text:?} names no place; write PARTITION@OFFSET as `dead-letters list` shows it, such as 3@17"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_two_numbers() {
        assert_eq!(place("3@17").unwrap(), (3, Offset(17)));
        for wrong in [
            "",
            "3",
            "3@",
            "@17",
            "-1@2",
            "3@+1",
            "3@1@2",
            "a[3]@17",
            "3@9223372036854775808",
        ] {
            assert!(
                place(wrong).unwrap_err().0.contains("PARTITION@OFFSET"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn since_is_a_span_back_or_a_time() {
        assert_eq!(since("1970-01-01T00:00:01Z").unwrap(), 1000);
        let (hour, minute) = (since("1h").unwrap(), since("1m").unwrap());
        assert!((3_530_000..3_550_000).contains(&(minute - hour)));
        for wrong in ["", "yesterday", "2026-11-24", "-1h"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_schema_is_a_name_or_an_id() {
        assert_eq!(schema("Order").unwrap(), "Order");
        assert_eq!(schema("Order:2").unwrap(), "Order:2");
        for wrong in ["", "Order:", "Order:0", "Or der", ":1"] {
            assert!(schema(wrong).is_err(), "{wrong}");
        }
    }
}
