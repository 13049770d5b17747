//! `__streams__`: which schema name each stream is bound to. The first record of an epoch wins, for every reader.

use kafkaesk_core::{Offset, SchemaName, StreamId};
use kafkaesk_schema::{Binding, Bindings};

use super::{Catalog, schemas::not_read_back};
use crate::ClientError;

impl Catalog {
    /// All bindings, read afresh; empty if there are none.
    ///
    /// # Errors
    /// As reading fails.
    pub async fn bindings(&self) -> Result<Bindings, ClientError> {
        self.bindings_until(None).await
    }

    async fn bindings_until(&self, until: Option<Offset>) -> Result<Bindings, ClientError> {
        let topic = self.settings.topic_prefix.bindings_topic()?;
        let mut bindings = Bindings::default();
        for record in self.broker.read_log(&topic, until).await? {
            bindings.apply(&record);
        }
        if let Some(first) = bindings.ignored.first() {
            tracing::debug!(
                %topic,
                ignored = bindings.ignored.len(),
                offset = first.offset,
                reason = first.reason,
                "records in the bindings log do not count"
            );
        }
        Ok(bindings)
    }

    /// Binds a stream that nobody bound; whoever loses the race is judged by what the winner wrote.
    pub(super) async fn bind(
        &self,
        stream: &StreamId,
        schema: &SchemaName,
    ) -> Result<(), ClientError> {
        let topic = self.settings.topic_prefix.bindings_topic()?;
        self.ensure_log_topic(&topic).await?;
        let binding = Binding {
            schema: schema.clone(),
            epoch: 1,
        };
        let (key, value) = Bindings::record(stream, &binding);
        let own = self.broker.append_log(&topic, key, value).await?;
        if is_bound(&self.bindings_until(Some(own)).await?, stream, schema)? {
            return Ok(());
        }
        Err(not_read_back(&topic))
    }
}

/// Whether the stream is bound to this schema; bound to another is an error.
pub(super) fn is_bound(
    bindings: &Bindings,
    stream: &StreamId,
    schema: &SchemaName,
) -> Result<bool, ClientError> {
    match bindings.streams.get(stream) {
        None => Ok(false),
        Some(binding) if binding.schema == *schema => Ok(true),
        Some(binding) => Err(ClientError::BoundElsewhere {
            stream: stream.clone(),
            bound: binding.schema.clone(),
            given: schema.clone(),
        }),
    }
}
