//! Decides what happens to a message, from how an attempt ended and the subscription's policies: the one place that
//! matches every outcome. `wish` says what the ending asks for; `judge` applies the limits. `judge/log.rs` writes the
//! log lines.
//!
//! Next: `instance/attempts.rs` (`settle`) carries it out.

mod batch;
mod log;

pub(crate) use batch::{OfBatch, of_batch};
pub(crate) use log::{Key, split};

use std::time::{Duration, SystemTime};

use kafkaesk_core::{DeadLetter, Reason};
use tokio::time::Instant;

use crate::{
    HandlerError, OnMismatch, OnNoEvent,
    delivery::Delivery,
    error::Class,
    failures::Failures,
    notices::Notices,
    outcome::{AttemptResult, Disposition, Outcome},
    policy::Policy,
    snapshot::AttemptEnd,
    telemetry::AttemptEnded,
};

/// An ending after the policies were applied to it.
struct Judged {
    outcome: Outcome,
    /// The error behind it, or why the message does not fit.
    error: Option<String>,
    wish: Wish,
}

impl Judged {
    /// The error, or the handler's own words for a rejection.
    fn why(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Reject { reason } => Some(self.error.as_deref().unwrap_or(reason)),
            _ => self.error.as_deref(),
        }
    }
}

/// What an ending asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Finish,
    /// Passed over. `blank`, for a record that holds no event: whether it is null or empty.
    Skip {
        blank: Option<bool>,
    },
    /// A rejected message is logged and passed over; it is kept nowhere.
    Drop(String),
    /// Another attempt, after the backoff or what the handler asks for.
    Again {
        after: Option<Duration>,
        /// Whether the attempt counts; `false` if its handler asks for a delay or is busy.
        counts: bool,
    },
    /// It waits at the head of its lane until something changes.
    Hold {
        rejected: Option<String>,
    },
    DeadLetter(Reason),
    Pause,
    Stop,
}

/// Judges one attempt.
pub(crate) fn judge(
    ending: AttemptResult,
    delivery: &mut Delivery,
    failures: &mut Failures,
    notices: &mut Notices,
) -> Disposition {
    // The fast path of almost every message: no text, no clock, no log.
    if matches!(ending, AttemptResult::Outcome(Outcome::Done))
        && delivery.context().telemetry.is_none()
    {
        failures.succeeded();
        return Disposition::Finish;
    }
    let end = ending.end();
    let judged = judged(ending, delivery);
    if end != AttemptEnd::Done {
        delivery.keep_end(end, judged.why());
    }
    let disposition = disposition(&judged, delivery, failures, notices);
    if let Some(telemetry) = &delivery.context().telemetry {
        telemetry.attempt_ended(&AttemptEnded {
            delivery,
            outcome: &judged.outcome,
            error: judged.error.as_deref(),
            disposition: &disposition,
        });
    }
    disposition
}

/// Applies the limits: on failures of the subscription, and on attempts of the message.
fn disposition(
    judged: &Judged,
    delivery: &Delivery,
    failures: &mut Failures,
    notices: &mut Notices,
) -> Disposition {
    let error = judged.error.as_deref();
    let context = delivery.context();
    let (policy, attempt) = (&context.options.retry, delivery.attempt());
    // An attempt is a failure if it ends with an error or leads to a dead letter. A delay that the handler asks for is
    // not a failure. A record without an event is none either: no outage explains it, and a success need not follow it.
    let (succeeded, failed) = match &judged.wish {
        Wish::Finish => (true, false),
        // A skip by the handler (no error) is a success; a skip by a policy says nothing about the handler.
        Wish::Skip { .. } => (judged.error.is_none(), false),
        Wish::Again { counts, .. } => (false, *counts),
        Wish::DeadLetter(reason) => (false, *reason != Reason::NoEvent),
        Wish::Drop(_) | Wish::Hold { .. } | Wish::Pause | Wish::Stop => (false, false),
    };
    if succeeded {
        failures.succeeded();
    } else if failed {
        failures.failed();
        if failures.exceeded() {
            let error = judged.why();
            let error = error.unwrap_or("the handler asked for another attempt");
            let why = format!("{}; the last error: {error}", failures.describe());
            return Disposition::Pause(why, backoff(delivery));
        }
    }
    match &judged.wish {
        Wish::Finish => Disposition::Finish,
        Wish::Skip { blank } => {
            log::skipped(delivery, *blank, error, notices);
            Disposition::Finish
        }
        Wish::Drop(reason) => {
            let count = notices.dropped.occurred(delivery.record(), Instant::now());
            log::rejected(delivery, reason, error, count);
            Disposition::Finish
        }
        Wish::Pause => Disposition::Pause(error.unwrap_or_default().to_owned(), backoff(delivery)),
        Wish::Stop => {
            // The caller of `run` gets it as an error.
            log::aborted(delivery);
            Disposition::Stop
        }
        Wish::Hold { rejected: None } => hold(delivery, error, notices),
        Wish::Hold {
            rejected: Some(reason),
        } => {
            let count = notices.held.occurred(delivery.record(), Instant::now());
            log::rejected(delivery, reason, error, count);
            held(delivery, backoff(delivery))
        }
        Wish::DeadLetter(reason) => dead_letter(*reason, judged, delivery, notices),
        Wish::Again { after, counts } => {
            let counted = delivery.failures().map_or(0, |failures| failures.counted);
            if *counts && policy.is_last(counted.saturating_add(1)) {
                return used_up(judged, delivery, notices);
            }
            if let Some(asked) = after.filter(|asked| *asked > crate::retry::MAX_AFTER) {
                log::cut(delivery, asked, notices);
            }
            let wait = policy.wait(attempt, *after);
            log::retried(delivery, wait, error, notices);
            match *counts && policy.attempts.is_some() {
                true => Disposition::Retry { wait, counts: true },
                false => held(delivery, wait),
            }
        }
    }
}

/// How long a message waits after this attempt if its handler asks for no delay.
fn backoff(delivery: &Delivery) -> Duration {
    let policy = &delivery.context().options.retry;
    policy.wait(delivery.attempt(), None)
}

/// It waits at the head of its lane, which is logged as one more attempt.
fn hold(delivery: &Delivery, error: Option<&str>, notices: &mut Notices) -> Disposition {
    let wait = backoff(delivery);
    log::retried(delivery, wait, error, notices);
    held(delivery, wait)
}

/// The message is tried again without a limit, except in tests.
fn held(delivery: &Delivery, wait: Duration) -> Disposition {
    match delivery.context().options.retry.held {
        Some(most) if delivery.attempt() >= most.get() => Disposition::Exhausted,
        _ => Disposition::Retry {
            wait,
            counts: false,
        },
    }
}

/// The last attempt that counts failed.
fn used_up(judged: &Judged, delivery: &Delivery, notices: &mut Notices) -> Disposition {
    let error = judged.error.as_deref();
    match delivery.context().policies.failure {
        Policy::DeadLetter => {
            notices.last += 1;
            dead_letter(Reason::Attempts, judged, delivery, notices)
        }
        Policy::Hold => hold(delivery, error, notices),
        Policy::Skip => {
            notices.last += 1;
            let count = notices.dropped.occurred(delivery.record(), Instant::now());
            log::dropped(delivery, error, count);
            Disposition::Finish
        }
    }
}

/// The message becomes a dead letter, unless its record was not read whole: a dead letter is the whole record.
fn dead_letter(
    reason: Reason,
    judged: &Judged,
    delivery: &Delivery,
    notices: &mut Notices,
) -> Disposition {
    let text = match (&judged.error, &judged.outcome) {
        (Some(error), _) => error.clone(),
        (None, Outcome::Reject { reason }) => reason.clone(),
        (None, _) => "the handler asked for another attempt each time".to_owned(),
    };
    if let Some(unreadable) = &delivery.record().unreadable {
        let error = format!(
            "{text}; it cannot be a dead letter, since a part of it is missing here ({unreadable}), so it is held"
        );
        return hold(delivery, Some(&error), notices);
    }
    let (now, wall) = (Instant::now(), SystemTime::now());
    let millis = |at: Instant| {
        let at = wall.checked_sub(now - at)?;
        let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    };
    let first = delivery.failures().map_or(now, |failures| failures.since);
    Disposition::DeadLetter(Box::new(DeadLetter {
        first: millis(first),
        last: millis(now),
        ..letter(delivery, reason, text)
    }))
}

/// What a dead letter says of a message, without its times.
pub(crate) fn letter(delivery: &Delivery, reason: Reason, error: String) -> DeadLetter {
    let record = delivery.record();
    DeadLetter {
        topic: record.source.topic.clone(),
        partition: record.partition(),
        offset: record.offset,
        timestamp: record.timestamp,
        group: delivery.group().to_owned(),
        schema: delivery.schema().ok().map(str::to_owned),
        reason,
        error,
        attempts: delivery.attempt(),
        first: None,
        last: None,
        redriven: delivery.redriven_from().map_or(0, |letter| letter.redriven),
    }
}

/// The outcome that an ending stands for, and what it asks for.
fn judged(ending: AttemptResult, delivery: &Delivery) -> Judged {
    let policies = &delivery.context().policies;
    match ending {
        AttemptResult::Outcome(outcome) => Judged {
            wish: wish(&outcome, policies.reject),
            outcome,
            error: None,
        },
        AttemptResult::Unavailable(error) => unavailable(&error),
        of_batch @ (AttemptResult::Batch(_) | AttemptResult::Unfit(_)) => {
            judged(of_batch.of_one(), delivery)
        }
        AttemptResult::Failed(error) => match error.class() {
            Class::Retry(after) => Judged {
                outcome: Outcome::Retry { after },
                error: Some(error.chain()),
                wish: Wish::Again {
                    after,
                    counts: after.is_none(),
                },
            },
            Class::Busy(_) => Judged {
                outcome: Outcome::retry(),
                error: Some(error.chain()),
                wish: Wish::Again {
                    after: None,
                    counts: false,
                },
            },
            Class::Reject(reason) => {
                let outcome = Outcome::Reject { reason };
                Judged {
                    wish: wish(&outcome, policies.reject),
                    outcome,
                    error: Some(error.chain()),
                }
            }
            Class::Unavailable(_) => unavailable(&error),
        },
        AttemptResult::Mismatch(message) => {
            let error = format!("the message does not fit the handler: {message}");
            let (word, policy) = match policies.mismatch {
                OnMismatch::Hold => ("hold", Policy::Hold),
                OnMismatch::DeadLetter => ("dead-letter", Policy::DeadLetter),
                OnMismatch::Reject => ("reject", policies.reject),
                OnMismatch::Skip => ("skip", Policy::Skip),
            };
            let of = Unfit {
                setting: "on-mismatch",
                word,
                reason: Reason::Mismatch,
                blank: None,
            };
            of.judged(policy, error, message)
        }
        AttemptResult::NoEvent(no_event) => {
            let message = format!("the record holds no event: {no_event}");
            let blank = no_event.is_blank();
            let (word, policy) = match policies.no_event {
                OnNoEvent::DeadLetter if blank => ("dead-letter", Policy::Skip),
                OnNoEvent::DeadLetter => ("dead-letter", Policy::DeadLetter),
                OnNoEvent::Hold => ("hold", Policy::Hold),
                OnNoEvent::Reject => ("reject", policies.reject),
                OnNoEvent::Skip => ("skip", Policy::Skip),
            };
            let of = Unfit {
                setting: "on-no-event",
                word,
                reason: Reason::NoEvent,
                blank: Some(blank),
            };
            of.judged(policy, message.clone(), message)
        }
    }
}

/// What a handler's own outcome asks for.
fn wish(outcome: &Outcome, reject: Policy) -> Wish {
    match outcome {
        Outcome::Done => Wish::Finish,
        Outcome::Skip => Wish::Skip { blank: None },
        Outcome::Abort => Wish::Stop,
        Outcome::Retry { after } => Wish::Again {
            after: *after,
            counts: after.is_none(),
        },
        Outcome::Reject { reason } => match reject {
            Policy::DeadLetter => Wish::DeadLetter(Reason::Rejected),
            Policy::Hold => Wish::Hold {
                rejected: Some(reason.clone()),
            },
            Policy::Skip => Wish::Drop(reason.clone()),
        },
    }
}

/// A message that its handler did not get.
struct Unfit {
    setting: &'static str,
    word: &'static str,
    reason: Reason,
    blank: Option<bool>,
}

impl Unfit {
    /// `error` is for the log, `message` what a rejection gives as its reason.
    fn judged(self, policy: Policy, error: String, message: String) -> Judged {
        let Self {
            setting,
            word,
            reason,
            blank,
        } = self;
        let (outcome, wish, what) = match policy {
            Policy::Hold => (Outcome::retry(), Wish::Hold { rejected: None }, "held by"),
            Policy::DeadLetter => (
                Outcome::reject(&message),
                Wish::DeadLetter(reason),
                "a dead letter by",
            ),
            Policy::Skip if word == "reject" => (
                Outcome::reject(&message),
                Wish::Drop(message),
                "rejected by",
            ),
            Policy::Skip => (Outcome::Skip, Wish::Skip { blank }, "passed over by"),
        };
        let help = match policy {
            Policy::Hold if word == "hold" => {
                "; \"dead-letter\", \"reject\" or \"skip\" would pass it over"
            }
            _ => "",
        };
        Judged {
            outcome,
            error: Some(format!("{error} ({what} {setting} = \"{word}\"{help})")),
            wish,
        }
    }
}

fn unavailable(error: &HandlerError) -> Judged {
    Judged {
        outcome: Outcome::retry(),
        error: Some(error.chain()),
        wish: Wish::Pause,
    }
}
