//! Settles dead letters: a redrive returns each to its group by the retry topic, a purge discards it. One transaction
//! holds both the copy and the marker, so that no letter is redriven twice or lost.

use std::{num::NonZeroU32, ops::ControlFlow, time::Duration};

use bytes::Bytes;
use kafkaesk_core::{DeadLetter, Headers, SettledBy, Settlement};
use tokio::time::Instant;

use super::{DeadLetters, Filter, Letter};
use crate::{
    ClientError,
    broker::{Outgoing, size_of},
    transaction::Transaction,
};

/// How many letters one transaction settles, at most.
pub const TRANSACTION_LETTERS: usize = 100;
/// How many bytes one transaction has, at most; a larger letter has one of its own.
pub const TRANSACTION_BYTES: usize = 1 << 20;
/// How long a member of the group is waited for.
pub const READER_WAIT: Duration = Duration::from_secs(15);
/// Between two looks for one.
const LOOK: Duration = Duration::from_millis(250);

/// Which letters to settle, and how fast.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Which of those that are not settled.
    pub filter: Filter,
    /// At most so many.
    pub limit: Option<u64>,
    /// At most so many each second.
    pub rate: Option<NonZeroU32>,
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Letters that are settled now.
    pub settled: u64,
    /// Records that were skipped, since they are not dead letters or cannot be read.
    pub left: u64,
}

impl DeadLetters {
    /// The id of the transactions that settle letters of this group: one redrive or purge at a time has it.
    pub fn transactional_id(&self) -> String {
        format!("kafkaesk.redrive.{}", self.group)
    }

    /// Whether a member of the group reads the retry topic now.
    ///
    /// # Errors
    /// As asking the brokers fails.
    pub async fn has_reader(&self) -> Result<bool, ClientError> {
        let readers = self.connection.broker().readers(&self.retry_topic).await?;
        Ok(readers.contains_key(&self.group))
    }

    /// Whether the retry topic is absent and the group has members. Then a redrive creates the topic, and the members
    /// find it.
    ///
    /// # Errors
    /// As asking the brokers fails.
    pub async fn awaits_retry_topic(&self) -> Result<bool, ClientError> {
        let broker = self.connection.broker();
        let topics = &broker.cluster().await?.topics;
        if topics.contains_key(self.retry_topic.as_str()) {
            return Ok(false);
        }
        let position = broker.group_position(&self.group, &self.topic, 0).await?;
        Ok(!position.members.is_empty())
    }

    /// Creates the retry topic if it is absent, and waits for a member of the group that reads it, [`READER_WAIT`] at most:
    /// workers look for new topics every `discovery-interval`.
    ///
    /// # Errors
    /// [`ClientError::NoRetryReader`]; [`ClientError::Unauthorized`] where the topic is absent and may not be created.
    pub async fn wait_for_reader(&self) -> Result<(), ClientError> {
        self.create_retry().await?;
        let deadline = Instant::now() + READER_WAIT;
        while !self.has_reader().await? {
            if Instant::now() >= deadline {
                return Err(ClientError::NoRetryReader {
                    group: self.group.clone(),
                    topic: self.retry_topic.clone(),
                    waited: READER_WAIT,
                });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Returns letters to the group: key and value byte for byte, and the headers with an increased count of redrives.
    /// Takes over from a redrive or purge of this group that still runs. Ignores letters that arrive meanwhile.
    ///
    /// `each` is called after every committed transaction, and can end the redrive there. If the future is dropped
    /// before its end, committed transactions stay, and the open one may still be committed.
    ///
    /// # Errors
    /// [`ClientError::NoRetryReader`]; [`ClientError::TransactionFenced`] where another one took over, and
    /// [`ClientError::TransactionUnknown`]; others as reading and writing fail. What is committed stays so, and a later
    /// redrive goes on behind it.
    pub async fn redrive(
        &self,
        order: &Order,
        each: impl FnMut(&Tally) -> ControlFlow<()>,
    ) -> Result<Tally, ClientError> {
        self.wait_for_reader().await?;
        self.settle(SettledBy::Redrive, order, each).await
    }

    /// Discards letters: they count as settled, and stay in their topic until its retention. Otherwise like
    /// [`Self::redrive`], but needs no member.
    ///
    /// # Errors
    /// As [`Self::redrive`].
    pub async fn purge(
        &self,
        order: &Order,
        each: impl FnMut(&Tally) -> ControlFlow<()>,
    ) -> Result<Tally, ClientError> {
        self.settle(SettledBy::Purge, order, each).await
    }

    async fn settle(
        &self,
        by: SettledBy,
        order: &Order,
        each: impl FnMut(&Tally) -> ControlFlow<()>,
    ) -> Result<Tally, ClientError> {
        let id = self.transactional_id();
        // Before reading: from here on, no other program settles letters of this group.
        let transaction = self.connection.broker().transaction(&id).await?;
        let mut settling = Settling {
            letters: self,
            by,
            order,
            each,
            transaction,
            records: Vec::new(),
            waiting: 0,
            bytes: 0,
            tally: Tally::default(),
            begun: Instant::now(),
        };
        let Some(snapshot) = self.snapshot().await? else {
            return Ok(settling.tally);
        };
        let mut letters = self.letters(&snapshot).await?;
        while !settling.is_enough()
            && let Some(letter) = letters.next().await?
        {
            if settling.take(&letter).await?.is_break() {
                return Ok(settling.tally);
            }
        }
        let _ended_either_way = settling.commit().await?;
        Ok(settling.tally)
    }

    /// The records that settle a letter: the marker, and for a redrive also the copy.
    fn settling(
        &self,
        by: SettledBy,
        letter: &Letter,
        origin: Option<&DeadLetter>,
    ) -> Vec<Outgoing> {
        let record = &letter.record;
        let outgoing = |topic, headers: Headers| Outgoing {
            topic,
            partition: None,
            key: None,
            value: None,
            headers,
            timestamp: None,
            batch: Default::default(),
        };
        // Copied, so that one letter does not keep the batch with which it was read.
        let copied = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let copy = origin.map(|origin| Outgoing {
            key: record.key.as_ref().map(copied),
            value: record.value.as_ref().map(copied),
            ..outgoing(self.retry_topic.clone(), origin.redrive(&record.headers))
        });
        let settlement = Settlement {
            offset: record.offset,
            by,
        };
        let marker = Outgoing {
            partition: Some(record.partition()),
            ..outgoing(self.topic.clone(), settlement.write())
        };
        copy.into_iter().chain([marker]).collect()
    }
}

/// A redrive or purge under way.
struct Settling<'a, E> {
    letters: &'a DeadLetters,
    by: SettledBy,
    order: &'a Order,
    each: E,
    transaction: Transaction,
    /// The records of the next transaction, and the number of letters that they settle.
    records: Vec<Outgoing>,
    waiting: usize,
    bytes: usize,
    tally: Tally,
    begun: Instant,
}

impl<E: FnMut(&Tally) -> ControlFlow<()>> Settling<'_, E> {
    /// Whether the order's limit is reached.
    fn is_enough(&self) -> bool {
        let taken = self.tally.settled + self.waiting as u64;
        self.order.limit.is_some_and(|limit| taken >= limit)
    }

    /// The number of letters in the next transaction: with a rate, those of a tenth of a second, so that they arrive
    /// evenly.
    fn room(&self) -> usize {
        match self.order.rate {
            Some(rate) => (rate.get() as usize / 10).clamp(1, TRANSACTION_LETTERS),
            None => TRANSACTION_LETTERS,
        }
    }

    async fn take(&mut self, letter: &Letter) -> Result<ControlFlow<()>, ClientError> {
        if letter.settled.is_some() || !self.letters.takes(&self.order.filter, letter) {
            return Ok(ControlFlow::Continue(()));
        }
        let Ok(origin) = &letter.origin else {
            // What is not a dead letter is left (contract/README.md, "Dead letters").
            self.tally.left += 1;
            return Ok(ControlFlow::Continue(()));
        };
        let copied = (self.by == SettledBy::Redrive).then_some(origin);
        let records = self.letters.settling(self.by, letter, copied);
        let bytes: usize = records.iter().map(size_of).sum();
        if self.waiting > 0
            && self.bytes + bytes > TRANSACTION_BYTES
            && self.commit().await?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        self.records.extend(records);
        self.waiting += 1;
        self.bytes += bytes;
        match self.waiting >= self.room() {
            true => self.commit().await,
            false => Ok(ControlFlow::Continue(())),
        }
    }

    /// Commits the collected records, reports that, and waits according to the rate.
    async fn commit(&mut self) -> Result<ControlFlow<()>, ClientError> {
        if self.waiting == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        self.pace().await;
        self.transaction
            .commit(std::mem::take(&mut self.records))
            .await?;
        self.tally.settled += self.waiting as u64;
        (self.waiting, self.bytes) = (0, 0);
        Ok((self.each)(&self.tally))
    }

    /// Waits until the letters before this transaction have used their time.
    async fn pace(&mut self) {
        let Some(rate) = self.order.rate else {
            return;
        };
        let due = Duration::from_secs_f64(self.tally.settled as f64 / f64::from(rate.get()));
        tokio::time::sleep_until(self.begun + due).await;
    }
}
