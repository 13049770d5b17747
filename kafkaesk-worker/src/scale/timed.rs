//! Timed: measures how long the task of an instance holds a thread. Two clock reads a turn of the task, which takes a batch
//! of records.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use kafkaesk_client::broker::BoxFuture;

use crate::registry::Entry;

/// A future whose turns are measured.
pub(crate) struct Timed<T> {
    future: BoxFuture<'static, T>,
    entry: Arc<Entry>,
}

impl<T> Timed<T> {
    /// The entry counts the time.
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static, entry: Arc<Entry>) -> Self {
        Self {
            future: Box::pin(future),
            entry,
        }
    }
}

impl<T> Future for Timed<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let began = Instant::now();
        let turn = self.future.as_mut().poll(cx);
        self.entry.work(began.elapsed());
        turn
    }
}
