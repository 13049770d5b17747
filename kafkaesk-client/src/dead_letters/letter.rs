//! Letter: what one record of a topic of dead letters is: a dead letter, a marker that settles one, or neither.

use kafkaesk_core::{
    DeadLetter, DeadLetterError, Record, SettledBy, Settlement, Unreadable, dead_letter::TOPIC,
};
use thiserror::Error;

/// One record of a topic of dead letters that is not a marker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Letter {
    /// The record as it stands in the topic of dead letters: its place there, key, value and all headers.
    pub record: Record,
    /// Its origin and reason, or why they are unknown.
    pub origin: Result<DeadLetter, NotADeadLetter>,
    /// What settled it, if it was.
    pub settled: Option<SettledBy>,
}

/// Why a record in the topic is not a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotADeadLetter {
    /// Its headers say no origin.
    #[error(transparent)]
    Headers(#[from] DeadLetterError),
    /// It could not be taken over whole.
    #[error("{0}")]
    Unreadable(Unreadable),
}

/// What a record of the topic is.
#[derive(Debug)]
pub(super) enum Kind {
    Marker(Settlement),
    Letter(Result<DeadLetter, NotADeadLetter>),
}

impl Kind {
    /// A record that names an origin is a letter, whatever its other headers: the original message may have had a
    /// marker's headers.
    pub(super) fn of(record: &Record) -> Self {
        if let Some(unreadable) = &record.unreadable {
            let unreadable = unreadable.as_ref().clone();
            return Self::Letter(Err(NotADeadLetter::Unreadable(unreadable)));
        }
        let empty = record.key.is_none() && record.value.is_none();
        if empty && record.headers.get(TOPIC).is_none() {
            match Settlement::read(&record.headers) {
                Ok(Some(settlement)) => return Self::Marker(settlement),
                Ok(None) => {}
                Err(error) => return Self::Letter(Err(error.into())),
            }
        }
        Self::Letter(DeadLetter::read(&record.headers).map_err(Into::into))
    }
}
