//! Results: remembers how each message ended, from the end of each attempt.

use std::{collections::HashMap, num::NonZeroU32};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    judge::Disposition,
    outcome::Outcome,
    telemetry::{AttemptEnded, Telemetry},
};

/// How often a message is tried in a test.
pub(super) const ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).unwrap();

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
    /// Notified of every end, and of the application's start.
    pub(super) changed: Notify,
}

impl Results {
    pub(super) fn of(&self, place: &Place) -> Option<Ended> {
        self.ended.lock().get(place).cloned()
    }
}

impl Telemetry for Results {
    fn attempt_ended(&self, attempt: &AttemptEnded<'_>) {
        let delivery = attempt.delivery;
        let gave_up = match attempt.disposition {
            Disposition::Retry(_) => return,
            // What is unavailable is tried for ever; a test has its answer after as many attempts as elsewhere.
            Disposition::Pause(..) if delivery.attempt() < ATTEMPTS.get() => return,
            Disposition::Pause(..) | Disposition::Exhausted => true,
            Disposition::Finish | Disposition::Stop => false,
        };
        let record = delivery.record();
        let place = (
            delivery.group().to_owned(),
            delivery.context().pattern.clone(),
            record.topic().to_owned(),
            record.partition(),
            record.offset.0,
        );
        let ended = Ended {
            outcome: attempt.outcome.clone(),
            failed: attempt
                .error
                .filter(|_| gave_up)
                .map(std::borrow::ToOwned::to_owned),
            attempts: delivery.attempt(),
        };
        self.ended.lock().insert(place, ended);
        self.changed.notify_waiters();
    }
}
