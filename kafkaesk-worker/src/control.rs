//! Control: a handle on a running application, for commands from outside. Its instances take them between two messages.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::future::join_all;
use kafkaesk_core::RecordPlace;
use tokio::{sync::oneshot, time::Instant};

use crate::registry::Registry;

/// The longest pause of limited time.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What an instance is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Commit what is finished now.
    Commit,
    /// Start no handler until [`Request::Resume`], or until then.
    Pause {
        reason: String,
        until: Option<Instant>,
    },
    /// Start handlers again.
    Resume,
    /// Start at most so many messages per second; `None`: as many as the subscription's own setting says.
    Throttle(Option<NonZeroU32>),
    /// Leave the group and join it again.
    Rejoin,
    /// Drain, commit, leave the group and end; the others go on.
    End,
    /// Give up a message that is held.
    Skip(Skip),
    /// Show what it does.
    Show,
    /// In tests: batches wait for no further message.
    #[cfg_attr(not(feature = "memory"), allow(dead_code, reason = "sent by TestApp"))]
    Hurry,
}

/// A message that is held, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The message.
    pub place: RecordPlace,
    /// Whether it is kept as a dead letter. Otherwise it is passed over, named in the log and kept nowhere.
    pub dead_letter: bool,
}

/// What an instance did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What was asked for.
    Done,
    /// Nothing: no such message is held here.
    NotHeld,
    /// Nothing: its handler runs.
    Running,
    /// Nothing: the group has no dead letters.
    NoDeadLetters,
}

/// A request, and where its end is reported.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) request: Request,
    pub(crate) done: oneshot::Sender<Answer>,
}

/// How [`Control::skip`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skipped {
    /// The message is given up: passed over, or about to be written as a dead letter.
    Done,
    /// No running instance of the group holds it. It may have been handled since, or another process holds it.
    NotHeld,
    /// Its handler runs now. It is held again if that attempt fails.
    Running,
    /// A dead letter was asked for, and the settings switch them off.
    NoDeadLetters,
}

/// A handle on an application that runs or will run. All clones are the same handle.
///
/// Every method resolves when each running instance of the group has executed the command. Those that return a number
/// return how many instances did: 0 before the application runs, after its end, and for an unknown group. An instance
/// takes a command between two messages, so a handler that blocks its thread delays it. Dropping the future does not
/// withdraw the command.
///
/// ```
/// # use kafkaesk_worker::prelude::*;
/// # use kafkaesk_client::Settings;
/// # async fn run() -> Result<(), AppError> {
/// let app = App::new();
/// let control = app.control();
/// tokio::spawn(async move {
///     control.pause("billing").await; // … while its database is moved …
///     control.resume("billing").await;
/// });
/// app.run(&Settings::default(), async { drop(tokio::signal::ctrl_c().await) }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Control(pub(crate) Arc<Registry>);

impl Control {
    /// Commits what is finished, without waiting for the interval. Resolves when the commits are handed to the Kafka
    /// client, which logs and repeats those that are refused.
    pub async fn commit(&self, group: &str) -> usize {
        self.ask(group, Request::Commit).await
    }

    /// Starts no further handler. Running handlers finish; reading stops at the bounds of waiting records; partitions,
    /// offsets and membership stay, and so does the pause through rebalances. It ends with [`Self::resume`] or with the run.
    pub async fn pause(&self, group: &str) -> usize {
        self.pause_for(group, "", None).await
    }

    /// The same, with a reason for those who look at it, and for a limited time of at most ten years.
    pub async fn pause_for(&self, group: &str, reason: &str, lasting: Option<Duration>) -> usize {
        let until = lasting.map(|lasting| Instant::now() + lasting.min(LONGEST));
        let reason = reason.to_owned();
        self.ask(group, Request::Pause { reason, until }).await
    }

    /// Starts handlers again after [`Self::pause`].
    pub async fn resume(&self, group: &str) -> usize {
        self.ask(group, Request::Resume).await
    }

    /// Starts at most so many messages per second in each instance, until the end of the run. `None` returns to what the
    /// subscription's own option says.
    pub async fn throttle(&self, group: &str, per_second: Option<NonZeroU32>) -> usize {
        self.ask(group, Request::Throttle(per_second)).await
    }

    /// Leaves the group and joins it again: what the Kafka client knows of the partitions is forgotten. They are drained and
    /// committed as in any rebalance. Resolves when the group is about to be left.
    pub async fn rejoin(&self, group: &str) -> usize {
        self.ask(group, Request::Rejoin).await
    }

    /// Gives up one message that is held: that failed and waits for its next attempt. The log names it.
    pub async fn skip(&self, group: &str, skip: Skip) -> Skipped {
        let mut ended = Skipped::NotHeld;
        for entry in self.0.of(group) {
            match entry.ask(Request::Skip(skip.clone())).await {
                Some(Answer::Done) => return Skipped::Done,
                Some(Answer::NoDeadLetters) => ended = Skipped::NoDeadLetters,
                Some(Answer::Running) => ended = Skipped::Running,
                Some(Answer::NotHeld) | None => {}
            }
        }
        ended
    }

    /// The groups that have an instance, without prefix.
    pub fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = Vec::new();
        for entry in self.0.all() {
            if !groups.contains(&entry.group) {
                groups.push(entry.group.clone());
            }
        }
        groups
    }

    /// The batches of a group that gather now wait for no further message.
    #[cfg(feature = "memory")]
    pub(crate) async fn hurry(&self, group: &str) {
        self.ask(group, Request::Hurry).await;
    }

    async fn ask(&self, group: &str, request: Request) -> usize {
        let entries = self.0.of(group);
        let answers = join_all(entries.iter().map(|entry| entry.ask(request.clone()))).await;
        answers.into_iter().flatten().count()
    }
}
