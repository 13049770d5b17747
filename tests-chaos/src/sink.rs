//! Sink: what a worker with manual commit does. Its handlers hand messages over, and return. Each message is held for a time of its
//! own, so that they end in any order, and ends as it says: done, failed or dropped, rejected. A revoke lets all end at once.

use std::time::Duration;

use kafkaesk_worker::prelude::*;

use crate::{
    line::{Ended, Said},
    work::Work,
    worker::{Open, handled, hang, say},
};

/// How messages are held.
#[derive(Clone, Copy)]
pub(crate) struct Sink {
    /// For how long at the most.
    pub(crate) longest: Duration,
    /// Whether they do not end at a revoke.
    pub(crate) deaf: bool,
}

/// A message that is held.
struct Held {
    work: Work,
    attempt: Attempt,
    open: Open,
    committer: Committer,
}

/// The handler.
pub(crate) async fn hand_over(
    work: Work,
    record: Record,
    attempt: Attempt,
    committer: Committer,
    sink: State<Sink>,
) {
    let open = Open::start(handled(&work, &record, attempt));
    if work.takes > 0 {
        tokio::time::sleep(Duration::from_micros(work.takes)).await;
    }
    if attempt.0 <= work.panics {
        panic!("as message {} says", work.seq);
    }
    // Before the sink has it: from here on it may end at any time.
    say(Said::Kept { n: open.number() });
    let held = Held {
        work,
        attempt,
        open,
        committer,
    };
    tokio::spawn(held.end(*sink));
}

impl Held {
    async fn end(self, sink: Sink) {
        let spread = self.work.seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let holds = sink.longest.mul_f64(spread as f64 / f64::from(u32::MAX));
        tokio::select! {
            () = tokio::time::sleep(holds) => {}
            () = self.committer.revoked(), if !sink.deaf => {}
        }
        // One that hangs does not hear of a revoke.
        hang(self.work.seq).await;
        let Self {
            work,
            attempt,
            open,
            committer,
        } = self;
        let number = open.number();
        if work.rejects {
            open.end(Ended::Rejected);
            committer.end(Err::<(), _>(HandlerError::reject("as its message says")));
        } else if attempt.0 <= work.panics.saturating_add(work.fails) {
            open.end(Ended::Failed);
            match work.seq % 2 {
                0 => committer.fail("as its message says"),
                _ => drop(committer),
            }
        } else {
            // The row is written; then its message is done.
            open.end(Ended::Done);
            match committer.done().await {
                Ok(()) => say(Said::Confirmed { n: number }),
                Err(CommitError::Stale) => say(Said::Stale { n: number }),
                Err(_) => {}
            }
        }
    }
}
