//! Laws of growing streams: what becomes of a stream whose partitions keep a member busy each, over the broker in memory, on
//! tokio's paused clock.

use std::{sync::Arc, time::Duration};

use kafkaesk_client::{memory::MemoryBroker, settings::Scaling};
use kafkaesk_core::TopicName;
use kafkaesk_worker::{
    Watch,
    prelude::*,
    snapshot::{ScaledPartitions, SubscriptionSnapshot},
    subscription,
};
use tokio::{task::JoinHandle, time::sleep};

/// Two handlers of this span in each instance: one message a second.
const SERVICE: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);

/// A stream that may grow by itself.
#[derive(Clone, Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Click", version = 1, keys = "none", partition_growth = "auto")]
struct Click {
    number: usize,
}

/// A stream whose events have keys.
#[derive(Clone, Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Order", version = 1, partition_growth = "auto")]
struct Order {
    number: usize,
}

/// A stream of two partitions, and a worker that reads it.
struct Bed {
    connection: Connection,
    watch: Watch,
    worker: JoinHandle<()>,
}

struct Options {
    scaling: Scaling,
    instances: u32,
    max_partitions: u32,
}

const PLENTY: Options = Options {
    scaling: Scaling::On,
    instances: 2,
    max_partitions: 40,
};

impl Bed {
    async fn start<T: Event + Sync>(
        options: Options,
        event: impl Fn(usize) -> T,
        count: usize,
    ) -> Self {
        let broker = MemoryBroker::with_prefix(Settings::default().topic_prefix);
        let mut settings = Settings::default();
        settings.partitions = 2;
        settings.scaling = options.scaling;
        settings.catch_up = MINUTE;
        let connection = Connection::with_broker(settings, Arc::new(broker));
        let publisher = connection.publisher();
        for number in 0..count {
            let event = event(number);
            publisher.publish("a", &event).await.unwrap();
        }
        let handler = async |_: Record| sleep(SERVICE).await;
        let own = subscription("a", handler)
            .group("g")
            .concurrency(2)
            .max_concurrency(options.instances)
            .max_partitions(options.max_partitions);
        let app = App::new().subscribe(own);
        let (watch, on) = (app.watch(), connection.clone());
        let worker = tokio::spawn(async move {
            app.run_on(on, std::future::pending()).await.unwrap();
        });
        Self {
            connection,
            watch,
            worker,
        }
    }

    async fn shown(&self) -> Arc<SubscriptionSnapshot> {
        let shown = self.watch.snapshot(Duration::from_secs(1)).await;
        shown.subscriptions[0].clone()
    }

    async fn growth(&self) -> ScaledPartitions {
        *self.shown().await.scaled_partitions.clone().unwrap()
    }

    async fn partitions(&self) -> u32 {
        let topic = TopicName::new("a").unwrap();
        let there = self.connection.broker().topic(&topic, "Describe").await;
        there.unwrap().unwrap().partitions
    }

    /// Waits until something was decided, and returns how long that took.
    async fn until_decided(&self) -> (Duration, ScaledPartitions) {
        for minutes in 1..90 {
            sleep(MINUTE).await;
            let growth = self.growth().await;
            if growth.decisions > 0 {
                return (minutes * MINUTE, growth);
            }
        }
        panic!("nothing was decided: {:#?}", self.shown().await);
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_keys_doubles_after_half_an_hour_of_need_and_once_a_day() {
    let bed = Bed::start(PLENTY, |number| Click { number }, 10_000).await;
    let (after, growth) = bed.until_decided().await;
    assert!(after > 30 * MINUTE && after < 45 * MINUTE, "{after:?}");
    assert_eq!(bed.partitions().await, 4);
    let decision = &growth.recent[0];
    assert_eq!((decision.from, decision.to), (2, 4));
    let begins = "a: each of its 2 partitions has kept a member of its own busy for 30m ";
    assert!(decision.reason.starts_with(begins), "{decision:?}");
    // All four are busy for hours.
    let publisher = bed.connection.publisher();
    for number in 0..15_000 {
        publisher.publish("a", &Click { number }).await.unwrap();
    }
    sleep(90 * MINUTE).await;
    assert_eq!(bed.shown().await.partitions.len(), 4, "they are read");
    let growth = bed.growth().await;
    assert_eq!((bed.partitions().await, growth.decisions), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_keys_is_proposed_once_and_stays_as_it_is() {
    let bed = Bed::start(PLENTY, |number| Order { number }, 15_000).await;
    let (after, _) = bed.until_decided().await;
    assert!(after > 30 * MINUTE, "{after:?}");
    sleep(60 * MINUTE).await;
    let growth = bed.growth().await;
    assert_eq!((bed.partitions().await, growth.decisions), (2, 1));
    let short = &growth.short[0];
    assert_eq!((short.stream.as_str(), short.partitions), ("a", 2));
    assert_eq!(short.wanted, Some(4));
    let command = "`kafkaesk-cli streams grow a --to 4 --when-drained`";
    assert!(short.state.contains(command), "{}", short.state);
}

#[tokio::test(start_paused = true)]
async fn more_members_come_before_more_partitions() {
    let dry = Options {
        scaling: Scaling::DryRun,
        instances: 1,
        ..PLENTY
    };
    let bed = Bed::start(dry, |number| Click { number }, 10_000).await;
    sleep(45 * MINUTE).await;
    // One member has both partitions.
    let growth = bed.growth().await;
    assert_eq!((bed.partitions().await, growth.decisions), (2, 0));
    let says = "its 2 partitions are read by 1 member(s) of the group: more members help first";
    assert!(growth.short[0].state.starts_with(says), "{growth:#?}");
}

#[tokio::test(start_paused = true)]
async fn max_partitions_is_never_exceeded() {
    for (most, to) in [(2, None), (3, Some(3))] {
        let bounded = Options {
            max_partitions: most,
            ..PLENTY
        };
        let bed = Bed::start(bounded, |number| Click { number }, 10_000).await;
        sleep(45 * MINUTE).await;
        let growth = bed.growth().await;
        let decided = growth.recent.first().map(|it| it.to);
        assert_eq!((bed.partitions().await, decided), (most, to));
        if to.is_none() {
            let says = "`max-partitions = 2` of group g allows no more";
            assert!(growth.short[0].state.starts_with(says), "{growth:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_pauses_now_and_then_grows_nothing() {
    let bed = Bed::start(PLENTY, |number| Click { number }, 10).await;
    let publisher = bed.connection.publisher();
    for _ in 0..8 {
        // Twenty minutes of work for two members, and five without any.
        for number in 0..2_400 {
            publisher.publish("a", &Click { number }).await.unwrap();
        }
        sleep(25 * MINUTE).await;
    }
    let growth = bed.growth().await;
    assert_eq!((bed.partitions().await, growth.decisions), (2, 0));
}
