//! The end of a run keeps its one deadline, whatever does not answer. No Kafka but the dev broker.

use std::{
    future::{Future, pending, ready},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use kafkaesk_client::dev::DevBroker;
use kafkaesk_worker::prelude::*;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::events::Content;

fn settings(servers: &str, timeout: Duration) -> Settings {
    let mut settings = Settings::default();
    settings.kafka_servers = vec![servers.to_owned()];
    settings.shutdown_timeout = timeout;
    settings
}

async fn nothing(_: Raw) {}

/// How long the whole takes, the runtime's own end included.
fn process(run: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run);
    drop(runtime);
    begun.elapsed()
}

#[test]
fn a_program_ends_at_once_when_it_is_told_to_while_brokers_are_waited_for() {
    let took = process(async {
        let app = App::new().subscribe(subscription("a", nothing));
        let shutdown = tokio::time::sleep(Duration::from_millis(100));
        app.run(&settings("127.0.0.1:1", Duration::from_secs(1)), shutdown)
            .await
            .unwrap();
    });
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_never_ends_is_cut_off_at_the_deadline() {
    let connection = Connection::in_memory(settings("", Duration::from_secs(25)));
    let app = App::new()
        .subscribe(subscription("a", nothing))
        .on_shutdown(pending);
    let begun = Instant::now();
    app.run_on(connection, ready(())).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(25));
}

#[test]
fn an_end_keeps_its_deadline_when_a_handler_hangs_and_the_brokers_are_gone() {
    const TIMEOUT: Duration = Duration::from_secs(5);
    let mut asked = None;
    process(async {
        let broker = DevBroker::start("127.0.0.1:0").unwrap();
        let settings = settings(&broker.address().to_string(), TIMEOUT);
        let (running, gone) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let (counted, heard) = (running.clone(), gone.clone());
        let loud = move |event: Content, publisher: Publisher| {
            let (counted, heard) = (counted.clone(), heard.clone());
            async move {
                publisher.publish("out", &event).await?;
                counted.fetch_add(1, SeqCst);
                heard.notified().await;
                drop(publisher.publish("out", &event).enqueue().await?);
                Ok::<_, HandlerError>(())
            }
        };
        let counted = running.clone();
        let stuck = move |_: Raw| {
            counted.fetch_add(1, SeqCst);
            pending::<()>()
        };
        let app = App::new()
            .subscribe(subscription("in", loud).group("loud"))
            .subscribe(subscription("in", stuck).group("stuck"));
        let publisher = Connection::open(&settings).await.unwrap().publisher();
        publisher.publish("in", &Content::new("a")).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            app.run(&settings, shutdown).await
        });
        tokio::time::timeout(Duration::from_secs(30), async {
            while running.load(SeqCst) < 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
        drop(broker);
        gone.notify_one();
        asked = Some(Instant::now());
        stop.send(()).unwrap();
        drop(task.await.unwrap());
    });
    let took = asked.unwrap().elapsed();
    assert!(took < TIMEOUT + Duration::from_secs(1), "{took:?}");
}
