//! Backlogs: what each assignment has waiting, and which of them changed since they were last looked at.

use rustc_hash::FxHashMap;

use super::Backlog;
use crate::partitions::Generation;

/// By assignment.
#[derive(Debug, Default)]
pub(super) struct Backlogs {
    of: FxHashMap<Generation, Backlog>,
    /// In the order of their changes; one may stand here more than once. No longer than the work between two looks.
    changed: Vec<Generation>,
}

impl Backlogs {
    /// To change it.
    pub(super) fn change(&mut self, generation: Generation) -> &mut Backlog {
        self.touch(generation);
        self.of.entry(generation).or_default()
    }

    /// It is looked at next time, whether it changes or not.
    pub(super) fn touch(&mut self, generation: Generation) {
        if self.changed.last() != Some(&generation) {
            self.changed.push(generation);
        }
    }

    pub(super) fn forget(&mut self, generation: Generation) {
        self.touch(generation);
        self.of.remove(&generation);
    }

    pub(super) fn of(&self, generation: Generation) -> Backlog {
        self.of.get(&generation).copied().unwrap_or_default()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Backlog> {
        self.of.values()
    }

    /// Moves what changed to the end of `looked`.
    pub(super) fn take_changed(&mut self, looked: &mut Vec<Generation>) {
        looked.append(&mut self.changed);
    }

    pub(super) fn forget_changes(&mut self) {
        self.changed.clear();
    }
}
