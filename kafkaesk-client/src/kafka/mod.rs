//! Apache Kafka behind the `Broker` seam, by rdkafka.
//!
//! Each kind of question has its file: metadata, admin, the bookkeeping logs, the producer, consumers. What blocks runs
//! on threads of its own.

mod admin;
mod clients;
mod config;
mod consume;
mod context;
mod coordinator;
mod delivery;
pub(crate) mod errors;
mod groups;
mod grow;
mod lag;
mod librdkafka_log;
mod log;
mod metadata;
mod native;
mod oauth;
mod producer;
mod producers;
mod transaction;

#[cfg(feature = "dev-broker")]
pub(crate) use native::set_mock_rebalance_delay;

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafkaesk_core::{NextOffset, Offset, Record, TopicName};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::{
    clients::Clients, consume::Consumers, context::Shared, metadata::Lookup, producers::Producers,
};
use crate::{
    ClientError, Delivery, Settings,
    broker::{
        Bounds, BoxFuture, Broker, Cluster, Creation, GroupCommit, GroupOffsets, GroupPosition,
        Groups, LogSink, Outgoing, Readers, SendError, TopicInfo, TopicListener, TopicSpec, sealed,
    },
    consumer::{Consumer, ConsumerSpec},
    meter::{ActionKind, Published, Tally},
    transaction::Transaction,
};

/// Connects; returns after a broker answered.
pub(crate) async fn connect(settings: &Settings) -> Result<Arc<dyn Broker>, ClientError> {
    config::check(settings)?;
    let clients = Arc::new(Clients::new(
        Arc::new(settings.clone()),
        Arc::new(Shared::new(settings)?),
    ));
    let lookup = Arc::new(Lookup::new(clients.clone())?);
    let asking = lookup.clone();
    let shared = clients.shared.clone();
    blocking("connecting", move || {
        shared.counted(ActionKind::Metadata, || asking.cluster())
    })
    .await?;
    Ok(Arc::new(KafkaBroker {
        settings: clients.settings.clone(),
        shared: clients.shared.clone(),
        producers: Producers::new(clients.settings.clone(), clients.shared.clone()),
        clients,
        lookup,
        consumers: Consumers::default(),
        beginning: Arc::default(),
    }))
}

/// One connection's clients.
#[derive(Debug)]
struct KafkaBroker {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    clients: Arc<Clients>,
    lookup: Arc<Lookup>,
    /// Made by the first publish: a program that only reads has none.
    producers: Producers,
    consumers: Consumers,
    /// Held while a transactional id is taken over.
    beginning: Arc<Mutex<()>>,
}

impl KafkaBroker {
    /// A question to the brokers, counted when it ends.
    fn asked<'a, T: Send + 'a>(
        &'a self,
        kind: ActionKind,
        asking: impl Future<Output = Result<T, ClientError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, ClientError>> {
        self.timed(kind, Result::is_ok, asking)
    }

    /// The same, of one with an answer of any form.
    fn timed<'a, T: Send + 'a>(
        &'a self,
        kind: ActionKind,
        is_ok: fn(&T) -> bool,
        asking: impl Future<Output = T> + Send + 'a,
    ) -> BoxFuture<'a, T> {
        Box::pin(async move {
            let begun = Instant::now();
            let answer = asking.await;
            let actions = &self.shared.actions;
            actions.ended(kind, begun.elapsed(), is_ok(&answer));
            answer
        })
    }

    async fn is_dev(&self) -> bool {
        let lookup = self.lookup.clone();
        blocking("asking for metadata", move || Ok(lookup.is_dev()))
            .await
            .unwrap_or(false)
    }

    /// The dev broker answers no admin request.
    async fn create_by_asking(&self, specs: &[TopicSpec]) -> Vec<Result<bool, ClientError>> {
        let mut answers = Vec::with_capacity(specs.len());
        for spec in specs {
            let (lookup, clients) = (self.lookup.clone(), self.clients.clone());
            let topic = spec.topic.clone();
            let created = blocking("creating a topic", move || {
                if lookup.topic(topic.as_str(), "Describe")?.is_some() {
                    return Ok(false);
                }
                admin::create_by_asking(&clients.settings, &clients.shared, &topic)?;
                Ok(true)
            });
            answers.push(created.await);
        }
        answers
    }

    /// A topic that was created, once metadata knows it.
    async fn appeared(&self, spec: &TopicSpec) -> Result<TopicInfo, ClientError> {
        let (lookup, topic) = (self.lookup.clone(), spec.topic.clone());
        let timeout = self.settings.connect_timeout;
        blocking("creating a topic", move || {
            admin::wait_for(&lookup, &topic, timeout)
        })
        .await
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl sealed::Sealed for KafkaBroker {}

impl Broker for KafkaBroker {
    fn cluster(&self) -> BoxFuture<'_, Result<Arc<Cluster>, ClientError>> {
        let lookup = self.lookup.clone();
        self.asked(ActionKind::Metadata, async move {
            blocking("asking for metadata", move || lookup.cluster())
                .await
                .map(Arc::new)
        })
    }

    fn topic<'a>(
        &'a self,
        topic: &'a TopicName,
        operation: &'static str,
    ) -> BoxFuture<'a, Result<Option<TopicInfo>, ClientError>> {
        let (lookup, topic) = (self.lookup.clone(), topic.clone());
        self.asked(ActionKind::Metadata, async move {
            blocking("asking for a topic", move || {
                lookup.topic(topic.as_str(), operation)
            })
            .await
        })
    }

    fn create_topics<'a>(
        &'a self,
        specs: &'a [TopicSpec],
    ) -> BoxFuture<'a, Vec<Result<Creation, ClientError>>> {
        let all = |answers: &Vec<Result<_, _>>| answers.iter().all(Result::is_ok);
        self.timed(ActionKind::CreateTopics, all, async move {
            let created = if self.is_dev().await {
                self.create_by_asking(specs).await
            } else {
                admin::create_topics(&self.clients, specs).await
            };
            let mut answers = Vec::with_capacity(created.len());
            for (spec, created) in specs.iter().zip(created) {
                answers.push(match created {
                    Ok(created) => self
                        .appeared(spec)
                        .await
                        .map(|topic| Creation { created, topic }),
                    Err(error) => Err(error),
                });
            }
            answers
        })
    }

    fn delete_topic<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<bool, ClientError>> {
        self.asked(ActionKind::DeleteTopic, async move {
            if self.is_dev().await {
                return Err(ClientError::Setting(
                    "the dev broker deletes no topic; it keeps nothing after its end".into(),
                ));
            }
            admin::delete_topic(&self.clients, topic).await
        })
    }

    fn grow_topic<'a>(
        &'a self,
        topic: &'a TopicName,
        to: u32,
        check_only: bool,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        self.asked(ActionKind::GrowTopic, async move {
            if self.is_dev().await {
                return Err(ClientError::Setting(
                    "the dev broker adds no partitions; it decides itself how many a topic has"
                        .into(),
                ));
            }
            grow::grow(&self.clients, topic, to, check_only).await?;
            if check_only {
                return Ok(());
            }
            let (lookup, topic) = (self.lookup.clone(), topic.clone());
            blocking("waiting for partitions", move || {
                grow::wait_for(&lookup, &topic, to)
            })
            .await
        })
    }

    fn group_commits<'a>(
        &'a self,
        group: &'a str,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<BTreeMap<i32, GroupCommit>, ClientError>> {
        let (lookup, group, topic) = (self.lookup.clone(), group.to_owned(), topic.clone());
        self.asked(ActionKind::GroupOffsets, async move {
            blocking("asking for commits", move || {
                grow::group_commits(&lookup, &group, &topic)
            })
            .await
        })
    }

    fn written_ends<'a>(
        &'a self,
        partitions: &'a [(TopicName, i32)],
    ) -> BoxFuture<'a, Result<Vec<Option<NextOffset>>, ClientError>> {
        let (lookup, partitions) = (self.lookup.clone(), partitions.to_vec());
        self.asked(ActionKind::Bounds, async move {
            blocking("asking for ends", move || {
                grow::written_ends(&lookup, &partitions)
            })
            .await
        })
    }

    fn readers<'a>(&'a self, topic: &'a TopicName) -> BoxFuture<'a, Result<Readers, ClientError>> {
        let (lookup, topic) = (self.lookup.clone(), topic.clone());
        self.asked(ActionKind::Groups, async move {
            blocking("asking for groups", move || lookup.readers(topic.as_str())).await
        })
    }

    fn check_topics<'a>(
        &'a self,
        specs: &'a [TopicSpec],
    ) -> BoxFuture<'a, Vec<Result<(), ClientError>>> {
        let all = |answers: &Vec<Result<_, _>>| answers.iter().all(Result::is_ok);
        self.timed(ActionKind::CheckTopics, all, async move {
            if self.is_dev().await {
                // It takes any.
                return specs.iter().map(|_| Ok(())).collect();
            }
            admin::check_topics(&self.clients, specs).await
        })
    }

    fn topic_config<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<Option<BTreeMap<String, String>>, ClientError>> {
        self.asked(ActionKind::TopicConfig, async move {
            if self.is_dev().await {
                // It would use up the whole timeout.
                return Ok(None);
            }
            admin::topic_config(&self.clients, topic).await
        })
    }

    fn read_log<'a>(
        &'a self,
        topic: &'a TopicName,
        from: NextOffset,
        until: Option<Offset>,
        sink: LogSink,
    ) -> BoxFuture<'a, Result<Option<NextOffset>, ClientError>> {
        let (clients, lookup, topic) = (self.clients.clone(), self.lookup.clone(), topic.clone());
        self.asked(ActionKind::ReadLog, async move {
            blocking("reading a log", move || {
                log::read(&clients, &lookup, &topic, from, until, sink)
            })
            .await
        })
    }

    fn append_log<'a>(
        &'a self,
        topic: &'a TopicName,
        records: Vec<(Bytes, Bytes)>,
    ) -> BoxFuture<'a, Result<Vec<Offset>, ClientError>> {
        let (clients, topic) = (self.clients.clone(), topic.clone());
        self.asked(ActionKind::AppendLog, async move {
            blocking("appending to a log", move || {
                log::append(&clients, &topic, &records)
            })
            .await
        })
    }

    fn last_value<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ClientError>> {
        let (clients, lookup, topic) = (self.clients.clone(), self.lookup.clone(), topic.clone());
        self.asked(ActionKind::ReadRecord, async move {
            blocking("reading a topic's last record", move || {
                log::last_value(&clients, &lookup, &topic)
            })
            .await
        })
    }

    fn groups(&self) -> BoxFuture<'_, Result<Groups, ClientError>> {
        let lookup = self.lookup.clone();
        self.asked(ActionKind::Groups, async move {
            blocking("listing groups", move || lag::groups(&lookup)).await
        })
    }

    fn group_offsets<'a>(
        &'a self,
        group: &'a str,
        only: Option<&'a [(TopicName, i32)]>,
    ) -> BoxFuture<'a, Result<GroupOffsets, ClientError>> {
        let (lookup, group) = (self.lookup.clone(), group.to_owned());
        let only = only.map(<[_]>::to_vec);
        self.asked(ActionKind::GroupOffsets, async move {
            blocking("asking for commits", move || {
                lag::group_offsets(&lookup, &group, only.as_deref())
            })
            .await
        })
    }

    fn bounds<'a>(
        &'a self,
        partitions: &'a [(TopicName, i32)],
    ) -> BoxFuture<'a, Result<Vec<Option<Bounds>>, ClientError>> {
        let (lookup, partitions) = (self.lookup.clone(), partitions.to_vec());
        self.asked(ActionKind::Bounds, async move {
            blocking("asking for bounds", move || {
                lag::bounds(&lookup, &partitions)
            })
            .await
        })
    }

    fn group_position<'a>(
        &'a self,
        group: &'a str,
        topic: &'a TopicName,
        partition: i32,
    ) -> BoxFuture<'a, Result<GroupPosition, ClientError>> {
        let (clients, lookup) = (self.clients.clone(), self.lookup.clone());
        let (group, topic) = (group.to_owned(), topic.clone());
        self.asked(ActionKind::GroupPosition, async move {
            blocking("looking at a group", move || {
                groups::position(&clients, &lookup, &group, &topic, partition)
            })
            .await
        })
    }

    fn record<'a>(
        &'a self,
        topic: &'a TopicName,
        partition: i32,
        from: Offset,
    ) -> BoxFuture<'a, Result<Option<Record>, ClientError>> {
        let (clients, topic) = (self.clients.clone(), topic.clone());
        self.asked(ActionKind::ReadRecord, async move {
            blocking("reading a record", move || {
                groups::record(&clients, &topic, partition, from)
            })
            .await
        })
    }

    fn move_group<'a>(
        &'a self,
        group: &'a str,
        topic: &'a TopicName,
        partition: i32,
        next: NextOffset,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        let (clients, lookup) = (self.clients.clone(), self.lookup.clone());
        let (group, topic) = (group.to_owned(), topic.clone());
        self.asked(ActionKind::MoveGroup, async move {
            blocking("moving a group", move || {
                groups::move_to(&clients, &lookup, &group, &topic, partition, next)
            })
            .await
        })
    }

    fn prepare(&self) {
        // An idempotent producer that found no broker requests its id 500 ms later. The send reports an error again.
        let _ = self.producers.prepare();
    }

    fn listen(&self, listener: TopicListener) {
        self.producers.listen(listener);
    }

    fn rediscover<'a>(&'a self, topic: &'a TopicName) -> BoxFuture<'a, Result<(), ClientError>> {
        self.asked(ActionKind::Metadata, async move {
            for producer in self.producers.made() {
                let asking = producer.asker(topic.as_str(), self.settings.connect_timeout);
                blocking("asking for a topic", asking).await?;
            }
            Ok(())
        })
    }

    fn record_bytes(&self) -> usize {
        config::record_bytes(&self.settings)
    }

    fn batch_bytes(&self) -> usize {
        config::batch_bytes(&self.settings)
    }

    fn trouble(&self) -> Option<String> {
        self.shared.reason()
    }

    fn send_counted(
        &self,
        record: Outgoing,
        tally: Option<Tally<'_>>,
    ) -> Result<Delivery, SendError> {
        self.producers.send(record, tally)
    }

    fn queue_counted<'a>(
        &'a self,
        record: Outgoing,
        tally: Option<Tally<'a>>,
    ) -> BoxFuture<'a, Result<Delivery, ClientError>> {
        Box::pin(self.producers.queue(record, tally))
    }

    fn show(&self, published: &mut Published) {
        self.producers.show(published);
        self.shared.show(published);
    }

    fn flush(&self, timeout: Duration) -> BoxFuture<'_, Result<(), ClientError>> {
        self.asked(ActionKind::Flush, async move {
            let flush = self.producers.flusher();
            blocking("flushing", move || flush(timeout)).await
        })
    }

    fn transaction_within<'a>(
        &'a self,
        id: &'a str,
        open: Duration,
    ) -> BoxFuture<'a, Result<Transaction, ClientError>> {
        let (clients, lookup, id) = (self.clients.clone(), self.lookup.clone(), id.to_owned());
        let turn = self.beginning.clone();
        self.asked(ActionKind::BeginTransaction, async move {
            let wanted = Arc::new(());
            let still = Arc::downgrade(&wanted);
            let begun = blocking("beginning with a transactional id", move || {
                // A dropped earlier call must end first: otherwise it could take the id from this one later.
                let _turn = turn.lock();
                match still.strong_count() {
                    0 => Err(ClientError::Closed),
                    _ => transaction::begin(&clients, &lookup, &id, open),
                }
            })
            .await;
            drop(wanted);
            begun
        })
    }

    fn consume(&self, spec: ConsumerSpec) -> BoxFuture<'_, Result<Consumer, ClientError>> {
        self.asked(ActionKind::StartConsumer, async move {
            self.consumers
                .start(&self.settings, &self.shared, &self.lookup, spec)
                .await
        })
    }
}

/// Runs a blocking call on its own thread; if the future is dropped, the call still finishes there. It does not use
/// tokio's blocking pool: the end of a runtime waits for the pool, so a program could not end before its brokers
/// answer.
async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    let (answer, answered) = oneshot::channel();
    thread::Builder::new()
        .name("kafkaesk-asking".into())
        .spawn(move || answer.send(work()))
        .map_err(|e| errors::other(action, Box::new(e)))?;
    answered
        .await
        .map_err(|e| errors::other(action, Box::new(e)))?
}
