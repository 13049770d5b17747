//! Suspects: the messages that were in flight together when their child died. Each of them is tried alone, with no
//! other message in any child of its handler, until it is answered. So the message that kills its child is found.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use kafkaesk_core::answer::Answer;

use super::Reply;

/// How many messages are remembered. More can be in flight; those beyond are tried together again.
const MOST: usize = 4096;

/// The suspects of one handler.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    messages: Mutex<HashSet<String>>,
    /// Held for reading by each message, and for writing by one that must be alone.
    turns: RwLock<()>,
}

/// As long as it is held, a message may be in a child.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    #[expect(dead_code, reason = "held, not read")]
    Together(RwLockReadGuard<'a, ()>),
    #[expect(dead_code, reason = "held, not read")]
    Alone(RwLockWriteGuard<'a, ()>),
}

impl Suspects {
    /// Waits until this message may go to a child. Cancel safe.
    pub(super) async fn turn(&self, message: &str) -> Turn<'_> {
        let is_suspect = self.messages.lock().contains(message);
        match is_suspect {
            true => Turn::Alone(self.turns.write().await),
            false => Turn::Together(self.turns.read().await),
        }
    }

    /// What its answer tells of a message.
    pub(super) fn learn(&self, message: &str, answer: &Reply) {
        let mut messages = self.messages.lock();
        match answer {
            // Its child died with others in flight.
            Reply::Busy(_) if messages.len() < MOST => drop(messages.insert(message.to_owned())),
            // Perhaps its child died with it alone.
            Reply::Busy(_)
            | Reply::Overloaded { .. }
            | Reply::Answered(Answer::Retry { .. })
            | Reply::Unavailable(_) => {}
            _ if messages.is_empty() => {}
            _ => drop(messages.remove(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_suspect_is_alone_until_it_is_answered() {
        let suspects = Suspects::default();
        suspects.learn("a[0]@1", &Reply::Busy("it died".into()));
        let other = suspects.turn("a[0]@2").await;
        assert!(suspects.turn("a[0]@1").now_or_never().is_none());
        drop(other);
        let alone = suspects.turn("a[0]@1").await;
        assert!(suspects.turn("a[0]@2").now_or_never().is_none());
        drop(alone);
        let retry = Reply::retry(None, "it died".into());
        suspects.learn("a[0]@1", &retry);
        assert!(matches!(suspects.turn("a[0]@1").await, Turn::Alone(_)));
        suspects.learn("a[0]@1", &Reply::DONE);
        assert!(matches!(suspects.turn("a[0]@1").await, Turn::Together(_)));
    }
}
