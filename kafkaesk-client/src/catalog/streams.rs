//! Streams: topics created as declared and bound to their schema; what exists is compared, never altered.

use std::{collections::BTreeMap, time::Duration};

use kafkaesk_core::{
    DeclaredProperties, Envelope, Keys, PartitionGrowth, SchemaName, StreamId, StreamProperties,
    TopicName, span::format_span,
};

use super::{Catalog, StreamOutcome, StreamSpec, log_topics::check_collision};
use crate::{
    ClientError,
    broker::{Cluster, TopicInfo, TopicSpec},
};

impl Catalog {
    /// What [`Self::ensure_stream`] would do; writes nothing, needs no write rights.
    ///
    /// # Errors
    /// As [`Self::ensure_stream`], as far as that can be known before.
    pub async fn plan_stream(&self, spec: &StreamSpec) -> Result<StreamOutcome, ClientError> {
        only(self.plan_streams(std::slice::from_ref(spec)).await?)
    }

    /// The same for many, with as few questions as for one. An answer for each, in their order.
    ///
    /// # Errors
    /// As asking the cluster fails; an answer's as [`Self::plan_stream`].
    pub async fn plan_streams(
        &self,
        specs: &[StreamSpec],
    ) -> Result<Vec<Result<StreamOutcome, ClientError>>, ClientError> {
        self.follow_bindings(None).await?;
        let (mut answers, create) = self.compare_all(specs).await?;
        let topics: Vec<TopicSpec> = create.iter().map(|(_, topic)| topic.clone()).collect();
        let checked = self.broker.check_topics(&topics).await;
        for ((index, _), checked) in create.into_iter().zip(checked) {
            if let Err(error) = checked {
                answers[index] = Err(error);
            }
        }
        Ok(answers)
    }

    /// Creates the topic if it is absent and binds it if a schema is given. An existing topic is never altered.
    ///
    /// # Errors
    /// [`ClientError::BoundElsewhere`], [`ClientError::Collision`], [`ClientError::Name`],
    /// [`ClientError::TopicSettings`], [`ClientError::LogSettings`] of the bindings' topic.
    pub async fn ensure_stream(&self, spec: &StreamSpec) -> Result<StreamOutcome, ClientError> {
        only(self.ensure_streams(std::slice::from_ref(spec)).await?)
    }

    /// The same for many, with as few questions as for one. An answer for each, in their order; an error of one says
    /// nothing of the others.
    ///
    /// # Errors
    /// As asking the cluster or writing the bindings fails; an answer's as [`Self::ensure_stream`].
    pub async fn ensure_streams(
        &self,
        specs: &[StreamSpec],
    ) -> Result<Vec<Result<StreamOutcome, ClientError>>, ClientError> {
        self.follow_bindings(None).await?;
        self.ensure_unbound(specs).await
    }

    /// The same with the cached bindings. If two programs bind at the same time, reading the binding back decides.
    pub(super) async fn ensure_unbound(
        &self,
        specs: &[StreamSpec],
    ) -> Result<Vec<Result<StreamOutcome, ClientError>>, ClientError> {
        let (mut answers, create) = self.compare_all(specs).await?;
        let topics: Vec<TopicSpec> = create.iter().map(|(_, topic)| topic.clone()).collect();
        let mut created = self.broker.create_topics(&topics).await.into_iter();
        for (index, topic) in create {
            answers[index] = match (created.next(), answers[index].as_ref()) {
                (Some(Ok(creation)), Ok(planned)) => {
                    if creation.created {
                        tracing::info!(
                            topic = topic.topic.as_str(),
                            partitions = creation.topic.partitions,
                            schema = specs[index].schema.as_ref().map(SchemaName::as_str),
                            "created"
                        );
                    }
                    Ok(StreamOutcome {
                        // Another program may have been faster,
                        created: creation.created,
                        // and the dev broker decides how many partitions a topic has.
                        partitions: creation.topic.partitions,
                        ..planned.clone()
                    })
                }
                (Some(Err(error)), _) => Err(error),
                // After a failed request, the remaining ones are not sent.
                _ => Err(ClientError::Kafka {
                    action: format!("creating topic {}", topic.topic),
                    source: "not tried, since creating the topics before it failed".into(),
                }),
            };
        }
        let unbound: Vec<(usize, (&StreamId, &SchemaName, StreamProperties))> = specs
            .iter()
            .zip(&answers)
            .enumerate()
            .filter_map(|(index, (spec, answer))| {
                let bind = answer.as_ref().is_ok_and(|outcome| outcome.bound);
                let schema = spec.schema.as_ref().filter(|_| bind)?;
                let properties = spec.properties.over(StreamProperties::default());
                Some((index, (&spec.stream, schema, properties)))
            })
            .collect();
        if unbound.is_empty() {
            return Ok(answers);
        }
        let streams: Vec<_> = unbound.iter().map(|(_, binding)| *binding).collect();
        let bound = self.bind(&streams).await?;
        let indices: Vec<usize> = unbound.into_iter().map(|(index, _)| index).collect();
        for (index, bound) in indices.into_iter().zip(bound) {
            if let Err(error) = bound {
                answers[index] = Err(error);
            }
        }
        Ok(answers)
    }

    /// Gives bound streams the declared properties that they do not have. Publishers that know a stream see it within a
    /// minute. Streams that are not bound to the declared schema are left as they are.
    ///
    /// # Errors
    /// As writing and reading the bindings fails; [`ClientError::Kafka`] if another program changed one meanwhile.
    pub async fn change_streams(&self, specs: &[StreamSpec]) -> Result<(), ClientError> {
        let _log = self.log_lock.lock().await;
        self.follow_bindings(None).await?;
        let wanted: Vec<(&StreamId, SchemaName, StreamProperties)> = specs
            .iter()
            .filter_map(|spec| {
                let bound = self.binding(&spec.stream)?;
                let wanted = spec.properties.over(bound.properties);
                let is_same =
                    wanted == bound.properties || spec.schema.as_ref() != Some(&bound.schema);
                (!is_same).then_some((&spec.stream, bound.schema, wanted))
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let changed: Vec<_> = wanted
            .iter()
            .map(|(stream, schema, wanted)| (*stream, schema, *wanted))
            .collect();
        for answer in self.bind(&changed).await? {
            answer?;
        }
        for (stream, _, wanted) in wanted {
            self.publish_cache.forget_stream(stream);
            if self.properties(stream) != wanted {
                return Err(ClientError::Kafka {
                    action: format!("changing the properties of stream {stream}"),
                    source: "another program changed them meanwhile; look at `streams show` and decide again".into(),
                });
            }
        }
        Ok(())
    }

    /// The properties of a stream, as far as the bindings were read.
    pub(super) fn properties(&self, stream: &StreamId) -> StreamProperties {
        self.binding(stream)
            .map_or_else(StreamProperties::default, |binding| binding.properties)
    }

    /// Deletes a stream's topic with all of its records. `false` if there is none.
    ///
    /// # Errors
    /// As the brokers refuse it.
    pub async fn delete_topic(&self, stream: &StreamId) -> Result<bool, ClientError> {
        let topic = self.settings.topic_prefix.topic(stream)?;
        let deleted = self.broker.delete_topic(&topic).await?;
        self.publish_cache.forget_stream(stream);
        Ok(deleted)
    }

    /// Compares the existing topics with the declarations. Also returns the topics to create, each with the index of
    /// its stream.
    async fn compare_all(
        &self,
        specs: &[StreamSpec],
    ) -> Result<
        (
            Vec<Result<StreamOutcome, ClientError>>,
            Vec<(usize, TopicSpec)>,
        ),
        ClientError,
    > {
        let cluster = self.broker.cluster().await?;
        let (mut answers, mut create) = (Vec::with_capacity(specs.len()), Vec::new());
        for (index, spec) in specs.iter().enumerate() {
            answers.push(match self.compare(spec, &cluster).await {
                Ok((outcome, topic)) => {
                    create.extend(topic.map(|topic| (index, topic)));
                    Ok(outcome)
                }
                Err(error) => Err(error),
            });
        }
        Ok((answers, create))
    }

    /// Compares the existing topic with the declaration; returns the topic to create if it is absent.
    async fn compare(
        &self,
        spec: &StreamSpec,
        cluster: &Cluster,
    ) -> Result<(StreamOutcome, Option<TopicSpec>), ClientError> {
        let topic = self.settings.topic_prefix.topic(&spec.stream)?;
        let bound = match &spec.schema {
            Some(schema) => !self.is_bound(&spec.stream, schema)?,
            None => false,
        };
        if bound {
            let bindings = self.settings.topic_prefix.bindings_topic()?;
            self.log_exists(cluster, &bindings).await?;
        }
        let now = self.properties(&spec.stream);
        let changes = match bound {
            // They are written with the binding.
            true => Vec::new(),
            false => spec.properties.changes(now).map(change).collect(),
        };
        let mut outcome = StreamOutcome {
            properties: if bound {
                spec.properties.over(now)
            } else {
                now
            },
            changes,
            topic: topic.clone(),
            partitions: spec.partitions.unwrap_or(self.settings.partitions),
            retention: spec.retention,
            created: false,
            bound,
            warnings: growth_with_keys(spec).into_iter().collect(),
        };
        let Some(existing) = cluster.topics.get(topic.as_str()) else {
            check_collision(cluster, &topic)?;
            outcome.created = true;
            let create = self.topic_spec(spec, topic, cluster.brokers);
            return Ok((outcome, Some(create)));
        };
        outcome.partitions = existing.partitions;
        let config = self.declared_config(spec, &topic).await?;
        if let (Some(_), Some(config)) = (spec.retention, &config) {
            let millis = config.get("retention.ms").and_then(|has| has.parse().ok());
            outcome.retention = millis.map(Duration::from_millis);
        }
        outcome
            .warnings
            .extend(differences(spec, existing, config.as_ref()));
        if let (true, Some(schema)) = (bound, &spec.schema) {
            outcome
                .warnings
                .extend(self.foreign_schema(&topic, schema).await?);
        }
        Ok((outcome, None))
    }

    /// The topic's settings, where the declaration has something to compare them with.
    async fn declared_config(
        &self,
        spec: &StreamSpec,
        topic: &TopicName,
    ) -> Result<Option<BTreeMap<String, String>>, ClientError> {
        if spec.retention.is_none() && spec.config.is_empty() {
            return Ok(None);
        }
        self.broker.topic_config(topic).await
    }

    pub(super) fn topic_spec(
        &self,
        spec: &StreamSpec,
        topic: TopicName,
        brokers: usize,
    ) -> TopicSpec {
        let mut config = spec.config.clone();
        if let Some(retention) = spec.retention {
            config.insert("retention.ms".into(), retention_ms(retention));
        }
        TopicSpec {
            topic,
            partitions: spec.partitions.unwrap_or(self.settings.partitions),
            replication_factor: spec
                .replication_factor
                .unwrap_or_else(|| self.replication_factor(brokers)),
            config,
        }
    }

    /// The Python library may have written an unbound stream: its last record shows that (docs/decisions.md,
    /// unbound-streams).
    pub(super) async fn foreign_schema(
        &self,
        topic: &TopicName,
        schema: &SchemaName,
    ) -> Result<Option<String>, ClientError> {
        let value = match self.broker.last_value(topic).await {
            Ok(value) => value,
            // A program that only publishes may have no right to read.
            Err(ClientError::Unauthorized { .. }) => None,
            Err(error) => return Err(error),
        };
        let Some(value) = value else { return Ok(None) };
        let Ok(envelope) = Envelope::read(&value) else {
            return Ok(Some(format!(
                "topic {topic} is being bound to schema {schema}, but its last record is not an envelope"
            )));
        };
        let name = envelope
            .schema
            .rsplit_once(':')
            .map_or(&*envelope.schema, |(name, _)| name);
        Ok((name != schema.as_str()).then(|| {
            format!(
                "topic {topic} is being bound to schema {schema}, but its last record carries {}",
                envelope.schema
            )
        }))
    }
}

/// The answer for a single stream.
fn only(answers: Vec<Result<StreamOutcome, ClientError>>) -> Result<StreamOutcome, ClientError> {
    answers
        .into_iter()
        .next()
        .unwrap_or(Err(ClientError::Closed))
}

/// Each difference names both values.
fn differences(
    spec: &StreamSpec,
    existing: &TopicInfo,
    config: Option<&BTreeMap<String, String>>,
) -> Vec<String> {
    let topic = &existing.name;
    let mut warnings = Vec::new();
    let mut differs = |what: &str, has: String, asked: String| {
        warnings.push(format!(
            "topic {topic} has {what} {has}, {asked} was asked for; an existing topic is not altered"
        ));
    };
    if let Some(partitions) = spec.partitions.filter(|n| *n != existing.partitions) {
        differs(
            "partitions",
            existing.partitions.to_string(),
            partitions.to_string(),
        );
    }
    if let Some(factor) = spec
        .replication_factor
        .filter(|n| *n != existing.replication_factor)
    {
        differs(
            "replication factor",
            existing.replication_factor.to_string(),
            factor.to_string(),
        );
    }
    let Some(config) = config else {
        return warnings;
    };
    if let Some(retention) = spec.retention {
        let asked = retention_ms(retention);
        if let Some(has) = config.get("retention.ms").filter(|has| **has != asked) {
            differs("retention", retention_text(has), format_span(retention));
        }
    }
    for (name, asked) in &spec.config {
        if let Some(has) = config.get(name).filter(|has| *has != asked) {
            differs(name, has.clone(), asked.clone());
        }
    }
    warnings
}

fn retention_ms(retention: Duration) -> String {
    retention.as_millis().to_string()
}

fn retention_text(millis: &str) -> String {
    match millis.parse() {
        Ok(millis) => format_span(Duration::from_millis(millis)),
        Err(_) => format!("{millis} ms (for ever)"),
    }
}

/// A property that differs, in words.
fn change((property, now, declared): (&str, &str, &str)) -> String {
    format!("{property} {now} → {declared}")
}

/// A growth that is declared and does not happen.
fn growth_with_keys(spec: &StreamSpec) -> Option<String> {
    let DeclaredProperties {
        keys,
        partition_growth,
    } = spec.properties;
    (partition_growth == Some(PartitionGrowth::Auto) && keys != Some(Keys::None)).then(|| {
        format!(
            "stream {} declares partition-growth = \"auto\" without keys = \"none\": more partitions move keys, so its growth is only proposed",
            spec.stream
        )
    })
}
