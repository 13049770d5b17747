//! An attempt's ending and the subscription's policies in, what happens to the message out: the one place that
//! matches every outcome. Logs what a person should know.

use std::time::Duration;

use tracing::{debug, info, warn};

use crate::{
    OnMismatch, OnReject,
    delivery::Delivery,
    error::Class,
    outcome::{Ending, Outcome},
    retry,
    watch::Attempted,
};

/// What happens to a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is over; its offset counts as finished.
    Finish,
    /// It is tried again after this long.
    Again(Duration),
    /// The whole subscription pauses for this reason, and the message is tried again after this long at the soonest.
    Pause(String, Duration),
    /// The worker stops, and the message stays uncommitted.
    Stop,
}

/// Judges one attempt.
pub(crate) fn judge(ending: Ending, delivery: &Delivery) -> Verdict {
    // The way of almost every message: no text, no clock, no log.
    if matches!(ending, Ending::Outcome(Outcome::Done)) && delivery.context().observer.is_none() {
        return Verdict::Finish;
    }
    let unavailable = matches!(ending, Ending::Unavailable(_));
    let (outcome, error) = outcome_of(ending, delivery);
    let attempt = delivery.attempt();
    let verdict = match &outcome {
        _ if unavailable => Verdict::Pause(
            error.clone().unwrap_or_default(),
            retry::wait(attempt, None),
        ),
        Outcome::Done => Verdict::Finish,
        Outcome::Skip => {
            debug!(record = %Name(delivery), "skipped");
            Verdict::Finish
        }
        Outcome::Reject { reason } => {
            log_rejected(delivery, reason, error.as_deref());
            match delivery.context().options.on_reject {
                OnReject::Log => Verdict::Finish,
                OnReject::Hold => Verdict::Again(retry::wait(attempt, None)),
            }
        }
        Outcome::Retry { after } => {
            let wait = retry::wait(attempt, *after);
            log_retried(delivery, wait, error.as_deref());
            Verdict::Again(wait)
        }
        Outcome::Abort => {
            // Whoever runs the worker gets it as its error.
            debug!(record = %Name(delivery), "the handler aborted; the worker stops");
            Verdict::Stop
        }
    };
    match &delivery.context().observer {
        Some(observer) => observed(&**observer, delivery, &outcome, error.as_deref(), verdict),
        None => verdict,
    }
}

/// An observer may shorten a wait or end it.
fn observed(
    observer: &dyn crate::watch::Observer,
    delivery: &Delivery,
    outcome: &Outcome,
    error: Option<&str>,
    verdict: Verdict,
) -> Verdict {
    let again = match verdict {
        Verdict::Again(wait) | Verdict::Pause(_, wait) => Some(wait),
        Verdict::Finish | Verdict::Stop => None,
    };
    let wanted = observer.attempted(&Attempted {
        delivery,
        outcome,
        error,
        again,
    });
    match (verdict, wanted) {
        (Verdict::Again(_), Some(wait)) => Verdict::Again(wait),
        (Verdict::Again(_) | Verdict::Pause(..), None) => Verdict::Finish,
        (verdict, _) => verdict,
    }
}

/// The outcome that an ending stands for, with the error behind it.
fn outcome_of(ending: Ending, delivery: &Delivery) -> (Outcome, Option<String>) {
    match ending {
        Ending::Outcome(outcome) => (outcome, None),
        Ending::Unavailable(error) => (Outcome::retry(), Some(error.chain())),
        Ending::Failed(error) => {
            let outcome = match error.class() {
                Class::Retry(after) => Outcome::Retry { after },
                Class::Reject(reason) => Outcome::Reject { reason },
            };
            (outcome, Some(error.chain()))
        }
        Ending::Mismatch(message) => {
            let (outcome, what) = match delivery.context().options.on_mismatch {
                OnMismatch::Hold => (
                    Outcome::Retry { after: None },
                    "held by on-mismatch = \"hold\"; \"reject\" or \"skip\" would pass it over",
                ),
                OnMismatch::Reject => (
                    Outcome::Reject {
                        reason: message.clone(),
                    },
                    "rejected by on-mismatch = \"reject\"",
                ),
                OnMismatch::Skip => (Outcome::Skip, "passed over by on-mismatch = \"skip\""),
            };
            (
                outcome,
                Some(format!(
                    "the message does not fit the handler: {message} ({what})"
                )),
            )
        }
    }
}

fn log_rejected(delivery: &Delivery, reason: &str, error: Option<&str>) {
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
        "rejected"
    );
}

fn log_retried(delivery: &Delivery, wait: Duration, error: Option<&str>) {
    let record = delivery.record();
    let key = Key(record.key.as_deref());
    match error {
        Some(error) => warn!(
            group = delivery.group(),
            stream = record.stream(),
            partition = record.partition(),
            offset = record.offset.0,
            %key,
            attempt = delivery.attempt(),
            again_in = ?Duration::from_millis(wait.as_millis() as u64),
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
            again_in = ?wait,
            "the handler wants it again"
        ),
    }
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
