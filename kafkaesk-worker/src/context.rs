//! What all deliveries of one subscription share: group, policies, states, connection, and the schemas seen so far.

use std::sync::Arc;

use kafkaesk_client::{Connection, DeadLetters, catalog::StoredSchema, settings::Role};
use kafkaesk_core::{EnvelopePrefix, SchemaId, SchemaIdError};
use parking_lot::RwLock;

use crate::{
    handle::Handle, options::Options, policy::Policies, state::States, telemetry::Telemetry,
};

/// How many schema ids a subscription remembers with their prefix; further ones replace the oldest.
const KNOWN: usize = 8;

/// Shared by an instance and its deliveries; lives until the last of them ends.
pub(crate) struct Context {
    /// As sent to Kafka.
    pub(crate) group: String,
    /// As written.
    pub(crate) pattern: String,
    /// What the subscription asks for.
    pub(crate) options: Options,
    /// What happens to messages that are not handled.
    pub(crate) policies: Policies,
    /// The group's dead letters; `None` if the settings switch them off.
    pub(crate) dead_letters: Option<DeadLetters>,
    /// What is run.
    pub(crate) handler: Arc<dyn Handle>,
    /// Whether one of the handler's arguments decodes the data.
    pub(crate) decodes: bool,
    /// For `State<T>`.
    pub(crate) states: Arc<States>,
    /// For `Publisher` and validation.
    pub(crate) connection: Connection,
    /// Schemas seen so far.
    pub(crate) seen: SeenSchemas,
    /// Sees every attempt end.
    pub(crate) telemetry: Option<Arc<dyn Telemetry>>,
}

impl Context {
    /// A librdkafka property of the subscription's consumers: its own, or that of the connection.
    pub(crate) fn consumer_property(&self, name: &str) -> Option<&str> {
        let own = self.options.kafka_settings.get(name);
        let settings = &self.connection.settings().kafka_settings;
        own.map(String::as_str)
            .or_else(|| settings.get(Role::Consumer, name))
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("group", &self.group)
            .field("pattern", &self.pattern)
            .finish_non_exhaustive()
    }
}

/// A schema id that was seen, taken apart once.
#[derive(Debug)]
pub(crate) struct SeenSchema {
    /// `Name:version`.
    pub(crate) text: String,
    /// The name.
    pub(crate) name: String,
    /// The version.
    pub(crate) version: u32,
    /// The id itself.
    pub(crate) id: SchemaId,
    /// How an envelope of it usually begins.
    pub(crate) prefix: EnvelopePrefix,
    /// Its stored document, once asked for (`validate` only).
    pub(crate) stored: std::sync::OnceLock<Arc<StoredSchema>>,
}

/// The last few schema ids of a subscription.
#[derive(Debug, Default)]
pub(crate) struct SeenSchemas(RwLock<Vec<Arc<SeenSchema>>>);

impl SeenSchemas {
    /// The schema whose prefix begins this value.
    pub(crate) fn of(&self, value: &[u8]) -> Option<Arc<SeenSchema>> {
        let known = self.0.read();
        known
            .iter()
            .find(|known| value.starts_with(known.prefix.as_bytes()))
            .cloned()
    }

    /// The schema with this id, remembered from now on.
    pub(crate) fn learn(&self, text: &str) -> Result<Arc<SeenSchema>, SchemaIdError> {
        let mut known = self.0.write();
        if let Some(found) = known.iter().find(|known| known.text == text) {
            return Ok(found.clone());
        }
        let id: SchemaId = text.parse()?;
        let new = Arc::new(SeenSchema {
            text: text.to_owned(),
            name: id.name().as_str().to_owned(),
            version: id.version(),
            prefix: EnvelopePrefix::new(&id),
            id,
            stored: std::sync::OnceLock::new(),
        });
        if known.len() == KNOWN {
            known.remove(0);
        }
        known.push(new.clone());
        Ok(new)
    }
}
