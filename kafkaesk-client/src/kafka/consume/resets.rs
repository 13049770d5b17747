//! Offsets that are not in their log: librdkafka's log lines become one warning for each partition, with the offset
//! wanted, the offset taken, and how many records lie between.
//!
//! librdkafka reports a reset only as a log line, on its own threads. A thread of ours requests the ends of the
//! partition, and ends when there are no more requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use kafkaesk_core::Source;
use parking_lot::Mutex;
use rdkafka::{ClientContext as _, config::RDKafkaLogLevel};

use super::super::{
    context::Context,
    librdkafka_log::{self, Fate, Reset, Target},
    metadata::Lookup,
};
use crate::consumer::out_of_range;

/// A reset whose ends are known.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// The offset of the next record that will be read.
    pub(super) taken: Option<i64>,
    pub(super) warning: String,
}

/// The resets of one consumer, from librdkafka's threads to the consumer's own.
#[derive(Debug, Default)]
pub(super) struct Resets {
    state: Mutex<State>,
    /// There is news since the consumer's thread last checked.
    news: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// One for each partition: a later reset replaces an earlier one whose ends were not requested yet.
    heard: BTreeMap<(String, i32), Reset>,
    settled: Vec<Settled>,
    asking: bool,
    /// Partitions whose next record may have a lower offset than the last one, since a warning has announced it.
    explained: BTreeSet<(String, i32)>,
}

impl Resets {
    /// Takes a line of librdkafka's log: a reset is kept, everything else is logged.
    pub(super) fn log(
        &self,
        context: &Context,
        level: RDKafkaLogLevel,
        facility: &str,
        message: &str,
    ) {
        if librdkafka_log::fate(facility, message) == Fate::Reset
            && let Some(reset) = librdkafka_log::reset(message)
        {
            self.hear(reset);
            return;
        }
        context.log(level, facility, message);
    }

    /// librdkafka logged a reset.
    fn hear(&self, reset: Reset) {
        let key = (reset.topic.clone(), reset.partition);
        let mut state = self.state.lock();
        state.explained.insert(key.clone());
        state.heard.insert(key, reset);
        drop(state);
        self.news.store(true, Ordering::Release);
    }

    /// Whether a step back of this partition was said. One answer for each reset.
    pub(super) fn explains(&self, source: &Source) -> bool {
        let key = (source.topic.as_str().to_owned(), source.partition);
        self.state.lock().explained.remove(&key)
    }

    /// The resets with known ends since the last call. Starts requesting the ends of new ones.
    pub(super) fn settled(self: &Arc<Self>, lookup: &Arc<Lookup>) -> Vec<Settled> {
        if !self.news.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        let mut state = self.state.lock();
        if !state.asking && !state.heard.is_empty() {
            state.asking = true;
            let (resets, asked) = (self.clone(), lookup.clone());
            let started = thread::Builder::new()
                .name("kafkaesk-resets".into())
                .spawn(move || resets.ask(&asked));
            if let Err(error) = started {
                // Without a thread the numbers stay unknown; the warning does not wait for them.
                state.asking = false;
                let heard = mem::take(&mut state.heard);
                return heard
                    .into_values()
                    .map(|reset| settle(reset, Err(error.to_string())))
                    .collect();
            }
        }
        mem::take(&mut state.settled)
    }

    fn ask(&self, lookup: &Lookup) {
        loop {
            let mut state = self.state.lock();
            let Some((_, reset)) = state.heard.pop_first() else {
                state.asking = false;
                return;
            };
            drop(state);
            let ends = lookup
                .watermarks(&reset.topic, reset.partition)
                .map_err(|error| error.to_string());
            let (key, wanted) = ((reset.topic.clone(), reset.partition), reset.wanted);
            let settled = settle(reset, ends);
            let mut state = self.state.lock();
            if settled.taken.is_some_and(|taken| taken >= wanted) {
                // No step back.
                state.explained.remove(&key);
            }
            state.settled.push(settled);
            drop(state);
            self.news.store(true, Ordering::Release);
        }
    }
}

/// Names what a reset means, by the ends of its partition.
fn settle(reset: Reset, ends: Result<(i64, i64), String>) -> Settled {
    let Reset {
        topic,
        partition,
        wanted,
        to,
        reason,
    } = reset;
    let place = format!("{topic}[{partition}]");
    let taken = match (to, &ends) {
        (Target::Offset(offset), _) => Some(offset),
        (Target::Beginning, Ok((low, _))) => Some(*low),
        (Target::End, Ok((_, high))) => Some(*high),
        (_, Err(_)) => None,
    };
    let warning = match (taken, ends) {
        (Some(taken), Ok(ends)) => out_of_range(&place, wanted, ends, taken),
        (taken, ends) => format!(
            "{place}: offset {wanted} is not in the log, reading goes on at {}: how many records are lost or read again \
             is unknown, since the ends of the partition are: {} (librdkafka: {reason})",
            match (taken, to) {
                (Some(offset), _) => format!("offset {offset}"),
                (None, Target::End) => "its end".to_owned(),
                (None, _) => "its beginning".to_owned(),
            },
            ends.err().unwrap_or_default()
        ),
    };
    Settled {
        topic,
        partition,
        taken,
        warning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset(wanted: i64, to: Target) -> Reset {
        Reset {
            topic: "shop.a".to_owned(),
            partition: 2,
            wanted,
            to,
            reason: "Offset out of range".to_owned(),
        }
    }

    #[test]
    fn a_reset_names_the_partition_both_offsets_and_the_records_between() {
        let expired = settle(reset(3, Target::Offset(10)), Ok((10, 20)));
        for part in ["shop.a[2]", "offset 3 ", "at offset 10", "7 records"] {
            assert!(expired.warning.contains(part), "{}", expired.warning);
        }
        assert_eq!(expired.taken, Some(10));
        let beyond = settle(reset(500, Target::Beginning), Ok((4, 20)));
        for part in [
            "shop.a[2]",
            "offset 500",
            "at offset 20",
            "at offset 4",
            "16 records",
        ] {
            assert!(beyond.warning.contains(part), "{}", beyond.warning);
        }
        let latest = settle(reset(3, Target::End), Ok((10, 20)));
        assert!(latest.warning.contains("17 records"), "{}", latest.warning);
        let unknown = settle(reset(3, Target::Beginning), Err("no broker".to_owned()));
        assert!(unknown.warning.contains("no broker"), "{}", unknown.warning);
        assert_eq!(unknown.taken, None);
    }
}
