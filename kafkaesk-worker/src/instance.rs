//! One consumer instance: events in, handlers run, offsets committed. One task; handlers that wait run beside it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use kafkaesk_client::consumer::{Consumer, ConsumerControl, ConsumerEvent};
use kafkaesk_core::{Record, Source};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::{debug, info, warn};

use crate::{
    AppError, Ordering, RunReport, Unfinished,
    attempt::{self, InPlace},
    context::Context,
    delivery::Delivery,
    drain::{self, Draining},
    flow::{Flow, PEEK},
    judge::{Verdict, judge},
    outcome::Ending,
    pace::Pace,
    partitions::{Generation, Partitions},
    schedule::{Item, Lane, LaneId, Schedule},
    tracker::Ticket,
};

/// How often finished offsets are committed.
pub(crate) const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
/// How many waiting records are handled in place before events, commits and other tasks get their turn.
const TURN: usize = 512;

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
    hasher: RandomState,
    tasks: JoinSet<Finished>,
    /// What runs as a task, for the bound, and to name it if it does not finish.
    running: HashMap<LaneId, Running>,
    pub(crate) draining: Vec<Draining>,
    /// How long handlers may go on after a revoke or the end.
    pub(crate) drain: Duration,
    report: RunReport,
    /// When to say that no partition came.
    hint_at: Option<Instant>,
    /// Set when it must end by itself.
    stop: Option<AppError>,
}

/// A handler that runs as a task.
#[derive(Debug)]
struct Running {
    source: Arc<Source>,
    offset: i64,
    since: Instant,
}

/// What such a task gives back.
struct Finished {
    lane: LaneId,
    ticket: Ticket,
    delivery: Delivery,
    ending: Ending,
    /// How long its first poll held the thread, if it began as a task.
    held: Option<Duration>,
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
            hasher: RandomState::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            draining: Vec::new(),
            drain,
            report: RunReport::default(),
            hint_at: None,
            stop: None,
        }
    }

    /// Runs until `shutdown` is true, its consumer fails or a handler aborts; then drains, commits and leaves.
    pub(crate) async fn run(
        mut self,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<RunReport, AppError> {
        let mut commit_at = Instant::now() + COMMIT_INTERVAL;
        let mut peek_at = Instant::now();
        self.hint_at = Some(Instant::now() + HINT);
        while self.stop.is_none() && !*shutdown.borrow() {
            let now = Instant::now();
            self.schedule.wake(now);
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
            }
            let more = self.has_room() && self.schedule.has_ready();
            let reading = !self.flow.full || now >= peek_at;
            let mut wake_at = commit_at;
            for at in [
                self.schedule.next_due(),
                self.hint_at,
                drain::next_deadline(&self.draining),
                (!reading).then_some(peek_at),
            ] {
                wake_at = at.map_or(wake_at, |at| wake_at.min(at));
            }
            tokio::select! {
                biased;
                _ = shutdown.changed() => {}
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
        self.finish().await
    }

    async fn event(&mut self, event: Option<ConsumerEvent>) {
        match event {
            Some(ConsumerEvent::Records(records)) => {
                self.records(records);
                // A batch in place may have taken its time: let tasks and timers have theirs.
                tokio::task::yield_now().await;
            }
            Some(event) => {
                self.hint_at = None;
                self.change(event);
            }
            None => self.fail(kafkaesk_client::ClientError::Closed),
        }
    }

    /// Everything but records.
    fn change(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Assigned(sources) => {
                info!(group = self.context.group, partitions = %names(&sources), "assigned");
                for source in sources {
                    self.partitions.assign(source);
                }
            }
            ConsumerEvent::Revoked(sources, ack) => {
                info!(group = self.context.group, partitions = %names(&sources), "revoked");
                drain::begin(self, &sources, ack);
            }
            ConsumerEvent::Lost(sources) => {
                warn!(
                    group = self.context.group,
                    partitions = %names(&sources),
                    "lost; what was in flight there comes again elsewhere"
                );
                let generations = self.forget(&sources);
                self.partitions.remove(&generations);
            }
            ConsumerEvent::Warning(message) => {
                warn!(
                    group = self.context.group,
                    pattern = self.context.pattern,
                    "{message}"
                );
            }
            ConsumerEvent::Failed(error) => self.fail(error),
            other => debug!(group = self.context.group, event = ?other, "nothing to do"),
        }
    }

    fn fail(&mut self, source: kafkaesk_client::ClientError) {
        self.stop.get_or_insert(AppError::Consumer {
            group: self.context.group.clone(),
            pattern: self.context.pattern.clone(),
            source,
        });
    }

    /// Nothing of these partitions is started any more; what waits is dropped.
    pub(crate) fn forget(&mut self, sources: &[Arc<Source>]) -> Vec<Generation> {
        let mut generations = Vec::new();
        for source in sources {
            let Some(generation) = self.partitions.generation(source) else {
                continue;
            };
            self.schedule.forget(generation);
            if let Some(partition) = self.partitions.get_mut(generation) {
                partition.revoking = true;
            }
            generations.push(generation);
        }
        generations
    }

    fn records(&mut self, records: Vec<Record>) {
        let Some(generation) = records
            .first()
            .and_then(|record| self.partitions.generation(&record.source))
        else {
            debug!(
                group = self.context.group,
                "records of a partition that is not ours are dropped"
            );
            return;
        };
        if self
            .partitions
            .get_mut(generation)
            .is_none_or(|p| p.revoking)
        {
            return;
        }
        self.pace.begin();
        for record in records {
            if self.stop.is_some() {
                return;
            }
            self.offer(generation, record);
        }
    }

    /// Handles a record at once if its lane is idle and there is room, or lets it wait.
    fn offer(&mut self, generation: Generation, record: Record) {
        let lane = self.lane(generation, &record);
        let at_once = self.has_room() && !self.schedule.has_ready() && self.schedule.is_idle(lane);
        if at_once {
            let delivery = Delivery::new(record, self.context.clone());
            self.attempt(lane, delivery, None);
            return;
        }
        if let Some(partition) = self.partitions.get_mut(generation) {
            let ticket = partition.tracker.push(record.offset);
            let mut delivery = Delivery::new(record, self.context.clone());
            delivery.keep();
            self.schedule.wait(lane, Item { delivery, ticket });
        }
    }

    fn lane(&self, generation: Generation, record: &Record) -> LaneId {
        let lane = match (self.context.options.ordering, &record.key) {
            (Ordering::Partition, _) => Lane::Partition,
            (Ordering::Key, Some(key)) => Lane::Key(self.hasher.hash_one(key)),
            (Ordering::Key, None) | (Ordering::None, _) => Lane::Alone(record.offset.0),
        };
        LaneId { generation, lane }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.context.options.concurrency as usize
    }

    /// Runs what waits in ready lanes, in turns.
    fn run_ready(&mut self) {
        self.pace.begin();
        for _ in 0..TURN {
            if !self.has_room() || self.stop.is_some() {
                return;
            }
            let Some((lane, item)) = self.schedule.take() else {
                return;
            };
            self.attempt(lane, item.delivery, Some(item.ticket));
        }
    }

    fn attempt(&mut self, lane: LaneId, delivery: Delivery, ticket: Option<Ticket>) {
        if self.pace.tasks() {
            return self.spawn(lane, delivery, ticket, None);
        }
        match attempt::in_place(&self.context, &delivery) {
            InPlace::Ended(ending) => self.settle(lane, delivery, ticket, ending),
            InPlace::Pending(future) => self.spawn(lane, delivery, ticket, Some(future)),
            InPlace::NotStarted => self.spawn(lane, delivery, ticket, None),
        }
        self.pace.handled();
    }

    fn spawn(
        &mut self,
        lane: LaneId,
        delivery: Delivery,
        ticket: Option<Ticket>,
        begun: Option<kafkaesk_client::broker::BoxFuture<'static, Ending>>,
    ) {
        let record = delivery.record();
        let Some(partition) = self.partitions.get_mut(lane.generation) else {
            return;
        };
        let ticket = ticket.unwrap_or_else(|| partition.tracker.push(record.offset));
        partition.running += 1;
        self.schedule.occupy(lane);
        let running = Running {
            source: record.source.clone(),
            offset: record.offset.0,
            since: Instant::now(),
        };
        self.running.insert(lane, running);
        let context = self.context.clone();
        self.tasks.spawn(async move {
            let (ending, held) = match begun {
                Some(future) => (attempt::rest(future).await, None),
                None => {
                    let (ending, held) = attempt::as_task(context, &delivery).await;
                    (ending, Some(held))
                }
            };
            Finished {
                lane,
                ticket,
                delivery,
                ending,
                held,
            }
        });
    }

    fn finished(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        let finished = match finished {
            Ok(finished) => finished,
            Err(error) => {
                // A handler's panic is caught inside the task, so this is a bug of ours or the runtime's end.
                self.stop.get_or_insert(AppError::Internal {
                    group: self.context.group.clone(),
                    message: error.to_string(),
                });
                return;
            }
        };
        self.running.remove(&finished.lane);
        if let Some(held) = finished.held {
            self.pace.polled(held);
        }
        match self.partitions.get_mut(finished.lane.generation) {
            Some(partition) => {
                partition.running -= 1;
                self.settle(
                    finished.lane,
                    finished.delivery,
                    Some(finished.ticket),
                    finished.ending,
                );
            }
            None => {
                // Somebody else has the partition by now, and will handle the message again.
                self.schedule.release(finished.lane);
                warn!(
                    group = self.context.group,
                    record = %finished.delivery.record().source,
                    offset = finished.delivery.record().offset.0,
                    "a handler finished after its partition was given up; the message comes again"
                );
            }
        }
    }

    /// An attempt is over.
    fn settle(
        &mut self,
        lane: LaneId,
        mut delivery: Delivery,
        ticket: Option<Ticket>,
        ending: Ending,
    ) {
        let offset = delivery.record().offset;
        match judge(ending, &delivery) {
            Verdict::Finish => {
                self.report.handled += 1;
                self.partitions.finish(lane.generation, ticket, offset);
                self.schedule.release(lane);
            }
            Verdict::Again(wait) => {
                let Some(partition) = self.partitions.get_mut(lane.generation) else {
                    return self.schedule.release(lane);
                };
                if partition.revoking {
                    return self.schedule.release(lane);
                }
                let ticket = ticket.unwrap_or_else(|| partition.tracker.push(offset));
                if delivery.attempt == 1 {
                    delivery.keep();
                }
                delivery.attempt = delivery.attempt.saturating_add(1);
                let item = Item { delivery, ticket };
                self.schedule.back_off(lane, item, Instant::now() + wait);
            }
            Verdict::Stop => {
                if let (None, Some(partition)) = (ticket, self.partitions.get_mut(lane.generation))
                {
                    partition.tracker.push(offset);
                }
                let record = delivery.record();
                self.stop.get_or_insert(AppError::Aborted {
                    group: self.context.group.clone(),
                    topic: record.topic().to_owned(),
                    partition: record.partition(),
                    offset: offset.0,
                });
            }
        }
    }

    fn commit(&mut self) {
        let commits = self.partitions.commits(None);
        if !commits.is_empty() {
            self.control.commit(commits);
        }
    }

    /// Starts nothing more, waits for what runs, commits, leaves the group.
    async fn finish(mut self) -> Result<RunReport, AppError> {
        let deadline = Instant::now() + self.drain;
        let mut sources = Vec::new();
        for (_, partition) in self.partitions.iter_mut() {
            partition.revoking = true;
            sources.push(partition.source.clone());
        }
        // Records that are still on their way are dropped uncommitted; a revoke among them is answered.
        self.control.pause(&sources);
        let mut ended = false;
        while !self.running.is_empty() {
            tokio::select! {
                biased;
                Some(finished) = self.tasks.join_next() => self.finished(finished),
                event = self.consumer.next(), if !ended => match event {
                    Some(ConsumerEvent::Records(_)) => {}
                    Some(event) => self.change(event),
                    None => ended = true,
                },
                () = sleep_until(deadline) => break,
            }
            drain::release_drained(&mut self, Instant::now());
        }
        self.name_unfinished();
        self.tasks.abort_all();

        let group = self.context.group.clone();
        // What still waits for an acknowledgement has it now: nothing is awaited any more.
        drain::release_all(&mut self);
        let commits = self.partitions.commits(None);
        let control = self.control.clone();
        let mut closing = control.close(commits.clone());
        let closed = loop {
            tokio::select! {
                closed = &mut closing => break closed,
                event = self.consumer.next(), if !ended => match event {
                    // The close commits what is still ours then, and a revoke takes these away before.
                    Some(ConsumerEvent::Revoked(sources, ack)) => {
                        let mut last = commits.clone();
                        last.retain(|(source, _)| sources.iter().any(|gone| Arc::ptr_eq(gone, source)));
                        ack.release(last);
                    }
                    Some(_) => {}
                    None => ended = true,
                },
            }
        };
        match (self.stop, closed) {
            (Some(stop), _) => Err(stop),
            (None, Err(error)) => Err(AppError::Consumer {
                group,
                pattern: self.context.pattern.clone(),
                source: error,
            }),
            (None, Ok(())) => Ok(self.report),
        }
    }

    fn name_unfinished(&mut self) {
        for running in self.running.values() {
            warn!(
                group = self.context.group,
                topic = running.source.topic.as_str(),
                partition = running.source.partition,
                offset = running.offset,
                running_for = ?running.since.elapsed(),
                "a handler did not finish before the shutdown's deadline; its message comes again"
            );
            self.report.unfinished.push(Unfinished {
                group: self.context.group.clone(),
                topic: running.source.topic.as_str().to_owned(),
                partition: running.source.partition,
                offset: running.offset,
            });
        }
    }
}

/// Partitions as a log names them.
fn names(sources: &[Arc<Source>]) -> String {
    let names: Vec<_> = sources.iter().map(|source| source.to_string()).collect();
    names.join(" ")
}
