//! Manual commit against a naive model: random interleavings of committers that are done, fail or are dropped, of workers that join,
//! leave and are killed, over the broker in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kafkaesk_worker::prelude::*;
use proptest::prelude::*;

use crate::{
    bed::Bed,
    manual::{ByHand, Worker, numbers},
};

/// How many messages there are.
const MESSAGES: usize = 12;

/// What happens next. A number picks a worker or a message of those that there are.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// What handlers handed over is taken.
    Take,
    /// Done, and its commit is awaited.
    Done(usize),
    /// Done, and nobody waits for its commit.
    DoneQuietly(usize),
    Fail(usize),
    Drop(usize),
    Join,
    /// A clean end; its sink finishes every second message.
    Leave(usize),
    Kill(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any = any::<prop::sample::Index>().prop_map(|index| index.index(1000));
    let step = (0..16_u8, any).prop_map(|(kind, which)| match kind {
        0..4 => Step::Take,
        4..7 => Step::Done(which),
        7..9 => Step::DoneQuietly(which),
        9 | 10 => Step::Fail(which),
        11 => Step::Drop(which),
        12 | 13 => Step::Join,
        14 => Step::Leave(which),
        _ => Step::Kill(which),
    });
    prop::collection::vec(step, 0..50)
}

/// A worker, and what it handed over.
struct Member {
    worker: Worker,
    held: Vec<(String, Committer)>,
}

/// The model: what nobody may see again, and what a commit may pass.
struct Model {
    bed: Bed,
    members: Vec<Member>,
    /// Their `done` resolved.
    confirmed: BTreeSet<String>,
    /// Their `done` was called.
    done: BTreeSet<String>,
}

impl Model {
    async fn start() -> Self {
        let bed = Bed::memory();
        bed.publish(numbers(0..MESSAGES), None).await;
        Self {
            bed,
            members: Vec::new(),
            confirmed: BTreeSet::new(),
            done: BTreeSet::new(),
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Take => self.take().await,
            Step::Join if self.members.len() < 3 => {
                let patient = |it: kafkaesk_worker::Subscription| {
                    it.failure_limit(None)
                        .max_attempts(10_000)
                        .on_failure(OnFailure::Hold)
                };
                self.members.push(Member {
                    worker: self.bed.start_with(patient).await,
                    held: Vec::new(),
                });
            }
            Step::Join => {}
            Step::Done(which) => {
                if let Some((text, committer)) = self.pick(which) {
                    self.done.insert(text.clone());
                    if committer.done().await.is_ok() {
                        self.confirmed.insert(text);
                    }
                }
            }
            Step::DoneQuietly(which) => {
                if let Some((text, committer)) = self.pick(which) {
                    self.done.insert(text);
                    drop(committer.done());
                }
            }
            Step::Fail(which) => {
                if let Some((_, committer)) = self.pick(which) {
                    committer.fail("as the step says");
                }
            }
            Step::Drop(which) => drop(self.pick(which)),
            Step::Leave(which) => {
                if !self.members.is_empty() {
                    let member = self.members.remove(which % self.members.len());
                    self.leave(member).await;
                }
            }
            Step::Kill(which) => {
                if !self.members.is_empty() {
                    let member = self.members.remove(which % self.members.len());
                    member.worker.task.abort();
                    drop(member.worker.task.await);
                    // Too late: it must change nothing.
                    for (_, committer) in member.held {
                        assert!(committer.done().await.is_err());
                    }
                }
            }
        }
        self.check().await;
    }

    /// Takes what all handlers handed over in a moment.
    async fn take(&mut self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        for member in &mut self.members {
            let mut taken = member.worker.taken.lock().await;
            while let Ok((text, committer)) = taken.try_recv() {
                assert!(!self.confirmed.contains(&text), "{text} came again");
                member.held.push((text, committer));
            }
        }
    }

    fn pick(&mut self, which: usize) -> Option<(String, Committer)> {
        let count: usize = self.members.iter().map(|member| member.held.len()).sum();
        let mut at = which.checked_rem(count)?;
        for member in &mut self.members {
            if at < member.held.len() {
                return Some(member.held.swap_remove(at));
            }
            at -= member.held.len();
        }
        None
    }

    async fn leave(&mut self, member: Member) {
        let Member { worker, held } = member;
        worker.stop.send(()).unwrap();
        for (number, (text, committer)) in held.into_iter().enumerate() {
            if number % 2 == 0 {
                self.done.insert(text);
                drop(committer.done());
            }
        }
        // Nobody takes the others.
        let mut taken = worker.taken.into_inner();
        while taken.recv().await.is_some() {}
        worker.task.await.unwrap().unwrap();
    }

    /// No commit passes a message for which nobody called `done`.
    async fn check(&self) {
        let committed = self.bed.committed().await.unwrap_or(0);
        let passed = numbers(0..usize::try_from(committed).unwrap());
        for text in passed {
            assert!(self.done.contains(&text), "{text} is committed");
        }
    }

    /// One member finishes everything; then there is nothing left.
    async fn finish(mut self) {
        for member in std::mem::take(&mut self.members) {
            self.leave(member).await;
        }
        self.step(Step::Join).await;
        let mut attempts: BTreeMap<String, usize> = BTreeMap::new();
        while self.bed.committed().await != i64::try_from(MESSAGES).ok() {
            self.step(Step::Take).await;
            while let Some((text, committer)) = self.pick(0) {
                let times = attempts.entry(text.clone()).or_default();
                *times += 1;
                assert_eq!(*times, 1, "{text} was done and came again");
                self.done.insert(text.clone());
                committer.done().await.unwrap();
                self.confirmed.insert(text);
            }
        }
        for member in std::mem::take(&mut self.members) {
            let report = member.worker.end().await;
            assert_eq!(
                (
                    report.unfinished_total,
                    report.redelivered,
                    report.in_custody
                ),
                (0, 0, 0)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_committers_and_members_do_nothing_is_lost_and_nothing_confirmed_comes_again(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut model = Model::start().await;
            for step in steps {
                model.step(step).await;
            }
            tokio::time::timeout(Duration::from_secs(600), model.finish()).await.expect("it does not end");
        });
    }
}
