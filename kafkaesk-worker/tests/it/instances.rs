//! Laws of `max-concurrency`: instances of a subscription that come and go with the load, over the broker in memory, on tokio's
//! paused clock.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kafkaesk_client::{memory::MemoryBroker, settings::Scaling};
use kafkaesk_worker::{
    Control, RunReport, Watch, prelude::*, snapshot::SubscriptionSnapshot, subscription,
};
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::sleep};

use crate::events::Content;

/// How long a handler waits, and how many run in an instance at a time: 40 messages a second.
const SERVICE: Duration = Duration::from_millis(100);
const HANDLERS: u32 = 4;

/// A worker with one subscription of four partitions.
struct Bed {
    connection: Connection,
    /// Numbers in the order in which their handlers ended.
    handled: Arc<Mutex<Vec<usize>>>,
    published: usize,
    watch: Watch,
    control: Control,
    stop: oneshot::Sender<()>,
    worker: tokio::task::JoinHandle<RunReport>,
}

impl Bed {
    async fn start(scaling: Scaling, instances: u32, concurrency: impl Into<Concurrency>) -> Self {
        let broker = MemoryBroker::with_prefix(Settings::default().topic_prefix);
        Self::start_on(Arc::new(broker), scaling, instances, concurrency).await
    }

    async fn start_on(
        broker: Arc<MemoryBroker>,
        scaling: Scaling,
        instances: u32,
        concurrency: impl Into<Concurrency>,
    ) -> Self {
        let mut settings = Settings::default();
        settings.partitions = 4;
        settings.scaling = scaling;
        settings.catch_up = Duration::from_secs(60);
        let connection = Connection::with_broker(settings, broker);
        let handled = Arc::new(Mutex::new(Vec::new()));
        let seen = handled.clone();
        let handler = move |content: Content| {
            let seen = seen.clone();
            async move {
                sleep(SERVICE).await;
                seen.lock().push(content.foo.parse::<usize>().unwrap());
            }
        };
        let own = subscription("a", handler)
            .group("g")
            .concurrency(concurrency)
            .max_concurrency(instances);
        let app = App::new().subscribe(own);
        let (watch, control) = (app.watch(), app.control());
        let (stop, stopped) = oneshot::channel();
        let on = connection.clone();
        let worker = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            app.run_on(on, shutdown).await.unwrap()
        });
        Self {
            connection,
            handled,
            published: 0,
            watch,
            control,
            stop,
            worker,
        }
    }

    /// Publishes so many messages of 40 keys.
    async fn publish(&mut self, count: usize) {
        self.publish_by(count, |number| number % 40).await;
    }

    async fn publish_by(&mut self, count: usize, key: impl Fn(usize) -> usize) {
        let publisher = self.connection.publisher();
        for number in self.published..self.published + count {
            let event = Content::new(number.to_string());
            let key = key(number).to_string();
            publisher.publish("a", &event).key(key).await.unwrap();
        }
        self.published += count;
    }

    async fn shown(&self) -> Arc<SubscriptionSnapshot> {
        let shown = self.watch.snapshot(Duration::from_secs(1)).await;
        assert_eq!(shown.subscriptions.len(), 1, "instances are shown as one");
        shown.subscriptions[0].clone()
    }

    /// Waits until so many instances run, for an hour at most.
    async fn until_instances(&self, wanted: u32) -> Arc<SubscriptionSnapshot> {
        for _ in 0..720 {
            let shown = self.shown().await;
            if shown.instances == wanted {
                return shown;
            }
            sleep(Duration::from_secs(5)).await;
        }
        panic!("not {wanted} instances: {:#?}", self.shown().await);
    }

    async fn until_handled(&self) {
        for _ in 0..20_000 {
            if self.handled.lock().len() >= self.published {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
        panic!("{} of {}", self.handled.lock().len(), self.published);
    }

    /// Ends the worker. Every message was handled once, and those of a key in their order.
    async fn end(self) -> RunReport {
        self.stop.send(()).unwrap();
        let report = self.worker.await.unwrap();
        let handled = self.handled.lock().clone();
        assert_eq!(handled.len(), self.published, "nothing is repeated");
        let mut last = HashMap::new();
        for number in handled {
            let before = last.insert(number % 40, number);
            assert!(before < Some(number), "{number} after {before:?}");
        }
        assert_eq!(report.handled, self.published as u64);
        report
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_brings_instances_and_an_idle_quarter_of_an_hour_takes_them_back() {
    let mut bed = Bed::start(Scaling::On, 3, HANDLERS).await;
    bed.publish(25_000).await;
    let shown = bed.until_instances(3).await;
    assert_eq!(shown.partitions.len(), 4, "{shown:#?}");
    assert_eq!(shown.concurrency, 3 * HANDLERS);
    let scaled = shown.scaled_instances.clone().unwrap();
    assert_eq!((scaled.max, scaled.acts), (3, true));
    assert!(!scaled.recent.is_empty(), "{scaled:?}");
    let before = bed.handled.lock().len();
    sleep(Duration::from_secs(60)).await;
    let rate = (bed.handled.lock().len() - before) as f64 / 60.0;
    assert!(rate > 1.7 * 40.0, "{rate} a second; one gives 40");
    bed.until_handled().await;
    let shown = bed.until_instances(1).await;
    let finished: u64 = shown.counts.iter().map(|(_, it)| it.finished).sum();
    assert_eq!(finished, 25_000, "counts of removed instances stay");
    assert_eq!(shown.partitions.len(), 4);
    let again = bed.published;
    bed.publish(400).await;
    bed.until_handled().await;
    assert_eq!(bed.published, again + 400);
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_decides_and_changes_nothing() {
    let mut bed = Bed::start(Scaling::DryRun, 3, HANDLERS).await;
    bed.publish(30_000).await;
    for _ in 0..60 {
        sleep(Duration::from_secs(10)).await;
        let shown = bed.shown().await;
        assert_eq!((shown.instances, shown.concurrency), (1, HANDLERS));
    }
    let scaled = bed.shown().await.scaled_instances.clone().unwrap();
    assert!(!scaled.acts && scaled.wanted > Some(1), "{scaled:?}");
    assert_eq!(
        scaled.recent.len(),
        1,
        "once, not again and again: {scaled:?}"
    );
    bed.until_handled().await;
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_scales_that_is_off_or_bound_to_one() {
    for (scaling, most) in [(Scaling::Off, 3), (Scaling::On, 1)] {
        let mut bed = Bed::start(scaling, most, HANDLERS).await;
        bed.publish(10_000).await;
        sleep(Duration::from_secs(200)).await;
        let shown = bed.shown().await;
        assert_eq!((shown.instances, &shown.scaled_instances), (1, &None));
        bed.until_handled().await;
        bed.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_instances_than_partitions() {
    let mut bed = Bed::start(Scaling::On, 20, 1).await;
    bed.publish(20_000).await;
    let mut states = Vec::new();
    for _ in 0..60 {
        sleep(Duration::from_secs(10)).await;
        let shown = bed.shown().await;
        assert!(shown.instances <= 4, "{shown:#?}");
        states.extend(shown.scaled_instances.clone().map(|it| it.state));
    }
    assert_eq!(bed.shown().await.instances, 4);
    let says = |it: &String| it.contains("its 4 partitions can feed no more");
    assert!(states.iter().any(says), "{states:#?}");
    bed.until_handled().await;
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn handlers_whose_number_follows_the_load_come_before_instances() {
    let mut bed = Bed::start(Scaling::On, 3, Concurrency::AUTO).await;
    bed.publish(40_000).await;
    let mut most = 0;
    while bed.handled.lock().len() < bed.published {
        sleep(Duration::from_secs(5)).await;
        let shown = bed.shown().await;
        assert_eq!(shown.instances, 1, "{shown:#?}");
        most = most.max(shown.concurrency);
    }
    assert!(most > 16, "{most}");
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_by_a_command_holds_all_instances() {
    let mut bed = Bed::start(Scaling::On, 3, HANDLERS).await;
    bed.publish(20_000).await;
    bed.until_instances(2).await;
    let all = bed.shown().await.instances;
    assert_eq!(bed.control.pause("g").await, all as usize);
    sleep(SERVICE * 2).await;
    let before = bed.handled.lock().len();
    sleep(Duration::from_secs(900)).await;
    let shown = bed.shown().await;
    assert_eq!(bed.handled.lock().len(), before);
    assert_eq!(shown.instances, all, "a pause says nothing of the load");
    bed.control.resume("g").await;
    bed.until_handled().await;
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_process_of_a_group_says_how_many_it_needs() {
    let broker = Arc::new(MemoryBroker::with_prefix(Settings::default().topic_prefix));
    let mut beds = Vec::new();
    for _ in 0..2 {
        beds.push(Bed::start_on(broker.clone(), Scaling::DryRun, 1, HANDLERS).await);
    }
    beds[0].publish(20_000).await;
    sleep(Duration::from_secs(150)).await;
    let mut said = Vec::new();
    for bed in &beds {
        let shown = bed.shown().await;
        let has_first = shown.partitions.iter().any(|it| it.source.partition == 0);
        assert_eq!(shown.wanted_processes.is_some(), has_first, "{shown:#?}");
        said.extend(shown.wanted_processes.clone());
    }
    let [wanted] = said.as_slice() else {
        panic!("{said:?}");
    };
    // Two give 80 a second, and the backlog needs more than 100: four partitions feed four members.
    assert_eq!((wanted.wanted, wanted.partitions), (4, 4), "{wanted:?}");
    for bed in beds {
        bed.stop.send(()).unwrap();
        bed.worker.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_has_all_of_the_load_is_named_and_asks_for_no_process() {
    let mut bed = Bed::start(Scaling::DryRun, 1, HANDLERS).await;
    bed.publish_by(20_000, |_| 7).await;
    sleep(Duration::from_secs(150)).await;
    let shown = bed.shown().await;
    if let Some(wanted) = &shown.wanted_processes {
        assert_eq!(wanted.wanted, 1, "{wanted:?}");
        assert!(wanted.state.contains("alone needs"), "{wanted:?}");
    } else {
        panic!("{shown:#?}");
    }
    bed.stop.send(()).unwrap();
    bed.worker.await.unwrap();
}
