//! Laws of `concurrency = "auto"`: a whole worker over the broker in memory, on tokio's paused clock, before a service with a
//! known knee.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use kafkaesk_client::memory::MemoryBroker;
use kafkaesk_worker::{Watch, prelude::*, subscription};
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, sleep},
};

use crate::events::Content;

/// How long it works on a message.
const SERVICE: Duration = Duration::from_millis(100);
/// Messages that wait in the topic, at least.
const BACKLOG: usize = 2_000;

/// Works on so many messages at a time; more wait for it. Beyond a bound it has no room for a message.
#[derive(Debug)]
struct Service {
    places: Semaphore,
    inside: AtomicUsize,
    done: AtomicUsize,
    refused: AtomicUsize,
    refuses_above: usize,
}

impl Service {
    fn new(knee: usize, refuses_above: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Semaphore::new(knee),
            inside: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            refuses_above,
        })
    }

    async fn ask(&self) -> Result<(), HandlerError> {
        let inside = self.inside.fetch_add(1, SeqCst);
        let answer = if inside >= self.refuses_above {
            self.refused.fetch_add(1, SeqCst);
            Err(HandlerError::busy("429"))
        } else {
            let place = self.places.acquire().await.unwrap();
            sleep(SERVICE).await;
            drop(place);
            self.done.fetch_add(1, SeqCst);
            Ok(())
        };
        self.inside.fetch_sub(1, SeqCst);
        answer
    }
}

/// A worker before a service; its topic never runs out.
struct Bed {
    service: Arc<Service>,
    watch: Watch,
    stop: oneshot::Sender<()>,
    worker: tokio::task::JoinHandle<()>,
    feeder: tokio::task::JoinHandle<()>,
}

impl Bed {
    async fn start(concurrency: Concurrency, service: Arc<Service>) -> Self {
        let mut settings = Settings::default();
        settings.partitions = 4;
        let broker = Arc::new(MemoryBroker::with_prefix(settings.topic_prefix.clone()));
        let connection = Connection::with_broker(settings, broker);
        let asked = service.clone();
        let handler = move |_: Content| {
            let asked = asked.clone();
            async move { asked.ask().await }
        };
        let own = subscription("a", handler)
            .group("g")
            .concurrency(concurrency);
        let app = App::new().subscribe(own);
        let watch = app.watch();
        let (stop, stopped) = oneshot::channel();
        let publisher = connection.publisher();
        let done = service.clone();
        let feeder = tokio::spawn(async move {
            let mut published = 0;
            loop {
                if published - done.done.load(SeqCst) < BACKLOG {
                    let event = Content::new("x");
                    publisher.publish("a", &event).await.unwrap();
                    published += 1;
                } else {
                    sleep(Duration::from_millis(20)).await;
                }
            }
        });
        let worker = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            app.run_on(connection, shutdown).await.unwrap();
        });
        Self {
            service,
            watch,
            stop,
            worker,
            feeder,
        }
    }

    /// Messages a second over this long.
    async fn goodput(&self, lasting: Duration) -> f64 {
        let (before, begun) = (self.service.done.load(SeqCst), Instant::now());
        sleep(lasting).await;
        let done = self.service.done.load(SeqCst) - before;
        done as f64 / begun.elapsed().as_secs_f64()
    }

    async fn end(self) {
        self.feeder.abort();
        self.stop.send(()).unwrap();
        self.worker.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_it_does_nine_tenths_of_what_the_service_can() {
    const KNEE: usize = 90;
    let service = Service::new(KNEE, usize::MAX);
    let bed = Bed::start(Concurrency::AUTO, service).await;
    sleep(Duration::from_secs(60)).await;
    let goodput = bed.goodput(Duration::from_secs(30)).await;
    let best = KNEE as f64 / SERVICE.as_secs_f64();
    let shown = bed.watch.snapshot(Duration::from_secs(1)).await;
    let shown = shown.subscriptions[0].clone();
    assert!(goodput >= best * 0.9, "{goodput} of {best}: {shown:#?}");
    // Handlers that only wait for the service are not started.
    assert!(shown.concurrency < 2 * KNEE as u32, "{shown:#?}");
    let scaled = shown.scaled.clone().unwrap();
    assert_eq!((scaled.min, scaled.max), (1, 512));
    assert!(scaled.raised >= 4, "{scaled:?}");
    assert!(!scaled.recent.is_empty() && !scaled.state.is_empty());
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_has_no_room_is_not_asked_for_more() {
    let service = Service::new(1_000, 40);
    let bed = Bed::start(Concurrency::AUTO, service).await;
    sleep(Duration::from_secs(60)).await;
    let before = bed.service.refused.load(SeqCst);
    let goodput = bed.goodput(Duration::from_secs(180)).await;
    let refused = bed.service.refused.load(SeqCst) - before;
    let share = refused as f64 / (goodput * 180.0);
    let shown = bed.watch.snapshot(Duration::from_secs(1)).await;
    let scaled = &shown.subscriptions[0].scaled;
    assert!(share < 0.01, "{share}: {scaled:#?}");
    assert!(goodput >= 0.6 * 40.0 / SERVICE.as_secs_f64(), "{goodput}");
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn bounds_hold_and_a_number_stays() {
    for (concurrency, expected) in [
        (Concurrency::from(20..=24), 20..=24),
        (Concurrency::from(12), 12..=12),
    ] {
        let bed = Bed::start(concurrency, Service::new(500, usize::MAX)).await;
        for _ in 0..30 {
            sleep(Duration::from_secs(1)).await;
            let shown = bed.watch.snapshot(Duration::from_secs(1)).await;
            let now = shown.subscriptions[0].concurrency;
            assert!(expected.contains(&now), "{now}");
            assert!(bed.service.inside.load(SeqCst) <= *expected.end() as usize);
        }
        bed.end().await;
    }
}

#[test]
fn bounds_that_hold_nothing_are_refused() {
    for (concurrency, said) in [
        (Concurrency::from(0), "concurrency is 0"),
        (
            Concurrency::Between { min: 8, max: 4 },
            "concurrency is 8 to 4",
        ),
        (Concurrency::from(0..=4), "concurrency is 0 to 4"),
        (Concurrency::from(1..=100_001), "concurrency is 1 to 100001"),
    ] {
        let own = subscription("a", |_: Content| async {})
            .group("g")
            .concurrency(concurrency);
        let error = App::new().subscribe(own).check().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
