//! Completions: which records beyond a committed offset are finished, and which topic the offset belongs to, as text in
//! the commit's metadata (contract/README.md §9). Pure.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{NextOffset, Offset};

/// The longest text: the brokers' default of `offset.metadata.max.bytes`.
pub const MAX_BYTES: usize = 4096;
/// The start of the text: the program and the version of the format.
const MARK: &str = "kafkaesk:1:";
/// The length of a topic's id, as Kafka prints it.
const ID_BYTES: usize = 22;

/// The finished records from a committed offset on: all below [`Self::end`], except the runs of unfinished ones.
/// Offsets without a record count as finished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// Start and length of each run of unfinished offsets, ascending, with finished offsets between them.
    unfinished: Vec<(i64, i64)>,
    /// The offset after the last finished one; 0 if there is none.
    end: i64,
}

impl Completions {
    /// Makes completions from the unfinished offsets, ascending, and the offset after the last known one. Drops
    /// everything after the last finished offset.
    pub fn new(unfinished: impl IntoIterator<Item = Offset>, end: NextOffset) -> Self {
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for Offset(offset) in unfinished {
            match runs.last_mut() {
                Some((start, length)) if *start + *length == offset => *length += 1,
                _ => runs.push((offset, 1)),
            }
        }
        let mut end = end.0;
        if let Some((start, length)) = runs.last().copied()
            && start + length >= end
        {
            runs.pop();
            end = start;
        }
        match runs.is_empty() {
            true => Self::default(),
            false => Self {
                unfinished: runs,
                end,
            },
        }
    }

    /// Whether nothing beyond the committed offset is finished.
    pub fn is_empty(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// Behind the last offset that is finished.
    pub fn end(&self) -> NextOffset {
        NextOffset(self.end)
    }

    /// Whether this offset is finished; every offset before the first unfinished one is.
    pub fn is_finished(&self, offset: Offset) -> bool {
        if offset.0 >= self.end {
            return false;
        }
        let after = self
            .unfinished
            .partition_point(|(start, _)| *start <= offset.0);
        match after.checked_sub(1).and_then(|at| self.unfinished.get(at)) {
            Some((start, length)) => offset.0 >= start + length,
            None => true,
        }
    }

    /// Start and length of each run of unfinished offsets, ascending.
    pub fn unfinished(&self) -> &[(i64, i64)] {
        &self.unfinished
    }

    /// The unfinished offsets from this one on, ascending, as far as these completions reach.
    pub fn unfinished_from(&self, from: NextOffset) -> impl Iterator<Item = Offset> + '_ {
        self.unfinished
            .iter()
            .flat_map(move |(start, length)| (*start).max(from.0)..start + length)
            .map(Offset)
    }

    /// The part of the completions, from the committed offset on, that fits into the text.
    #[must_use]
    pub fn fitting(&self, topic_id: &str, committed: NextOffset) -> Self {
        let room = MAX_BYTES.saturating_sub(self.head(topic_id, committed).len());
        // Four characters of base64 are three bytes.
        let room = room / 4 * 3 + [0, 0, 1, 2][room % 4];
        let (mut fitting, mut bytes) = (Self::default(), 0);
        for (index, (start, length)) in self.unfinished.iter().enumerate() {
            let next = self.unfinished.get(index + 1);
            let end = next.map_or(self.end, |(start, _)| *start);
            // Finished offsets before the first unfinished run are written as their own run, after an unfinished run of
            // length 0.
            if index == 0 && *start > committed.0 {
                bytes += 1 + varint_bytes(start - committed.0);
            }
            bytes += varint_bytes(*length) + varint_bytes(end - start - length);
            if bytes > room {
                break;
            }
            fitting.unfinished.push((*start, *length));
            fitting.end = end;
        }
        fitting
    }

    /// The text for the commit of `committed` on the topic with this id. It has at most [`MAX_BYTES`]; the rest is left
    /// out. Empty if nothing beyond the offset is finished.
    pub fn write(&self, topic_id: &str, committed: NextOffset) -> String {
        let fitting = self.fitting(topic_id, committed);
        if fitting.is_empty() {
            return String::new();
        }
        let (mut bytes, mut at) = (Vec::new(), committed.0);
        for (index, (start, length)) in fitting.unfinished.iter().enumerate() {
            match index {
                0 if *start > at => {
                    push_varint(&mut bytes, 0);
                    push_varint(&mut bytes, start - at);
                }
                0 => {}
                _ => push_varint(&mut bytes, start - at),
            }
            push_varint(&mut bytes, *length);
            at = start + length;
        }
        push_varint(&mut bytes, fitting.end - at);
        format!(
            "{}{}",
            self.head(topic_id, committed),
            URL_SAFE_NO_PAD.encode(bytes)
        )
    }

    /// The metadata of the commit of `committed` on the topic with this id. It always names the topic, so that a reader can
    /// tell the offset of a deleted topic from one of a later topic with the same name. Behind that it is as [`Self::write`].
    pub fn metadata(&self, topic_id: &str, committed: NextOffset) -> String {
        let text = self.write(topic_id, committed);
        match text.is_empty() {
            true => self.head(topic_id, committed),
            false => text,
        }
    }

    /// The id of the topic that the metadata of the commit of `committed` names, whatever it says beyond that. `None` for
    /// metadata of another program, form or commit: then the offset counts for every topic of its name.
    pub fn topic_id(metadata: &str, committed: NextOffset) -> Option<&str> {
        let (id, rest) = metadata.strip_prefix(MARK)?.split_once(':')?;
        let (offset, _) = rest.split_once(':')?;
        let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_id = id.len() == ID_BYTES && id.bytes().all(is_of_id);
        (is_id && offset == committed.0.to_string()).then_some(id)
    }

    /// Reads the text of a commit. `None` for a text of another program or form, of another topic or commit, or a broken
    /// one: then nothing is known, and records may come again.
    pub fn read(text: &str, topic_id: &str, committed: NextOffset) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let runs = text.strip_prefix(&Self::default().head(topic_id, committed))?;
        let bytes = URL_SAFE_NO_PAD.decode(runs).ok()?;
        let (mut rest, mut at, mut read) = (&bytes[..], committed.0, Self::default());
        while !rest.is_empty() {
            let length = take_varint(&mut rest)?;
            let finished = take_varint(&mut rest)?;
            let first = read.end == 0 && read.unfinished.is_empty();
            if finished == 0 || (length == 0 && !first) {
                return None;
            }
            let start = at;
            at = at.checked_add(length)?.checked_add(finished)?;
            if length > 0 {
                read.unfinished.push((start, length));
            }
            read.end = at;
        }
        (!read.is_empty()).then_some(read)
    }

    fn head(&self, topic_id: &str, committed: NextOffset) -> String {
        format!("{MARK}{topic_id}:{}:", committed.0)
    }
}

/// A number as protobuf writes one: seven bits in each byte, the lowest first, the highest bit says that more follow.
fn push_varint(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = number as u64;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn varint_bytes(number: i64) -> usize {
    let bits = 64 - (number as u64 | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// In its shortest form, and not negative.
fn take_varint(rest: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let is_shortest = shift == 0 || *byte != 0;
            return is_shortest.then_some(i64::try_from(number).ok()?);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "c29tZS10b3BpYy1pZC0xMjM";

    fn of(unfinished: &[i64], end: i64) -> Completions {
        Completions::new(unfinished.iter().copied().map(Offset), NextOffset(end))
    }

    #[test]
    fn nothing_finished_beyond_is_no_text() {
        for nothing in [of(&[], 9), of(&[5], 6), of(&[5, 6, 7], 8)] {
            assert!(nothing.is_empty(), "{nothing:?}");
            assert_eq!(nothing.write(ID, NextOffset(5)), "");
        }
        assert_eq!(Completions::read("", ID, NextOffset(5)), None);
    }

    #[test]
    fn the_text_is_of_one_topic_and_one_commit() {
        let text = of(&[5, 7], 9).write(ID, NextOffset(5));
        assert_eq!(text, format!("{MARK}{ID}:5:AQEBAQ"));
        assert!(Completions::read(&text, ID, NextOffset(5)).is_some());
        for (id, next) in [(ID, 4), (ID, 6), ("other", 5), ("", 5)] {
            assert_eq!(Completions::read(&text, id, NextOffset(next)), None);
        }
    }

    #[test]
    fn every_metadata_names_its_topic() {
        let id = &ID[..ID_BYTES];
        for completions in [of(&[], 5), of(&[5], 6), of(&[5, 7], 9)] {
            let metadata = completions.metadata(id, NextOffset(5));
            assert_eq!(Completions::topic_id(&metadata, NextOffset(5)), Some(id));
            assert_eq!(Completions::topic_id(&metadata, NextOffset(6)), None);
            let read = Completions::read(&metadata, id, NextOffset(5));
            assert_eq!(read.unwrap_or_default(), completions);
        }
    }

    #[test]
    fn a_broken_text_says_nothing() {
        let head = format!("{MARK}{ID}:5:");
        for broken in [
            "", "AQ", "AQA", "AAE", "AQEAAQ", "AQEBAA", "gAAB", "gQAB", "!", "AQE=",
        ] {
            let text = format!("{head}{broken}");
            assert_eq!(
                Completions::read(&text, ID, NextOffset(5)),
                None,
                "{broken}"
            );
        }
        for foreign in ["kafkaesk:2:x:5:AQE", "{\"version\":1}", "kafkaesk:1"] {
            assert_eq!(Completions::read(foreign, ID, NextOffset(5)), None);
        }
    }

    #[test]
    fn the_longest_text_keeps_its_bound_and_its_beginning() {
        for step in [2, 3, 200, 20_000, 3_000_000] {
            let unfinished: Vec<i64> = (0..10_000).map(|n| n * step).collect();
            let all = of(&unfinished, 10_000 * step);
            let text = all.write(ID, NextOffset(0));
            assert!(text.len() <= MAX_BYTES, "{}", text.len());
            assert!(text.len() > MAX_BYTES - 16, "{}", text.len());
            let read = Completions::read(&text, ID, NextOffset(0)).unwrap();
            assert_eq!(read, all.fitting(ID, NextOffset(0)));
            // Each edge of a run, and what is beside it.
            for at in unfinished.iter().flat_map(|at| [at - 1, *at, at + 1]) {
                let known = (0..read.end).contains(&at);
                assert!(!known || read.is_finished(Offset(at)) == all.is_finished(Offset(at)));
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            committed in 0_i64..1_000,
            steps in proptest::collection::vec((0_i64..300, any::<bool>()), 0..200),
        ) {
            let (mut at, mut unfinished) = (committed, Vec::new());
            for (gap, done) in steps {
                at += gap;
                if !done {
                    unfinished.push(at);
                }
                at += 1;
            }
            let completions = of(&unfinished, at);
            let text = completions.write(ID, NextOffset(committed));
            prop_assert!(text.len() <= MAX_BYTES);
            let read = Completions::read(&text, ID, NextOffset(committed)).unwrap_or_default();
            prop_assert_eq!(&read, &completions.fitting(ID, NextOffset(committed)));
            for offset in committed..read.end {
                prop_assert_eq!(read.is_finished(Offset(offset)), !unfinished.contains(&offset));
            }
            let listed: Vec<i64> = read.unfinished_from(NextOffset(0)).map(|o| o.0).collect();
            let expected: Vec<i64> = unfinished.iter().copied().filter(|o| *o < read.end).collect();
            prop_assert_eq!(listed, expected);
        }

        #[test]
        fn no_text_ends_the_reader(text in "\\PC{0,60}", next in any::<i64>()) {
            let _ = Completions::read(&text, ID, NextOffset(next));
            let _ = Completions::read(&format!("{MARK}{ID}:{next}:{text}"), ID, NextOffset(next));
            let _ = Completions::topic_id(&text, NextOffset(next));
            let _ = Completions::topic_id(&format!("{MARK}{text}:{next}:"), NextOffset(next));
        }
    }
}
