//! Ceiling: the number of partitions up to which a stream may grow. Input: the configuration and the application. Asks no
//! broker.

use kafkaesk_core::{Pattern, StreamId};
use kafkaesk_worker::Subscription;

use crate::{configuration::Configuration, context::Context};

/// The ceiling of a stream's partitions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ceiling {
    pub(super) partitions: u32,
    /// What sets it, in words.
    pub(super) set_by: String,
}

impl Ceiling {
    /// The smallest `max-partitions` of the subscriptions that read the stream; the default where none does.
    ///
    /// # Errors
    /// As the configuration cannot be read.
    pub(super) fn of(context: &Context, stream: &StreamId) -> anyhow::Result<Self> {
        let configuration = context.configuration()?;
        Ok(Self::among(
            configuration,
            context.app.subscriptions(),
            stream,
        ))
    }

    fn among(configuration: &Configuration, own: &[Subscription], stream: &StreamId) -> Self {
        let reads =
            |pattern: &str| Pattern::new(pattern).is_ok_and(|it| it.matches(stream.as_str()));
        let declared = configuration
            .subscriptions
            .iter()
            .filter(|it| reads(&it.pattern))
            .map(|it| Self {
                partitions: it.partition_ceiling(),
                set_by: format!("max-partitions of group {} ({})", it.group, it.origin),
            });
        let own = own.iter().filter(|it| reads(it.pattern())).map(|it| Self {
            partitions: it.partition_ceiling(),
            set_by: format!(
                "max_partitions of the program's group {}",
                it.group_name().unwrap_or("(without a name)")
            ),
        });
        let smallest = declared.chain(own).min_by_key(|it| it.partitions);
        smallest.unwrap_or_else(|| Self {
            partitions: Subscription::MAX_PARTITIONS,
            set_by: "the default of max-partitions; no subscription here reads the stream"
                .to_owned(),
        })
    }
}
