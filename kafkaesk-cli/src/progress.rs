//! Progress: counts what a command did. The thread of standard error draws the counts as a bar on a terminal. Adding never
//! blocks.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    progress_bar::{Bar, Counts},
    stderr, terminal,
};

/// A progress bar, or nothing where standard error is not a terminal.
#[derive(Debug)]
pub(crate) struct Progress(Option<Arc<Counts>>);

impl Progress {
    /// Starts one. `total` in bytes where it is known.
    pub(crate) fn start(total: Option<u64>) -> Self {
        if !terminal::stderr_is_terminal() {
            return Self(None);
        }
        let counts = Arc::new(Counts::default());
        stderr::show(Some(Bar::new(total, counts.clone())));
        Self(Some(counts))
    }

    /// Starts one that counts dead letters.
    pub(crate) fn letters(total: u64) -> Self {
        if !terminal::stderr_is_terminal() {
            return Self(None);
        }
        let counts = Arc::new(Counts::default());
        stderr::show(Some(Bar::letters(total, counts.clone())));
        Self(Some(counts))
    }

    /// So many dead letters are settled.
    pub(crate) fn reached(&self, letters: u64) {
        if let Some(counts) = &self.0 {
            counts.letters.store(letters, Ordering::Relaxed);
        }
    }

    /// One more line of this many bytes.
    pub(crate) fn advance(&self, bytes: u64, published: u64, refused: u64) {
        if let Some(counts) = &self.0 {
            counts.bytes.fetch_add(bytes, Ordering::Relaxed);
            counts.published.store(published, Ordering::Relaxed);
            counts.refused.store(refused, Ordering::Relaxed);
        }
    }
}

impl Drop for Progress {
    /// Takes the bar away.
    fn drop(&mut self) {
        if self.0.is_some() {
            stderr::show(None);
        }
    }
}
