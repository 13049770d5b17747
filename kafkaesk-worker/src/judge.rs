//! Decides what happens to a message, from how an attempt ended and the subscription's policies: the one place that
//! matches every outcome. Logs what a person should know; what repeats is logged as `notices` says.
//!
//! Next: `instance/attempts.rs` (`settle`) carries it out.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::{
    HandlerError, OnMismatch, OnNoEvent, OnReject,
    delivery::Delivery,
    error::Class,
    notices::Notices,
    outcome::{AttemptResult, Outcome},
    retry::MAX_AFTER,
    telemetry::AttemptEnded,
};

/// What happens to a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It is over; its offset counts as finished.
    Finish,
    /// It is tried again after this long.
    Retry(Duration),
    /// It used up its attempts: it is over, although it was not handled.
    Exhausted,
    /// The whole subscription pauses for this reason, and the message is tried again after this long at the soonest.
    Pause(String, Duration),
    /// The worker stops, and the message stays uncommitted.
    Stop,
}

/// An ending after the policies were applied to it.
struct Judged {
    outcome: Outcome,
    /// The error behind it, or why the message does not fit.
    error: Option<String>,
    why: Why,
}

/// What the outcome comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The handler, or a policy for messages that do not fit.
    Handler,
    /// No message is to blame.
    Unavailable,
    /// The record holds no event.
    NoEvent {
        /// It is null or empty.
        blank: bool,
    },
}

/// Judges one attempt.
pub(crate) fn judge(
    ending: AttemptResult,
    delivery: &Delivery,
    notices: &mut Notices,
) -> Disposition {
    // The way of almost every message: no text, no clock, no log.
    if matches!(ending, AttemptResult::Outcome(Outcome::Done))
        && delivery.context().telemetry.is_none()
    {
        return Disposition::Finish;
    }
    let Judged {
        outcome,
        error,
        why,
    } = judged(ending, delivery);
    let attempt = delivery.attempt();
    let policy = &delivery.context().options.retry;
    let disposition = match &outcome {
        _ if why == Why::Unavailable => Disposition::Pause(
            error.clone().unwrap_or_default(),
            policy.wait(attempt, None),
        ),
        Outcome::Done => Disposition::Finish,
        Outcome::Skip => {
            log_skipped(delivery, why, error.as_deref(), notices);
            Disposition::Finish
        }
        Outcome::Reject { reason } => match delivery.context().options.on_reject {
            OnReject::Log => {
                // Each of them: it is the last that is ever heard of the message.
                log_rejected(delivery, reason, error.as_deref(), None);
                Disposition::Finish
            }
            OnReject::Hold => {
                if let Some(count) = notices.held.occurred(Instant::now()) {
                    log_rejected(delivery, reason, error.as_deref(), Some(count));
                }
                Disposition::Retry(policy.wait(attempt, None))
            }
        },
        Outcome::Retry { after } => {
            if let Some(asked) = after.filter(|asked| *asked > MAX_AFTER) {
                log_cut(delivery, asked, notices);
            }
            let wait = policy.wait(attempt, *after);
            log_retried(delivery, wait, error.as_deref(), notices);
            Disposition::Retry(wait)
        }
        Outcome::Abort => {
            // The caller of `run` gets it as an error.
            debug!(record = %Name(delivery), "the handler aborted; the worker stops");
            Disposition::Stop
        }
    };
    let disposition = match disposition {
        Disposition::Retry(_) if policy.is_last(attempt) => {
            log_exhausted(delivery, error.as_deref());
            Disposition::Exhausted
        }
        disposition => disposition,
    };
    if let Some(telemetry) = &delivery.context().telemetry {
        telemetry.attempt_ended(&AttemptEnded {
            delivery,
            outcome: &outcome,
            error: error.as_deref(),
            disposition: &disposition,
        });
    }
    disposition
}

/// The outcome that an ending stands for.
fn judged(ending: AttemptResult, delivery: &Delivery) -> Judged {
    let options = &delivery.context().options;
    let because = |outcome, error, why| Judged {
        outcome,
        error: Some(error),
        why,
    };
    match ending {
        AttemptResult::Outcome(outcome) => Judged {
            outcome,
            error: None,
            why: Why::Handler,
        },
        AttemptResult::Unavailable(error) => unavailable(&error),
        AttemptResult::Failed(error) => match error.class() {
            Class::Retry(after) => because(Outcome::Retry { after }, error.chain(), Why::Handler),
            Class::Reject(reason) => {
                because(Outcome::Reject { reason }, error.chain(), Why::Handler)
            }
            Class::Unavailable(_) => unavailable(&error),
        },
        AttemptResult::Mismatch(message) => {
            let (outcome, what) = match options.on_mismatch {
                OnMismatch::Hold => (
                    Outcome::retry(),
                    "held by on-mismatch = \"hold\"; \"reject\" or \"skip\" would pass it over",
                ),
                OnMismatch::Reject => (
                    Outcome::reject(&message),
                    "rejected by on-mismatch = \"reject\"",
                ),
                OnMismatch::Skip => (Outcome::Skip, "passed over by on-mismatch = \"skip\""),
            };
            let error = format!("the message does not fit the handler: {message} ({what})");
            because(outcome, error, Why::Handler)
        }
        AttemptResult::NoEvent(error) => {
            let (outcome, what) = match options.on_no_event {
                OnNoEvent::Hold => (
                    Outcome::retry(),
                    "held by on-no-event = \"hold\"; \"reject\" or \"skip\" would pass it over",
                ),
                OnNoEvent::Reject => (
                    Outcome::reject(format!("the record holds no event: {error}")),
                    "rejected by on-no-event = \"reject\"",
                ),
                OnNoEvent::Skip => (Outcome::Skip, "passed over by on-no-event = \"skip\""),
            };
            let blank = error.is_blank();
            let error = format!("the record holds no event: {error} ({what})");
            because(outcome, error, Why::NoEvent { blank })
        }
    }
}

fn unavailable(error: &HandlerError) -> Judged {
    Judged {
        outcome: Outcome::retry(),
        error: Some(error.chain()),
        why: Why::Unavailable,
    }
}

fn log_skipped(delivery: &Delivery, why: Why, error: Option<&str>, notices: &mut Notices) {
    let count = match why {
        Why::NoEvent { blank: false } => notices.no_event.occurred(Instant::now()),
        Why::NoEvent { blank: true } => {
            notices.blank += 1;
            None
        }
        _ => None,
    };
    let record = delivery.record();
    match count {
        Some(count) => warn!(
            group = delivery.group(),
            stream = record.stream(),
            partition = record.partition(),
            offset = record.offset.0,
            key = %Key(record.key.as_deref()),
            count,
            error,
            "passed over"
        ),
        None => debug!(record = %Name(delivery), error, "skipped"),
    }
}

fn log_rejected(delivery: &Delivery, reason: &str, error: Option<&str>, count: Option<u64>) {
    let record = delivery.record();
    warn!(
        group = delivery.group(),
        topic = record.topic(),
        partition = record.partition(),
        offset = record.offset.0,
        key = %Key(record.key.as_deref()),
        schema = delivery.schema().unwrap_or("(no envelope)"),
        reason,
        error,
        count,
        "rejected"
    );
}

fn log_cut(delivery: &Delivery, asked: Duration, notices: &mut Notices) {
    if let Some(count) = notices.cut.occurred(Instant::now()) {
        warn!(
            record = %Name(delivery),
            ?asked,
            longest = ?MAX_AFTER,
            count,
            "the handler asked for a longer delay than there is; the longest is taken"
        );
    }
}

fn log_retried(delivery: &Delivery, wait: Duration, error: Option<&str>, notices: &mut Notices) {
    let record = delivery.record();
    let key = Key(record.key.as_deref());
    let again_in = Duration::from_millis(wait.as_millis() as u64);
    let streak = match error {
        Some(_) => &mut notices.failed,
        None => &mut notices.asked,
    };
    let Some(count) = streak.occurred(Instant::now()) else {
        debug!(record = %Name(delivery), ?again_in, error, "tried again");
        return;
    };
    match error {
        Some(error) => warn!(
            group = delivery.group(),
            stream = record.stream(),
            partition = record.partition(),
            offset = record.offset.0,
            %key,
            attempt = delivery.attempt(),
            ?again_in,
            count,
            error,
            "not handled; it is tried again"
        ),
        None => info!(
            group = delivery.group(),
            stream = record.stream(),
            partition = record.partition(),
            offset = record.offset.0,
            %key,
            attempt = delivery.attempt(),
            ?again_in,
            count,
            "the handler asked for another attempt"
        ),
    }
}

fn log_exhausted(delivery: &Delivery, error: Option<&str>) {
    warn!(
        record = %Name(delivery),
        attempts = delivery.attempt(),
        error,
        "not handled: all attempts failed"
    );
}

/// A key as a log shows it: text if it is text, at most 100 characters.
struct Key<'a>(Option<&'a [u8]>);

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("(none)"),
            Some(key) => String::from_utf8_lossy(key)
                .chars()
                .take(100)
                .try_for_each(|c| write!(f, "{}", c.escape_debug())),
        }
    }
}

/// A record as a log names it.
struct Name<'a>(&'a Delivery);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let record = self.0.record();
        write!(
            f,
            "{}@{} (group {})",
            record.source,
            record.offset,
            self.0.group()
        )
    }
}
