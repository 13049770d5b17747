//! Lost: every acknowledged publish is handled, or is a dead letter, or left its log before.

use super::{History, attempt, time};

pub(super) fn check(history: &History<'_>) -> Vec<String> {
    let lost = history.messages().filter_map(|message| {
        let published = message.published.filter(|_| message.settled().is_none())?;
        let last = match message.attempts.last() {
            None => "no handler ever began".to_owned(),
            Some(last) => format!("its last {}", attempt(history, *last)),
        };
        Some(format!(
            "{} key {:?} (message {}) was acknowledged {} and neither handled nor written as a dead letter: {last}",
            message.place,
            message.key,
            message.seq,
            time(history, published)
        ))
    });
    lost.collect()
}
