//! The named futures of a publish: owned, `Send`, and unboxed where nothing must be waited for.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;

use super::{
    Delivery, Receipt,
    request::{Request, TryPublish},
};
use crate::ClientError;

/// Resolves when the record is in the local queue ([`Publish::enqueue`](super::Publish::enqueue)).
#[must_use = "nothing is published until this is awaited"]
pub struct Enqueue(State);

enum State {
    /// Not polled yet.
    Start(Box<Request>),
    /// The first publish of a stream or schema, or a full queue.
    Waiting(BoxFuture<'static, Result<Delivery, ClientError>>),
    /// Answered.
    Done,
}

impl Enqueue {
    pub(super) fn new(request: Box<Request>) -> Self {
        Self(State::Start(request))
    }
}

impl Future for Enqueue {
    type Output = Result<Delivery, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match mem::replace(&mut self.0, State::Done) {
                State::Start(request) => match request.try_publish() {
                    TryPublish::Queued(delivery) => return Poll::Ready(Ok(delivery)),
                    TryPublish::Refused(error) => return Poll::Ready(Err(error)),
                    TryPublish::Wait(request) => {
                        self.0 = State::Waiting(Box::pin(request.publish_waiting()))
                    }
                },
                State::Waiting(mut waiting) => {
                    let polled = waiting.as_mut().poll(cx);
                    if polled.is_pending() {
                        self.0 = State::Waiting(waiting);
                    }
                    return polled;
                }
                State::Done => return Poll::Ready(Err(ClientError::Closed)),
            }
        }
    }
}

impl fmt::Debug for Enqueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Start(_) => "Enqueue(Start)",
            State::Waiting(_) => "Enqueue(Waiting)",
            State::Done => "Enqueue(Done)",
        })
    }
}

/// Resolves when the brokers have the record ([`Publish`](super::Publish) awaited).
#[derive(Debug)]
#[must_use = "nothing is published until this is awaited"]
pub struct Publishing(Stage);

#[derive(Debug)]
enum Stage {
    Enqueue(Enqueue),
    Deliver(Delivery),
}

impl Publishing {
    pub(super) fn new(enqueue: Enqueue) -> Self {
        Self(Stage::Enqueue(enqueue))
    }
}

impl Future for Publishing {
    type Output = Result<Receipt, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                Stage::Enqueue(enqueue) => match ready!(Pin::new(enqueue).poll(cx)) {
                    Ok(delivery) => self.0 = Stage::Deliver(delivery),
                    Err(error) => return Poll::Ready(Err(error)),
                },
                Stage::Deliver(delivery) => return Pin::new(delivery).poll(cx),
            }
        }
    }
}
