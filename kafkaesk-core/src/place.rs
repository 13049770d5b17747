//! Record place: a record's topic, partition and offset as text, `orders.placed[3]@17`.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{NameError, Offset, StreamId};

/// One record of one partition of a stream.
///
/// ```
/// let place: kafkaesk_core::RecordPlace = "orders.placed[3]@17".parse().unwrap();
/// assert_eq!((place.partition, place.offset.0), (3, 17));
/// assert_eq!(place.to_string(), "orders.placed[3]@17");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordPlace {
    /// The stream, without the topic prefix.
    pub stream: StreamId,
    /// The partition's number.
    pub partition: i32,
    /// The record's offset.
    pub offset: Offset,
}

/// Why a text names no record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// It has another form.
    #[error(
        "{text:?} names no record: write STREAM[PARTITION]@OFFSET, such as 'orders.placed[3]@17' (quoted, for the shell)"
    )]
    Form {
        /// The text.
        text: String,
    },
    /// Its stream is not a stream id.
    #[error("{text:?} names no record: {reason}")]
    Stream {
        /// The text.
        text: String,
        /// What is wrong with the stream.
        reason: NameError,
    },
}

impl FromStr for RecordPlace {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let form = || PlaceError::Form {
            text: text.to_owned(),
        };
        let (partition, offset) = text.rsplit_once("]@").ok_or_else(form)?;
        let (stream, partition) = partition.rsplit_once('[').ok_or_else(form)?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<i64>().ok()).flatten()
        };
        Ok(Self {
            stream: StreamId::new(stream).map_err(|reason| PlaceError::Stream {
                text: text.to_owned(),
                reason,
            })?,
            partition: number(partition)
                .and_then(|number| i32::try_from(number).ok())
                .ok_or_else(form)?,
            offset: Offset(number(offset).ok_or_else(form)?),
        })
    }
}

impl fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]@{}", self.stream, self.partition, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_record_is_refused_with_the_form() {
        for text in [
            "",
            "orders",
            "orders[3]",
            "orders@3",
            "orders[]@3",
            "orders[3]@",
            "orders[-1]@3",
            "orders[3]@-1",
            "orders[+3]@1",
            "orders[3] @1",
            "orders[99999999999]@1",
            "orders[3]@99999999999999999999",
        ] {
            let error = text.parse::<RecordPlace>().unwrap_err().to_string();
            assert!(error.contains("STREAM[PARTITION]@OFFSET"), "{error}");
        }
        let error = "__streams__[0]@1".parse::<RecordPlace>().unwrap_err();
        assert!(matches!(error, PlaceError::Stream { .. }), "{error}");
    }
}
