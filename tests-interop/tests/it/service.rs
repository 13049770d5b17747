//! Our side: the same service in Rust, what it saw as a channel, and names that no other test uses.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kafkaesk_client::{Connection, Settings};
use kafkaesk_core::TopicPrefix;
use kafkaesk_worker::{AppError, RunReport, prelude::*};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The same model as in `python/service.py`.
#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1, retention = "24h")]
pub(crate) struct Content {
    pub(crate) foo: String,
    pub(crate) note: Option<String>,
}

impl Content {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            foo: text.into(),
            note: None,
        }
    }
}

/// One test's own place on the shared Kafka.
pub(crate) struct Place {
    pub(crate) settings: Settings,
    pub(crate) servers: String,
    pub(crate) prefix: String,
    pub(crate) group: String,
}

impl Place {
    pub(crate) async fn new(test: &str) -> Self {
        let kafka = kafkaesk_client::testing::kafka().await;
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_nanos();
        let servers = kafka.servers().to_owned();
        let prefix = format!("interop.{test}.{nanos:x}.");
        let mut settings = Settings::new(&servers);
        settings.topic_prefix = TopicPrefix::new(&prefix).expect("a prefix");
        Self {
            settings,
            group: format!("interop-{test}-{nanos:x}"),
            servers,
            prefix,
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(&self.settings)
            .await
            .expect("Kafka answers")
    }

    /// The Python service, consuming.
    pub(crate) fn python_consumer(&self, pattern: &str) -> crate::python::Python {
        let arguments = [&self.servers, &self.prefix, "consume", pattern, &self.group];
        crate::python::Python::start("service.py", &arguments)
    }

    /// The Python service, publishing.
    pub(crate) fn python_publisher(&self) -> crate::python::Python {
        crate::python::Python::start("service.py", &[&self.servers, &self.prefix, "publish"])
    }

    /// Our service, consuming.
    pub(crate) fn rust_consumer(&self, pattern: &str, kafka_settings: &[(&str, &str)]) -> Service {
        let (sender, seen) = mpsc::channel::<Seen>(4096);
        let (stop, stopped) = oneshot::channel();
        let settings = self.settings.clone();
        let own: BTreeMap<String, String> = kafka_settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let subscription = subscription(pattern, take)
            .group(&self.group)
            .kafka_settings(own);
        let app = App::new().state(sender).subscribe(subscription);
        let running = tokio::spawn(async move {
            app.run(&settings, async {
                let _ = stopped.await;
            })
            .await
        });
        Service {
            seen,
            stop: Some(stop),
            running,
        }
    }
}

/// What a handler of ours saw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<String>,
    pub(crate) schema: String,
    pub(crate) source: Option<String>,
    pub(crate) data: Content,
}

async fn take(data: Content, schema: Schema, record: Record, to: State<mpsc::Sender<Seen>>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seen = Seen {
        topic: record.topic().to_owned(),
        partition: record.partition(),
        offset: record.offset.0,
        key: record.key.as_deref().map(text),
        schema: schema.to_string(),
        source: record.headers.get("source").map(|value| text(value)),
        data,
    };
    let _ = to.send(seen).await;
}

/// Our service, running.
pub(crate) struct Service {
    seen: mpsc::Receiver<Seen>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<RunReport, AppError>>,
}

impl Service {
    pub(crate) async fn take(&mut self, many: usize) -> Vec<Seen> {
        let mut taken = Vec::with_capacity(many);
        while taken.len() < many {
            match timeout(LIMIT, self.seen.recv()).await {
                Ok(Some(seen)) => taken.push(seen),
                _ => panic!("{} of {many} came: {taken:?}", taken.len()),
            }
        }
        taken
    }

    pub(crate) async fn next_within(&mut self, limit: Duration) -> Option<Seen> {
        timeout(limit, self.seen.recv()).await.ok()?
    }

    /// Stops it cleanly and returns what it still saw.
    pub(crate) async fn stop(mut self) -> Vec<Seen> {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let ended = timeout(LIMIT, &mut self.running).await;
        ended
            .expect("it stops in time")
            .expect("no panic")
            .expect("it stops cleanly");
        let mut rest = Vec::new();
        while let Some(seen) = self.seen.recv().await {
            rest.push(seen);
        }
        rest
    }

    /// Waits until it gives up by itself.
    pub(crate) async fn fails(self) -> AppError {
        match timeout(LIMIT, self.running).await {
            Ok(Ok(Err(error))) => error,
            other => panic!("it should have given up: {other:?}"),
        }
    }
}
