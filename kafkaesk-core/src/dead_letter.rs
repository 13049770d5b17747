//! Dead letters: the headers with the origin of a given-up message and the reason, and the markers that settle it.
//!
//! A dead letter is the record byte for byte, with headers `kafkaesk-dead-…` behind its own (contract/README.md, "Dead
//! letters"). Where a name repeats, the last header counts.

use bytes::Bytes;
use thiserror::Error;

use crate::{Headers, Offset, TopicName, timestamp};

/// The prefix of all headers in this section of the contract.
pub const PREFIX: &str = "kafkaesk-dead-";
/// The origin's whole topic name.
pub const TOPIC: &str = "kafkaesk-dead-topic";
/// The origin's partition, in decimal.
pub const PARTITION: &str = "kafkaesk-dead-partition";
/// The origin's offset, in decimal.
pub const OFFSET: &str = "kafkaesk-dead-offset";
/// The origin's timestamp, RFC 3339 in UTC; absent where the record has none, or one before 1970.
pub const TIMESTAMP: &str = "kafkaesk-dead-timestamp";
/// The consumer group, as sent to Kafka.
pub const GROUP: &str = "kafkaesk-dead-group";
/// The schema id; absent where the record holds no event.
pub const SCHEMA: &str = "kafkaesk-dead-schema";
/// One of the words of [`Reason`].
pub const REASON: &str = "kafkaesk-dead-reason";
/// The error with its sources, [`MAX_ERROR`] bytes at most.
pub const ERROR: &str = "kafkaesk-dead-error";
/// How many attempts there were, in decimal.
pub const ATTEMPTS: &str = "kafkaesk-dead-attempts";
/// When the first failed attempt ended, RFC 3339 in UTC.
pub const FIRST: &str = "kafkaesk-dead-first";
/// When the last attempt ended, RFC 3339 in UTC.
pub const LAST: &str = "kafkaesk-dead-last";
/// How often the message was redriven, in decimal; absent for 0.
pub const REDRIVEN: &str = "kafkaesk-dead-redriven";
/// Of a marker: the offset of the dead letter that it settles, in the marker's own partition.
pub const SETTLES: &str = "kafkaesk-dead-settles";
/// Of a marker: one of the words of [`SettledBy`].
pub const SETTLED_BY: &str = "kafkaesk-dead-settled-by";

/// How many bytes of an error a dead letter keeps.
pub const MAX_ERROR: usize = 2048;
/// How many bytes the headers of a dead letter add to a record at most, about: names, numbers, topic, group, error.
pub const MAX_BYTES: usize = 64 * 1024;

/// Why a message was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// Its handler rejected it.
    Rejected,
    /// It used up its attempts.
    Attempts,
    /// It does not fit its handler, or its schema.
    Mismatch,
    /// The record holds no event.
    NoEvent,
    /// It was redriven, and no subscription of the group takes its stream any more.
    Unroutable,
    /// A person moved it here.
    Skipped,
}

impl Reason {
    /// All of them, in the order in which help and errors name them.
    pub const ALL: [Self; 6] = [
        Self::Rejected,
        Self::Attempts,
        Self::Mismatch,
        Self::NoEvent,
        Self::Unroutable,
        Self::Skipped,
    ];

    /// The word in the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Attempts => "attempts",
            Self::Mismatch => "mismatch",
            Self::NoEvent => "no-event",
            Self::Unroutable => "unroutable",
            Self::Skipped => "skipped",
        }
    }

    /// The reason of a word; `None` for any other text.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The origin and the failure of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The whole topic name of the record.
    pub topic: TopicName,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp, in milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// The consumer group that gave it up, as sent to Kafka.
    pub group: String,
    /// Its schema id, if it holds an event.
    pub schema: Option<String>,
    /// Why it was given up.
    pub reason: Reason,
    /// The error with its sources. Cut to [`MAX_ERROR`] bytes in the header.
    pub error: String,
    /// How many attempts there were since it was last read.
    pub attempts: u32,
    /// When the first failed attempt ended, in milliseconds since the Unix epoch.
    pub first: Option<i64>,
    /// When the last attempt ended.
    pub last: Option<i64>,
    /// How often it was redriven before.
    pub redriven: u32,
}

/// Why headers are not those of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeadLetterError {
    /// A required header is absent, or is not UTF-8.
    #[error(
        "header `{0}` is absent or not UTF-8, so the record is not a dead letter that kafkaesk wrote"
    )]
    Absent(&'static str),
    /// A header has an invalid value.
    #[error("header `{header}` is {value:?}; expected {expected}")]
    Value {
        /// The header.
        header: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl DeadLetter {
    /// Reads it from a dead letter's headers.
    ///
    /// # Errors
    /// [`DeadLetterError`] for the first header that is absent or wrong. `timestamp`, `schema`, `first`, `last` and
    /// `redriven` may be absent.
    pub fn read(headers: &Headers) -> Result<Self, DeadLetterError> {
        let text = |header| {
            headers
                .get_str(header)
                .ok_or(DeadLetterError::Absent(header))
        };
        let topic = text(TOPIC)?;
        let reason = text(REASON)?;
        Ok(Self {
            topic: TopicName::new(topic).map_err(|_| wrong(TOPIC, topic, "a topic's name"))?,
            partition: number(PARTITION, text(PARTITION)?)?,
            offset: Offset(number(OFFSET, text(OFFSET)?)?),
            timestamp: time(headers, TIMESTAMP)?,
            group: text(GROUP)?.to_owned(),
            schema: headers.get_str(SCHEMA).map(str::to_owned),
            reason: Reason::parse(reason).ok_or_else(|| {
                wrong(
                    REASON,
                    reason,
                    "rejected, attempts, mismatch, no-event, unroutable or skipped",
                )
            })?,
            error: text(ERROR)?.to_owned(),
            attempts: number(ATTEMPTS, text(ATTEMPTS)?)?,
            first: time(headers, FIRST)?,
            last: time(headers, LAST)?,
            redriven: match headers.get_str(REDRIVEN) {
                Some(count) => number(REDRIVEN, count)?,
                None => 0,
            },
        })
    }

    /// The headers of the dead letter: first those of the record, then the ones with its origin and failure.
    pub fn write(&self, record: &Headers) -> Headers {
        let mut headers = record.clone();
        let mut push = |name: &str, value: String| {
            headers.push(name, Some(Bytes::from(value)));
        };
        push(TOPIC, self.topic.to_string());
        push(PARTITION, self.partition.to_string());
        push(OFFSET, self.offset.0.to_string());
        let times = [
            (TIMESTAMP, self.timestamp),
            (FIRST, self.first),
            (LAST, self.last),
        ];
        for (name, time) in times {
            if let Some(text) = time.and_then(timestamp::format) {
                push(name, text);
            }
        }
        push(GROUP, self.group.clone());
        if let Some(schema) = &self.schema {
            push(SCHEMA, schema.clone());
        }
        push(REASON, self.reason.as_str().to_owned());
        push(ERROR, cut(&self.error).into_owned());
        push(ATTEMPTS, self.attempts.to_string());
        if self.redriven > 0 {
            push(REDRIVEN, self.redriven.to_string());
        }
        headers
    }

    /// The headers of the redriven copy: those of the dead letter, with the count of redrives increased by one.
    pub fn redrive(&self, letter: &Headers) -> Headers {
        let mut headers = letter.clone();
        let count = self.redriven.saturating_add(1).to_string();
        headers.push(REDRIVEN, Some(Bytes::from(count)));
        headers
    }
}

/// The start of the header names by which Spring Kafka marks dead letters
/// (`org.springframework.kafka.support.KafkaHeaders`).
pub const SPRING_PREFIX: &str = "kafka_dlt-";

/// The same as headers of Spring Kafka's `DeadLetterPublishingRecoverer`, which existing consoles show. Its numbers are
/// big-endian bytes.
pub fn spring_headers(letter: &DeadLetter) -> Vec<(&'static str, Bytes)> {
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let mut headers = vec![
        ("kafka_dlt-original-topic", text(letter.topic.as_str())),
        (
            "kafka_dlt-original-partition",
            bytes_of(letter.partition.to_be_bytes()),
        ),
        (
            "kafka_dlt-original-offset",
            bytes_of(letter.offset.0.to_be_bytes()),
        ),
        ("kafka_dlt-original-consumer-group", text(&letter.group)),
        ("kafka_dlt-exception-fqcn", text(letter.reason.as_str())),
        ("kafka_dlt-exception-message", text(&cut(&letter.error))),
    ];
    if let Some(millis) = letter.timestamp {
        headers.push((
            "kafka_dlt-original-timestamp",
            bytes_of(millis.to_be_bytes()),
        ));
        headers.push(("kafka_dlt-original-timestamp-type", text("CreateTime")));
    }
    headers
}

fn bytes_of<const N: usize>(bytes: [u8; N]) -> Bytes {
    Bytes::copy_from_slice(&bytes)
}

/// The headers of the record that became a dead letter: without all that begin with [`PREFIX`].
pub fn original(headers: &Headers) -> Headers {
    headers
        .iter()
        .filter(|(name, _)| !name.starts_with(PREFIX))
        .map(|(name, value)| (name, value.cloned()))
        .collect()
}

/// A marker in the topic of dead letters: the dead letter at this offset of the marker's own partition is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The dead letter's offset.
    pub offset: Offset,
    /// What settled it.
    pub by: SettledBy,
}

/// What settles a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettledBy {
    /// A copy was written to the group's retry topic, in the same transaction.
    Redrive,
    /// A person discarded it (`purge`).
    Purge,
}

impl SettledBy {
    /// The word in the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Purge => "purge",
        }
    }
}

impl Settlement {
    /// Reads it from a record's headers; `None` for a record that is not a marker.
    ///
    /// # Errors
    /// [`DeadLetterError`] for a marker whose headers are wrong.
    pub fn read(headers: &Headers) -> Result<Option<Self>, DeadLetterError> {
        let Some(offset) = headers.get_str(SETTLES) else {
            return Ok(None);
        };
        let by = headers
            .get_str(SETTLED_BY)
            .ok_or(DeadLetterError::Absent(SETTLED_BY))?;
        Ok(Some(Self {
            offset: Offset(number(SETTLES, offset)?),
            by: [SettledBy::Redrive, SettledBy::Purge]
                .into_iter()
                .find(|known| known.as_str() == by)
                .ok_or_else(|| wrong(SETTLED_BY, by, "redrive or purge"))?,
        }))
    }

    /// The marker's headers. Its key and value are null.
    pub fn write(&self) -> Headers {
        [
            (SETTLES, self.offset.0.to_string()),
            (SETTLED_BY, self.by.as_str().to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name, Some(Bytes::from(value))))
        .collect()
    }
}

/// The first [`MAX_ERROR`] bytes, whole characters, with `…` behind a text that was longer.
fn cut(error: &str) -> std::borrow::Cow<'_, str> {
    const MARK: &str = "…";
    if error.len() <= MAX_ERROR {
        return error.into();
    }
    let most = MAX_ERROR - MARK.len();
    let end = (0..=most).rev().find(|at| error.is_char_boundary(*at));
    format!("{}{MARK}", &error[..end.unwrap_or(0)]).into()
}

fn wrong(header: &'static str, value: &str, expected: &'static str) -> DeadLetterError {
    DeadLetterError::Value {
        header,
        value: crate::brief(value).into_owned(),
        expected,
    }
}

/// A number of digits alone, as [`DeadLetter::write`] writes it.
fn number<T: std::str::FromStr>(header: &'static str, text: &str) -> Result<T, DeadLetterError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| {
        wrong(
            header,
            text,
            "a number that is not negative, in decimal digits",
        )
    })
}

fn time(headers: &Headers, header: &'static str) -> Result<Option<i64>, DeadLetterError> {
    let Some(text) = headers.get_str(header) else {
        return Ok(None);
    };
    let millis = timestamp::parse(text);
    millis
        .map(Some)
        .ok_or_else(|| wrong(header, text, "a time such as 2026-11-24T10:00:00.123Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            topic: TopicName::new("shop.orders").unwrap(),
            partition: 3,
            offset: Offset(42),
            timestamp: Some(1_700_000_000_123),
            group: "billing".to_owned(),
            schema: Some("Order:1".to_owned()),
            reason: Reason::Attempts,
            error: "no such customer".to_owned(),
            attempts: 20,
            first: Some(1_700_000_001_000),
            last: Some(1_700_000_300_000),
            redriven: 0,
        }
    }

    fn of(all: &[(&str, &str)]) -> Headers {
        all.iter()
            .map(|(name, value)| (*name, Some(Bytes::copy_from_slice(value.as_bytes()))))
            .collect()
    }

    #[test]
    fn what_is_written_is_read_again_and_the_records_own_headers_stay_first() {
        let own = of(&[("kafkaesk-id", "7"), ("source", "import")]);
        for reason in Reason::ALL {
            let letter = DeadLetter { reason, ..letter() };
            let headers = letter.write(&own);
            assert_eq!(DeadLetter::read(&headers), Ok(letter));
            assert_eq!(original(&headers), own);
            assert_eq!(headers.iter().next().unwrap().0, "kafkaesk-id");
            assert_eq!(Settlement::read(&headers), Ok(None));
        }
        let bare = DeadLetter {
            timestamp: None,
            schema: None,
            first: None,
            last: None,
            ..letter()
        };
        assert_eq!(DeadLetter::read(&bare.write(&Headers::new())), Ok(bare));
    }

    #[test]
    fn a_redriven_letter_counts_and_keeps_its_origin() {
        let (mut read, mut headers) = (letter(), letter().write(&Headers::new()));
        for count in 1..=3 {
            headers = read.redrive(&headers);
            read = DeadLetter::read(&headers).unwrap();
            assert_eq!(read.redriven, count);
            assert_eq!((read.partition, read.offset), (3, Offset(42)));
        }
    }

    #[test]
    fn an_error_is_cut_at_a_character_within_its_bound() {
        for text in ["x".repeat(5000), "ü".repeat(5000), "x".repeat(MAX_ERROR)] {
            let letter = DeadLetter {
                error: text.clone(),
                ..letter()
            };
            let read = DeadLetter::read(&letter.write(&Headers::new())).unwrap();
            assert!(read.error.len() <= MAX_ERROR);
            assert!(read.error.len() > MAX_ERROR - 8);
            assert_eq!(read.error.ends_with('…'), text.len() > MAX_ERROR);
        }
    }

    #[test]
    fn a_header_that_is_absent_or_wrong_is_named() {
        let good = letter().write(&Headers::new());
        for required in [TOPIC, PARTITION, OFFSET, GROUP, REASON, ERROR, ATTEMPTS] {
            let without: Headers = good
                .iter()
                .filter(|(name, _)| *name != required)
                .map(|(name, value)| (name, value.cloned()))
                .collect();
            let error = DeadLetter::read(&without).unwrap_err();
            assert!(error.to_string().contains(required), "{error}");
        }
        for (header, value) in [
            (TOPIC, "a b"),
            (PARTITION, "-1"),
            (PARTITION, "+1"),
            (OFFSET, ""),
            (OFFSET, "9223372036854775808"),
            (TIMESTAMP, "yesterday"),
            (REASON, "Rejected"),
            (ATTEMPTS, "many"),
            (FIRST, "2026"),
            (REDRIVEN, "x"),
        ] {
            let mut headers = good.clone();
            headers.push(header, Some(Bytes::from_static(value.as_bytes())));
            let error = DeadLetter::read(&headers).unwrap_err();
            assert!(
                error.to_string().contains(header),
                "{header} {value}: {error}"
            );
        }
    }

    #[test]
    fn a_console_for_spring_finds_the_origin() {
        let spring: Headers = spring_headers(&letter())
            .into_iter()
            .map(|(name, value)| (name, Some(value)))
            .collect();
        let get = |name: &str| spring.get(&format!("kafka_dlt-{name}")).unwrap().to_vec();
        assert_eq!(get("original-topic"), b"shop.orders");
        assert_eq!(get("original-partition"), [0, 0, 0, 3]);
        assert_eq!(get("original-offset"), [0, 0, 0, 0, 0, 0, 0, 42]);
        assert_eq!(get("original-consumer-group"), b"billing");
        assert_eq!(get("exception-message"), b"no such customer");
        assert!(
            spring
                .iter()
                .all(|(name, _)| name.starts_with(SPRING_PREFIX))
        );
    }

    #[test]
    fn a_marker_names_the_letter_that_it_settles_and_by_what() {
        for by in [SettledBy::Redrive, SettledBy::Purge] {
            let marker = Settlement {
                offset: Offset(7),
                by,
            };
            assert_eq!(Settlement::read(&marker.write()), Ok(Some(marker)));
        }
        for wrong in [
            of(&[(SETTLES, "7")]),
            of(&[(SETTLES, "x"), (SETTLED_BY, "purge")]),
            of(&[(SETTLES, "7"), (SETTLED_BY, "rain")]),
        ] {
            assert!(Settlement::read(&wrong).is_err(), "{wrong:?}");
        }
    }
}
