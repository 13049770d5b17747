//! One consumer instance: takes events, runs handlers, commits offsets. One task; handlers that wait run beside it.

mod attempts;
mod events;
mod finish;
mod unfinished;

use std::{collections::HashMap, hash::RandomState, sync::Arc, time::Duration};

use kafkaesk_client::consumer::{Consumer, ConsumerControl};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::info;

use crate::{
    AppError, RunReport,
    context::Context,
    drain::{self, Draining},
    end::End,
    flow::{Flow, PEEK},
    notices::Notices,
    pace::Pace,
    partitions::Partitions,
    pause::Pause,
    schedule::{LaneId, Schedule},
};
use attempts::{Finished, Running};
use unfinished::Reminder;

/// How often finished offsets are committed.
pub(crate) const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a start goes without an assignment before that is said.
const HINT: Duration = Duration::from_secs(5);

/// A consumer with its lanes.
pub(crate) struct Instance {
    pub(crate) context: Arc<Context>,
    consumer: Consumer,
    pub(crate) control: Arc<dyn ConsumerControl>,
    pub(crate) partitions: Partitions,
    schedule: Schedule,
    flow: Flow,
    pace: Pace,
    /// Whether all of its lanes wait for what their handler needs.
    pause: Pause,
    /// What its log repeats.
    notices: Notices,
    reminder: Reminder,
    hasher: RandomState,
    tasks: JoinSet<Finished>,
    /// What runs as a task, for the bound, and to name it if it does not finish.
    running: HashMap<LaneId, Running>,
    pub(crate) draining: Vec<Draining>,
    /// How long handlers may go on after a revoke.
    pub(crate) drain: Duration,
    report: RunReport,
    /// It starts nothing any more.
    ending: bool,
    /// When to say that no partition came.
    hint_at: Option<Instant>,
    /// Set when it must end by itself.
    stop: Option<AppError>,
}

impl Instance {
    pub(crate) fn new(context: Arc<Context>, consumer: Consumer, drain: Duration) -> Self {
        Self {
            control: consumer.control(),
            context,
            consumer,
            partitions: Partitions::default(),
            schedule: Schedule::default(),
            flow: Flow::default(),
            pace: Pace::new(),
            pause: Pause::default(),
            notices: Notices::default(),
            reminder: Reminder::new(Instant::now()),
            hasher: RandomState::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            draining: Vec::new(),
            drain,
            report: RunReport::default(),
            ending: false,
            hint_at: None,
            stop: None,
        }
    }

    /// Runs until the end begins, its consumer fails or a handler aborts, which begins the end of all; then drains,
    /// commits and leaves.
    pub(crate) async fn run(mut self, end: End) -> Result<RunReport, AppError> {
        let mut begun = end.watch();
        let mut commit_at = Instant::now() + COMMIT_INTERVAL;
        let mut peek_at = Instant::now();
        self.hint_at = Some(Instant::now() + HINT);
        while self.stop.is_none() && begun.borrow().is_none() {
            let now = Instant::now();
            self.schedule.wake(now);
            self.pause.wake(now);
            self.run_ready();
            self.flow
                .regulate(&mut self.partitions, &self.schedule, &*self.control);
            drain::release_drained(&mut self, now);
            if self.hint_at.is_some_and(|at| now >= at) {
                self.hint_at = None;
                info!(
                    group = self.context.group,
                    "no partition assigned yet: the group waits for a member that went without leaving (session.timeout.ms, 45 s by default), or its other members have them all"
                );
            }
            if now >= commit_at {
                commit_at = now + COMMIT_INTERVAL;
                self.commit();
                self.remind(now);
            }
            let more = self.has_room() && self.schedule.has_ready();
            let reading = !self.flow.full || now >= peek_at;
            let mut wake_at = commit_at;
            for at in [
                self.schedule.next_due(),
                self.pause.until(),
                self.hint_at,
                drain::next_deadline(&self.draining),
                (!reading).then_some(peek_at),
            ] {
                wake_at = at.map_or(wake_at, |at| wake_at.min(at));
            }
            tokio::select! {
                biased;
                _ = begun.changed() => {}
                Some(finished) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.finished(finished);
                    while let Some(finished) = self.tasks.try_join_next() {
                        self.finished(finished);
                    }
                }
                event = self.consumer.next(), if reading => {
                    peek_at = Instant::now() + PEEK;
                    self.event(event).await;
                }
                () = tokio::task::yield_now(), if more => {}
                () = sleep_until(wake_at) => {}
            }
        }
        self.finish(end.begin()).await
    }

    fn commit(&mut self) {
        let commits = self.partitions.news();
        if !commits.is_empty() {
            self.control.commit(commits);
        }
    }
}
