//! Sampling: the rules by which `measure` and `limit` make samples of what they saw. Pure: the simulation goes by the same file.

use std::time::Duration;

/// One instance that is less busy is enough, whatever waits for it: Kafka is not asked.
pub(super) const PLENTY: f64 = 0.4;
/// So many of its partitions may come or go between two looks: a large group moves some all the time, and a process that waited for
/// peace would never decide (docs/scaling.md).
pub(super) const MOVED: f64 = 0.25;
/// A less busy instance does not tell what it gives at most.
const TELLING: f64 = 0.02;

/// A window of handlers is at most so long, whatever ended in it.
pub(super) const LONGEST: Duration = Duration::from_secs(20);
/// Attempts of a window, at least; of a large level, one for each place.
pub(super) const ENDED: u64 = 50;
/// A window is limited if all places were taken while work waited at so many of its ends.
pub(super) const LIMITED: f64 = 0.9;
/// So many answers that mean *too much* do not wait for the end of the window.
pub(super) const AT_ONCE: u64 = 5;

/// What one instance finishes at most in a second, as known so far, after a span. `busy`: the share of the span in which instances
/// worked; `seconds`: its length, summed over them. A span in which they did too little to tell changes nothing.
pub(super) fn learned(known: Option<f64>, finished: u64, busy: f64, seconds: f64) -> Option<f64> {
    if finished == 0 || busy <= TELLING {
        return known;
    }
    let new = finished as f64 / (busy * seconds);
    Some(known.map_or(new, |known| known + (new - known) * 0.3))
}

/// How many records came, where so many were finished. `partitions`: how many there are; `kept`: the lags, before and now, of those
/// that were there all the time. The others say nothing of what came: they are taken for like these.
pub(super) fn came(
    finished: f64,
    partitions: usize,
    kept: impl Iterator<Item = (f64, f64)>,
) -> Option<u64> {
    if partitions == 0 {
        // Without partitions nothing comes.
        return Some(finished as u64);
    }
    let (count, grown) = kept.fold((0.0, 0.0), |(count, grown), (before, now)| {
        (count + 1.0, grown + now - before)
    });
    let grown = grown * partitions as f64 / count;
    (count > 0.0).then(|| (finished + grown).max(0.0) as u64)
}
