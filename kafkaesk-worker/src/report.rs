//! What a run did and left undone.

use std::time::SystemTime;

/// What a run did, once it ended because it was asked to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunReport {
    /// Messages that ended (done, rejected, skipped, given up, or passed over without an event).
    pub handled: u64,
    /// Of these, messages that were given up and are kept as dead letters.
    pub dead_letters: u64,
    /// Of these, records that hold no event and were passed over by [`crate::OnNoEvent::Skip`].
    pub without_event: u64,
    /// Attempts that failed: with an error, a panic or a mismatch that is held.
    pub failed_attempts: u64,
    /// How often a whole subscription paused since its handler was unavailable.
    pub pauses: u64,
    /// Messages that were begun and did not end: the oldest of them, [`RunReport::LISTED`] at most. They are delivered
    /// again at the next start.
    pub unfinished: Vec<Unfinished>,
    /// How many there are in all.
    pub unfinished_total: u64,
    /// Of these, messages whose handler was cut off at the deadline, or whose committer was not finished by then.
    pub interrupted: u64,
    /// Of these, messages whose handler had returned, and whose committer was not finished (`commit = "manual"`).
    pub in_custody: u64,
    /// Messages that were read but not begun: they waited for others of their key (or partition), for the end of a
    /// pause, or for a free handler. The next start delivers them; this run did not handle them.
    pub waiting: u64,
    /// Partitions that stood still at the end, since their next record could not be read.
    pub stalled: u64,
    /// Handled messages that follow an unfinished one in their partition, so that their offset could not be committed:
    /// they are delivered again at the next start, too.
    pub redelivered: u64,
}

/// A message that did not end: its handler was cut off, or it waited for its next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The group, as sent to Kafka.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// How many attempts began.
    pub attempts: u32,
    /// When the first of them failed; when the attempt began, if none failed.
    pub since: SystemTime,
    /// Whether it is held: it failed and waited for its next attempt. Otherwise its handler ran until the deadline, or it was
    /// in custody.
    pub held: bool,
    /// Whether it was in custody: its handler had returned, and its committer was not finished (`commit = "manual"`).
    pub in_custody: bool,
    /// How many messages its batch has, of which this is the first; 1 without batches.
    pub messages: u32,
    /// How many messages wait for it: those of its key (or partition, by the subscription's ordering) that were read.
    pub waiting: usize,
}

impl RunReport {
    /// How many unfinished messages are listed one by one.
    pub const LISTED: usize = 10;

    /// Adds what another subscription did.
    pub(crate) fn add(&mut self, other: Self) {
        self.handled += other.handled;
        self.dead_letters += other.dead_letters;
        self.without_event += other.without_event;
        self.failed_attempts += other.failed_attempts;
        self.pauses += other.pauses;
        self.unfinished_total += other.unfinished_total;
        self.interrupted += other.interrupted;
        self.in_custody += other.in_custody;
        self.waiting += other.waiting;
        self.redelivered += other.redelivered;
        self.stalled += other.stalled;
        self.unfinished.extend(other.unfinished);
        self.unfinished.sort_by_key(|unfinished| unfinished.since);
        self.unfinished.truncate(Self::LISTED);
    }
}
