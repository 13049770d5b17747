//! Policies: what a subscription does with a message that its handler did not handle. The words are shared: `dead-letter`,
//! `hold`, `skip`. Also the limit on failures that pauses a subscription before it gives everything up.

use std::time::Duration;

use serde::Deserialize;

/// The default for `max-attempts`: with [`crate::retry`]'s backoff about five minutes.
pub(crate) const MAX_ATTEMPTS: u32 = 20;
/// The default for `stuck-after`.
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(60);

/// What happens to a message that used up its attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnFailure {
    /// It is written to the group's topic of dead letters, and passed over once the brokers have it there.
    #[default]
    DeadLetter,
    /// Kept and retried in its lane with backoff, loudly.
    Hold,
    /// Logged with topic, partition, offset, key, schema and error, and passed over.
    Skip,
}

/// What happens to a rejected message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnReject {
    /// It is written to the group's topic of dead letters, and passed over once the brokers have it there.
    #[default]
    DeadLetter,
    /// Kept and retried in its lane with backoff, loudly.
    Hold,
    /// Logged with topic, partition, offset, key, schema and reason, and passed over. `log` is another word for it.
    #[serde(alias = "log")]
    Skip,
}

/// What happens to a message that does not fit its handler's arguments (or, with `validate`, its schema).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnMismatch {
    /// Kept and retried in its lane with backoff, loudly: the consumer is usually the older side of a deployment.
    #[default]
    Hold,
    /// It is written to the group's topic of dead letters, and passed over once the brokers have it there.
    DeadLetter,
    /// As if the handler had rejected it: see [`OnReject`].
    Reject,
    /// Passed over.
    Skip,
}

/// What happens to a record that holds no event (a null or empty value, not JSON, no schema id) where the handler needs
/// one. `Raw`, `Record` and, for a null value, an `Option` argument need none, and get such records.
///
/// Null and empty values are usual on compacted topics: by default they are passed over and only counted
/// ([`crate::RunReport::without_event`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnNoEvent {
    /// Null and empty values are passed over. All others are written to the group's topic of dead letters, and passed over
    /// once the brokers have them there: no later version of a handler could take them.
    #[default]
    DeadLetter,
    /// As if the handler had rejected it, null and empty values included: see [`OnReject`].
    Reject,
    /// Passed over. For values that are neither null nor empty, the log has a warning at the 1st, 2nd, 4th, 8th, …
    Skip,
    /// Kept and retried in its lane with backoff, loudly, null and empty values included.
    Hold,
}

/// When too many failed attempts pause a subscription. While the limit is exceeded, no attempt counts and no message is
/// given up. One message is tried after each backoff, always of another lane, until one succeeds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FailureLimit {
    /// More than this share of the last [`Self::of`] attempts may not fail; above 0, at most 1.
    pub share: f64,
    /// The number of last attempts for the share; 1 to 10,000.
    pub of: u32,
    /// More than this many attempts in a row may not fail; 1 to 1,000,000.
    pub streak: u32,
}

impl Default for FailureLimit {
    /// More than half of the last 100 attempts, or more than 20 in a row.
    fn default() -> Self {
        Self {
            share: 0.5,
            of: 100,
            streak: 20,
        }
    }
}

impl FailureLimit {
    /// A limit.
    pub fn new(share: f64, of: u32, streak: u32) -> Self {
        Self { share, of, streak }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn contradiction(&self) -> Option<Contradiction> {
        let wrong = |problem| Some(Contradiction::new("failure-limit", problem));
        if !(self.share > 0.0 && self.share <= 1.0) {
            return wrong(format!(
                "share is {}; it must be above 0 and at most 1",
                self.share
            ));
        }
        for (name, value, most) in [("of", self.of, 10_000), ("streak", self.streak, 1_000_000)] {
            if value == 0 || value > most {
                return wrong(format!("{name} is {value}; it must be from 1 to {most}"));
            }
        }
        None
    }
}

/// A contradiction in the policies of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contradiction {
    /// The setting to correct, by its name in `kafkaesk.toml`.
    pub setting: &'static str,
    /// What is wrong with it, and what helps.
    pub problem: String,
}

impl Contradiction {
    pub(crate) fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self {
            setting,
            problem: problem.into(),
        }
    }
}

impl std::fmt::Display for Contradiction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

/// The policies that a subscription sets; `None` for those that it leaves to the default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stated {
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) on_reject: Option<OnReject>,
    pub(crate) on_mismatch: Option<OnMismatch>,
    pub(crate) on_no_event: Option<OnNoEvent>,
}

/// What happens to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    DeadLetter,
    Hold,
    Skip,
}

/// The policies that hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policies {
    pub(crate) failure: Policy,
    pub(crate) reject: Policy,
    pub(crate) mismatch: OnMismatch,
    pub(crate) no_event: OnNoEvent,
}

impl Policies {
    /// The policies with their defaults. Without dead letters, a message that used up its attempts is held; a rejected
    /// message and a record without an event are logged and passed over.
    ///
    /// # Errors
    /// `dead-letter` is stated where there are no dead letters.
    pub(crate) fn of(stated: &Stated, dead_letters: bool) -> Result<Self, Contradiction> {
        if !dead_letters {
            let asked = [
                (
                    "on-failure",
                    stated.on_failure == Some(OnFailure::DeadLetter),
                ),
                ("on-reject", stated.on_reject == Some(OnReject::DeadLetter)),
                (
                    "on-mismatch",
                    stated.on_mismatch == Some(OnMismatch::DeadLetter),
                ),
                (
                    "on-no-event",
                    stated.on_no_event == Some(OnNoEvent::DeadLetter),
                ),
            ];
            if let Some((setting, _)) = asked.into_iter().find(|(_, asked)| *asked) {
                return Err(Contradiction::new(
                    setting,
                    "there are no dead letters, since the setting `dead-letters` is false; write another policy, or leave out `dead-letters`",
                ));
            }
        }
        let or = |with, without| if dead_letters { with } else { without };
        Ok(Self {
            failure: match stated.on_failure {
                None => or(Policy::DeadLetter, Policy::Hold),
                Some(OnFailure::DeadLetter) => Policy::DeadLetter,
                Some(OnFailure::Hold) => Policy::Hold,
                Some(OnFailure::Skip) => Policy::Skip,
            },
            reject: match stated.on_reject {
                None => or(Policy::DeadLetter, Policy::Skip),
                Some(OnReject::DeadLetter) => Policy::DeadLetter,
                Some(OnReject::Hold) => Policy::Hold,
                Some(OnReject::Skip) => Policy::Skip,
            },
            mismatch: stated.on_mismatch.unwrap_or_default(),
            no_event: stated.on_no_event.unwrap_or(match dead_letters {
                true => OnNoEvent::DeadLetter,
                false => OnNoEvent::Skip,
            }),
        })
    }

    /// Whether a message may become a dead letter.
    pub(crate) fn use_dead_letters(&self) -> bool {
        self.failure == Policy::DeadLetter
            || self.reject == Policy::DeadLetter
            || self.mismatch == OnMismatch::DeadLetter
            || self.no_event == OnNoEvent::DeadLetter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_dead_letters_nothing_is_one_and_what_asks_for_them_is_refused() {
        let none = Policies::of(&Stated::default(), false).unwrap();
        assert!(!none.use_dead_letters());
        assert_eq!((none.failure, none.reject), (Policy::Hold, Policy::Skip));
        assert!(
            Policies::of(&Stated::default(), true)
                .unwrap()
                .use_dead_letters()
        );
        for (stated, setting) in [
            (
                Stated {
                    on_failure: Some(OnFailure::DeadLetter),
                    ..Stated::default()
                },
                "on-failure",
            ),
            (
                Stated {
                    on_reject: Some(OnReject::DeadLetter),
                    ..Stated::default()
                },
                "on-reject",
            ),
            (
                Stated {
                    on_mismatch: Some(OnMismatch::DeadLetter),
                    ..Stated::default()
                },
                "on-mismatch",
            ),
            (
                Stated {
                    on_no_event: Some(OnNoEvent::DeadLetter),
                    ..Stated::default()
                },
                "on-no-event",
            ),
        ] {
            assert_eq!(Policies::of(&stated, false).unwrap_err().setting, setting);
            assert!(Policies::of(&stated, true).unwrap().use_dead_letters());
        }
    }

    #[test]
    fn log_is_another_word_for_skip_and_every_word_is_read() {
        let read = |word: &str| serde_json::from_value::<OnReject>(word.into()).unwrap();
        assert_eq!(read("log"), OnReject::Skip);
        assert_eq!(read("skip"), OnReject::Skip);
        assert_eq!(read("dead-letter"), OnReject::DeadLetter);
        assert_eq!(read("hold"), OnReject::Hold);
    }

    #[test]
    fn a_limit_outside_its_bounds_is_named() {
        assert_eq!(FailureLimit::default().contradiction(), None);
        for wrong in [
            FailureLimit::new(0.0, 100, 20),
            FailureLimit::new(1.1, 100, 20),
            FailureLimit::new(f64::NAN, 100, 20),
            FailureLimit::new(0.5, 0, 20),
            FailureLimit::new(0.5, 10_001, 20),
            FailureLimit::new(0.5, 100, 0),
        ] {
            assert!(wrong.contradiction().is_some(), "{wrong:?}");
        }
    }
}
