//! Reads a blocking reader from a thread of its own, asynchronously. tokio's own readers keep a process from ending
//! while a read has no end, such as that of a terminal or of a pipe that stays open.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    thread,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncBufRead, AsyncRead, ReadBuf},
    sync::mpsc,
};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// At most this many chunks are read ahead.
const AHEAD: usize = 4;

/// What the thread reads.
pub(crate) struct Reading {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    /// What is left of the chunk that is read now.
    rest: Bytes,
}

impl Reading {
    /// Starts the thread, which opens the reader. The thread ends with the input, or at the first chunk after the
    /// reader is dropped.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start<R: io::Read>(
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<Self> {
        let (into, chunks) = mpsc::channel(AHEAD);
        thread::Builder::new()
            .name("kafkaesk-input".into())
            .spawn(move || {
                let mut reader = match open() {
                    Ok(reader) => reader,
                    Err(error) => {
                        let _ = into.blocking_send(Err(error));
                        return;
                    }
                };
                let mut buffer = vec![0; CHUNK];
                loop {
                    let chunk = match reader.read(&mut buffer) {
                        Ok(0) => return,
                        Ok(length) => Ok(Bytes::copy_from_slice(&buffer[..length])),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => Err(error),
                    };
                    let failed = chunk.is_err();
                    if into.blocking_send(chunk).is_err() || failed {
                        return;
                    }
                }
            })?;
        Ok(Self {
            chunks,
            rest: Bytes::new(),
        })
    }
}

impl AsyncBufRead for Reading {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.rest.is_empty()
            && let Some(chunk) = ready!(this.chunks.poll_recv(cx))
        {
            this.rest = chunk?;
        }
        Poll::Ready(Ok(&this.rest))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().rest.advance(amount);
    }
}

impl AsyncRead for Reading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let length = available.len().min(into.remaining());
        into.put_slice(&available[..length]);
        self.consume(length);
        Poll::Ready(Ok(()))
    }
}
