//! Repeats: thins log lines that repeat. Of the same line about the same thing, such as a partition, the 1st, 2nd, 4th, 8th …
//! is written, with its count; the others are only counted. So the log is small even if everything fails, and what fails in
//! one place hides nothing of another.

use std::{collections::HashMap, fmt::Display, hash::Hash, sync::LazyLock, time::Duration};

use kafkaesk_core::Occurrences;
use parking_lot::Mutex;
use tokio::time::Instant;

/// After this long without a repetition the count starts again. Longer than the longest backoff, so that a message that
/// keeps failing is one streak.
pub const QUIET: Duration = Duration::from_secs(60);
/// How many things are counted one by one. Beyond it, those that have been quiet are forgotten, and if none has, new ones
/// count together.
const APART: usize = 1_000;

/// The repetitions of one line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streak {
    count: Occurrences,
    last: Option<(Instant, Option<i64>)>,
    /// Over all streaks.
    total: u64,
}

impl Streak {
    /// Counts one more. Returns the count in this streak if it is to be logged.
    pub fn occurred(&mut self, now: Instant) -> Option<u64> {
        self.occurred_to(None, now)
    }

    /// The same, of one message, by its offset: the same message goes on with its streak however long it waited.
    fn occurred_to(&mut self, offset: Option<i64>, now: Instant) -> Option<u64> {
        let is_same = offset.is_some() && self.last.is_some_and(|(_, last)| last == offset);
        if !is_same && self.is_quiet(now) {
            self.count = Occurrences::default();
        }
        self.last = Some((now, offset));
        self.total = self.total.saturating_add(1);
        self.count.count()
    }

    /// How often in the whole run.
    pub fn total(&self) -> u64 {
        self.total
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.last.is_some_and(|(last, _)| now - last >= QUIET)
    }
}

/// The repetitions of one line about several things, each counted apart.
#[derive(Clone, Debug)]
pub struct Repeats<K> {
    streaks: HashMap<K, Streak>,
    others: Streak,
    total: u64,
}

impl<K> Default for Repeats<K> {
    fn default() -> Self {
        Self {
            streaks: HashMap::default(),
            others: Streak::default(),
            total: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Repeats<K> {
    /// Counts one more about this. Returns the count if it is to be logged.
    pub fn occurred(&mut self, about: &K, now: Instant) -> Option<u64> {
        self.streak(about, now).occurred(now)
    }

    /// The same, of one message, by its offset.
    pub fn occurred_to(&mut self, about: &K, offset: i64, now: Instant) -> Option<u64> {
        self.streak(about, now).occurred_to(Some(offset), now)
    }

    fn streak(&mut self, about: &K, now: Instant) -> &mut Streak {
        self.total = self.total.saturating_add(1);
        let is_new = !self.streaks.contains_key(about);
        if is_new && self.streaks.len() >= APART {
            self.streaks.retain(|_, streak| !streak.is_quiet(now));
        }
        match is_new && self.streaks.len() >= APART {
            true => &mut self.others,
            false => self.streaks.entry(about.clone()).or_default(),
        }
    }

    /// How often, about all things.
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// What this process's consumers said of what they cannot do, where nothing nearer keeps it.
static SAID: LazyLock<Mutex<Repeats<String>>> = LazyLock::new(Mutex::default);

/// Counts one more line of this kind about this, such as a partition. Returns the count if it is to be logged.
pub(crate) fn said(kind: &str, about: impl Display) -> Option<u64> {
    SAID.lock()
        .occurred(&format!("{kind} {about}"), Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_line_is_written_at_powers_of_two_and_from_one_again_when_it_was_quiet() {
        let (mut streak, mut now) = (Streak::default(), Instant::now());
        let logged: Vec<u64> = (0..100).filter_map(|_| streak.occurred(now)).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16, 32, 64]);
        now += QUIET - Duration::from_millis(1);
        assert_eq!(streak.occurred(now), None);
        now += QUIET;
        assert_eq!(streak.occurred(now), Some(1));
        assert_eq!(streak.total(), 102);
    }

    #[test]
    fn what_repeats_in_one_place_hides_nothing_of_another() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for _ in 0..1_000 {
            repeats.occurred_to(&"a", 7, now);
        }
        assert_eq!(repeats.occurred_to(&"b", 7, now), Some(1));
        assert_eq!(repeats.occurred_to(&"b", 8, now), Some(2));
        assert_eq!(repeats.total(), 1_002);
    }

    #[test]
    fn the_same_message_is_one_streak_however_long_it_waits() {
        let (mut repeats, mut now) = (Repeats::default(), Instant::now());
        let mut logged = Vec::new();
        for _ in 0..20 {
            logged.extend(repeats.occurred_to(&"a", 7, now));
            now += QUIET * 60;
        }
        assert_eq!(logged, [1, 2, 4, 8, 16]);
        assert_eq!(repeats.occurred_to(&"a", 8, now), Some(1));
    }

    #[test]
    fn things_beyond_the_bound_count_together_until_some_have_been_quiet() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let logged = (0..APART + 8).filter_map(|thing| repeats.occurred(&thing, now));
        assert_eq!(logged.count(), APART + 4);
        assert_eq!(repeats.streaks.len(), APART);
        let later = now + QUIET + SECOND;
        assert_eq!(repeats.occurred(&(APART + 9), later), Some(1));
        assert_eq!(repeats.streaks.len(), 1);
    }
}
