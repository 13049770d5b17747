//! Group: processes that start, crash and end, and their instances, which are the group's members. Shares nothing out.

use super::{SESSION, World};
use crate::scale::{Lags, Totals};

/// An instance: a member of the group.
#[derive(Debug)]
pub(super) struct Member {
    process: usize,
    /// Kafka counts it as a member.
    pub(super) is_in: bool,
    /// It crashed at this second.
    crashed: Option<u32>,
    /// How fast it is, about 1.
    pub(super) speed: f64,
    pub(super) partitions: Vec<u32>,
    /// Of what arrives.
    pub(super) share: f64,
    /// What waits in its partitions.
    pub(super) lag: f64,
    pub(super) finished: f64,
    /// Seconds in which it worked.
    pub(super) busy: f64,
    /// Partitions that came and went.
    pub(super) moved: u64,
    /// The share of its partitions that stands still until this second, since they came in a rebalance.
    pub(super) still: (f64, u32),
}

impl Member {
    pub(super) fn works(&self) -> bool {
        self.is_in && self.crashed.is_none()
    }
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is ready at this second.
    Starts(u32),
    /// It has instances.
    Runs,
    /// It was ended, or crashed.
    Ended,
}

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    state: State,
    members: Vec<usize>,
}

impl World {
    /// Starts a process that is ready after so many seconds. Gives its number.
    pub fn begin(&mut self, after: u32) -> usize {
        self.processes.push(Process {
            state: State::Starts(self.now + after),
            members: Vec::new(),
        });
        self.processes.len() - 1
    }

    pub(super) fn ready(&mut self, process: usize) {
        self.processes[process].state = State::Runs;
        self.set_instances(process, 1);
    }

    /// Ends a process: its instances leave their group.
    pub fn end(&mut self, process: usize) {
        self.set_instances(process, 0);
        self.processes[process].state = State::Ended;
    }

    /// Adds or removes instances of a process that runs. The last ones leave first.
    pub fn set_instances(&mut self, process: usize, wanted: u32) {
        let wanted = wanted as usize;
        while self.processes[process].members.len() > wanted {
            if let Some(member) = self.processes[process].members.pop() {
                self.members[member].is_in = false;
                self.changed = true;
            }
        }
        while self.processes[process].members.len() < wanted {
            let speed = 0.95 + self.rng.f64() * 0.1;
            self.members.push(Member {
                process,
                is_in: true,
                crashed: None,
                speed,
                partitions: Vec::new(),
                share: 0.0,
                lag: 0.0,
                finished: 0.0,
                busy: 0.0,
                moved: 0,
                still: (0.0, 0),
            });
            let member = self.members.len() - 1;
            self.processes[process].members.push(member);
            self.changed = true;
        }
    }

    pub(super) fn start_and_crash(&mut self) {
        for process in 0..self.processes.len() {
            match self.processes[process].state {
                State::Starts(at) if at <= self.now => self.ready(process),
                State::Runs if self.scenario.faults.crash(&mut self.rng) => {
                    for member in std::mem::take(&mut self.processes[process].members) {
                        self.members[member].crashed = Some(self.now);
                    }
                    self.processes[process].state = State::Ended;
                    // Kubernetes starts it again.
                    self.begin(self.scenario.start);
                }
                _ => {}
            }
        }
        let now = self.now;
        for member in &mut self.members {
            if member.is_in && member.crashed.is_some_and(|at| at + SESSION <= now) {
                member.is_in = false;
                self.changed = true;
            }
        }
    }

    /// Processes that start or run, in the order of their begin.
    pub fn processes(&self) -> impl DoubleEndedIterator<Item = (usize, State)> {
        let all = self.processes.iter().enumerate();
        all.map(|(at, process)| (at, process.state))
            .filter(|(_, state)| *state != State::Ended)
    }

    /// How many processes there ever were.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.processes.len()
    }

    /// The totals of a process's instances.
    #[must_use]
    pub fn totals(&self, process: usize) -> Vec<Totals> {
        let members = self.processes[process].members.iter();
        members
            .map(|at| {
                let member = &self.members[*at];
                Totals {
                    id: *at,
                    finished: member.finished,
                    busy: member.busy,
                    moved: member.moved,
                    partitions: member.partitions.len() as u32,
                }
            })
            .collect()
    }

    /// How many instances a process has.
    #[must_use]
    pub fn instances(&self, process: usize) -> u32 {
        self.processes[process].members.len() as u32
    }

    /// What waits in each partition of a process.
    #[must_use]
    pub fn lags_of(&self, process: usize) -> Lags {
        let members = self.processes[process].members.iter();
        let partitions = members.flat_map(|at| &self.members[*at].partitions);
        let mut lags: Lags = partitions
            .map(|at| (*at, self.backlog[*at as usize]))
            .collect();
        lags.sort_unstable_by_key(|(partition, _)| *partition);
        lags
    }

    /// The process that has the group's first partition.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let member = self.members.get(self.owner[0])?;
        member.works().then_some(member.process)
    }

    /// Instances that run.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.processes()
            .map(|(at, _)| self.instances(at))
            .sum::<u32>()
    }

    /// Instances that run without a partition.
    #[must_use]
    pub fn useless(&self) -> u32 {
        let idle = |member: &&Member| member.works() && member.partitions.is_empty();
        self.members.iter().filter(idle).count() as u32
    }

    /// What is paid for: instances that run, and processes that start.
    #[must_use]
    pub fn paid(&self) -> u32 {
        self.processes()
            .map(|(at, _)| self.instances(at).max(1))
            .sum::<u32>()
    }
}
