//! Commits: reads a group's commits from Kafka's own log of them, so that none is missed and each has the broker's time.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Buf;
use kafkaesk_client::Connection;
use kafkaesk_core::{NextOffset, TopicName};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::ledger::{Commit, Ledger};

/// How long an open transaction may hold commits back: 20 s, and until the brokers look.
const HELD_BACK: Duration = Duration::from_secs(25);
/// Between two looks.
const AGAIN: Duration = Duration::from_millis(200);

/// The log; the suite's brokers keep it in one partition.
const LOG: &str = "__consumer_offsets";

/// Reads on from where it was.
pub(super) struct CommitReader {
    connection: Connection,
    topic: TopicName,
    group: String,
    from: NextOffset,
    /// Where the next run begins: what was committed before concerns nobody.
    next_run: Arc<Mutex<NextOffset>>,
}

impl CommitReader {
    pub(super) fn new(
        connection: Connection,
        group: &str,
        next_run: Arc<Mutex<NextOffset>>,
    ) -> Result<Self> {
        let from = *next_run.lock();
        Ok(Self {
            connection,
            topic: TopicName::new(LOG)?,
            group: group.to_owned(),
            from,
            next_run,
        })
    }

    /// Commits of the group that are new.
    pub(super) async fn read(&mut self) -> Result<Vec<Commit>> {
        let found = Arc::new(Mutex::new(Vec::new()));
        let (group, sink) = (self.group.clone(), found.clone());
        let next = self
            .connection
            .broker()
            .read_log(
                &self.topic,
                self.from,
                None,
                Box::new(move |record| {
                    let (Some(key), Some(value)) = (record.key, record.value) else {
                        return Ok(());
                    };
                    if let Some(commit) = decode(&group, &key, &value) {
                        sink.lock().push(commit);
                    }
                    Ok(())
                }),
            )
            .await
            .context("reading the log of commits")?
            .context("the log of commits lost its end")?;
        self.from = next;
        let mut next_run = self.next_run.lock();
        *next_run = next.max(*next_run);
        drop(next_run);
        let found = std::mem::take(&mut *found.lock());
        Ok(found)
    }
}

impl CommitReader {
    /// Reads on while a transaction that a killed worker left open may hold the last commits back.
    pub(super) async fn await_open(&mut self, ledger: &mut Ledger) -> Result<()> {
        let until = Instant::now() + HELD_BACK;
        while Instant::now() < until && !is_all_committed(ledger) {
            sleep(AGAIN).await;
            ledger.commits.extend(self.read().await?);
        }
        Ok(())
    }
}

/// Whether the last commit of each partition is behind its last message.
fn is_all_committed(ledger: &Ledger) -> bool {
    let last = |topic: &str, partition: i32| {
        let mut commits = ledger.commits.iter().rev();
        commits.find(|it| it.partition == partition && &*it.topic == topic)
    };
    ledger.published.iter().all(|it| {
        let committed = last(&it.place.topic, it.place.partition);
        committed.is_some_and(|commit| commit.next > it.place.offset)
    })
}

/// A commit of this group; `None` for every other record.
fn decode(group: &str, mut key: &[u8], mut value: &[u8]) -> Option<Commit> {
    let kind = key.try_get_i16().ok()?;
    if !(0..=1).contains(&kind) || text(&mut key)? != group {
        return None;
    }
    let topic = text(&mut key)?;
    let partition = key.try_get_i32().ok()?;
    let version = value.try_get_i16().ok()?;
    let next = value.try_get_i64().ok()?;
    if version >= 3 {
        // The leader's epoch.
        value.try_get_i32().ok()?;
    }
    // Metadata, which is not looked at. From version 4 on, strings are compact.
    if version >= 4 {
        let length = varint(&mut value)?.checked_sub(1)?;
        value = value.get(length..)?;
    } else {
        text(&mut value)?;
    }
    let millis = value.try_get_i64().ok()?;
    Some(Commit {
        topic: topic.into(),
        partition,
        next,
        at: millis * 1000,
    })
}

fn text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(from.try_get_i16().ok()?).ok()?;
    let text = from.get(..length)?;
    *from = &from[length..];
    std::str::from_utf8(text).ok()
}

fn varint(from: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    for shift in (0..28).step_by(7) {
        let byte = from.try_get_u8().ok()?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Vec<u8> {
        let mut bytes = (text.len() as i16).to_be_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes
    }

    fn key(group: &str) -> Vec<u8> {
        let mut key = vec![0, 1];
        key.extend(string(group));
        key.extend(string("orders"));
        key.extend(7_i32.to_be_bytes());
        key
    }

    fn value(version: i16) -> Vec<u8> {
        let mut value = version.to_be_bytes().to_vec();
        value.extend(42_i64.to_be_bytes());
        if version >= 3 {
            value.extend((-1_i32).to_be_bytes());
        }
        match version >= 4 {
            true => value.extend([3, b'm', b'd']),
            false => value.extend(string("md")),
        }
        value.extend(1234_i64.to_be_bytes());
        value
    }

    #[test]
    fn a_commit_is_read_in_every_version() {
        for version in 0..=4 {
            let commit = decode("g", &key("g"), &value(version)).unwrap();
            let seen = (&*commit.topic, commit.partition, commit.next, commit.at);
            assert_eq!(seen, ("orders", 7, 42, 1_234_000), "version {version}");
        }
    }

    #[test]
    fn other_groups_and_other_records_are_no_commits() {
        assert!(decode("h", &key("g"), &value(3)).is_none());
        assert!(decode("g", &[0, 2, 0, 1, b'g'], &value(3)).is_none());
        assert!(decode("g", &key("g"), &[0, 3, 0]).is_none());
        assert!(decode("g", &[], &[]).is_none());
    }
}
