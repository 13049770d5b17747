//! Progress: counts are added up, and the thread of standard error draws them as a bar where that is a terminal.
//! Elsewhere nothing is drawn. Adding never blocks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::stderr;

/// What was done so far.
#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    published: AtomicU64,
    refused: AtomicU64,
}

/// A progress bar, or nothing where nobody looks.
#[derive(Debug)]
pub(crate) struct Progress(Option<Arc<Counts>>);

impl Progress {
    /// Starts one. `total` in bytes where it is known.
    pub(crate) fn start(total: Option<u64>) -> Self {
        if !stderr::is_terminal() {
            return Self(None);
        }
        let counts = Arc::new(Counts::default());
        stderr::show(Some(Bar::new(total, counts.clone())));
        Self(Some(counts))
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

/// The bar as the thread of standard error has it.
pub(crate) struct Bar {
    bar: ProgressBar,
    counts: Arc<Counts>,
}

impl Bar {
    fn new(total: Option<u64>, counts: Arc<Counts>) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let template = if total.is_some() {
            "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}"
        } else {
            "{spinner} {bytes} {bytes_per_sec} {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, counts }
    }

    /// Draws it with the present counts.
    pub(crate) fn draw(&self) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.bar.set_message(format!(
            "{} published, {} refused",
            count(&self.counts.published),
            count(&self.counts.refused)
        ));
        self.bar.set_position(count(&self.counts.bytes));
        self.bar.tick();
    }

    /// Takes the bar away while lines are written.
    pub(crate) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        self.bar.suspend(write)
    }

    /// Takes the bar away for good.
    pub(crate) fn clear(self) {
        self.bar.finish_and_clear();
    }
}
