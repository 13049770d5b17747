//! What tests share: an application that runs and is shown.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kafkaesk_client::{memory::MemoryBroker, settings::OperateSettings};
use kafkaesk_operate::Operate;
use kafkaesk_worker::{RunReport, Watch, prelude::*, subscription};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::sleep,
};

use crate::http::{Answer, get};

/// An event of the tests.
#[derive(Clone, Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1)]
pub(crate) struct Content {
    pub(crate) text: String,
}

/// An application that handles everything, in the group g.
pub(crate) fn app() -> App {
    App::new().subscribe(subscription("content.*", |_: Content| async {}).group("g"))
}

/// What a handler that blocks its thread waits for, and says.
#[derive(Debug)]
pub(crate) struct Blocked {
    /// Lets it go on.
    pub(crate) release: std::sync::mpsc::Sender<()>,
    /// It blocks.
    pub(crate) begun: mpsc::UnboundedReceiver<()>,
}

/// An application in the group g whose handler blocks its thread.
pub(crate) fn blocking_app() -> (App, Blocked) {
    let (release, released) = std::sync::mpsc::channel();
    let released = std::sync::Mutex::new(released);
    let (begin, begun) = mpsc::unbounded_channel();
    let handler = move |_: Content| {
        let _ = begin.send(());
        released.lock().unwrap().recv().unwrap();
        async {}
    };
    let app = App::new().subscribe(subscription("content.*", handler).group("g"));
    (app, Blocked { release, begun })
}

pub(crate) const TOKEN: &str = "planted-secret-token";

/// Settings that listen at any port of loopback.
pub(crate) fn shown() -> OperateSettings {
    let mut settings = OperateSettings::default();
    settings.listen = Some("127.0.0.1:0".into());
    settings.token = Some(TOKEN.into());
    settings.lag_interval = Duration::from_secs(1);
    settings
}

/// An application over a broker in memory, and what shows it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) connection: Connection,
    pub(crate) operate: Operate,
    watch: Watch,
    stop: oneshot::Sender<()>,
    ran: JoinHandle<Result<RunReport, AppError>>,
}

impl Running {
    pub(crate) async fn start(app: App, shown: OperateSettings) -> Self {
        let mut settings = Settings::default();
        settings.partitions = 2;
        let broker = Arc::new(MemoryBroker::with_prefix(settings.topic_prefix.clone()));
        let connection = Connection::with_broker(settings, broker);
        Self::start_on(app, connection, shown).await
    }

    pub(crate) async fn start_on(app: App, connection: Connection, shown: OperateSettings) -> Self {
        let mut operate = Operate::start(shown, app.watch(), app.control())
            .await
            .unwrap();
        operate.connected(&connection);
        let watch = app.watch();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        Self {
            address: operate.address().unwrap(),
            ran: tokio::spawn(app.run_on(connection.clone(), shutdown)),
            connection,
            watch,
            operate,
            stop,
        }
    }

    pub(crate) async fn publish(&self, texts: &[&str]) {
        for text in texts {
            let event = Content {
                text: (*text).to_owned(),
            };
            let publisher = self.connection.publisher();
            publisher
                .publish("content.a", &event)
                .key(*text)
                .await
                .unwrap();
        }
    }

    /// How many messages its subscriptions finished.
    pub(crate) async fn finished(&self) -> u64 {
        let snapshot = self.watch.snapshot(Duration::from_secs(1)).await;
        let all = snapshot.subscriptions.iter();
        all.flat_map(|it| &it.counts)
            .map(|(_, counts)| counts.finished)
            .sum()
    }

    /// Ends the application; the service still answers.
    pub(crate) async fn end(self) -> (Operate, RunReport) {
        self.stop.send(()).unwrap();
        (self.operate, self.ran.await.unwrap().unwrap())
    }
}

/// Asks until this holds of the answer.
pub(crate) async fn until(
    address: SocketAddr,
    path: &str,
    holds: impl Fn(&Answer) -> bool,
) -> Answer {
    let mut last = None;
    for _ in 0..600 {
        let answer = get(address, path).await;
        if holds(&answer) {
            return answer;
        }
        last = Some(answer);
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} never was as expected: {last:?}");
}

/// The value of a series, by its name and labels as written.
pub(crate) fn value(answer: &Answer, series: &str) -> Option<f64> {
    let mut lines = answer.body.lines();
    let line = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

/// The sum over all series of a metric.
pub(crate) fn sum(answer: &Answer, name: &str) -> f64 {
    let lines = answer.body.lines();
    let of = lines.filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    of.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}
