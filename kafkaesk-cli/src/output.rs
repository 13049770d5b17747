//! Output: whole lines to standard output, flushed, and notes to standard error. On a terminal, control characters are
//! escaped; elsewhere the bytes stay. Decides no contents.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::LazyLock,
};

use crate::{colour, format, stderr, terminal, turns};

/// Writes one line of a command to standard output and flushes it, after the notes that came before it.
///
/// # Errors
/// As writing fails, and says that it was standard output; [`is_closed`] recognizes a reader that went away.
pub(crate) fn line(text: impl AsRef<[u8]>) -> io::Result<()> {
    stderr::settle();
    write_line(text.as_ref())
}

/// As [`line`], of a hint, which is coloured where standard output is.
///
/// # Errors
/// As [`line`].
pub(crate) fn hint(text: &str) -> io::Result<()> {
    stderr::settle();
    if !colour::stdout() {
        return write_line(text.as_bytes());
    }
    write_stdout(colour::hint(&terminal::escape_str(text)).as_bytes())
}

/// Writes one line to standard output and flushes it. Waits for nothing but standard output.
///
/// # Errors
/// As [`line`].
pub(crate) fn write_line(text: &[u8]) -> io::Result<()> {
    static TERMINAL: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());
    if *TERMINAL {
        write_stdout(&terminal::escape(text))
    } else {
        write_stdout(text)
    }
}

/// Writes a text of this program to standard output, as it is, and a line end.
///
/// # Errors
/// As [`line`].
#[allow(clippy::print_stdout)]
pub(crate) fn write_stdout(text: &[u8]) -> io::Result<()> {
    // One write: a line end that follows apart could come after a line of the log.
    let line = [text, b"\n"].concat();
    let turn = turns::take();
    let mut out = io::stdout().lock();
    let written = out.write_all(&line).and_then(|()| out.flush());
    drop(turn);
    written.map_err(|error| {
        let text = format!("writing to standard output failed: {error}");
        io::Error::new(error.kind(), text)
    })
}

/// Writes a JSON value as one line.
///
/// # Errors
/// As writing fails.
pub(crate) fn json(value: &impl serde::Serialize) -> io::Result<()> {
    line(serde_json::to_vec(value)?)
}

/// Writes a note for people to standard error: a summary, what stands beside the data. Unlike the log it has no level
/// that hides it.
pub(crate) fn note(text: impl AsRef<str>) {
    to_stderr("INFO", text.as_ref());
}

/// As [`note`], of what failed.
pub(crate) fn error(text: impl AsRef<str>) {
    to_stderr("ERROR", text.as_ref());
}

fn to_stderr(level: &str, text: &str) {
    stderr::push(format::note_line(level, text));
}

/// Whether the reader of our output went away (`| head`).
pub(crate) fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Whether the reader has closed our standard output. For a command that waits before it prints: only a write would
/// show it otherwise.
#[cfg(unix)]
pub(crate) fn reader_is_gone() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut watched, Some(&now)).is_ok_and(|found| found > 0)
        && watched[0].revents().intersects(PollFlags::ERR)
}

/// Unknown on this system; a write will show it.
#[cfg(not(unix))]
pub(crate) fn reader_is_gone() -> bool {
    false
}

/// Lines up columns with two spaces between them; the last column is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|c| {
            rows.iter()
                .filter_map(|row| row.get(c))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    rows.iter()
        .map(|row| {
            let mut text = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                text.push_str(cell);
                let pad = width - cell.chars().count() + 2;
                text.extend(std::iter::repeat_n(' ', pad));
            }
            text.trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_spaces() {
        let rows = [
            vec!["a".to_owned(), "bcd".into()],
            vec!["long".to_owned(), "x".into()],
        ];
        assert_eq!(table(&rows), ["a     bcd", "long  x"]);
    }
}
