//! `schema push`: makes a plan from the sources, then writes. Writes nothing while anything in the plan is refused.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use kafkaesk_client::{
    ClientError, Connection,
    catalog::{Pushed, StreamOutcome, StreamSpec},
};
use kafkaesk_core::{
    SchemaId, SchemaName, TopicName, names, schema_id::parse_version, span::format_span,
};
use serde_json::json;
use tracing::warn;

use super::{PushArguments, dead_topics::Groups, tense::Tense};
use crate::{
    commands::streams::not_default,
    configuration::{Configuration, SchemaSource, schemas},
    context::Context,
    errors::Usage,
    exit::Exit,
    format::OutputFormat,
    output,
};

/// Streams that are written together, before their lines are printed.
const CHUNK: usize = 50;

/// Plans, then writes unless it is a dry run.
pub(crate) async fn run(context: &Context, arguments: &PushArguments) -> anyhow::Result<Exit> {
    let groups = match arguments.paths.is_empty() {
        true => Some(Groups::of(context)?).filter(|groups| !groups.is_empty()),
        false => None,
    };
    let (mut sources, streams) = if arguments.paths.is_empty() {
        let own = context.app.schemas()?;
        let (sources, streams) = sources(context.configuration()?, own)?;
        if sources.is_empty() && streams.is_empty() && groups.is_none() {
            return Err(Usage(
                "there is nothing to push: give files or folders, or declare `schemas` or [[streams]] in kafkaesk.toml"
                    .into(),
            )
            .into());
        }
        (sources, streams)
    } else {
        let id = id(arguments)?;
        (
            schemas::distinct(schemas::of_paths(&arguments.paths, id)?)?,
            Vec::new(),
        )
    };
    if arguments.portable {
        schemas::make_portable(&mut sources)?;
    }
    let connection = context.connect().await?;
    let format = context.options.format();
    let plan = Plan::make(&connection, sources, streams).await?;
    let topics = match groups {
        Some(groups) => Some(groups.plan(&connection).await?),
        None => None,
    };
    if arguments.dry_run {
        plan.print(format, Tense::Would)?;
        if let Some(topics) = &topics {
            topics.print(format)?;
        }
        let changes = topics.is_some_and(|topics| topics.has_changes());
        return Ok(if plan.has_changes() || changes {
            Exit::Partial
        } else {
            Exit::Done
        });
    }
    plan.write(&connection, format).await?;
    if let Some(topics) = topics {
        topics.write(format).await?;
    }
    Ok(Exit::Done)
}

fn id(arguments: &PushArguments) -> anyhow::Result<Option<SchemaId>> {
    let (Some(name), Some(version)) = (&arguments.name, &arguments.version) else {
        return Ok(None);
    };
    let number = parse_version(version).ok_or_else(|| {
        Usage(format!(
            "--version {version:?} is not a whole number from 1 to 2147483647 without leading zeros"
        ))
    })?;
    Ok(Some(SchemaId::new(
        SchemaName::new(name).map_err(Usage::of)?,
        number,
    )?))
}

/// What the configuration and the application's event types declare.
pub(crate) fn sources(
    configuration: &Configuration,
    own: Vec<kafkaesk_schema::EventSchema>,
) -> anyhow::Result<(Vec<SchemaSource>, Vec<StreamSpec>)> {
    let mut sources = schemas::of_declarations(&configuration.schemas)?;
    for schema in own {
        sources.push(SchemaSource::of_type(schema)?);
    }
    let sources = schemas::distinct(sources)?;
    let mut streams: Vec<StreamSpec> = configuration
        .streams
        .iter()
        .map(|stream| stream.spec.clone())
        .collect();
    for source in &sources {
        for stream in &source.streams {
            // [[streams]] says more about a stream than the short form.
            if !streams.iter().any(|other| other.stream == stream.stream) {
                streams.push(stream.clone());
            }
        }
    }
    Ok((sources, streams))
}

/// What a push does, known before it does any of it.
#[derive(Debug)]
pub(crate) struct Plan {
    schemas: Vec<(SchemaSource, TopicName, Pushed)>,
    streams: Vec<(StreamSpec, StreamOutcome)>,
}

impl Plan {
    /// Asks the catalog about everything. Writes nothing.
    ///
    /// # Errors
    /// Everything that is refused, in one error.
    pub(crate) async fn make(
        connection: &Connection,
        sources: Vec<SchemaSource>,
        streams: Vec<StreamSpec>,
    ) -> anyhow::Result<Self> {
        let catalog = connection.catalog();
        let mut refused: Vec<String> = Vec::new();
        let mut plan = Self {
            schemas: Vec::new(),
            streams: Vec::new(),
        };
        for source in sources {
            let topic = connection
                .settings()
                .topic_prefix
                .schema_topic(source.id.name())?;
            match catalog.plan_push(&source.id, &source.document).await {
                Ok(pushed) => plan.schemas.push((source, topic, pushed)),
                Err(
                    error @ (ClientError::SchemaConflict { .. }
                    | ClientError::Document { .. }
                    | ClientError::WithdrawnSchema { .. }
                    | ClientError::SchemaTooLarge { .. }
                    | ClientError::LogSettings { .. }
                    | ClientError::Collision { .. }),
                ) => {
                    let remedy = match &error {
                        ClientError::Document { source, .. } => schemas::remedy(source),
                        _ => "",
                    };
                    refused.push(format!("{}: {error}{remedy}", source.shown));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let declared: BTreeSet<&str> = plan
            .schemas
            .iter()
            .map(|(source, ..)| source.id.name().as_str())
            .collect();
        let mut stored: BTreeMap<&str, bool> = BTreeMap::new();
        for spec in &streams {
            // A binding is permanent, so it must not name a misspelt schema.
            let Some(schema) = &spec.schema else { continue };
            if declared.contains(schema.as_str()) {
                continue;
            }
            let is_stored = match stored.get(schema.as_str()) {
                Some(is_stored) => *is_stored,
                None => !catalog.log(schema).await?.versions.is_empty(),
            };
            stored.insert(schema.as_str(), is_stored);
            if !is_stored {
                let known = match declared.is_empty() {
                    true => format!(
                        "no schema is declared; name the file {schema}.1.json under `schemas`, or push it first"
                    ),
                    false => format!(
                        "declared are: {}",
                        Vec::from_iter(declared.iter().copied()).join(", ")
                    ),
                };
                refused.push(format!(
                    "stream {}: schema {schema} is neither declared nor stored, and a binding is permanent; {known}",
                    spec.stream
                ));
            }
        }
        let planned = catalog.plan_streams(&streams).await?;
        for (spec, planned) in streams.into_iter().zip(planned) {
            match planned {
                Ok(outcome) => plan.streams.push((spec, outcome)),
                Err(
                    error @ (ClientError::BoundElsewhere { .. }
                    | ClientError::Collision { .. }
                    | ClientError::TopicSettings { .. }
                    | ClientError::LogSettings { .. }
                    | ClientError::Name(_)),
                ) => refused.push(error.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
        refused.extend(plan.collisions());
        match &refused[..] {
            [] => Ok(plan),
            [one] => anyhow::bail!("nothing was pushed: {one}"),
            many => anyhow::bail!("nothing was pushed:\n{}", many.join("\n")),
        }
    }

    /// Topics of this plan whose names collide; collisions with existing topics are checked with the cluster.
    fn collisions(&self) -> Vec<String> {
        let schemas = self.schemas.iter().map(|(_, topic, _)| topic);
        let streams = self.streams.iter().map(|(_, outcome)| &outcome.topic);
        let topics: BTreeSet<&TopicName> = schemas.chain(streams).collect();
        topics
            .iter()
            .enumerate()
            .flat_map(|(at, one)| topics.iter().skip(at + 1).map(move |other| (*one, *other)))
            .filter(|(one, other)| names::collide(one.as_str(), other.as_str()))
            .map(|(one, other)| {
                format!("topics {one} and {other} differ only in `.` and `_`, and Kafka cannot hold both; rename one")
            })
            .collect()
    }

    /// Whether there is anything to write.
    pub(crate) fn has_changes(&self) -> bool {
        self.schemas
            .iter()
            .any(|(_, _, pushed)| *pushed == Pushed::New)
            || self
                .streams
                .iter()
                .any(|(_, outcome)| outcome.created || outcome.bound || !outcome.changes.is_empty())
    }

    /// Writes, printing each line when its write is done.
    ///
    /// # Errors
    /// Errors of the catalog; every printed line is done.
    pub(crate) async fn write(
        self,
        connection: &Connection,
        format: OutputFormat,
    ) -> anyhow::Result<()> {
        let catalog = connection.catalog();
        let width = self.width();
        for (source, topic, _) in &self.schemas {
            let pushed = catalog
                .push(&source.id, &source.document)
                .await
                .with_context(|| format!("pushing {}", source.shown))?;
            print_schema(source, topic, pushed, Tense::Did, width, format)?;
        }
        for streams in self.streams.chunks(CHUNK) {
            // Nothing to do needs no rights.
            let (changed, same): (Vec<_>, Vec<_>) = streams
                .iter()
                .cloned()
                .partition(|(_, planned)| planned.created || planned.bound);
            let differ: Vec<StreamSpec> = streams
                .iter()
                .filter(|(_, planned)| !planned.changes.is_empty())
                .map(|(spec, _)| spec.clone())
                .collect();
            catalog.change_streams(&differ).await?;
            for (spec, planned) in &same {
                print_stream(spec, planned, Tense::Did, format)?;
            }
            let specs: Vec<StreamSpec> = changed.into_iter().map(|(spec, _)| spec).collect();
            let outcomes = catalog.ensure_streams(&specs).await?;
            let mut failed = None;
            for (spec, outcome) in specs.iter().zip(outcomes) {
                match outcome {
                    Ok(outcome) => print_stream(spec, &outcome, Tense::Did, format)?,
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn print(&self, format: OutputFormat, tense: Tense) -> anyhow::Result<()> {
        let width = self.width();
        for (source, topic, pushed) in &self.schemas {
            print_schema(source, topic, *pushed, tense, width, format)?;
        }
        for (spec, outcome) in &self.streams {
            print_stream(spec, outcome, tense, format)?;
        }
        Ok(())
    }

    /// The column of schema ids.
    fn width(&self) -> usize {
        self.schemas
            .iter()
            .map(|(source, _, _)| source.id.to_string().len())
            .max()
            .unwrap_or_default()
            .max(8)
    }
}

fn print_schema(
    source: &SchemaSource,
    topic: &TopicName,
    pushed: Pushed,
    tense: Tense,
    width: usize,
    format: OutputFormat,
) -> std::io::Result<()> {
    let action = match (pushed, tense) {
        (Pushed::New, Tense::Did) => "pushed",
        (Pushed::New, Tense::Would) => "push",
        (Pushed::Unchanged, _) => "present",
    };
    let id = source.id.to_string();
    let parts: Vec<String> = source
        .parts
        .iter()
        .map(|part| part.display().to_string())
        .collect();
    match format {
        OutputFormat::Text => {
            let with = match parts.len() {
                0 => String::new(),
                1 => " with 1 file".to_owned(),
                many => format!(" with {many} files"),
            };
            output::line(format!(
                "{action:<7} {id:<width$}  {}{with}  → {topic}",
                source.shown
            ))
        }
        OutputFormat::Json => output::json(&json!({
            "action": action, "schema": id, "file": source.file(), "parts": parts, "topic": topic.as_str(),
        })),
    }
}

fn print_stream(
    spec: &StreamSpec,
    outcome: &StreamOutcome,
    tense: Tense,
    format: OutputFormat,
) -> std::io::Result<()> {
    for difference in &outcome.warnings {
        warn!("{difference}");
    }
    let action = match (outcome.created, outcome.bound, tense) {
        (true, _, Tense::Did) => "created",
        (true, _, Tense::Would) => "create",
        (false, true, Tense::Did) => "bound",
        (false, true, Tense::Would) => "bind",
        (false, false, Tense::Did) if !outcome.changes.is_empty() => "changed",
        (false, false, Tense::Would) if !outcome.changes.is_empty() => "change",
        (false, false, _) => "present",
    };
    let schema = spec.schema.as_ref().map(|schema| schema.as_str());
    match format {
        OutputFormat::Text => {
            let mut text = format!(
                "{action:<7} {}  {} partitions",
                outcome.topic, outcome.partitions
            );
            if let Some(retention) = outcome.retention {
                text.push_str(&format!(", retention {}", format_span(retention)));
            }
            if let Some(schema) = schema {
                text.push_str(&format!(", bound to {schema}"));
            }
            if outcome.changes.is_empty() {
                for property in not_default(outcome.properties) {
                    text.push_str(&format!(", {property}"));
                }
            }
            for change in &outcome.changes {
                text.push_str(&format!(", {change}"));
            }
            output::line(text)
        }
        OutputFormat::Json => output::json(&json!({
            "action": action, "stream": spec.stream.as_str(), "topic": outcome.topic.as_str(),
            "partitions": outcome.partitions, "retention": outcome.retention.map(format_span),
            "schema": schema, "changes": outcome.changes, "warnings": outcome.warnings,
            "keys": outcome.properties.keys.as_str(),
            "partition-growth": outcome.properties.partition_growth.as_str(),
        })),
    }
}
