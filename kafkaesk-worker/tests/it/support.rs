//! What tests share: an application over a broker in memory, with the retries of a worker.

use std::sync::Arc;

use kafkaesk_client::memory::MemoryBroker;
use kafkaesk_worker::prelude::*;
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) type Ran = JoinHandle<Result<kafkaesk_worker::RunReport, AppError>>;

/// Runs an application over a broker of its own, with one partition for each topic, with the retries of a worker.
pub(crate) fn start(app: App) -> (Arc<MemoryBroker>, Connection, oneshot::Sender<()>, Ran) {
    start_with(app, |_| {})
}

/// The same with settings that a test changes.
pub(crate) fn start_with(
    app: App,
    change: impl FnOnce(&mut Settings),
) -> (Arc<MemoryBroker>, Connection, oneshot::Sender<()>, Ran) {
    let mut settings = Settings::default();
    settings.partitions = 1;
    settings.dead_letter_partitions = 1;
    change(&mut settings);
    let broker = Arc::new(MemoryBroker::with_prefix(settings.topic_prefix.clone()));
    let connection = Connection::with_broker(settings, broker.clone());
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { drop(stopped.await) };
    let task = tokio::spawn(app.run_on(connection.clone(), shutdown));
    (broker, connection, stop, task)
}
