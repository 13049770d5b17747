//! One consumer instance: takes events, runs handlers, commits offsets. One task; handlers that wait run beside it.
//! Next: `events` takes what the consumer reads, `attempts` runs the handlers.

mod attempts;
mod dead_letters;
mod events;
mod finish;
mod stuck;
mod unfinished;

use std::{hash::RandomState, sync::Arc, time::Duration};

use kafkaesk_client::consumer::{Commits, Consumer, ConsumerControl};
use rustc_hash::FxHashMap;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::info;

use crate::{
    AppError, RunReport,
    backpressure::{Backpressure, PEEK},
    commit::Committer,
    context::Context,
    control::{Command, Request},
    dispatch::Dispatch,
    drain::Drains,
    failures::Failures,
    fence::Fence,
    notices::Notices,
    partitions::Partitions,
    pause::Pause,
    routes::Routes,
    schedule::{LaneId, Schedule},
    shutdown::Shutdown,
    throttle::Throttle,
};
use attempts::{Finished, Running};
use unfinished::Reminder;

/// After this long without an assignment, the log says so.
const HINT: Duration = Duration::from_secs(5);

/// A consumer with its lanes.
pub(crate) struct Instance {
    context: Arc<Context>,
    /// Whose handler a record is for.
    routes: Routes,
    consumer: Consumer,
    control: Arc<dyn ConsumerControl>,
    partitions: Partitions,
    schedule: Schedule,
    backpressure: Backpressure,
    dispatch: Dispatch,
    /// Whether the subscription is paused.
    pause: Pause,
    /// Whether too many attempts fail.
    failures: Failures,
    /// How many messages it may start, if that is bounded.
    throttle: Option<Throttle>,
    /// When running handlers are looked at.
    stuck_at: Instant,
    /// What its log repeats.
    notices: Notices,
    reminder: Reminder,
    hasher: RandomState,
    tasks: JoinSet<Finished>,
    /// The running tasks: counted for `concurrency`, and named if they do not finish.
    running: FxHashMap<LaneId, Running>,
    /// Lanes that wait for a handler of a former assignment.
    fence: Fence,
    /// Partitions that are being given up.
    drains: Drains,
    committer: Committer,
    /// What it is asked for from outside.
    inbox: mpsc::Receiver<Command>,
    report: RunReport,
    /// It starts nothing any more.
    ending: bool,
    /// When to say that no partition came.
    hint_at: Option<Instant>,
    /// Set when it must end by itself.
    stop: Option<AppError>,
}

impl Instance {
    /// `drain` bounds how long handlers may go on after a revoke.
    pub(crate) fn new(
        context: Arc<Context>,
        routes: Routes,
        consumer: Consumer,
        inbox: mpsc::Receiver<Command>,
        drain: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            control: consumer.control(),
            drains: Drains::new(context.group.clone(), drain),
            committer: Committer::new(now),
            inbox,
            failures: Failures::new(context.options.failure_limit),
            throttle: context
                .options
                .throttle
                .map(|per_second| Throttle::new(per_second, now)),
            stuck_at: now + stuck::every(context.options.stuck_after),
            context,
            routes,
            consumer,
            partitions: Partitions::default(),
            schedule: Schedule::default(),
            backpressure: Backpressure::default(),
            dispatch: Dispatch::new(),
            pause: Pause::default(),
            notices: Notices::default(),
            reminder: Reminder::new(now),
            hasher: RandomState::new(),
            tasks: JoinSet::new(),
            running: FxHashMap::default(),
            fence: Fence::default(),
            report: RunReport::default(),
            ending: false,
            hint_at: None,
            stop: None,
        }
    }

    /// Runs until the end begins, the consumer fails or a handler aborts (which ends all instances); then drains,
    /// commits and leaves.
    pub(crate) async fn run(mut self, end: Shutdown) -> Result<RunReport, AppError> {
        let mut begun = end.watch();
        let mut peek_at = Instant::now();
        self.hint_at = Some(Instant::now() + HINT);
        while self.stop.is_none() && begun.borrow().is_none() {
            let now = Instant::now();
            self.schedule.wake(now);
            self.pause.wake(now);
            if let Some(throttle) = &mut self.throttle {
                throttle.refill(now);
            }
            self.run_ready();
            self.backpressure
                .update(&mut self.partitions, &self.schedule, &*self.control);
            self.drains.release_drained(&mut self.partitions, now);
            if self.hint_at.is_some_and(|at| now >= at) {
                self.hint_at = None;
                info!(
                    group = self.context.group,
                    "no partition assigned yet: the group waits for a member that went without leaving (session.timeout.ms, 45 s by default), or its other members have them all"
                );
            }
            if let Some(commits) = self.committer.take_due(&self.partitions, now) {
                self.commit(commits);
                self.remind(now);
            }
            self.name_stuck(now);
            let more = self.has_room() && self.schedule.has_ready();
            let reading = !self.backpressure.full || now >= peek_at;
            let mut wake_at = self.committer.due();
            for at in [
                self.schedule.next_due(),
                self.pause.until(),
                self.hint_at,
                self.drains.next_deadline(),
                (!reading).then_some(peek_at),
                (!self.running.is_empty()).then_some(self.stuck_at),
                // Needed only while records wait.
                self.throttle
                    .as_ref()
                    .filter(|_| self.schedule.has_ready())
                    .and_then(Throttle::next),
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
                Some(command) = self.inbox.recv(), if !self.inbox.is_closed() => self.obey(command),
                () = tokio::task::yield_now(), if more => {}
                () = sleep_until(wake_at) => {}
            }
        }
        self.finish(end.begin()).await
    }

    fn commit(&self, commits: Commits) {
        if !commits.is_empty() {
            self.control.commit(commits);
        }
    }

    /// Does what a command asks for.
    fn obey(&mut self, command: Command) {
        match command.request {
            Request::Commit => {
                let commits = self.committer.take_new(&self.partitions);
                self.commit(commits);
            }
            Request::Pause | Request::Resume => {
                let paused = command.request == Request::Pause;
                self.pause.command(paused);
                info!(
                    group = self.context.group,
                    pattern = self.context.pattern,
                    "{} by a command",
                    if paused { "paused" } else { "resumed" }
                );
            }
        }
        // The caller may have dropped its future.
        let _ = command.done.send(());
    }
}
