//! What the log says of messages that were not handled. What repeats is logged as `notices` says.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::{
    Outcome, delivery::Delivery, notices::Notices, outcome::AttemptResult, retry::MAX_AFTER,
};

/// `blank`: whether a record without an event is null or empty.
pub(super) fn skipped(
    delivery: &Delivery,
    blank: Option<bool>,
    error: Option<&str>,
    notices: &mut Notices,
) {
    let count = match blank {
        Some(false) => notices.no_event.occurred(delivery.record(), Instant::now()),
        Some(true) => {
            notices.blank += 1;
            None
        }
        None => None,
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

/// A message was rejected: it is passed over and kept nowhere, or held. `count`: its number in its partition, if it is to be
/// said.
pub(super) fn rejected(delivery: &Delivery, reason: &str, error: Option<&str>, count: Option<u64>) {
    given_up(delivery, "rejected", Some(reason), None, error, count);
}

/// A message used up its attempts, is passed over, and is kept nowhere.
pub(super) fn dropped(delivery: &Delivery, error: Option<&str>, count: Option<u64>) {
    let what = "not handled: all attempts failed, and it is passed over by on-failure = \"skip\"";
    let attempts = Some(delivery.attempt());
    given_up(delivery, what, None, attempts, error, count);
}

fn given_up(
    delivery: &Delivery,
    what: &str,
    reason: Option<&str>,
    attempts: Option<u32>,
    error: Option<&str>,
    count: Option<u64>,
) {
    if count.is_none() {
        debug!(record = %Name(delivery), reason, error, "{what}");
        return;
    }
    let record = delivery.record();
    warn!(
        group = delivery.group(),
        topic = record.topic(),
        partition = record.partition(),
        offset = record.offset.0,
        key = %Key(record.key.as_deref()),
        schema = delivery.schema().unwrap_or("(no envelope)"),
        reason,
        attempts,
        error,
        count,
        "{what}"
    );
}

pub(super) fn aborted(delivery: &Delivery) {
    debug!(record = %Name(delivery), "the handler aborted; the worker stops");
}

pub(super) fn cut(delivery: &Delivery, asked: Duration, notices: &mut Notices) {
    if let Some(count) = notices.cut.occurred(delivery.record(), Instant::now()) {
        warn!(
            record = %Name(delivery),
            ?asked,
            longest = ?MAX_AFTER,
            count,
            "the handler asked for a longer delay than there is; the longest is taken"
        );
    }
}

pub(super) fn retried(
    delivery: &Delivery,
    wait: Duration,
    error: Option<&str>,
    notices: &mut Notices,
) {
    let record = delivery.record();
    let key = Key(record.key.as_deref());
    let again_in = Duration::from_millis(wait.as_millis() as u64);
    let streak = match error {
        Some(_) => &mut notices.failed,
        None => &mut notices.asked,
    };
    let Some(count) = streak.occurred(record, Instant::now()) else {
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

/// A batch failed, and is handled again in halves. Gives the error.
pub(crate) fn split(
    batch: &Delivery,
    messages: usize,
    ending: &AttemptResult,
    notices: &mut Notices,
) -> String {
    let error = match ending {
        AttemptResult::Failed(error) => error.chain(),
        AttemptResult::Outcome(Outcome::Reject { reason }) => format!("rejected: {reason}"),
        other => format!("{other:?}"),
    };
    let record = batch.record();
    match notices.split.occurred(record, Instant::now()) {
        Some(count) => warn!(
            group = batch.group(),
            stream = record.stream(),
            partition = record.partition(),
            offset = record.offset.0,
            messages,
            attempt = batch.attempt(),
            count,
            error,
            "a batch, of which this is the first message, was not handled; it is tried again in halves, until what fails stands alone"
        ),
        None => debug!(record = %Name(batch), messages, error, "a batch is split"),
    }
    error
}

/// A key as a log shows it: text if it is text, at most 100 characters.
pub(crate) struct Key<'a>(pub(crate) Option<&'a [u8]>);

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
