//! Handler answers: reads the JSON line of an `exec` child, and the JSON body of an HTTP handler.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, time::Duration};

use thiserror::Error;

use crate::{
    json::{JsonError, Member, MemberError, Object},
    span::{SpanError, parse_span},
};

/// The longest delay that a handler can ask for. A worker cuts a longer one to it and logs that.
pub const MAX_DELAY: Duration = Duration::from_secs(3600);
/// The media type of an answer body: the body of a 2xx answer with another type is ignored.
pub const MEDIA_TYPE: &str = "application/vnd.kafkaesk.answer+json";

/// How a handler ended with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Handled.
    Done,
    /// To be tried again.
    Retry {
        /// The delay before the next attempt; without it the subscription's backoff decides. A worker cuts it to
        /// [`MAX_DELAY`].
        delay: Option<Duration>,
        /// Why, for the log.
        reason: Option<String>,
    },
    /// It will never succeed.
    Reject {
        /// Why.
        reason: Option<String>,
    },
    /// Passed over without further notice.
    Skip,
    /// Stop this worker and commit nothing for this message.
    Abort {
        /// Why.
        reason: Option<String>,
    },
}

/// Why a text is not an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Its JSON or its members.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// An outcome that there is not.
    #[error("/outcome at byte {at}: {text:?} is none of done, retry, reject, skip, abort")]
    Outcome {
        /// What stands there.
        text: String,
        /// Where it begins.
        at: usize,
    },
    /// A delay that is not a span of time.
    #[error("/delay at byte {at}: {reason}")]
    Delay {
        /// What is wrong with it.
        reason: SpanError,
        /// Where it begins.
        at: usize,
    },
    /// A member that the outcome does not have.
    #[error("member `{member}` at byte {at} does not go with the outcome {outcome:?}")]
    Misplaced {
        /// `delay` or `reason`.
        member: &'static str,
        /// The outcome.
        outcome: String,
        /// The member's value.
        at: usize,
    },
}

impl From<JsonError> for AnswerError {
    fn from(e: JsonError) -> Self {
        Self::Member(e.into())
    }
}

impl AnswerError {
    /// The contract's word for this refusal (contract/README.md).
    pub fn class(&self) -> &'static str {
        match self {
            Self::Member(e) => e.class(),
            Self::Outcome { .. } => "outcome",
            Self::Delay { .. } => "span",
            Self::Misplaced { .. } => "misplaced-member",
        }
    }

    /// The byte offset of the mistake; `None` for a missing member.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::Member(e) => e.at(),
            Self::Outcome { at, .. } | Self::Delay { at, .. } | Self::Misplaced { at, .. } => {
                Some(*at)
            }
        }
    }
}

impl Answer {
    /// Reads the body of an HTTP answer of [`MEDIA_TYPE`]. It has no `delivery`: the connection identifies the message.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn read(body: &[u8]) -> Result<Self, AnswerError> {
        parts(body, &["outcome", "delay", "reason"]).map(|(_, answer)| answer)
    }

    /// Reads a line that an `exec` child wrote: the delivery that it answers, and how.
    ///
    /// ```
    /// use kafkaesk_core::answer::Answer;
    /// let (delivery, answer) = Answer::read_line(br#"{"delivery":"7-1","outcome":"done"}"#)?;
    /// assert_eq!((&*delivery, answer), ("7-1", Answer::Done));
    /// # Ok::<(), kafkaesk_core::answer::AnswerError>(())
    /// ```
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn read_line(line: &[u8]) -> Result<(String, Self), AnswerError> {
        let (delivery, answer) = parts(line, &["delivery", "outcome", "delay", "reason"])?;
        let delivery = delivery.ok_or(MemberError::Missing { member: "delivery" })?;
        Ok((delivery, answer))
    }
}

fn parts(text: &[u8], known: &[&'static str]) -> Result<(Option<String>, Answer), AnswerError> {
    let mut object = Object::open(text)?;
    let (mut delivery, mut outcome) = (None, None);
    let (mut delay, mut reason) = (None, None);
    while let Some(member) = object.next()? {
        let at = member.value_at;
        match &*member.name {
            name if !known.contains(&name) => {
                return Err(MemberError::unknown(&member, known).into());
            }
            "delivery" => delivery = Some(needed_text(&member)?.into_owned()),
            "outcome" => outcome = Some((needed_text(&member)?.into_owned(), at)),
            "delay" => delay = read_delay(&member)?.map(|delay| (delay, at)),
            _ => reason = MemberError::optional_text(&member)?.map(|r| (r.into_owned(), at)),
        }
    }
    let (outcome, at) = outcome.ok_or(MemberError::Missing { member: "outcome" })?;
    let takes = match &*outcome {
        "done" | "skip" => (false, false),
        "retry" => (true, true),
        "reject" | "abort" => (false, true),
        _ => return Err(AnswerError::Outcome { text: outcome, at }),
    };
    let misplaced = |member, at| AnswerError::Misplaced {
        member,
        outcome: outcome.clone(),
        at,
    };
    match (&delay, &reason) {
        (Some((_, at)), _) if !takes.0 => return Err(misplaced("delay", *at)),
        (_, Some((_, at))) if !takes.1 => return Err(misplaced("reason", *at)),
        _ => {}
    }
    let (delay, reason) = (delay.map(|(d, _)| d), reason.map(|(r, _)| r));
    let answer = match &*outcome {
        "done" => Answer::Done,
        "skip" => Answer::Skip,
        "retry" => Answer::Retry { delay, reason },
        "reject" => Answer::Reject { reason },
        _ => Answer::Abort { reason },
    };
    Ok((delivery, answer))
}

fn needed_text<'a>(member: &Member<'a>) -> Result<Cow<'a, str>, AnswerError> {
    let wrong = || MemberError::wrong_type(member, "a string");
    Ok(member.string()?.ok_or_else(wrong)?)
}

/// Seconds as a number, or a span such as `"30s"`.
fn read_delay(member: &Member<'_>) -> Result<Option<Duration>, AnswerError> {
    let refused = |reason| AnswerError::Delay {
        reason,
        at: member.value_at,
    };
    match member.kind() {
        "a number" => {
            let seconds: f64 = member.value.parse().unwrap_or(f64::NAN);
            let millis = (seconds * 1_000.0).round();
            if seconds >= 0.0 && millis < 9.2e18 {
                return Ok(Some(Duration::from_millis(millis as u64)));
            }
            Err(refused(SpanError(member.value.to_owned())))
        }
        "a string" | "null" => MemberError::optional_text(member)?
            .map(|text| parse_span(&text).map_err(refused))
            .transpose(),
        _ => Err(MemberError::wrong_type(member, "seconds or a span such as \"30s\"").into()),
    }
}
