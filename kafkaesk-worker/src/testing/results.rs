//! Every attempt's end in, the last word on each message out. Cuts retries short: no waiting, three attempts.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    outcome::Outcome,
    watch::{Attempted, Observer},
};

/// How often a message is tried in a test.
pub(super) const ATTEMPTS: u32 = 3;

/// Which message of which subscription: group, pattern, topic, partition, offset.
pub(super) type Place = (String, String, String, i32, i64);

/// How a message ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// The error behind its last attempt, if it was given up for it.
    pub(super) failed: Option<String>,
    pub(super) attempts: u32,
}

/// What became of every message.
#[derive(Debug, Default)]
pub(super) struct Results {
    ended: Mutex<HashMap<Place, Ended>>,
    /// Told of every end, and of the application's start.
    pub(super) changed: Notify,
}

impl Results {
    pub(super) fn of(&self, place: &Place) -> Option<Ended> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.get(place).cloned()
    }
}

impl Observer for Results {
    fn attempted(&self, attempted: &Attempted<'_>) -> Option<Duration> {
        let delivery = attempted.delivery;
        if attempted.again.is_some() && delivery.attempt() < ATTEMPTS {
            return Some(Duration::ZERO);
        }
        let record = delivery.record();
        let place = (
            delivery.group().to_owned(),
            delivery.context().pattern.clone(),
            record.topic().to_owned(),
            record.partition(),
            record.offset.0,
        );
        let ended = Ended {
            outcome: attempted.outcome.clone(),
            failed: attempted
                .again
                .and(attempted.error)
                .map(std::borrow::ToOwned::to_owned),
            attempts: delivery.attempt(),
        };
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place, ended);
        self.changed.notify_waiters();
        None
    }
}
