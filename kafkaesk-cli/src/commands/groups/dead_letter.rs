//! `groups skip --dead-letter`: writes the record that is passed over as a dead letter of the group. Moves nothing.

use anyhow::Context as _;
use kafkaesk_client::{
    Connection, DeadLetters,
    broker::{GroupPosition, Upcoming},
};
use kafkaesk_core::{DeadLetter, Envelope, Pattern, Reason, RecordPlace, TopicName};

/// The letter's text in place of an error.
const ERROR: &str = "skipped by a person";

/// Refuses a record that cannot be written as a dead letter, before the question to the user.
///
/// # Errors
/// The next record cannot be read, or the group's name fits into no topic's.
pub(super) fn check(
    connection: &Connection,
    group: &str,
    position: &GroupPosition,
) -> anyhow::Result<()> {
    DeadLetters::of(connection, group)?;
    if let Upcoming::Unreadable { offset, reason } = &position.upcoming {
        anyhow::bail!(
            "the record @{offset} cannot be read, so it cannot be moved to the dead letters: {reason}; without --dead-letter it is passed over"
        );
    }
    Ok(())
}

/// Writes exactly this record as a dead letter; returns when the brokers have it.
///
/// # Errors
/// Errors of reading and writing; the letter may not be written.
pub(super) async fn write(
    connection: &Connection,
    group: &str,
    place: &RecordPlace,
    topic: &TopicName,
) -> anyhow::Result<()> {
    let broker = connection.broker();
    let record = broker.record(topic, place.partition, place.offset).await?;
    let Some(record) = record.filter(|record| record.offset == place.offset) else {
        anyhow::bail!("{place} is not in the log any more; nothing was changed");
    };
    if let Some(unreadable) = &record.unreadable {
        anyhow::bail!(
            "{place} cannot be moved to the dead letters: {unreadable}; nothing was changed"
        );
    }
    let schema = Envelope::of(record.value.as_deref()).ok();
    let letter = DeadLetter {
        topic: topic.clone(),
        partition: place.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        group: group.to_owned(),
        schema: schema.map(|envelope| envelope.schema.into_owned()),
        reason: Reason::Skipped,
        error: ERROR.to_owned(),
        attempts: 0,
        first: None,
        last: None,
        redriven: 0,
    };
    let letters = DeadLetters::of(connection, group)?;
    letters
        .create(&[Pattern::new(place.stream.as_str())?])
        .await
        .with_context(|| format!("creating {}; nothing was changed", letters.topic()))?;
    letters.write(&record, &letter).await.with_context(|| {
        format!(
            "writing the dead letter to {}; the group was not moved",
            letters.topic()
        )
    })
}
