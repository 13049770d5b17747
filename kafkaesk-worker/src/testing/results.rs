//! Results: remembers how each message ended, from the end of each attempt.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
};

use kafkaesk_core::Reason;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    Commit,
    delivery::Delivery,
    outcome::{Disposition, Outcome},
    telemetry::{AttemptEnded, Telemetry},
};

/// How often a test tries a message that a worker would hold for ever.
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
    /// It became a dead letter.
    pub(super) is_dead: bool,
}

/// What became of every message.
#[derive(Debug, Default)]
pub(super) struct Results {
    ended: Mutex<HashMap<Place, Ended>>,
    /// Ended, but the dead letter is not written yet.
    given_up: Mutex<HashMap<Place, Ended>>,
    /// In custody: the handler has returned, and nothing is known of the end.
    kept: Mutex<HashSet<Place>>,
    /// Notified of every end, and of the application's start.
    pub(super) changed: Notify,
}

impl Results {
    pub(super) fn of(&self, place: &Place) -> Option<Ended> {
        self.ended.lock().get(place).cloned()
    }
}

impl Results {
    /// Whether a message is in custody.
    pub(super) fn is_kept(&self, place: &Place) -> bool {
        self.kept.lock().contains(place)
    }
}

impl Telemetry for Results {
    fn kept(&self, delivery: &Delivery) {
        self.kept.lock().insert(place(delivery));
        self.changed.notify_waiters();
    }

    fn attempt_ended(&self, attempt: &AttemptEnded<'_>) {
        let delivery = attempt.delivery;
        if delivery.context().options.commit == Commit::Manual {
            self.kept.lock().remove(&place(delivery));
        }
        let gave_up = match attempt.disposition {
            Disposition::Retry { .. } => return,
            // A worker tries an unavailable dependency for ever; a test ends after the usual number of attempts.
            Disposition::Pause(..) if delivery.attempt() < ATTEMPTS.get() => return,
            Disposition::Pause(..) | Disposition::Exhausted => true,
            Disposition::DeadLetter(letter) => letter.reason == Reason::Attempts,
            Disposition::Finish | Disposition::Stop => false,
        };
        let is_dead = matches!(attempt.disposition, Disposition::DeadLetter(_));
        let ended = Ended {
            outcome: attempt.outcome.clone(),
            failed: attempt
                .error
                .filter(|_| gave_up)
                .map(std::borrow::ToOwned::to_owned),
            attempts: delivery.attempt(),
            is_dead,
        };
        if is_dead {
            self.given_up.lock().insert(place(delivery), ended);
        } else {
            self.ended.lock().insert(place(delivery), ended);
            self.changed.notify_waiters();
        }
    }

    fn dead_letter_written(&self, delivery: &Delivery) {
        let place = place(delivery);
        if let Some(ended) = self.given_up.lock().remove(&place) {
            self.ended.lock().insert(place, ended);
            self.changed.notify_waiters();
        }
    }
}

fn place(delivery: &Delivery) -> Place {
    let record = delivery.record();
    (
        delivery.group().to_owned(),
        delivery.context().pattern.clone(),
        record.topic().to_owned(),
        record.partition(),
        record.offset.0,
    )
}
