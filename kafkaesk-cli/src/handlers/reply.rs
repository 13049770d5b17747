//! Reply: what a handler of the configuration gives back for a message: its own [`Answer`], or why there is none.

use std::time::Duration;

use kafkaesk_core::answer::{Answer, AnswerError};

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 1024;

/// How a handler ended a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Its own answer, or what its status or its end stands for. Every reason is bounded.
    Answered(Answer),
    /// Not now, and no attempt is used: again after the worker's own backoff.
    Busy(String),
    /// A failed attempt, since the one that handles it has more work than it can do: again after this long, or after the worker's own
    /// backoff.
    Overloaded {
        delay: Option<Duration>,
        reason: String,
    },
    /// The message is not the cause: the endpoint is wrong or unreachable, the child does not start, or standard output
    /// cannot be written. The subscription pauses until that ends.
    Unavailable(String),
}

impl Reply {
    /// Handled.
    pub(crate) const DONE: Self = Self::Answered(Answer::Done);

    /// A failed attempt: again after this long (the worker bounds it), or after the worker's own backoff.
    pub(crate) fn retry(delay: Option<Duration>, reason: String) -> Self {
        let reason = Some(reason);
        Self::Answered(Answer::Retry { delay, reason })
    }

    /// This message will never succeed.
    pub(crate) fn reject(reason: String) -> Self {
        let reason = Some(reason);
        Self::Answered(Answer::Reject { reason })
    }

    /// Reads an HTTP body of [`kafkaesk_core::answer::MEDIA_TYPE`].
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub(crate) fn read_body(body: &[u8]) -> Result<Self, AnswerError> {
        Answer::read(body).map(Self::from)
    }

    /// Reads a child's line: the delivery that it answers, and how.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub(crate) fn read_line(line: &[u8]) -> Result<(String, Self), AnswerError> {
        Answer::read_line(line).map(|(delivery, answer)| (delivery, answer.into()))
    }
}

impl From<Answer> for Reply {
    fn from(mut answer: Answer) -> Self {
        if let Answer::Retry { reason, .. } | Answer::Reject { reason } | Answer::Abort { reason } =
            &mut answer
        {
            *reason = Some(bounded(reason.as_deref().unwrap_or("no reason given")));
        }
        Self::Answered(answer)
    }
}

/// Cuts a reason to 1,024 characters.
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
    fn reasons_are_bounded_wherever_they_come_from() {
        let long = "ü".repeat(5000);
        assert_eq!(bounded(&long).chars().count(), MAX_REASON + 1);
        for outcome in ["retry", "reject", "abort"] {
            let body = format!(r#"{{"outcome":"{outcome}","reason":"{long}"}}"#);
            let Ok(Reply::Answered(
                Answer::Retry { reason, .. } | Answer::Reject { reason } | Answer::Abort { reason },
            )) = Reply::read_body(body.as_bytes())
            else {
                panic!("{outcome}")
            };
            assert_eq!(reason, Some(bounded(&long)), "{outcome}");
        }
    }
}
