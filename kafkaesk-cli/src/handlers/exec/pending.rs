//! The messages in flight in one child: a delivery is added when its line is written, and removed by its answer. Pure
//! except for the given clock.

use std::{collections::HashMap, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

use kafkaesk_core::answer::Answer;

use super::Reply;

/// Which message an answer belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AnswerMatch {
    /// Its message, which now has it.
    Message,
    /// A message that waits no more (it timed out or its partition went away).
    Late,
    /// No delivery of this child.
    Unknown,
}

#[derive(Debug)]
struct Entry {
    reply: oneshot::Sender<Reply>,
    written: Instant,
    /// The log context of its attempt.
    context: tracing::Span,
    /// One of the child's `in-flight` places; free again with the entry.
    _place: OwnedSemaphorePermit,
}

/// Deliveries that a child has not answered.
#[derive(Debug)]
pub(super) struct Pending {
    entries: HashMap<String, Entry>,
    /// When the child last answered anything, or was last given something while it had nothing.
    heard: Instant,
    warned: bool,
}

impl Pending {
    /// Of a child started now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            entries: HashMap::new(),
            heard: now,
            warned: false,
        }
    }

    /// A line was written.
    pub(super) fn insert(
        &mut self,
        delivery: String,
        reply: oneshot::Sender<Reply>,
        context: tracing::Span,
        place: OwnedSemaphorePermit,
        now: Instant,
    ) {
        if self.entries.is_empty() {
            self.heard = now;
        }
        let entry = Entry {
            reply,
            written: now,
            context,
            _place: place,
        };
        self.entries.insert(delivery, entry);
    }

    /// An answer came.
    pub(super) fn answer(&mut self, delivery: &str, answer: Reply, now: Instant) -> AnswerMatch {
        self.heard = now;
        self.warned = false;
        match self.entries.remove(delivery) {
            None => AnswerMatch::Unknown,
            Some(entry) => match entry.reply.send(answer) {
                Ok(()) => AnswerMatch::Message,
                Err(_) => AnswerMatch::Late,
            },
        }
    }

    /// The log context of the only delivery that waits: what the child says now is about its message.
    pub(super) fn only(&self) -> Option<tracing::Span> {
        let mut all = self.entries.values();
        let only = all.next().filter(|_| self.entries.len() == 1)?;
        Some(only.context.clone()).filter(|context| !context.is_disabled())
    }

    /// How many deliveries wait, if the child has been silent for `silence`; once for each silence.
    pub(super) fn silent(&mut self, silence: Duration, now: Instant) -> Option<usize> {
        if self.entries.is_empty() || self.warned || now.duration_since(self.heard) < silence {
            return None;
        }
        self.warned = true;
        Some(self.entries.len())
    }

    /// Whether all `places` are taken by deliveries older than `age`: such a child is useless.
    pub(super) fn is_stuck(&self, places: usize, age: Duration, now: Instant) -> bool {
        self.entries.len() >= places
            && self
                .entries
                .values()
                .all(|entry| now.duration_since(entry.written) >= age)
    }

    /// The child is gone: answers everything in flight. If several messages wait, it is unknown which one killed the
    /// child, so no attempt counts. Returns their number.
    pub(super) fn end(&mut self, answer: &Reply) -> usize {
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|_, entry| !entry.reply.is_closed());
        let answer = match (entries.len(), answer) {
            (
                2..,
                Reply::Answered(Answer::Retry {
                    reason: Some(reason),
                    ..
                }),
            ) => Reply::Busy(format!(
                "{reason}; {} messages were in flight, and each is tried alone now",
                entries.len()
            )),
            _ => answer.clone(),
        };
        entries
            .into_values()
            .map(|entry| entry.reply.send(answer.clone()))
            .filter(Result::is_ok)
            .count()
    }
}
