//! Partitions: decides which streams have too few of them. Input: how many members each stream needs. Output: the streams whose
//! need has lasted for half an hour. Pure: it has no clock and adds nothing.
//!
//! More partitions stay for ever and move keys, so this is the slowest of the numbers: each look within half an hour must say
//! that nearly every partition of the stream keeps a member of its own busy.

use std::{collections::BTreeMap, time::Duration};

use kafkaesk_core::StreamId;

/// For how long a need must last.
pub(super) const SUSTAINED: Duration = Duration::from_secs(30 * 60);
/// The share of a member that each partition needs, on average, where its stream has too few.
const FULL: f64 = 0.9;

/// What a stream needs at one time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StreamNeed {
    pub(crate) stream: StreamId,
    pub(super) partitions: u32,
    /// What its partitions need in members, each of them one at most: a partition feeds no more.
    pub(super) members: f64,
}

impl StreamNeed {
    fn is_short(&self) -> bool {
        self.members >= f64::from(self.partitions) * FULL
    }
}

/// A stream that has too few partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    /// How many there are.
    pub(super) partitions: u32,
    /// For how long every look has said so.
    pub(super) lasting: Duration,
}

impl Short {
    /// Whether it lasted long enough.
    pub(super) fn is_due(self) -> bool {
        self.lasting >= SUSTAINED
    }
}

/// The streams that have too few partitions now.
#[derive(Debug, Default)]
pub(super) struct Partitions(BTreeMap<StreamId, Short>);

impl Partitions {
    /// Takes a look at all streams. A stream that is not there, that needs less, or whose number of partitions changed, begins
    /// again.
    pub(super) fn take(&mut self, elapsed: Duration, needs: &[StreamNeed]) {
        let before = std::mem::take(&mut self.0);
        let short = needs.iter().filter(|need| need.is_short());
        self.0 = short
            .map(|need| {
                let known = before.get(&need.stream);
                let known = known.filter(|it| it.partitions == need.partitions);
                let short = Short {
                    partitions: need.partitions,
                    lasting: known.map_or(Duration::ZERO, |it| it.lasting + elapsed),
                };
                (need.stream.clone(), short)
            })
            .collect();
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&StreamId, Short)> {
        self.0.iter().map(|(stream, short)| (stream, *short))
    }

    /// Something was decided: the need of this stream must last as long again.
    pub(super) fn begin_again(&mut self, stream: &StreamId) {
        self.0.remove(stream);
    }

    /// Another process decides: what was known says nothing any more.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_secs(30);

    fn need(stream: &str, partitions: u32, members: f64) -> StreamNeed {
        StreamNeed {
            stream: StreamId::new(stream).unwrap(),
            partitions,
            members,
        }
    }

    fn due(partitions: &Partitions) -> Vec<&str> {
        let due = partitions.all().filter(|(_, short)| short.is_due());
        due.map(|(stream, _)| stream.as_str()).collect()
    }

    #[test]
    fn a_need_that_lasts_half_an_hour_without_a_break_is_due_and_no_shorter_one() {
        let mut partitions = Partitions::default();
        let busy = [need("a", 7, 6.5), need("b", 7, 6.2)];
        for look in 0..60 {
            partitions.take(LOOK, &busy);
            assert_eq!(due(&partitions), [""; 0], "look {look}");
        }
        partitions.take(LOOK, &busy);
        assert_eq!(due(&partitions), ["a"], "6.2 of 7 is not full");
        partitions.take(LOOK, &[need("a", 7, 6.0)]);
        assert_eq!(due(&partitions), [""; 0]);
        partitions.take(LOOK, &busy);
        assert_eq!(due(&partitions), [""; 0], "one break begins it again");
    }

    #[test]
    fn other_partitions_and_a_decision_begin_it_again() {
        let mut partitions = Partitions::default();
        let hour = 2 * SUSTAINED;
        partitions.take(hour, &[need("a", 7, 7.0)]);
        assert_eq!(due(&partitions), [""; 0], "the first look tells no span");
        partitions.take(hour, &[need("a", 7, 7.0)]);
        assert_eq!(due(&partitions), ["a"]);
        partitions.begin_again(&StreamId::new("a").unwrap());
        partitions.take(hour, &[need("a", 7, 7.0)]);
        assert_eq!(due(&partitions), [""; 0]);
        partitions.take(hour, &[need("a", 14, 14.0)]);
        assert_eq!(due(&partitions), [""; 0]);
        partitions.take(hour, &[need("a", 14, 14.0)]);
        assert_eq!(due(&partitions), ["a"]);
        partitions.forget();
        partitions.take(hour, &[need("a", 14, 14.0)]);
        assert_eq!(due(&partitions), [""; 0]);
    }
}
