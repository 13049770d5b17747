//! `schema push`: the topics of dead letters of the groups that the configuration knows. Plans, then creates; alters none.

use std::collections::BTreeMap;

use anyhow::Context as _;
use kafkaesk_client::{
    ClientError, Connection, DeadLetters,
    dead_letters::{PlannedTopic, TopicState},
};
use kafkaesk_core::{Pattern, span::format_span};
use serde_json::json;

use super::tense::Tense;
use crate::{context::Context, format::OutputFormat, output};

/// The groups whose topics are wanted, each with the patterns of its subscriptions.
#[derive(Debug)]
pub(super) struct Groups(BTreeMap<String, Group>);

#[derive(Debug, Default)]
struct Group {
    patterns: Vec<Pattern>,
    /// Where it is declared, for an error.
    origin: Option<String>,
}

/// The plan for each group's topic.
#[derive(Debug)]
pub(super) struct DeadTopics(Vec<(DeadLetters, Vec<Pattern>, PlannedTopic)>);

impl Groups {
    /// Those of the configuration and of the application; none with `dead-letters = false`.
    ///
    /// # Errors
    /// As the configuration cannot be read.
    pub(super) fn of(context: &Context) -> anyhow::Result<Self> {
        let configuration = context.configuration()?;
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        if !configuration.settings.dead_letters {
            return Ok(Self(groups));
        }
        for declared in &configuration.subscriptions {
            let group = groups.entry(declared.group.clone()).or_default();
            group.patterns.extend(Pattern::new(&declared.pattern).ok());
            group
                .origin
                .get_or_insert_with(|| declared.origin.to_string());
        }
        for own in context.app.subscriptions() {
            if let Some(name) = own.group_name() {
                let group = groups.entry(name.to_owned()).or_default();
                group.patterns.extend(Pattern::new(own.pattern()).ok());
            }
        }
        Ok(Self(groups))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at what there is. Creates nothing.
    ///
    /// # Errors
    /// A group whose name fits into no topic's, with its file and line; as asking the brokers fails.
    pub(super) async fn plan(self, connection: &Connection) -> anyhow::Result<DeadTopics> {
        let prefix = &connection.settings().group_prefix;
        let mut planned = Vec::new();
        for (name, group) in self.0 {
            let letters = match DeadLetters::of(connection, &format!("{prefix}{name}")) {
                Ok(letters) => letters,
                Err(error) => {
                    let origin = group.origin.map(|origin| format!("{origin}: "));
                    anyhow::bail!(
                        "{}group {name:?} can have no topic of dead letters: {error}; give it another name, or set `dead-letters = false`",
                        origin.unwrap_or_default()
                    );
                }
            };
            let plan = letters.plan(&group.patterns).await;
            let plan = plan.with_context(|| format!("planning topic {}", letters.topic()))?;
            planned.push((letters, group.patterns, plan));
        }
        Ok(DeadTopics(planned))
    }
}

impl DeadTopics {
    /// Whether there is anything to create.
    pub(super) fn has_changes(&self) -> bool {
        self.0
            .iter()
            .any(|(.., plan)| plan.state == TopicState::Created)
    }

    /// Prints what would be done.
    pub(super) fn print(&self, format: OutputFormat) -> anyhow::Result<()> {
        for (letters, _, plan) in &self.0 {
            print(letters, *plan, Tense::Would, format)?;
        }
        Ok(())
    }

    /// Creates what is absent, printing each line when it is done.
    ///
    /// # Errors
    /// As creating fails; a missing right is named, with the setting that does without.
    pub(super) async fn write(self, format: OutputFormat) -> anyhow::Result<()> {
        for (letters, patterns, mut plan) in self.0 {
            if plan.state == TopicState::Created {
                plan.state = letters.create(&patterns).await.map_err(refused)?;
            }
            print(&letters, plan, Tense::Did, format)?;
        }
        Ok(())
    }
}

fn refused(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Unauthorized { .. } => anyhow::anyhow!(
            "{error}. The topic keeps the dead letters of its group; without them, set `dead-letters = false`"
        ),
        error => error.into(),
    }
}

fn print(
    letters: &DeadLetters,
    plan: PlannedTopic,
    tense: Tense,
    format: OutputFormat,
) -> std::io::Result<()> {
    let action = match (plan.state, tense) {
        (TopicState::Created, Tense::Did) => "created",
        (TopicState::Created, Tense::Would) => "create",
        (TopicState::There, _) => "present",
    };
    let retention = letters.connection().settings().dead_letter_retention;
    let retention = (plan.state == TopicState::Created).then(|| format_span(retention));
    match format {
        OutputFormat::Text => {
            let kept = retention.map(|retention| format!(", retention {retention}"));
            output::line(format!(
                "{action:<7} {}  {} partitions{}, dead letters of group {}",
                letters.topic(),
                plan.partitions,
                kept.unwrap_or_default(),
                letters.group()
            ))
        }
        OutputFormat::Json => output::json(&json!({
            "action": action, "topic": letters.topic().as_str(), "partitions": plan.partitions,
            "retention": retention, "dead-letters-of": letters.group(),
        })),
    }
}
