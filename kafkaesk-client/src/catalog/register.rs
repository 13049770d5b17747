//! Registers a program's event types at its start: stores their versions and creates their streams.

use kafkaesk_core::StreamId;
use kafkaesk_schema::EventSchema;

use super::{Catalog, StreamSpec};
use crate::ClientError;

impl Catalog {
    /// At start: registers absent versions (if `auto_register`), warns of or (strict) refuses differing ones,
    /// creates and binds declared streams (if `auto_create_streams`).
    ///
    /// # Errors
    /// As [`Self::push`] and [`Self::ensure_stream`]; [`ClientError::UnknownSchema`] with `auto_register` off.
    pub async fn register(&self, schemas: &[EventSchema]) -> Result<(), ClientError> {
        for schema in schemas {
            self.register_schema(schema).await?;
            if self.settings.auto_create_streams {
                self.register_streams(schema).await?;
            }
        }
        Ok(())
    }

    /// One version: absent, it is stored; present, it is the law (docs/decisions.md, stored-version).
    pub(super) async fn register_schema(&self, schema: &EventSchema) -> Result<(), ClientError> {
        let id = &schema.id;
        let topic = self.settings.topic_prefix.schema_topic(id.name())?;
        let log = self.log(id.name()).await?;
        if !log.versions.contains_key(&id.version()) {
            if !self.settings.auto_register {
                self.stored(id, &log, topic)?;
                return Ok(());
            }
            match self.push(id, &schema.document).await {
                // Another program was faster with another document: its version is the law.
                Err(ClientError::SchemaConflict { .. }) if !self.settings.strict => {}
                other => {
                    other?;
                }
            }
        }
        let stored = self.schema(id).await?;
        if !stored.document.same_as(&schema.document) {
            let diff = stored.document.diff(&schema.document);
            if self.settings.strict {
                return Err(ClientError::SchemaConflict {
                    id: id.clone(),
                    topic,
                    diff,
                });
            }
            tracing::warn!(
                schema = %id,
                "this program's type differs from the stored schema, which is what events are validated against\n{diff}"
            );
        }
        Ok(())
    }

    async fn register_streams(&self, schema: &EventSchema) -> Result<(), ClientError> {
        for stream in &schema.streams {
            let stream = StreamId::new(stream)?;
            let spec = StreamSpec {
                schema: Some(schema.id.name().clone()),
                retention: schema.retention,
                properties: schema.properties,
                ..StreamSpec::new(stream)
            };
            let outcome = self.ensure_stream(&spec).await?;
            for warning in &outcome.warnings {
                tracing::warn!("{warning}");
            }
            for change in &outcome.changes {
                tracing::warn!(
                    stream = %spec.stream,
                    "the program declares {change}; a stream that is bound keeps its properties until `schema push` changes them"
                );
            }
        }
        Ok(())
    }
}
