//! Process: samples the instances of one process for their controller, as `worker/scale/measure.rs` does, without a clock or Kafka.

use std::time::Duration;

use super::{
    Figures, SeeksInstances, Step,
    sampling::{self, MOVED, PLENTY, learned},
};

/// Totals of an instance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Which instance it is.
    pub id: usize,
    /// Records that it finished.
    pub finished: f64,
    /// Seconds in which it worked.
    pub busy: f64,
    /// Partitions that came and went.
    pub moved: u64,
    /// Partitions that it has.
    pub partitions: u32,
}

/// How many records wait in each partition; in the order of the partitions.
pub type Lags = Vec<(u32, f64)>;

/// What a look at a process gave.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The decision.
    pub step: Option<Step>,
    /// What it was made of.
    pub figures: Figures,
}

/// Follows the load of one process.
pub struct Process {
    seeks: Box<dyn SeeksInstances>,
    most: u32,
    last: Option<(u32, Vec<Totals>)>,
    lags: Option<Lags>,
    each: Option<f64>,
    running: u32,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

impl Process {
    /// A process that was just started.
    #[must_use]
    pub fn new(seeks: Box<dyn SeeksInstances>, most: u32) -> Self {
        Self {
            seeks,
            most,
            last: None,
            lags: None,
            each: None,
            running: 1,
        }
    }

    /// Looks at all instances at this second. `ask`: what Kafka answers.
    pub fn look(
        &mut self,
        now: u32,
        totals: Vec<Totals>,
        ask: impl FnOnce() -> Option<Lags>,
    ) -> Option<Look> {
        let (before, known) = self.last.replace((now, totals))?;
        let (_, totals) = self.last.as_ref()?;
        let (mut figures, finished) = sample(before, &known, now, totals);
        self.running = figures.instances;
        self.learn(&figures);
        let plenty = figures.instances == 1 && figures.busy < PLENTY && !figures.disturbed;
        let before = self.lags.take();
        if self.most > 1 && !plenty && !figures.disturbed {
            self.lags = ask();
        }
        if let Some(lags) = &self.lags {
            figures.lag = Some(lags.iter().map(|(_, lag)| *lag).sum::<f64>() as u64);
            figures.came = before.and_then(|before| came(finished, &before, lags));
        }
        let step = self.seeks.sample(&figures);
        Some(Look { step, figures })
    }

    fn learn(&mut self, figures: &Figures) {
        if !figures.disturbed {
            let seconds = figures.elapsed.as_secs_f64() * f64::from(figures.instances);
            self.each = learned(self.each, figures.finished, figures.busy, seconds);
        }
    }

    /// How many instances the last look asked for.
    #[must_use]
    pub fn wish(&self) -> Option<u32> {
        self.seeks.wish()
    }

    /// What an instance gives, and how many instances of a process there may be.
    #[must_use]
    pub fn gives(&self) -> Option<(f64, u32)> {
        let instances = match self.seeks.is_barred() {
            true => self.running.max(1),
            false => self.most,
        };
        Some((self.each?, instances))
    }
}

fn sample(before: u32, known: &[Totals], now: u32, totals: &[Totals]) -> (Figures, f64) {
    let seconds = f64::from(now - before);
    let mut figures = Figures {
        elapsed: Duration::from_secs(u64::from(now - before)),
        instances: totals.len() as u32,
        partitions: totals.iter().map(|it| it.partitions).sum(),
        finished: 0,
        busy: 0.0,
        came: None,
        lag: None,
        disturbed: known.len() != totals.len(),
    };
    let (mut finished, mut moved) = (0.0, 0);
    for totals in totals {
        let Some(before) = known.iter().find(|it| it.id == totals.id) else {
            figures.disturbed = true;
            continue;
        };
        moved += totals.moved - before.moved;
        finished += totals.finished - before.finished;
        let busy = ((totals.busy - before.busy) / seconds).min(1.0);
        figures.busy += busy / f64::from(figures.instances);
    }
    figures.finished = finished as u64;
    figures.disturbed |= moved as f64 > f64::from(figures.partitions) * MOVED;
    (figures, finished)
}

/// How many records came.
fn came(finished: f64, before: &Lags, now: &Lags) -> Option<u64> {
    let kept = now.iter().filter_map(|(partition, now)| {
        let at = before.binary_search_by_key(partition, |(it, _)| *it).ok()?;
        Some((before[at].1, *now))
    });
    sampling::came(finished, now.len(), kept)
}
