//! The answer object, `{"delivery":…,"outcome":"done"}`: read and checked into an [`Answer`]. The same object for `exec`
//! (a line) and for `http` (a body of our media type).

use std::time::Duration;

use kafkaesk_core::answer::{self, AnswerError};

pub(crate) use kafkaesk_core::answer::MEDIA_TYPE;

/// The longest reason that is kept, in characters.
pub(crate) const MAX_REASON: usize = 1024;

/// How a handler ended a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Handled.
    Done,
    /// Not now: again after this long, or after the worker's own backoff.
    Retry {
        /// At least this long; the worker bounds it.
        after: Option<Duration>,
        /// For the log.
        reason: String,
    },
    /// Not now, and no attempt is used: again after the worker's own backoff.
    Busy(String),
    /// This message will never succeed.
    Reject(String),
    /// Handled by ignoring it.
    Skip,
    /// Stop the worker; nothing of this message is committed. With the reason, where there is one to log.
    Abort(Option<String>),
    /// No message is to blame: the endpoint is wrong or cannot be reached, the child does not start, standard output
    /// takes nothing. The subscription pauses until that ends.
    Unavailable(String),
}

impl From<answer::Answer> for Answer {
    fn from(answer: answer::Answer) -> Self {
        let words =
            |reason: Option<String>| bounded(reason.as_deref().unwrap_or("no reason given"));
        match answer {
            answer::Answer::Done => Self::Done,
            answer::Answer::Skip => Self::Skip,
            answer::Answer::Retry { delay, reason } => Self::Retry {
                after: delay,
                reason: words(reason),
            },
            answer::Answer::Reject { reason } => Self::Reject(words(reason)),
            answer::Answer::Abort { reason } => Self::Abort(Some(words(reason))),
        }
    }
}

/// Reads an HTTP body of [`MEDIA_TYPE`].
///
/// # Errors
/// What is wrong with it and where.
pub(crate) fn read_body(body: &[u8]) -> Result<Answer, AnswerError> {
    answer::Answer::read(body).map(Answer::from)
}

/// Reads a child's line: the delivery that it answers, and how.
///
/// # Errors
/// What is wrong with it and where.
pub(crate) fn read_line(line: &[u8]) -> Result<(String, Answer), AnswerError> {
    answer::Answer::read_line(line).map(|(delivery, answer)| (delivery, answer.into()))
}

/// Cuts a reason to [`MAX_REASON`] characters.
pub(crate) fn bounded(reason: &str) -> String {
    let reason = reason.trim();
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_bounded() {
        assert_eq!(bounded(&"ü".repeat(5000)).chars().count(), MAX_REASON + 1);
    }
}
