//! Gives messages up: writes a dead letter, and finishes its message once the brokers have it. If the write fails, the
//! message stays at the head of its lane, and the write is repeated with the backoff of retries, without a limit.

use std::time::Duration;

use kafkaesk_client::{
    ClientError,
    mutation::{self, Mutation},
};
use tokio::time::Instant;
use tracing::warn;

use super::Instance;
use crate::{
    context::Context, delivery::Delivery, judge::Key, retry::RetryPolicy, schedule::LaneId,
    tracker::Ticket,
};

/// Writes the dead letter that a message is given up as.
pub(super) async fn write(context: &Context, delivery: &Delivery) -> Result<(), ClientError> {
    // Only a policy with dead letters leads here: without a dead letter no message is given up.
    let (Some(dead_letters), Some(letter)) = (&context.dead_letters, delivery.given_up()) else {
        return Err(ClientError::Closed);
    };
    if mutation::is(Mutation::DeadLetterNotConfirmed) {
        return Ok(());
    }
    dead_letters.write(delivery.record(), letter).await
}

impl Instance {
    /// The result of writing a dead letter.
    pub(super) fn dead_letter_ended(
        &mut self,
        lane: LaneId,
        delivery: Delivery,
        ticket: Ticket,
        written: Result<(), ClientError>,
    ) {
        let now = Instant::now();
        let topic = delivery
            .context()
            .dead_letters
            .as_ref()
            .map_or("", |dead_letters| dead_letters.topic().as_str());
        let record = delivery.record();
        let key = Key(record.key.as_deref());
        match (written, delivery.given_up()) {
            (Ok(()), letter) => {
                if let (Some(count), Some(letter)) =
                    (self.notices.dead.occurred(record, now), letter)
                {
                    warn!(
                        group = delivery.group(),
                        stream = record.stream(),
                        partition = record.partition(),
                        offset = record.offset.0,
                        %key,
                        schema = letter.schema,
                        reason = %letter.reason,
                        attempts = letter.attempts,
                        error = letter.error,
                        count,
                        "not handled; it is kept as a dead letter in topic {topic}"
                    );
                }
                if let Some(telemetry) = &delivery.context().telemetry {
                    telemetry.dead_letter_written(&delivery);
                }
                self.report.handled += 1;
                self.report.dead_letters += 1;
                if let Some(letter) = delivery.given_up() {
                    self.meter.dead_letter(record, letter);
                }
                let counts =
                    self.partitions
                        .finish(lane.generation, Some(ticket), delivery.place());
                if let Some(counts) = counts {
                    counts.dead_letters += 1;
                }
                self.schedule.release(lane);
            }
            (Err(error), _) => {
                let wait = RetryPolicy::default().wait(delivery.attempt(), None);
                if let Some(count) = self.notices.not_written.occurred(record, now) {
                    warn!(
                        group = delivery.group(),
                        stream = record.stream(),
                        partition = record.partition(),
                        offset = record.offset.0,
                        %key,
                        again_in = ?Duration::from_millis(wait.as_millis() as u64),
                        count,
                        %error,
                        "the dead letter cannot be written to topic {topic}, so its message is not passed over; it is written again"
                    );
                }
                self.again(lane, delivery, Some(ticket), now + wait, false);
            }
        }
    }
}
