//! Bed: the broker that a law runs over, in memory or a real Kafka, and the macro that makes two tests of each law.

use std::sync::Arc;

use kafkaesk_client::memory::MemoryBroker;
use kafkaesk_worker::prelude::*;

/// Each law becomes two tests, one for each broker.
macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(start_paused = true)]
            async fn $law() {
                super::$law($crate::bed::Bed::memory()).await;
            })*
        }
        mod kafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$law($crate::bed::Bed::kafka().await).await;
            })*
        }
    };
}
pub(crate) use laws;

/// A broker whose topics have one partition, and a group of its own.
pub(crate) struct Bed {
    pub(crate) settings: Settings,
    pub(crate) memory: Option<Arc<MemoryBroker>>,
    pub(crate) group: String,
}

impl Bed {
    pub(crate) fn memory() -> Self {
        let mut settings = Settings::default();
        settings.partitions = 1;
        settings.dead_letter_partitions = 1;
        let broker = MemoryBroker::with_prefix(settings.topic_prefix.clone());
        Self {
            settings,
            memory: Some(Arc::new(broker)),
            group: "g".to_owned(),
        }
    }

    pub(crate) async fn kafka() -> Self {
        let kafka = kafkaesk_client::testing::kafka().await;
        let mut settings = kafka.settings();
        settings.partitions = 1;
        settings.dead_letter_partitions = 1;
        Self {
            settings,
            memory: None,
            group: format!("{}g", kafka.prefix()),
        }
    }

    pub(crate) async fn connection(&self) -> Connection {
        match &self.memory {
            Some(broker) => Connection::with_broker(self.settings.clone(), broker.clone()),
            None => Connection::open(&self.settings).await.unwrap(),
        }
    }
}
