//! One consumer instance: takes events, runs handlers, commits offsets. One task; handlers that wait run beside it.
//! Next: `events` takes what the consumer reads, `attempts` runs the handlers.

mod attempts;
mod batches;
mod commands;
mod custody;
mod dead_letters;
mod events;
mod finish;
mod running;
mod shown;
mod stuck;
mod transactions;
mod unfinished;

use std::{hash::RandomState, sync::Arc, time::Duration};

use kafkaesk_client::consumer::{Commits, Consumer, ConsumerControl, max_poll_interval};
use rustc_hash::FxHashMap;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::info;

use crate::{
    AppError, RunReport,
    backpressure::{Backpressure, PEEK},
    commit::Committing,
    context::Context,
    dispatch::Dispatch,
    drain::Drains,
    failures::Failures,
    fence::Fence,
    meter::Meter,
    notices::Notices,
    partitions::{Generation, Partitions},
    pause::Pause,
    registry::{Entry, Registered},
    routes::Routes,
    scale::Limit,
    schedule::{LaneId, Schedule},
    shutdown::{Shutdown, ShutdownDeadlines},
    throttle::Throttle,
};
use attempts::Finished;
use custody::Manual;
use running::Running;
use stuck::GivenUp;
use transactions::Transacting;
use unfinished::Reminder;

/// After this long without an assignment, the log says so.
const HINT: Duration = Duration::from_secs(5);

/// A consumer with its lanes.
pub(crate) struct Instance {
    context: Arc<Context>,
    /// Whose handler a record is for.
    routes: Arc<Routes>,
    consumer: Consumer,
    control: Arc<dyn ConsumerControl>,
    partitions: Partitions,
    schedule: Schedule,
    backpressure: Backpressure,
    dispatch: Dispatch,
    /// How many handlers may run.
    limit: Limit,
    /// Whether the subscription is paused.
    pause: Pause,
    /// Whether too many attempts fail.
    failures: Failures,
    /// How many messages it may start, if that is bounded.
    throttle: Option<Throttle>,
    /// When running handlers are looked at.
    stuck_at: Instant,
    /// It gave up its partitions, since all of its handlers are stuck.
    given_up: Option<GivenUp>,
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
    /// How long handlers may go on after a revoke.
    drain: Duration,
    committing: Committing,
    /// For subscriptions with `commit = "manual"`.
    manual: Option<Manual>,
    /// For subscriptions with `batch(transaction = true)`.
    transacting: Option<Transacting>,
    /// What it is asked for from outside, and where it shows itself.
    registered: Registered,
    /// Its group without prefix.
    name: String,
    meter: Meter,
    /// The assignment whose messages the dispatch measures now.
    measured: Generation,
    /// `max.poll.interval.ms`: a handler that runs for longer is stuck.
    max_poll: Duration,
    report: RunReport,
    /// It starts nothing any more.
    ending: bool,
    /// It ends by itself, the others go on: scaling removes it.
    removed: Option<ShutdownDeadlines>,
    /// When to say that no partition came.
    hint_at: Option<Instant>,
    /// Set when it must end by itself.
    stop: Option<AppError>,
}

impl Instance {
    /// `drain` bounds how long handlers may go on after a revoke.
    pub(crate) fn new(
        context: Arc<Context>,
        routes: Arc<Routes>,
        consumer: Consumer,
        registered: Registered,
        name: String,
        drain: Duration,
    ) -> Self {
        let now = Instant::now();
        let max_poll = max_poll(&context);
        let control = consumer.control();
        let is_manual = routes.commit_manually();
        let transacting = routes
            .transactions(&context)
            .map(|options| Transacting::new(options, &context.group));
        let gathers = context.options.gathers();
        Self {
            drain,
            drains: Drains::new(context.group.clone(), drain, control.clone()),
            control,
            committing: Committing::new(now),
            backpressure: Backpressure::new(
                is_manual.then(|| context.options.max_uncommitted()),
                gathers,
            ),
            manual: is_manual.then(Manual::new),
            transacting,
            registered,
            name,
            meter: Meter::default(),
            measured: 0,
            max_poll,
            failures: Failures::new(context.options.failure_limit),
            throttle: context
                .options
                .throttle
                .map(|per_second| Throttle::new(per_second, now)),
            stuck_at: now + stuck::every(context.options.stuck_after, max_poll),
            given_up: None,
            limit: Limit::new(context.options.concurrency),
            context,
            routes,
            consumer,
            partitions: Partitions::default(),
            schedule: Schedule::new(gathers),
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
            removed: None,
            hint_at: None,
            stop: None,
        }
    }

    /// Runs until the end begins, scaling removes it, the consumer fails or a handler aborts (which ends all instances);
    /// then drains, commits and leaves.
    pub(crate) async fn run(mut self, end: Shutdown) -> Result<RunReport, AppError> {
        let mut begun = end.watch();
        let mut peek_at = Instant::now();
        self.hint_at = Some(Instant::now() + HINT);
        while self.stop.is_none() && begun.borrow().is_none() && self.removed.is_none() {
            let now = Instant::now();
            // A handler that blocks this task keeps it from saying so.
            self.control.expect_turn(true);
            self.schedule.wake(now);
            if self.pause.wake(now) {
                info!(
                    group = self.context.group,
                    pattern = self.context.pattern,
                    "the time of a pause by a command is over; the subscription goes on"
                );
            }
            if let Some(throttle) = &mut self.throttle {
                throttle.refill(now);
            }
            self.run_ready();
            self.limit
                .filled(!self.has_place() && self.schedule.has_ready());
            self.backpressure
                .update(&mut self.partitions, &mut self.schedule, &*self.control);
            self.hurry_batches();
            self.drains.release_drained(&mut self.partitions, now);
            if self.hint_at.is_some_and(|at| now >= at) {
                self.hint_at = None;
                info!(
                    group = self.context.group,
                    "no partition assigned yet: the group waits for a member that went without leaving (session.timeout.ms, 45 s by default), or its other members have them all"
                );
            }
            if let Some(commits) = self.committing.take_due(&self.partitions, now) {
                self.commit(commits);
                self.remind(now);
                self.commit_custody_again();
                self.transact_soon();
            }
            self.commit_custody(false);
            if self.drains.next_deadline().is_some() {
                self.transact_soon();
            }
            self.transact(now);
            self.look_at_running(now);
            self.take_part_again(now);
            let more = self.has_room() && self.schedule.has_ready();
            let reading = !self.backpressure.full || now >= peek_at;
            let mut wake_at = self.committing.due();
            for at in [
                self.schedule.next_due(),
                self.pause.due(),
                self.hint_at,
                self.drains.next_deadline(),
                self.transacting.as_ref().and_then(Transacting::due),
                (!reading).then_some(peek_at),
                (!self.running.is_empty() || self.manual.is_some()).then_some(self.stuck_at),
                self.rejoin_due(now),
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
                    let now = Instant::now();
                    self.finished(finished, now);
                    while let Some(finished) = self.tasks.try_join_next() {
                        self.finished(finished, now);
                    }
                }
                Some(event) = custody::next(&mut self.manual) => {
                    self.hear(event);
                    self.hear_custody();
                }
                Some(ended) = transactions::next(&mut self.transacting) => self.transacted(ended),
                event = self.consumer.next(), if reading => {
                    peek_at = Instant::now() + PEEK;
                    self.event(event).await;
                }
                Some(command) = self.registered.inbox.recv() => self.obey(command),
                () = tokio::task::yield_now(), if more => {}
                () = sleep_until(wake_at) => {}
            }
        }
        let deadlines = match self.removed {
            Some(own) if self.stop.is_none() => own,
            _ => end.begin(),
        };
        self.finish(deadlines, begun).await
    }

    /// What the application's handles reach it by.
    pub(crate) fn entry(&self) -> &Arc<Entry> {
        self.registered.entry()
    }

    fn commit(&mut self, commits: Commits) {
        if !commits.is_empty() {
            self.meter.commits += commits.len() as u64;
            self.control.commit(commits);
        }
    }
}

/// How long the subscription's consumer may go without a poll.
fn max_poll(context: &Context) -> Duration {
    max_poll_interval(context.consumer_property("max.poll.interval.ms"))
}
