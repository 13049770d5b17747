//! The values that the configuration and the cluster know: streams, schema ids, profiles, groups. If a source does not
//! answer, it gives no candidates and no error; nothing waits longer than [`TIMEOUT`].

use std::{collections::BTreeSet, time::Duration};

use kafkaesk_client::Connection;
use kafkaesk_core::StreamId;
use kafkaesk_worker::App;

use super::line::{Kind, Wanted};
use crate::{
    Options,
    configuration::{Configuration, schemas},
};

/// How long the cluster may take to answer.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// How many schemas' logs are read.
const LOGS: usize = 8;
/// The largest number of candidates from the cluster; a longer list is not useful.
const MOST: usize = 10_000;

/// The values of the kind that is wanted, sorted.
pub(crate) async fn values(app: &App, options: &Options, wanted: &Wanted) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match wanted.value {
        Some(Kind::Profile) => found.extend(Configuration::profiles(options)),
        Some(Kind::Group) => found.extend(groups(app, options)),
        Some(Kind::Stream | Kind::Pattern) => {
            let configuration = Configuration::load(options).ok();
            found.extend(declared_streams(app, configuration.as_ref()));
            if let Some(configuration) = configuration {
                let asked = tokio::time::timeout(TIMEOUT, streams(configuration));
                found.extend(asked.await.ok().flatten().unwrap_or_default());
            }
        }
        Some(Kind::SchemaId) => {
            let configuration = Configuration::load(options).ok();
            found.extend(declared_schemas(app, configuration.as_ref()));
            if let Some(configuration) = configuration {
                let asked = tokio::time::timeout(TIMEOUT, stored(configuration, &wanted.begun));
                found.extend(asked.await.ok().flatten().unwrap_or_default());
            }
        }
        Some(Kind::File | Kind::Any) | None => {}
    }
    found
}

fn groups(app: &App, options: &Options) -> Vec<String> {
    let own = app.subscriptions().iter();
    let own = own.filter_map(|subscription| subscription.group_name().map(str::to_owned));
    let declared = Configuration::load(options).map(|configuration| configuration.subscriptions);
    let declared = declared.unwrap_or_default();
    own.chain(declared.into_iter().map(|declared| declared.group))
        .collect()
}

fn declared_streams(app: &App, configuration: Option<&Configuration>) -> Vec<String> {
    let mut streams: Vec<String> = Vec::new();
    if let Some(configuration) = configuration {
        streams.extend(
            configuration
                .streams
                .iter()
                .map(|declared| declared.spec.stream.to_string()),
        );
        let of_schemas = configuration
            .schemas
            .iter()
            .flat_map(|declared| &declared.streams);
        streams.extend(of_schemas.map(StreamId::to_string));
    }
    let own = app.schemas().unwrap_or_default();
    streams.extend(own.into_iter().flat_map(|event| event.streams));
    streams
}

async fn streams(configuration: Configuration) -> Option<Vec<String>> {
    let connection = connect(configuration).await?;
    let cluster = connection.broker().cluster().await.ok()?;
    let prefix = &connection.settings().topic_prefix;
    let streams = cluster
        .topics
        .keys()
        .filter_map(|topic| prefix.stream_of(topic));
    Some(
        streams
            .take(MOST)
            .map(|stream| stream.to_string())
            .collect(),
    )
}

fn declared_schemas(app: &App, configuration: Option<&Configuration>) -> Vec<String> {
    let own = app.schemas().unwrap_or_default();
    let own = own.into_iter().map(|event| event.id.to_string());
    let declared = configuration.map(|configuration| schemas::declared_ids(&configuration.schemas));
    own.chain(declared.unwrap_or_default()).collect()
}

/// Lists every version if only few names match; otherwise only the names, since each name needs its log to be read.
async fn stored(configuration: Configuration, begun: &str) -> Option<Vec<String>> {
    let connection = connect(configuration).await?;
    let catalog = connection.catalog();
    let name = begun.split_once(':').map_or(begun, |(name, _)| name);
    let mut names = catalog.schema_names().await.ok()?;
    names.retain(|known| known.as_str().starts_with(name));
    if begun.contains(':') {
        names.retain(|known| known.as_str() == name);
    }
    let mut ids = Vec::new();
    for (at, name) in names.iter().take(MOST).enumerate() {
        if at >= LOGS {
            ids.push(format!("{name}:"));
            continue;
        }
        let log = catalog.log(name).await.ok()?;
        ids.extend(
            log.versions
                .keys()
                .map(|version| format!("{name}:{version}")),
        );
    }
    Some(ids)
}

async fn connect(configuration: Configuration) -> Option<Connection> {
    let mut settings = configuration.settings;
    settings.connect_timeout = TIMEOUT;
    Connection::open(&settings).await.ok()
}
