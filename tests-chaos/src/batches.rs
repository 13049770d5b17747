//! Batches: what a worker with batches does. One message that can never be handled fails its whole batch, as a database refuses all
//! rows of a statement for one of them.

use std::time::Duration;

use kafkaesk_worker::prelude::*;

use crate::{
    ledger::Poison,
    line::Ended,
    work::Work,
    worker::{Open, handled},
};

/// The handler. It says of each message how it ends just before the batch does, in order. Of a batch that fails it says nothing while
/// there are several messages: nothing of it is written.
pub(crate) async fn load(
    works: Batch<Work>,
    records: Batch<Record>,
    attempt: Attempt,
) -> Result<(), HandlerError> {
    let takes = works.iter().map(|work| work.takes).max().unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(takes)).await;
    let poison = works.iter().find_map(Work::poison);
    let ended = match poison {
        None => Ended::Done,
        Some(Poison::Fails) => Ended::Failed,
        Some(Poison::Rejects) => Ended::Rejected,
    };
    let is_cut = poison.is_some() && works.len() > 1;
    let said = if is_cut { 0 } else { works.len() };
    for (work, record) in works.iter().zip(records.iter()).take(said) {
        Open::start(handled(work, record, attempt)).end(ended);
    }
    match poison {
        None => Ok(()),
        Some(Poison::Fails) => Err(HandlerError::msg("one of its messages says so")),
        Some(Poison::Rejects) => Err(HandlerError::reject("one of its messages says so")),
    }
}
