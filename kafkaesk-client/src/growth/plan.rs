//! Plan: what stands against a growth, and who is concerned. Asks; changes nothing.

use kafkaesk_core::{Envelope, Keys, Offset, Record, TopicName, partitioner::partition_for_key};

use super::{GrowthError, GrowthPlan, GrowthRequest, Obstacle};
use crate::{ClientError, Connection};

/// Of how many partitions the newest record is looked at, at most: each costs a fetch.
const SAMPLED: i32 = 16;

impl Connection {
    /// Checks whether a stream can be grown, and finds the groups that are concerned. Changes nothing.
    ///
    /// Groups that may not be described are not seen, and of other programs' records only the newest of each of 16
    /// partitions are.
    ///
    /// # Errors
    /// [`GrowthError`], but no [`GrowthError::Refused`]: what stands against it is part of the plan.
    pub async fn plan_growth(&self, request: &GrowthRequest) -> Result<GrowthPlan, GrowthError> {
        let (stream, broker) = (&request.stream, self.broker());
        let prefix = &self.settings().topic_prefix;
        let topic = prefix.topic(stream).map_err(ClientError::from)?;
        let bindings = self.catalog().bindings().await?;
        let (stream, there) = (stream.clone(), broker.topic(&topic, "Alter").await?);
        let (binding, there) = match (bindings.streams.get(&stream), there) {
            (Some(binding), Some(there)) => (binding, there),
            (None, None) => return Err(GrowthError::Unknown { stream, topic }),
            (None, Some(_)) => return Err(GrowthError::NotBound { topic }),
            (Some(_), None) => return Err(GrowthError::NoTopic { stream, topic }),
        };
        let mut plan = GrowthPlan {
            request: request.clone(),
            topic,
            from: there.partitions,
            keys: binding.properties.keys,
            partition_growth: binding.properties.partition_growth,
            obstacles: Vec::new(),
            groups: Vec::new(),
            notes: Vec::new(),
        };
        if plan.is_done() {
            return Ok(plan);
        }
        if request.to < plan.from {
            plan.obstacles.push(Obstacle::Smaller {
                topic: plan.topic.clone(),
                has: plan.from,
            });
            return Ok(plan);
        }
        self.check_settings(&mut plan).await?;
        if let Err(error) = broker.grow_topic(&plan.topic, request.to, true).await {
            match error {
                passing if passing.is_passing() => return Err(passing.into()),
                refused => plan.obstacles.push(Obstacle::Refused(refused)),
            }
        }
        self.find_groups(&mut plan).await?;
        self.look_at_records(&mut plan, binding.schema.as_str())
            .await?;
        Ok(plan)
    }

    async fn check_settings(&self, plan: &mut GrowthPlan) -> Result<(), ClientError> {
        let topic = plan.topic.clone();
        let config = self.broker().topic_config(&topic).await?;
        let policy = config.as_ref().and_then(|it| it.get("cleanup.policy"));
        match policy {
            None => plan.obstacles.push(Obstacle::SettingsHidden { topic }),
            Some(policy) if policy.contains("compact") => {
                let policy = policy.clone();
                plan.obstacles.push(Obstacle::Compacted { topic, policy });
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The groups with offsets in the topic and those that read it now.
    async fn find_groups(&self, plan: &mut GrowthPlan) -> Result<(), ClientError> {
        let (broker, topic) = (self.broker(), plan.topic.clone());
        let readers = broker.readers(&topic).await?;
        let mut listed: Vec<String> = broker.groups().await?.into_keys().collect();
        listed.extend(readers.keys().cloned());
        listed.sort();
        listed.dedup();
        for group in listed {
            if plan.request.allowed_groups.contains(&group) {
                continue;
            }
            let commits = match broker.group_commits(&group, &topic).await {
                Err(ClientError::Unauthorized { .. }) => {
                    plan.notes
                        .push(format!("group {group} may not be described"));
                    continue;
                }
                commits => commits?,
            };
            let topic = topic.clone();
            if commits.values().any(|commit| commit.is_marked) {
                plan.groups.push(group);
            } else if !commits.is_empty() {
                plan.obstacles.push(Obstacle::ForeignGroup { topic, group });
            } else if readers.contains_key(&group) {
                plan.notes.push(format!(
                    "group {group} reads {topic} and has committed nothing there yet, so it cannot be seen of which kind it is"
                ));
                plan.groups.push(group);
            }
        }
        Ok(())
    }

    /// The newest record of each partition, up to [`SAMPLED`]: what another program's records show themselves by.
    async fn look_at_records(
        &self,
        plan: &mut GrowthPlan,
        schema: &str,
    ) -> Result<(), ClientError> {
        let sampled = plan.from.cast_signed().min(SAMPLED);
        let asked: Vec<(TopicName, i32)> = (0..sampled)
            .map(|partition| (plan.topic.clone(), partition))
            .collect();
        let bounds = self.broker().bounds(&asked).await?;
        let mut astray = None;
        for ((topic, partition), bounds) in asked.into_iter().zip(bounds) {
            let Some(bounds) = bounds.filter(|bounds| bounds.first < bounds.end) else {
                continue;
            };
            let newest = Offset(bounds.end.0 - 1);
            let record = match self.broker().record(&topic, partition, newest).await {
                // The mark of a transaction: nothing is known of the records before it.
                Ok(None) => continue,
                Ok(Some(record)) => record,
                Err(ClientError::Unauthorized { .. }) => {
                    plan.notes.push(format!(
                        "records of {topic} may not be read, so those of other programs are not seen"
                    ));
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            if let Some(what) = foreign(&record, schema, plan.keys)
                && !plan.request.allow_foreign_writers
            {
                plan.obstacles.push(Obstacle::ForeignRecord {
                    topic,
                    partition,
                    offset: record.offset.0,
                    what,
                });
            } else if let Some(key) = &record.key
                && partition_for_key(key, plan.from) != partition
            {
                astray = astray.or(Some((partition, record.offset)));
            }
        }
        if let Some((partition, offset)) = astray {
            plan.notes.push(format!(
                "{}[{partition}]@{offset} lies in another partition than its key's: its publisher names partitions itself, or places keys in another way, or it was written before the last growth",
                plan.topic
            ));
        }
        plan.notes.push(
            "programs that publish to this stream without kafkaesk are seen by their newest records alone".to_owned(),
        );
        Ok(())
    }
}

/// What no publisher under the contract writes to a stream of this schema.
fn foreign(record: &Record, schema: &str, keys: Keys) -> Option<String> {
    if keys == Keys::None && record.key.is_some() {
        return Some("has a key, though the stream takes none".to_owned());
    }
    // A tombstone.
    let value = record.value.as_ref()?;
    let Ok(envelope) = Envelope::read(value) else {
        return Some("is not an event".to_owned());
    };
    let name = envelope.schema.rsplit_once(':').map(|(name, _)| name);
    (name != Some(schema)).then(|| format!("carries {}, not {schema}", envelope.schema))
}
