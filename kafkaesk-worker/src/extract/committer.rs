//! `committer: Committer`: finishes a message of a subscription with `commit = "manual"`, whenever its owner says so.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use kafkaesk_client::mutation::{self, Mutation};
use tokio::sync::oneshot;

use crate::{
    AttemptResult, Delivery, FromDelivery, HandlerError, IntoAttemptResult, Needs, Rejection,
    custody::{Said, Seat},
};

/// Finishes one attempt at one message (manual commit). It may be sent anywhere and kept for as long as needed, such as by a
/// sink until its own flush: the handler's lane is free as soon as the handler returns.
///
/// A committer that is dropped counts as [`Self::fail`]. If the handler itself returns an error or another outcome than done,
/// that counts, and its committer changes nothing any more. If the partition went to another member, so did the message: the
/// committer changes nothing and answers [`CommitError::Stale`].
///
/// ```
/// use kafkaesk_worker::prelude::*;
/// use tokio::sync::mpsc;
///
/// /// Writes its rows together, now and then, and then calls `done` of each committer.
/// struct Sink(mpsc::Sender<(Json, Committer)>);
///
/// #[subscribe("orders.*", group = "index", commit = "manual")]
/// async fn index(order: Json, committer: Committer, sink: State<Sink>) -> Result<(), HandlerError> {
///     sink.0.send((order, committer)).await?;
///     Ok(())
/// }
/// # App::new().state(Sink(mpsc::channel(1).0)).subscribe(index).check().unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a committer that is dropped is a failed attempt"]
pub struct Committer {
    /// Until it has said something.
    seat: Option<Arc<Seat>>,
}

/// Why [`Committer::done`] failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The attempt is over, and this changed nothing: the partition was given up, or the handler itself returned an error. The
    /// message is delivered again, here or to another member.
    #[error("the attempt is over: the partition was given up, or the handler returned an error")]
    Stale,
    /// The message is finished, but its commit is not known to be on the brokers, for this reason. While the partition stays
    /// with this member, the commit is repeated; otherwise the message may be delivered again.
    #[error("the message is finished, but not known to be committed: {0}")]
    NotCommitted(String),
}

impl Committer {
    pub(crate) fn new(seat: Arc<Seat>) -> Self {
        Self { seat: Some(seat) }
    }

    /// Finishes the message, at once: also if the returned future is dropped. The future resolves when the brokers have a commit
    /// that covers the message (its offset, or its place among the completions of the commit's metadata), or when that failed.
    /// Commits are made together: call `done` of all messages of a flush first, then await the futures.
    #[allow(
        clippy::must_use_candidate,
        reason = "to wait for the commit is optional"
    )]
    pub fn done(mut self) -> Done {
        let Some(seat) = self.seat.take() else {
            return Done(Err(CommitError::Stale));
        };
        let (reply, answer) = oneshot::channel();
        Done(match seat.say(Said::Done(reply)) {
            Ok(()) => Ok(answer),
            Err(_) => Err(CommitError::Stale),
        })
    }

    /// The attempt has failed: the message is tried again at the head of its lane or given up, as if its handler had returned
    /// this error. Messages of its key that were handled meanwhile stay handled. After the attempt is over, nothing happens.
    pub fn fail(self, error: impl Into<HandlerError>) {
        self.end(Err::<(), _>(error.into()));
    }

    /// The attempt ends as if its handler had returned this, such as [`Outcome::Skip`](crate::Outcome::Skip) or a delay. After the
    /// attempt is over, nothing happens.
    pub fn end(mut self, ending: impl IntoAttemptResult) {
        if let Some(seat) = self.seat.take() {
            let _ = seat.say(Said::Ended(ending.into_attempt_result()));
        }
    }

    /// Resolves when the message's partition is to be given up: on a rebalance, or at the end of the worker. What is done within
    /// the drain's deadline after that (`shutdown-timeout`) is still committed. The future does not borrow the committer.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + 'static {
        let revoked = self.seat.as_ref().map(|seat| seat.revoked());
        async move {
            if let Some(revoked) = revoked {
                revoked.await;
            }
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            if mutation::is(Mutation::DroppedIsDone) {
                let _ = seat.say(Said::Done(oneshot::channel().0));
                return;
            }
            let error = HandlerError::msg("its committer was dropped before the message was done");
            let _ = seat.say(Said::Ended(AttemptResult::Failed(error)));
        }
    }
}

/// The commit of a finished message; see [`Committer::done`].
#[derive(Debug)]
pub struct Done(Result<oneshot::Receiver<Result<(), CommitError>>, CommitError>);

impl Future for Done {
    type Output = Result<(), CommitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = match &mut self.0 {
            Ok(answer) => ready!(Pin::new(answer).poll(cx)),
            Err(error) => return Poll::Ready(Err(error.clone())),
        };
        Poll::Ready(answered.unwrap_or_else(|_| {
            let why =
                "the partition was given up, or the worker ended, before the commit was answered";
            Err(CommitError::NotCommitted(why.to_owned()))
        }))
    }
}

impl FromDelivery for Committer {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        delivery.committer().ok_or_else(|| {
            Rejection::Mismatch(
                "the message has no committer: its subscription does not say `commit = \"manual\"`, or another argument took it"
                    .to_owned(),
            )
        })
    }

    fn needs(needs: &mut Needs) {
        needs.committer = true;
    }
}
