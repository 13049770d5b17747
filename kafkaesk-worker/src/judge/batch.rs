//! Decides what happens to a batch as a whole, from how its attempt ended. What it decides of single messages goes through
//! `judge` again, one by one.
//!
//! Next: `instance/batches.rs` carries it out.

use crate::{
    delivery::Delivery,
    error::{Cause, Class},
    outcome::{AttemptResult, Outcome, wrong_number},
};

/// What happens to a batch.
#[derive(Debug)]
pub(crate) enum OfBatch {
    /// All of its messages end like this.
    All(Outcome),
    /// Each of its messages ends like this.
    Each(Vec<AttemptResult>),
    /// These messages did not reach the handler; the others are handled again at once.
    Unfit(Vec<(usize, AttemptResult)>),
    /// It is handled again in halves, since one of its messages may be the cause.
    Split(AttemptResult),
    /// No message is the cause: it waits and comes again as it is.
    Again(AttemptResult),
    /// The worker stops.
    Stop(AttemptResult),
}

/// Judges an attempt at two or more messages. `batch`: what stands for all of them.
pub(crate) fn of_batch(ending: AttemptResult, batch: &Delivery, messages: usize) -> OfBatch {
    match ending {
        AttemptResult::Outcome(outcome @ (Outcome::Done | Outcome::Skip)) => OfBatch::All(outcome),
        AttemptResult::Outcome(Outcome::Abort) => OfBatch::Stop(ending),
        AttemptResult::Batch(each) if each.len() == messages => OfBatch::Each(each),
        AttemptResult::Batch(each) => OfBatch::Split(wrong_number(each.len(), messages)),
        AttemptResult::Unfit(unfit) if unfit.iter().any(|(at, _)| *at < messages) => {
            OfBatch::Unfit(unfit)
        }
        AttemptResult::Unfit(_) => OfBatch::Split(wrong_number(0, messages)),
        ending if blames_none(&ending) && !is_used_up(&ending, batch) => OfBatch::Again(ending),
        ending => OfBatch::Split(ending),
    }
}

/// Whether the handler asks for another attempt at all of the messages.
fn blames_none(ending: &AttemptResult) -> bool {
    match ending {
        AttemptResult::Outcome(Outcome::Retry { .. }) | AttemptResult::Unavailable(_) => true,
        AttemptResult::Failed(error) => {
            let class = error.class();
            error.cause() == Cause::Returned
                && matches!(
                    class,
                    Class::Retry(Some(_)) | Class::Busy(_) | Class::Unavailable(_)
                )
        }
        _ => false,
    }
}

/// Whether the attempts are used up that a message has, were it alone: then each part of the batch is judged for itself.
fn is_used_up(ending: &AttemptResult, batch: &Delivery) -> bool {
    let policy = &batch.context().options.retry;
    let counts = matches!(
        ending,
        AttemptResult::Outcome(Outcome::Retry { after: None })
    );
    let counted = batch.failures().map_or(0, |failures| failures.counted);
    (counts && policy.is_last(counted.saturating_add(1)))
        || policy
            .held
            .is_some_and(|most| batch.attempt() >= most.get())
}
