//! The progress bar as the thread of standard error draws it, and the counts that it shows.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What was done so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) bytes: AtomicU64,
    pub(crate) published: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) letters: AtomicU64,
}

/// The bar as the thread of standard error has it.
pub(crate) struct Bar {
    bar: ProgressBar,
    counts: Arc<Counts>,
    /// It counts letters, not bytes.
    of_letters: bool,
}

impl Bar {
    pub(crate) fn new(total: Option<u64>, counts: Arc<Counts>) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let template = if total.is_some() {
            "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}"
        } else {
            "{spinner} {bytes} {bytes_per_sec} {msg}"
        };
        Self::styled(bar, template, counts, false)
    }

    /// A bar of dead letters.
    pub(crate) fn letters(total: u64, counts: Arc<Counts>) -> Self {
        let template = "{bar:30} {pos}/{len} letters {per_sec}";
        Self::styled(ProgressBar::new(total), template, counts, true)
    }

    fn styled(bar: ProgressBar, template: &str, counts: Arc<Counts>, of_letters: bool) -> Self {
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            counts,
            of_letters,
        }
    }

    /// Draws it with the present counts.
    pub(crate) fn draw(&self) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        if self.of_letters {
            self.bar.set_position(count(&self.counts.letters));
            return self.bar.tick();
        }
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

    /// Removes the bar at the end.
    pub(crate) fn clear(self) {
        self.bar.finish_and_clear();
    }
}
