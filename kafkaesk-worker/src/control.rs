//! Control: a handle on a running application, for commands from outside. Its instances take them between two messages.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

/// How many commands wait for an instance. Further ones wait at their sender.
const INBOX: usize = 16;

/// What an instance is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Commit what is finished now.
    Commit,
    /// Start no handler until [`Request::Resume`].
    Pause,
    /// Start handlers again.
    Resume,
}

/// A request, and where its end is reported.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) request: Request,
    pub(crate) done: oneshot::Sender<()>,
}

/// A handle on an application that runs or will run. All clones are the same handle.
///
/// Every method resolves when each running instance of the group has executed the command, and returns the number of
/// these instances: 0 before the application runs, after its end, and for an unknown group. An instance takes a command
/// between two messages, so a handler that blocks its thread delays it. Dropping the future does not withdraw the
/// command.
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
pub struct Control(Arc<Mutex<Inboxes>>);

/// By the name of the group.
type Inboxes = Vec<(String, mpsc::Sender<Command>)>;

impl Control {
    /// Commits what is finished, without waiting for the interval. Resolves when the commits are handed to the Kafka
    /// client, which logs and repeats those that are refused.
    pub async fn commit(&self, group: &str) -> usize {
        self.ask(group, Request::Commit).await
    }

    /// Starts no further handler. Running handlers finish; reading stops at the bounds of waiting records; partitions,
    /// offsets and membership stay. A pause ends with [`Self::resume`] or with the run.
    pub async fn pause(&self, group: &str) -> usize {
        self.ask(group, Request::Pause).await
    }

    /// Starts handlers again after [`Self::pause`].
    pub async fn resume(&self, group: &str) -> usize {
        self.ask(group, Request::Resume).await
    }

    /// The inbox of a new instance, by the group's name without prefix.
    pub(crate) fn inbox(&self, group: &str) -> mpsc::Receiver<Command> {
        let (sender, inbox) = mpsc::channel(INBOX);
        let mut instances = self.0.lock();
        instances.retain(|(_, sender)| !sender.is_closed());
        instances.push((group.to_owned(), sender));
        inbox
    }

    async fn ask(&self, group: &str, request: Request) -> usize {
        let senders: Vec<_> = {
            let instances = self.0.lock();
            instances
                .iter()
                .filter(|(of, _)| of == group)
                .map(|(_, sender)| sender.clone())
                .collect()
        };
        let mut waiting = Vec::new();
        for sender in senders {
            let (done, answer) = oneshot::channel();
            if sender.send(Command { request, done }).await.is_ok() {
                waiting.push(answer);
            }
        }
        let mut count = 0;
        for answer in waiting {
            // An instance that ends drops its commands.
            count += usize::from(answer.await.is_ok());
        }
        count
    }
}
