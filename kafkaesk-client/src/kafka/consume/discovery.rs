//! Discovery: polls all topics and their ids every `discovery_interval`, once for all consumers of a connection.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::super::{blocking, metadata::Lookup};
use crate::{ClientError, Settings, broker::Cluster};

/// Starts the poller with the first consumer, and ends it with the last.
#[derive(Debug, Default)]
pub(in super::super) struct Discovery(Mutex<Weak<Poller>>);

/// A view of the cluster that renews itself as long as it is held.
#[derive(Debug)]
pub(super) struct TopicWatch {
    clusters: watch::Receiver<Arc<Cluster>>,
    _poller: Arc<Poller>,
}

#[derive(Debug)]
struct Poller {
    clusters: watch::Sender<Arc<Cluster>>,
    stop: Arc<AtomicBool>,
    /// To be woken for its end.
    thread: Thread,
}

impl Discovery {
    /// A fresh view.
    pub(super) async fn watch(
        &self,
        lookup: &Arc<Lookup>,
        settings: &Settings,
    ) -> Result<TopicWatch, ClientError> {
        let (asking, prefix) = (lookup.clone(), settings.topic_prefix.clone());
        let cluster = blocking("looking for topics", move || asking.discover(&prefix)).await?;
        let mut slot = self.0.lock();
        let poller = match slot.upgrade() {
            Some(poller) => {
                poller.clusters.send_replace(Arc::new(cluster));
                poller
            }
            None => {
                let poller = Poller::start(lookup.clone(), settings, cluster)?;
                *slot = Arc::downgrade(&poller);
                poller
            }
        };
        Ok(TopicWatch {
            clusters: poller.clusters.subscribe(),
            _poller: poller,
        })
    }
}

impl TopicWatch {
    /// What is known now.
    pub(super) fn current(&mut self) -> Arc<Cluster> {
        self.clusters.borrow_and_update().clone()
    }

    /// The latest view, if it was renewed since the last call.
    pub(super) fn news(&mut self) -> Option<Arc<Cluster>> {
        match self.clusters.has_changed() {
            Ok(true) => Some(self.current()),
            _ => None,
        }
    }
}

impl Poller {
    fn start(
        lookup: Arc<Lookup>,
        settings: &Settings,
        first: Cluster,
    ) -> Result<Arc<Self>, ClientError> {
        let (every, prefix) = (settings.discovery_interval, settings.topic_prefix.clone());
        let clusters = watch::Sender::new(Arc::new(first));
        let stop = Arc::new(AtomicBool::new(false));
        let (publish, stopped) = (clusters.clone(), stop.clone());
        let thread = thread::Builder::new()
            .name("kafkaesk-discovery".into())
            .spawn(move || {
                loop {
                    thread::park_timeout(every);
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    match lookup.discover(&prefix) {
                        Ok(cluster) => {
                            publish.send_replace(Arc::new(cluster));
                        }
                        // The brokers are gone for now; consumers go on with what they know.
                        Err(error) => tracing::debug!(%error, "looking for topics failed"),
                    }
                }
            })
            .map_err(|e| super::super::errors::other("starting a thread", Box::new(e)))?;
        Ok(Arc::new(Self {
            clusters,
            stop,
            thread: thread.thread().clone(),
        }))
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}
