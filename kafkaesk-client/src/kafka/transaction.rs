//! A transactional id: takes it over from its former owner, and writes records under it, all or none. Each step has a bound. All
//! of it blocks: never on tokio.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, Producer as _},
};
use tokio::sync::{Semaphore, oneshot};

use super::{
    clients::Clients,
    config::{TRANSACTION_BATCH_BYTES, transaction_step, transactional_config},
    consume::membership::KafkaOffsets,
    context::Context,
    delivery::{Deliveries, News},
    errors::{Operation, client_error, code_of},
    metadata::Lookup,
    producer::native_record,
};
use crate::{
    ClientError, Receipt,
    broker::Outgoing,
    meter::ActionKind,
    transaction::{Commit, MemberOffsets, Transaction},
};

/// Between two tries of a step that may be tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// How long taking over an id may take, if `connect-timeout` is not longer.
const TAKE_OVER: Duration = Duration::from_secs(25);

/// How long a call of an abort may take.
const SLICE: Duration = Duration::from_millis(100);

/// One id, begun.
struct Transactional {
    /// `None` only while it is dropped.
    begun: Option<Arc<Mutex<Begun>>>,
}

struct Begun {
    id: String,
    producer: BaseProducer<Deliveries>,
    /// How long an abort may take.
    timeout: Duration,
    /// How long each step may take.
    step: Duration,
}

/// Takes the id over. What its former owner left open is aborted or committed by then.
pub(super) fn begin(
    clients: &Clients,
    lookup: &Lookup,
    id: &str,
    open: Duration,
) -> Result<Transaction, ClientError> {
    let producer: BaseProducer<Deliveries> = transactional_config(&clients.settings, id, open)
        .create_with_context(Deliveries::new(
            Context(clients.shared.clone()),
            Arc::new(Semaphore::new(0)),
            TRANSACTION_BATCH_BYTES,
            News::default(),
        ))
        .map_err(|error| ClientError::Setting(format!("kafka-settings: {error}")))?;
    clients
        .shared
        .log_in(producer.client(), &clients.settings)?;
    let timeout = clients.settings.connect_timeout;
    let step = transaction_step(open);
    let begun = Begun {
        id: id.to_owned(),
        producer,
        timeout,
        step,
    };
    // A former owner's transaction that is being decided is waited for.
    let deadline = Instant::now() + timeout.max(TAKE_OVER);
    begun
        .retried(deadline, |left| begun.producer.init_transactions(left))
        .map_err(|error| match code_of(&error) {
            Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => begun.denied(),
            _ => {
                let action = format!("beginning with transactional id {id}");
                lookup.explain(error, Operation::cluster(&action))
            }
        })?;
    Ok(Transaction::new(Transactional {
        begun: Some(Arc::new(Mutex::new(begun))),
    }))
}

impl Commit for Transactional {
    fn commit(
        &mut self,
        records: Vec<Outgoing>,
        offsets: Option<MemberOffsets>,
    ) -> BoxFuture<'_, Result<Vec<Receipt>, ClientError>> {
        let begun = self.begun.clone();
        Box::pin(async move {
            let begun = begun.ok_or(ClientError::Closed)?;
            super::blocking("writing in a transaction", move || {
                let begun = begun.lock();
                let shared = &begun.producer.context().context.0;
                shared.counted(ActionKind::CommitTransaction, || {
                    begun.commit(&records, offsets.as_ref())
                })
            })
            .await
        })
    }
}

impl Begun {
    fn commit(
        &self,
        records: &[Outgoing],
        offsets: Option<&MemberOffsets>,
    ) -> Result<Vec<Receipt>, ClientError> {
        self.producer
            .begin_transaction()
            .map_err(|error| self.failed("beginning a transaction", error))?;
        let written = self.write(records);
        let added = |receipts| match offsets {
            Some(offsets) => self.add(offsets).map(|()| receipts),
            None => Ok(receipts),
        };
        let receipts = match written.and_then(added) {
            Ok(receipts) => receipts,
            Err(error) => return Err(self.abort(error)),
        };
        let deadline = Instant::now() + self.step;
        match self.retried(deadline, |left| self.producer.commit_transaction(left)) {
            Ok(()) => Ok(receipts),
            Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                let error = KafkaError::Transaction(error);
                Err(self.abort(self.failed("committing a transaction", error)))
            }
            Err(error) if self.is_fenced() => Err(self.failed("committing a transaction", error)),
            Err(error) => Err(ClientError::TransactionUnknown {
                id: self.id.clone(),
                reason: error.to_string(),
            }),
        }
    }

    /// Hands all records over and waits for their delivery reports.
    fn write(&self, records: &[Outgoing]) -> Result<Vec<Receipt>, ClientError> {
        let mut answers = Vec::with_capacity(records.len());
        for record in records {
            let (answer, answered) = oneshot::channel();
            answers.push(answered);
            if let Err((error, pending)) =
                self.producer.send(native_record(record, 0, None, answer))
            {
                drop(pending);
                let topic = &record.topic;
                let action = format!("writing to {topic} in a transaction");
                return Err(match code_of(&error) {
                    Some(RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::UnknownTopic) => {
                        ClientError::NotDelivered {
                            topic: topic.clone(),
                            reason: error.to_string(),
                        }
                    }
                    _ => client_error(error, Operation::topic(&action, "Write", topic.as_str())),
                });
            }
        }
        // librdkafka answers every record within a step.
        let flushed = self.producer.flush(self.step + self.timeout);
        let mut receipts = Vec::with_capacity(answers.len());
        for mut answered in answers {
            match answered.try_recv() {
                Ok(Ok(receipt)) => receipts.push(receipt),
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            }
        }
        flushed.map_err(|error| self.failed("writing in a transaction", error))?;
        Ok(receipts)
    }

    /// Adds the offsets of a member to the transaction.
    fn add(&self, offsets: &MemberOffsets) -> Result<(), ClientError> {
        let Some(KafkaOffsets { list, member }) = offsets.of() else {
            return Err(offsets.refused());
        };
        let deadline = Instant::now() + self.step;
        let sent = self.retried(deadline, |left| {
            self.producer
                .send_offsets_to_transaction(list, member, left)
        });
        sent.map_err(|error| match code_of(&error) {
            Some(code) if is_member_gone(code) => offsets.refused(),
            _ => self.failed("committing offsets in a transaction", error),
        })
    }

    /// Takes back what was written; says why it was.
    fn abort(&self, error: ClientError) -> ClientError {
        let deadline = Instant::now() + self.timeout;
        let aborted = self.retried(deadline, |left| {
            // Its records that are still queued are dropped. librdkafka waits until their reports are taken, which it leaves
            // to us: so a call takes no longer than a slice, and the next one goes on with it.
            self.producer.poll(Duration::ZERO);
            self.producer.abort_transaction(left.min(SLICE))
        });
        if self.is_fenced() {
            return self.fenced();
        }
        if let Err(aborting) = aborted {
            // The brokers abort it themselves, or the next owner of the id has it aborted.
            tracing::debug!(id = self.id, error = %aborting, "aborting a transaction failed");
        }
        error
    }

    /// Repeats a step while librdkafka says that it may be repeated, until the deadline.
    fn retried(
        &self,
        deadline: Instant,
        mut step: impl FnMut(Duration) -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match step(left.max(PAUSE)) {
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && Instant::now() < deadline =>
                {
                    thread::sleep(PAUSE);
                }
                done => return done,
            }
        }
    }

    fn failed(&self, action: &str, error: KafkaError) -> ClientError {
        let denied = code_of(&error) == Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed);
        if denied {
            self.denied()
        } else if self.is_fenced() || is_fence(code_of(&error)) {
            self.fenced()
        } else {
            client_error(error, Operation::cluster(action))
        }
    }

    fn denied(&self) -> ClientError {
        ClientError::Unauthorized {
            operation: "Write",
            resource: format!("transactional id {}", self.id),
        }
    }

    fn is_fenced(&self) -> bool {
        let fatal = self.producer.client().fatal_error();
        is_fence(fatal.map(|(code, _)| code))
    }

    fn fenced(&self) -> ClientError {
        ClientError::TransactionFenced {
            id: self.id.clone(),
        }
    }
}

/// Whether the group has gone on without the member.
fn is_member_gone(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::FencedInstanceId
            | RDKafkaErrorCode::FencedMemberEpoch
            | RDKafkaErrorCode::StaleMemberEpoch
            | RDKafkaErrorCode::RebalanceInProgress
    )
}

/// Whether somebody else has the id now.
fn is_fence(code: Option<RDKafkaErrorCode>) -> bool {
    matches!(
        code,
        Some(
            RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch
        )
    )
}

impl Drop for Transactional {
    /// Closing a client takes a while, and this may be a tokio worker.
    fn drop(&mut self) {
        let begun = self.begun.take();
        let closing = thread::Builder::new().name("kafkaesk-closing".into());
        if let Err(error) = closing.spawn(move || drop(begun)) {
            tracing::debug!(%error, "closing a transactional producer on this thread");
        }
    }
}

impl std::fmt::Debug for Transactional {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transactional").finish_non_exhaustive()
    }
}
