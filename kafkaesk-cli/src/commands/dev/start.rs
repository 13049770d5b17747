//! One start of `dev`: reads the project, prepares the broker for it, runs its worker until it is asked to stop.

use anyhow::Context as _;
use kafkaesk_client::{
    Connection,
    catalog::{Pushed, StreamSpec},
    dev::DevBroker,
};
use kafkaesk_operate::{Operate, StartError};
use kafkaesk_schema::EventSchema;
use kafkaesk_worker::{App, Subscription};

use super::{
    files::Files,
    hint,
    isolate::{self, Isolated},
    said::Said,
};
use crate::{
    Options,
    commands::{schema, worker},
    configuration::{Configuration, SchemaSource},
    exit::Exit,
    handlers::{Configured, stdout::Stdout},
    output,
};

/// A project that was read and checked.
pub(super) struct Start {
    configuration: Configuration,
    sources: Vec<SchemaSource>,
    streams: Vec<StreamSpec>,
    app: App,
    operate: Operate,
    /// What of its settings reaches this machine alone.
    pub(super) isolated: Isolated,
}

/// A start whose broker is prepared.
pub(super) struct Ready {
    start: Start,
    connection: Connection,
    address: String,
}

impl Start {
    /// Reads the project; what needs no broker is checked here, before one is started. `files` are those that it names,
    /// as far as it could be read.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub(super) async fn read(
        options: &Options,
        own: &[EventSchema],
        app: App,
        files: &mut Files,
    ) -> anyhow::Result<Self> {
        let mut configuration = Configuration::load_dev(options)?;
        files.of_configuration(&configuration)?;
        let (sources, streams) = schema::sources(&configuration, own.to_vec())?;
        files.of_schemas(&sources)?;
        let app = worker::check(&configuration.subscriptions, app, &[])?;
        let operate = operate(&configuration, &app).await?;
        operate.show_settings(worker::shown_settings(&configuration));
        let isolated = isolate::isolate(&configuration.settings, &mut configuration.subscriptions);
        Ok(Self {
            configuration,
            sources,
            streams,
            app,
            operate,
            isolated,
        })
    }

    /// Connects to the broker, pushes the schemas and creates the streams.
    ///
    /// # Errors
    /// As one of these fails.
    pub(super) async fn prepare(
        mut self,
        broker: &DevBroker,
        said: &mut Said,
    ) -> anyhow::Result<Ready> {
        said.begin();
        let address = broker.address().to_string();
        self.isolated.settings.kafka_servers = vec![address.clone()];
        for note in &self.isolated.notes {
            said.note(note.clone());
        }
        let connection = Connection::open(&self.isolated.settings).await?;
        for source in &self.sources {
            let pushed = connection
                .catalog()
                .push(&source.id, &source.document)
                .await
                .with_context(|| format!("pushing {}", source.shown))?;
            if pushed == Pushed::New {
                output::line(format!("pushed  {}", source.id))?;
            }
        }
        for stream in &self.streams {
            if let Some(partitions) = stream.partitions {
                let prefix = &self.isolated.settings.topic_prefix;
                broker.create_topic(&prefix.topic(&stream.stream)?, partitions)?;
            }
            let there = connection.catalog().ensure_stream(stream).await?;
            if let Some(warning) = fewer_partitions(stream, there.partitions) {
                said.note(warning);
            }
        }
        Ok(Ready {
            start: self,
            connection,
            address,
        })
    }
}

impl Ready {
    /// Runs the subscriptions, or waits where there are none.
    ///
    /// # Errors
    /// As the worker fails.
    pub(super) async fn work(
        self,
        said: &mut Said,
        stop: impl Future<Output = ()> + Send,
    ) -> anyhow::Result<Exit> {
        let Start {
            configuration,
            app,
            operate,
            ..
        } = &self.start;
        for subscription in app.subscriptions() {
            said.line(worker_line(subscription, "this program"))?;
        }
        let stdout = Stdout::start().context("starting the writer of standard output")?;
        let mut handlers = Vec::new();
        for settings in &configuration.subscriptions {
            let handler = Configured::start_dev(&settings.handler, &stdout)?;
            let subscription = settings.subscription(handler.clone());
            said.line(worker_line(&subscription, settings.handler.shown()))?;
            if let Some(note) = handler.dev_note().await {
                said.note(note);
            }
            handlers.push((subscription, handler));
        }
        if let Some(address) = operate.address() {
            let commands = match configuration.operate.token {
                Some(_) => "commands",
                None => "no commands without `operate-token`",
            };
            said.line(format!(
                "operate http://{address}/  a page, metrics, health, {commands}"
            ))?;
        }
        let nothing = handlers.is_empty() && app.subscriptions().is_empty();
        if nothing {
            said.line(NOTHING.to_owned())?;
        }
        if let Some(command) = self.command() {
            // One text: no line of the log comes between the two.
            said.hint(format!("try, in another terminal:\n  {command}"))?;
        }
        if nothing {
            stop.await;
            return Ok(Exit::Done);
        }
        let (mut app, mut started) = (self.start.app, Vec::new());
        for (subscription, handler) in handlers {
            app = app.subscribe(subscription);
            started.push(handler);
        }
        worker::run_app(app, self.connection, self.start.operate, started, stop).await
    }

    /// The command for the second terminal.
    fn command(&self) -> Option<String> {
        let Start {
            configuration, app, ..
        } = &self.start;
        let declared = configuration.subscriptions.iter();
        let declared = declared.map(|subscription| subscription.pattern.clone());
        let own = app.subscriptions().iter().map(|it| it.pattern().to_owned());
        let patterns: Vec<String> = declared.chain(own).collect();
        hint::command(
            configuration,
            &patterns,
            &self.start.sources,
            &self.start.streams,
            &self.address,
            self.start.isolated.hides_security,
        )
    }
}

/// Starts what shows the worker, at the configured address or at [`LISTEN`].
async fn operate(configuration: &Configuration, app: &App) -> anyhow::Result<Operate> {
    let mut settings = configuration.operate.clone();
    let is_chosen = settings.listen.is_some();
    settings.listen.get_or_insert_with(|| LISTEN.to_owned());
    settings.loopback_only = true;
    match Operate::start(settings.clone(), app.watch(), app.control()).await {
        // A second `dev` on this machine, for example.
        Err(error @ StartError::Listen { .. }) if !is_chosen => {
            output::note(format!(
                "no metrics and health here: {error}; `operate-listen` chooses another address"
            ));
            settings.listen = None;
            Ok(Operate::start(settings, app.watch(), app.control()).await?)
        }
        started => Ok(started?),
    }
}

/// What to say of a stream that has fewer partitions than the configuration says: those of a topic that is there do not change
/// with the file.
fn fewer_partitions(stream: &StreamSpec, actual: u32) -> Option<String> {
    let wanted = stream.partitions.filter(|wanted| actual < *wanted)?;
    let name = &stream.stream;
    let advice = match wanted > DevBroker::MOST_PARTITIONS {
        true => format!(
            "the dev broker gives a topic {} at most",
            DevBroker::MOST_PARTITIONS
        ),
        false => "the dev broker adds none to a topic, so end `dev` and start it again".to_owned(),
    };
    Some(format!(
        "warning: stream {name} has {actual} partitions here, and the configuration says {wanted}; {advice} (on Kafka: \
         `kafkaesk-cli streams grow {name} --to {wanted}`)"
    ))
}

fn worker_line(subscription: &Subscription, to: &str) -> String {
    format!(
        "worker  {}  {}  → {to}",
        subscription.group_name().unwrap_or("(no group)"),
        subscription.pattern()
    )
}

/// Where `dev` shows its worker, if the configuration says nothing.
const LISTEN: &str = "127.0.0.1:9464";

const NOTHING: &str = "\
no subscriptions yet; declare one in kafkaesk.toml and start again:
  [[subscriptions]]
  pattern = \"orders.*\"
  group = \"billing\"
  handler = { stdout = true }";

#[cfg(test)]
mod tests {
    use kafkaesk_core::StreamId;

    use super::*;

    #[test]
    fn a_stream_with_fewer_partitions_than_declared_is_one_line_and_any_other_is_none() {
        let mut stream = StreamSpec::new(StreamId::new("a.b").unwrap());
        assert_eq!(fewer_partitions(&stream, 1), None);
        stream.partitions = Some(12);
        assert_eq!(fewer_partitions(&stream, 12), None);
        let warning = fewer_partitions(&stream, 4).unwrap();
        assert!(warning.starts_with(
            "warning: stream a.b has 4 partitions here, and the configuration says 12; "
        ));
        assert!(warning.contains("`kafkaesk-cli streams grow a.b --to 12`"));
        assert!(
            !warning.contains(['\n', '\t']) && !warning.contains("  "),
            "{warning}"
        );
        stream.partitions = Some(2_000);
        assert!(
            fewer_partitions(&stream, 1_000)
                .unwrap()
                .contains("1000 at most")
        );
    }
}
