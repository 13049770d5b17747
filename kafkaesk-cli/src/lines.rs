//! Reads numbered lines from a file or standard input, one at a time. Never holds more than
//! one line, and no line of more than [`MAX_LINE_BYTES`].

use std::{fmt, io, path::PathBuf};

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use crate::reading::Reading;

/// The longest line that is read, in bytes: far above what a broker takes for one message by default (1 MiB).
pub(crate) const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Standard input, written `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// Reads the argument: `-` is standard input.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "-" => Self::Stdin,
            path => Self::File(path.into()),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// One numbered line, without its end.
#[derive(Debug)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    /// The bytes, or why they are not taken.
    pub(crate) bytes: Result<Bytes, TooLong>,
}

/// A line beyond the bound; it was read over, the next one can follow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong {
    /// How long it was, without its end.
    pub(crate) bytes: u64,
    /// The bound.
    pub(crate) most: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the line of {} bytes is longer than {} bytes; one line is one message, and no broker takes one of that size",
            self.bytes, self.most
        )
    }
}

/// Reads lines.
pub(crate) struct Lines {
    reader: Box<dyn AsyncBufRead + Send + Unpin>,
    number: u64,
    most: usize,
    /// What was read of the current line; kept here, so that `next` can be cancelled.
    partial: Partial,
}

#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    begun: bool,
    /// How long it is so far.
    length: u64,
}

impl Lines {
    /// Reads the input. That a file cannot be opened comes with the first line: opening a pipe waits for its writer, in
    /// the thread that reads.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn open(input: &Input) -> io::Result<Self> {
        Ok(Self::over(match input {
            Input::Stdin => Reading::start(|| Ok(io::stdin()))?,
            Input::File(path) => {
                let path = path.clone();
                Reading::start(move || std::fs::File::open(path))?
            }
        }))
    }

    /// Over any reader.
    pub(crate) fn over(reader: impl AsyncBufRead + Send + Unpin + 'static) -> Self {
        Self {
            reader: Box::new(reader),
            number: 0,
            most: MAX_LINE_BYTES,
            partial: Partial::default(),
        }
    }

    /// Takes no line of more than this many bytes.
    pub(crate) fn at_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// How many lines were read.
    pub(crate) fn count(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// As reading fails.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            let line = &mut self.partial;
            if chunk.is_empty() {
                if !line.begun {
                    return Ok(None);
                }
                break;
            }
            line.begun = true;
            let end = chunk.iter().position(|b| *b == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            line.length += part.len() as u64;
            if line.length > self.most as u64 {
                line.bytes = Vec::new();
            } else {
                line.bytes.extend_from_slice(part);
            }
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        let mut line = std::mem::take(&mut self.partial);
        if line.bytes.last() == Some(&b'\r') {
            line.bytes.pop();
        }
        self.number += 1;
        Ok(Some(Line {
            number: self.number,
            bytes: if line.length > self.most as u64 {
                Err(TooLong {
                    bytes: line.length,
                    most: self.most,
                })
            } else {
                Ok(line.bytes.into())
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    async fn all(input: Vec<u8>) -> Vec<(u64, Result<Bytes, TooLong>)> {
        let mut lines = Lines::over(BufReader::with_capacity(7, std::io::Cursor::new(input)));
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push((line.number, line.bytes));
        }
        read
    }

    #[tokio::test]
    async fn the_last_line_needs_no_end_and_crlf_is_an_end() {
        let lines = all(b"one\r\n\nthree is longer than the buffer".to_vec()).await;
        let texts: Vec<_> = lines
            .iter()
            .map(|(n, b)| (*n, std::str::from_utf8(b.as_ref().unwrap()).unwrap()))
            .collect();
        assert_eq!(
            texts,
            [(1, "one"), (2, ""), (3, "three is longer than the buffer")]
        );
        assert!(all(Vec::new()).await.is_empty());
    }

    #[tokio::test]
    async fn a_line_beyond_the_bound_is_an_error_and_the_next_one_follows() {
        let mut input = vec![b'x'; MAX_LINE_BYTES + 1];
        input.extend_from_slice(b"\nnext\n");
        let lines = all(input).await;
        let too_long = TooLong {
            bytes: MAX_LINE_BYTES as u64 + 1,
            most: MAX_LINE_BYTES,
        };
        assert_eq!(lines[0], (1, Err(too_long)));
        assert_eq!(lines[1], (2, Ok(Bytes::from_static(b"next"))));
        let at_the_bound = all(vec![b'x'; MAX_LINE_BYTES]).await;
        assert!(at_the_bound[0].1.is_ok());
    }
}
