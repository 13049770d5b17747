//! Observer: looks at the application and asks Kafka for its lag, again and again, and keeps what it saw. Next: `view`.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use kafkaesk_client::{
    ClientError, Connection, dead_letters::Unsettled, settings::OperateSettings,
};
use kafkaesk_core::Source;
use kafkaesk_worker::{
    Control, Watch,
    snapshot::{Snapshot, SubscriptionSnapshot},
};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, warn};

use crate::{
    health::{Answer, History, Question, checks},
    lag::{Judged, Looks, Rules},
    letters::LetterLooks,
    rates::Rates,
    standstill::{Remedy, Standstills},
    traces::Dropped,
    view::{ShownSetting, View},
};

/// How long a snapshot waits for a subscription.
const ANSWER: Duration = Duration::from_millis(500);
/// A view is shared by all who ask within this time.
const FRESH: Duration = Duration::from_secs(1);
/// How often the application is looked at, at least: a subscription's sign of life is its answer.
const TICK: Duration = Duration::from_secs(2);
/// Where no broker has answered for longer, one is asked for nothing but an answer.
const SILENCE: Duration = Duration::from_secs(10);

/// What was seen, and what sees it.
#[derive(Debug)]
pub(crate) struct Observer {
    watch: Watch,
    control: Control,
    begun: Instant,
    lag_interval: Duration,
    alive_within: Duration,
    show_keys: bool,
    tick: Duration,
    /// `None` where traces are off.
    spans_dropped: Option<Arc<Dropped>>,
    /// Held while a view is made, so that all who ask meanwhile get the same one.
    view: tokio::sync::Mutex<Option<(Instant, Arc<View>)>>,
    seen: Mutex<Seen>,
    health: Mutex<History>,
}

#[derive(Debug)]
struct Seen {
    looks: Looks,
    rates: Rates,
    letters: BTreeMap<String, Unsettled>,
    standstills: Standstills,
    answered: Option<Instant>,
    connection: Option<Connection>,
    settings: Arc<Vec<ShownSetting>>,
}

impl Observer {
    pub(crate) fn new(
        watch: Watch,
        control: Control,
        settings: &OperateSettings,
        spans_dropped: Option<Arc<Dropped>>,
    ) -> Self {
        let rules = Rules {
            window: settings.lag_window,
            allowed: settings.lag_allowed,
            held_after: settings.lag_interval,
            stale_after: settings.lag_interval * 3,
        };
        Self {
            watch,
            control,
            begun: Instant::now(),
            lag_interval: settings.lag_interval,
            alive_within: settings.alive_within,
            show_keys: settings.show_keys,
            tick: TICK
                .min(settings.alive_within / 3)
                .min(settings.lag_interval),
            spans_dropped,
            view: tokio::sync::Mutex::new(None),
            seen: Mutex::new(Seen {
                looks: Looks::new(rules),
                rates: Rates::default(),
                letters: BTreeMap::new(),
                standstills: Standstills::new(settings.stall_after),
                answered: None,
                connection: None,
                settings: Arc::default(),
            }),
            health: Mutex::default(),
        }
    }

    /// What the process does. Takes half a second at most, and asks Kafka nothing. Answers within the same second are the
    /// same.
    pub(crate) async fn view(&self) -> Arc<View> {
        let mut kept = self.view.lock().await;
        if let Some((at, view)) = &*kept
            && at.elapsed() < FRESH
        {
            return view.clone();
        }
        let snapshot = self.watch.snapshot(ANSWER).await;
        let view = Arc::new(self.judged(snapshot));
        *kept = Some((Instant::now(), view.clone()));
        view
    }

    /// What a probe is answered. The view is made with it.
    pub(crate) fn health(&self, question: Question, view: &View) -> Answer {
        let checks = checks(question, view);
        self.health
            .lock()
            .answer(question, checks, SystemTime::now())
    }

    /// Makes the next view new, whenever the last one was made.
    pub(crate) async fn forget_view(&self) {
        *self.view.lock().await = None;
    }

    pub(crate) fn show_settings(&self, settings: Vec<ShownSetting>) {
        self.seen.lock().settings = Arc::new(settings);
    }

    fn judged(&self, snapshot: Snapshot) -> View {
        let (at, now) = (self.begun.elapsed(), SystemTime::now());
        let mut seen = self.seen.lock();
        let published = seen.connection.as_ref().map(Connection::published);
        let published = published.unwrap_or_default();
        let own = seen.answered.map(|at| at.elapsed());
        let answered = own.into_iter().chain(published.last_answer).min();
        let subscriptions = snapshot.subscriptions.iter();
        let lags: Vec<Vec<Judged>> = subscriptions
            .map(|subscription| seen.looks.judge(subscription, at, now))
            .collect();
        let standing = snapshot.subscriptions.iter();
        let standing = standing
            .map(|it| seen.standstills.standing(&it.group, &it.pattern))
            .collect();
        View {
            standing,
            rates: seen.rates.look(&snapshot, &lags, at),
            lags,
            letters: seen.letters.clone(),
            settings: seen.settings.clone(),
            snapshot,
            answered,
            alive_within: self.alive_within,
            show_keys: self.show_keys,
            connected: seen.connection.is_some(),
            published,
            spans_dropped: self.spans_dropped.clone(),
        }
    }

    /// Looks at the application and asks Kafka, until it is dropped.
    pub(crate) async fn run(&self, connection: Connection) {
        self.seen.lock().connection = Some(connection.clone());
        let mut ticks = interval(self.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked: Option<(Instant, SystemTime)> = None;
        loop {
            ticks.tick().await;
            let view = self.view().await;
            // Since when a check is as it is does not depend on when somebody asks.
            for question in [Question::Live, Question::Ready] {
                self.health(question, &view);
            }
            let is_due = asked.is_none_or(|(at, wall)| {
                // A partition that has just come is not left unknown until the next look.
                at.elapsed() >= self.lag_interval || has_new_partition(&view.snapshot, wall)
            });
            if is_due {
                asked = Some((Instant::now(), SystemTime::now()));
                self.ask(&connection, &view.snapshot).await;
                self.free_standing(&connection, &view).await;
            }
            // Nothing is assigned, lag is asked for less often, or it had no answer.
            let answered = self.seen.lock().answered.map(|at| at.elapsed());
            let answered = answered.into_iter().chain(view.answered).min();
            if answered.is_none_or(|ago| ago > SILENCE) {
                self.answered(connection.broker().cluster().await.map(drop));
            }
        }
    }

    /// Counts unsettled dead letters, until it is dropped. Apart from the rest: reading them may take long.
    pub(crate) async fn run_letters(&self, connection: Connection) {
        let mut looks = LetterLooks::default();
        let mut ticks = interval(self.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let view = self.view().await;
            let groups: HashSet<&str> = view
                .snapshot
                .subscriptions
                .iter()
                .filter(|it| counts_letters(it))
                .map(|it| it.group.as_str())
                .collect();
            looks.keep(&groups);
            let mut letters = BTreeMap::new();
            for group in groups {
                if let Some(unsettled) = looks.look(&connection, group).await {
                    letters.insert(group.to_owned(), unsettled);
                }
            }
            self.seen.lock().letters = letters;
        }
    }

    /// Asks Kafka where the groups stand in the partitions that are assigned here.
    async fn ask(&self, connection: &Connection, snapshot: &Snapshot) {
        self.seen.lock().looks.keep(&snapshot.subscriptions);
        let assigned = snapshot.subscriptions.iter().map(|it| {
            let sources = it.partitions.iter().map(|own| (*own.source).clone());
            (it, sources.collect::<Vec<Source>>())
        });
        let assigned: Vec<_> = assigned
            .filter(|(_, sources)| !sources.is_empty())
            .collect();
        if assigned.is_empty() {
            return;
        }
        let asked = assigned.iter();
        let asked: Vec<_> = asked
            .map(|(it, sources)| (it.group.as_str(), sources.as_slice()))
            .collect();
        let lags = match connection.lags_of(&asked).await {
            Ok(lags) => lags,
            Err(error) => return self.answered(Err(error)),
        };
        let at = self.begun.elapsed();
        for ((it, _), lags) in assigned.iter().zip(lags) {
            match lags {
                Ok(lags) => {
                    self.answered(Ok(()));
                    let mut seen = self.seen.lock();
                    for (own, lag) in it.partitions.iter().zip(lags) {
                        seen.looks.look(&it.group, &own.source, lag, at);
                    }
                }
                Err(error) => self.answered(Err(error)),
            }
        }
    }

    /// Lets subscriptions join their group again whose partitions stand still although their next record can be read.
    async fn free_standing(&self, connection: &Connection, view: &View) {
        let suspects = self
            .seen
            .lock()
            .standstills
            .look(view, self.begun.elapsed());
        let mut rejoins: BTreeSet<String> = BTreeSet::new();
        for suspect in suspects {
            let (topic, partition) = (&suspect.source.topic, suspect.source.partition);
            let record = connection
                .broker()
                .record(topic, partition, suspect.next)
                .await;
            let readable = matches!(record, Ok(Some(_)));
            let at = self.begun.elapsed();
            let mut seen = self.seen.lock();
            match seen.standstills.tried(&suspect, readable, at) {
                Some(Remedy::Rejoin) => {
                    warn!(
                        group = suspect.name,
                        partition = %suspect.source,
                        offset = suspect.next.0,
                        "the partition has not moved for `stall-after`, although its next record can be read: the subscription joins its group again"
                    );
                    rejoins.insert(suspect.name);
                }
                Some(Remedy::Restart) => warn!(
                    group = suspect.name,
                    partition = %suspect.source,
                    offset = suspect.next.0,
                    "the partition still does not move after its subscription joined its group again: /livez fails"
                ),
                None => {
                    debug!(partition = %suspect.source, "a partition stands still, and its next record cannot be read by anybody")
                }
            }
        }
        for name in rejoins {
            self.control.rejoin(&name).await;
        }
    }

    fn answered(&self, answer: Result<(), ClientError>) {
        match answer {
            Ok(()) => self.seen.lock().answered = Some(Instant::now()),
            Err(error) => debug!(%error, "asking for the lag"),
        }
    }
}

/// Whether this process counts the dead letters of the group. Not every one does, so that their topic is read seldom: in the
/// usual case of one stream, one member.
fn counts_letters(it: &SubscriptionSnapshot) -> bool {
    it.partitions.iter().any(|own| own.source.partition == 0)
}

fn has_new_partition(snapshot: &Snapshot, since: SystemTime) -> bool {
    let mut partitions = snapshot.subscriptions.iter().flat_map(|it| &it.partitions);
    partitions.any(|own| own.since >= since)
}
