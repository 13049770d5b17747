//! Members: starts the instances of a subscription, each of them a member of its group, and adds and removes some as `scale`
//! decides. The first one stays as long as the worker runs. Next: `instance`.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use kafkaesk_client::{Connection, settings::Scaling};
use kafkaesk_core::RecordPlace;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use crate::{
    AppError,
    control::Request,
    instance::Instance,
    prepare::Prepared,
    registry::{Entry, Registry, SlotIndex},
    scale::{Ceilings, Decided, Demand, Growth, Limit, Measure, Subject, Whole},
    snapshot::{PausedBy, SubscriptionSnapshot},
    watch::look,
};

/// How often the load is looked at.
const EVERY: Duration = Duration::from_secs(10);
/// The whole group is looked at in one of so many turns.
const WHOLE_GROUP: u64 = 3;
/// How long an instance may take to answer.
const WITHIN: Duration = Duration::from_secs(2);

/// The instances of one subscription.
pub(crate) struct Members {
    prepared: Prepared,
    connection: Connection,
    registry: Arc<Registry>,
    slot: SlotIndex,
}

impl Members {
    /// A subscription without an instance so far.
    pub(crate) fn new(
        prepared: Prepared,
        connection: &Connection,
        registry: &Arc<Registry>,
    ) -> Self {
        Self {
            prepared,
            connection: connection.clone(),
            registry: registry.clone(),
            slot: registry.slot(),
        }
    }

    /// Logs what it subscribes to.
    pub(crate) fn log(&self) {
        self.prepared.log();
    }

    /// Whether its load is looked at.
    pub(crate) fn may_scale(&self) -> bool {
        self.connection.settings().scaling != Scaling::Off
    }

    /// Makes an instance, which is about to run.
    pub(crate) async fn start(&self, skip: Vec<RecordPlace>) -> Result<Instance, AppError> {
        let context = &self.prepared.context;
        let drain = self.connection.settings().shutdown_timeout;
        let consumer = self
            .connection
            .broker()
            .consume(self.prepared.spec(drain, skip))
            .await?;
        let mut first =
            SubscriptionSnapshot::new(&context.group, &self.prepared.name, &context.pattern);
        first.concurrency = Limit::new(context.options.concurrency).handlers();
        let registered = self.registry.add(self.slot, first, consumer.control());
        Ok(Instance::new(
            context.clone(),
            self.prepared.routes.clone(),
            consumer,
            registered,
            self.prepared.name.clone(),
            drain,
        ))
    }

    /// Looks at the load again and again, and adds and removes instances; until it is dropped.
    pub(crate) async fn follow(self, ceilings: Ceilings, further: mpsc::Sender<Instance>) {
        let settings = self.connection.settings();
        let context = &self.prepared.context;
        let subject = Subject {
            group: context.group.clone(),
            most: context.options.max_concurrency,
            catch_up: settings.catch_up,
            is_static: context.consumer_property("group.instance.id").is_some(),
            acts: settings.scaling == Scaling::On,
        };
        let mut measure = Measure::new(subject.clone());
        let mut demand = Demand::default();
        let mut growth = Growth::new(ceilings);
        for turn in 0_u64.. {
            sleep(EVERY.mul_f64(0.9 + fastrand::f64() * 0.2)).await;
            let entries = self.registry.instances(self.slot);
            let looked = join_all(entries.iter().map(async |entry| {
                let shown = look(entry, WITHIN).await;
                (entry.clone(), shown, entry.worked())
            }));
            let looked = looked.await;
            let now = Instant::now();
            let decision = measure.look(&self.connection, &looked, now).await;
            if subject.most > 1 {
                self.registry.scaled(self.slot, measure.shown());
            }
            if turn % WHOLE_GROUP == 0 {
                let (pattern, gives) = (&self.prepared.pattern, measure.gives());
                let whole = demand
                    .look(&self.connection, &subject, pattern, &looked, gives)
                    .await;
                self.follow_group(whole, &subject, &mut growth).await;
            }
            let Some(decision) = decision else {
                continue;
            };
            info!(
                group = context.group,
                pattern = context.pattern,
                from = decision.from,
                to = decision.to,
                reason = decision.reason,
                "the number of instances {}",
                match measure.acts() {
                    true => "follows the load",
                    false => "would follow the load, with scaling = \"on\"",
                }
            );
            if measure.acts() {
                self.reach(decision.to, &further).await;
            }
        }
    }

    /// Shows what the whole group needs, and grows its streams or proposes it.
    async fn follow_group(&self, whole: Whole, subject: &Subject, growth: &mut Growth) {
        let mut wanted = None;
        match whole {
            // A figure that is missing does not end a need that has lasted.
            Whole::Unknown => {}
            Whole::Elsewhere => growth.forget(),
            Whole::Known {
                elapsed,
                processes,
                streams,
            } => {
                wanted = processes;
                let looked = growth.look(&self.connection, subject, elapsed, &streams);
                for Decided { grown, decision } in looked.await {
                    warn!(
                        group = self.prepared.context.group,
                        from = decision.from,
                        to = decision.to,
                        reason = decision.reason,
                        "{}",
                        match grown {
                            true => "a stream had too few partitions and was grown",
                            false => "a stream has too few partitions",
                        }
                    );
                }
            }
        }
        self.registry.wanted(self.slot, wanted, growth.shown());
    }

    /// Takes a random number of instances again and again, whatever the load is: for the chaos suite.
    pub(crate) async fn shuffle(self, every: Duration, further: mpsc::Sender<Instance>) {
        let most = self.prepared.context.options.max_concurrency;
        loop {
            sleep(every.mul_f64(0.5 + fastrand::f64())).await;
            self.reach(fastrand::u32(1..=most), &further).await;
        }
    }

    /// Adds or removes instances until so many run. What cannot be started is left out: the next look sees it.
    async fn reach(&self, wanted: u32, further: &mpsc::Sender<Instance>) {
        let entries = self.registry.instances(self.slot);
        let wanted = (wanted as usize).max(1);
        if let Some(surplus) = entries.get(wanted..) {
            join_all(surplus.iter().map(|entry| self.remove(entry))).await;
        }
        for _ in entries.len()..wanted {
            match self.start(Vec::new()).await {
                Ok(instance) => {
                    self.inherit(instance.entry()).await;
                    if further.send(instance).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    warn!(
                        group = self.prepared.context.group,
                        pattern = self.prepared.context.pattern,
                        %error,
                        "an instance could not be added; the others go on"
                    );
                    return;
                }
            }
        }
    }

    async fn remove(&self, entry: &Arc<Entry>) {
        // One that ends by itself takes no command.
        let _ = entry.ask(Request::End).await;
        entry.ended().await;
        self.registry.retire(self.slot, entry);
    }

    /// A new instance is paused and throttled as the first one is by commands: those that come from here on reach both.
    async fn inherit(&self, to: &Entry) {
        let entries = self.registry.instances(self.slot);
        let Some(first) = entries.first() else {
            return;
        };
        let shown = look(first, WITHIN).await;
        if let Some(pause) = shown
            .pause
            .as_ref()
            .filter(|it| it.by == PausedBy::Operator)
        {
            let until = pause.until.map(|until| {
                let left = until.duration_since(SystemTime::now());
                Instant::now() + left.unwrap_or_default()
            });
            to.leave(Request::Pause {
                reason: pause.reason.clone(),
                until,
            });
        }
        let throttle = shown.throttle.and_then(NonZeroU32::new);
        if throttle != self.prepared.context.options.throttle {
            to.leave(Request::Throttle(throttle));
        }
    }
}
