//! Custody: messages of one assignment that wait for their [`Committer`](crate::Committer): their handler has returned or still
//! runs, and nobody has said yet how they end. Knows each attempt by a number, so that what a committer of a former attempt
//! or a former assignment says changes nothing. Runs nothing.
//!
//! Next: `instance/custody.rs` takes what committers say.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use kafkaesk_client::consumer::Position;
use kafkaesk_core::Offset;
use rustc_hash::FxHashMap;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    CommitError,
    delivery::Delivery,
    outcome::AttemptResult,
    partitions::Generation,
    schedule::LaneId,
    tracker::{Ticket, covers},
};

/// Answers [`Committer::done`](crate::Committer::done).
pub(crate) type Reply = oneshot::Sender<Result<(), CommitError>>;

/// What a committer says of its message.
#[derive(Debug)]
pub(crate) enum Said {
    /// It is finished; the answer follows its commit.
    Done(Reply),
    /// The attempt ended like this.
    Ended(AttemptResult),
}

/// What an instance hears of custody.
#[derive(Debug)]
pub(crate) enum CustodyEvent {
    Said {
        generation: Generation,
        attempt: u64,
        said: Said,
    },
    /// A commit for which committers wait has its answer.
    Committed,
}

/// What an assignment and its committers share.
#[derive(Debug)]
struct Assignment {
    generation: Generation,
    /// Bounded by the number of committers, each of which sends once.
    events: mpsc::UnboundedSender<CustodyEvent>,
    /// Whether it is to be given up.
    revoked: watch::Sender<bool>,
}

/// One attempt's place in the custody of its assignment.
#[derive(Debug)]
pub(crate) struct Seat {
    assignment: Arc<Assignment>,
    attempt: u64,
    taken: AtomicBool,
}

impl Seat {
    /// Whether this is the first call: an attempt has one committer.
    pub(crate) fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::Relaxed)
    }

    /// Tells the instance. Gives it back if the instance has ended.
    pub(crate) fn say(&self, said: Said) -> Result<(), Said> {
        let event = CustodyEvent::Said {
            generation: self.assignment.generation,
            attempt: self.attempt,
            said,
        };
        match self.assignment.events.send(event) {
            Err(mpsc::error::SendError(CustodyEvent::Said { said, .. })) => Err(said),
            _ => Ok(()),
        }
    }

    /// Resolves when the assignment is to be given up.
    pub(crate) fn revoked(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut revoked = self.assignment.revoked.subscribe();
        async move { drop(revoked.wait_for(|revoked| *revoked).await) }
    }
}

/// A message whose handler has returned.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) lane: LaneId,
    pub(crate) ticket: Ticket,
    pub(crate) delivery: Delivery,
    /// When its attempt began.
    pub(crate) since: Instant,
}

/// What a committer said while its handler ran.
#[derive(Debug)]
pub(crate) enum Early {
    /// The message is finished already; the handler may wait for the commit.
    Done,
    /// The attempt ends like this, unless its handler says more.
    Ended(AttemptResult),
}

/// An attempt whose handler runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// When it began.
    pub(crate) since: Instant,
    ticket: Ticket,
    offset: Offset,
    pub(crate) said: Option<Early>,
}

/// An attempt that has not ended.
#[derive(Debug)]
enum Open {
    /// Its handler runs.
    Running(Running),
    /// Its handler has returned.
    Kept(Box<Kept>),
}

/// What [`Custody::hear`] finds.
#[derive(Debug)]
pub(crate) enum Heard {
    /// This message ends.
    Ends(Box<Kept>, Said),
    /// This message is finished, and its handler still runs.
    Finishes(Ticket),
    /// Its handler still runs, and the attempt ends with it.
    Later,
    /// The attempt is over.
    Stale(Said),
}

/// A call of `done` that waits for its commit.
#[derive(Debug)]
pub(crate) struct Waiting {
    offset: Offset,
    reply: Reply,
}

impl Waiting {
    /// Answers it. Its caller may have dropped the future.
    pub(crate) fn answer(self, result: Result<(), CommitError>) {
        let _ = self.reply.send(result);
    }
}

/// The custody of one assignment.
#[derive(Debug)]
pub(crate) struct Custody {
    assignment: Arc<Assignment>,
    open: FxHashMap<u64, Open>,
    /// How many of them are kept.
    kept: usize,
    /// The number of the last attempt.
    last: u64,
    waiting: Vec<Waiting>,
}

impl Custody {
    pub(crate) fn new(generation: Generation, events: mpsc::UnboundedSender<CustodyEvent>) -> Self {
        Self {
            assignment: Arc::new(Assignment {
                generation,
                events,
                revoked: watch::Sender::new(false),
            }),
            open: FxHashMap::default(),
            kept: 0,
            last: 0,
            waiting: Vec::new(),
        }
    }

    /// An attempt begins.
    pub(crate) fn begin(&mut self, ticket: Ticket, offset: Offset, since: Instant) -> Arc<Seat> {
        self.last += 1;
        let running = Running {
            since,
            ticket,
            offset,
            said: None,
        };
        self.open.insert(self.last, Open::Running(running));
        Arc::new(Seat {
            assignment: self.assignment.clone(),
            attempt: self.last,
            taken: AtomicBool::new(false),
        })
    }

    /// The handler of an attempt has ended.
    pub(crate) fn returned(&mut self, seat: &Seat) -> Option<Running> {
        match self.open.remove(&seat.attempt)? {
            Open::Running(running) => Some(running),
            Open::Kept(_) => None,
        }
    }

    /// Keeps a message whose handler has returned, until its committer says how it ends.
    pub(crate) fn keep(&mut self, seat: &Seat, kept: Kept) {
        self.kept += 1;
        self.open.insert(seat.attempt, Open::Kept(Box::new(kept)));
    }

    /// Takes what a committer says.
    pub(crate) fn hear(&mut self, attempt: u64, said: Said) -> Heard {
        match self.open.remove(&attempt) {
            None => Heard::Stale(said),
            Some(Open::Kept(kept)) => {
                self.kept -= 1;
                Heard::Ends(kept, said)
            }
            Some(Open::Running(mut running)) => {
                let (ticket, offset) = (running.ticket, running.offset);
                let (early, heard) = match said {
                    Said::Done(reply) => {
                        self.await_commit(offset, reply);
                        (Early::Done, Heard::Finishes(ticket))
                    }
                    Said::Ended(ended) => (Early::Ended(ended), Heard::Later),
                };
                running.said = Some(early);
                self.open.insert(attempt, Open::Running(running));
                heard
            }
        }
    }

    /// A finished message waits for its commit.
    pub(crate) fn await_commit(&mut self, offset: Offset, reply: Reply) {
        self.waiting.push(Waiting { offset, reply });
    }

    /// Whether a finished message waits for its commit.
    pub(crate) fn awaits_commit(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes those that wait for a commit and that this one covers. `fits`: the commit has room for all of its completions.
    pub(crate) fn take_covered(&mut self, position: &Position, fits: bool) -> Vec<Waiting> {
        if fits {
            return std::mem::take(&mut self.waiting);
        }
        let (covered, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| covers(position, waiting.offset));
        self.waiting = others;
        covered
    }

    /// Says to all committers that the assignment is to be given up.
    pub(crate) fn revoke(&self) {
        self.assignment.revoked.send_replace(true);
    }

    /// How many attempts have not ended.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// How many messages are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept
    }

    /// The messages that are kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.open.values().filter_map(|open| match open {
            Open::Kept(kept) => Some(&**kept),
            Open::Running(_) => None,
        })
    }
}

impl Drop for Custody {
    fn drop(&mut self) {
        self.revoke();
    }
}
