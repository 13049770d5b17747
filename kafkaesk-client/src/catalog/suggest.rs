//! "Did you mean": finds the existing stream or schema with the nearest name. If Kafka does not answer, there is no
//! suggestion.

use kafkaesk_core::{SchemaName, StreamId};

use super::Catalog;
use crate::settings::nearest;

impl Catalog {
    /// The declared or existing stream with the name nearest to a misspelt one. `None` for a pattern.
    pub async fn near_stream(&self, stream: &str) -> Option<StreamId> {
        StreamId::new(stream).ok()?;
        let cluster = self.broker.cluster().await.ok();
        let there = cluster.iter().flat_map(|cluster| cluster.topics.keys());
        let there = there.filter_map(|topic| self.settings.topic_prefix.stream_of(topic));
        let known: Vec<StreamId> = self
            .settings
            .declared_streams
            .iter()
            .cloned()
            .chain(there)
            .filter(|known| known.as_str() != stream)
            .collect();
        let near = nearest(stream, known.iter().map(StreamId::as_str))?;
        known.iter().find(|known| known.as_str() == near).cloned()
    }

    /// The schema that a misspelt one probably means, among those that are stored.
    pub async fn near_schema(&self, name: &SchemaName) -> Option<SchemaName> {
        let mut known = self.schema_names().await.ok()?;
        known.retain(|known| known != name);
        let near = nearest(name.as_str(), known.iter().map(SchemaName::as_str))?;
        known.iter().find(|known| known.as_str() == near).cloned()
    }
}
