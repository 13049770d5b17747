//! Completions: what is finished behind an unfinished message is not handled again, over the broker in memory.

use std::sync::{Arc, Mutex};

use kafkaesk_client::memory::MemoryBroker;
use kafkaesk_worker::{RunReport, prelude::*};
use tokio::sync::oneshot;

use crate::events::Content;

/// The texts that handlers got, in order.
type Calls = Arc<Mutex<Vec<String>>>;

async fn records(data: Content, calls: State<Calls>) -> Outcome {
    calls.lock().unwrap().push(data.foo.clone());
    match data.foo.starts_with("held") {
        true => Outcome::retry_after(std::time::Duration::from_secs(3_600)),
        false => Outcome::Done,
    }
}

/// Runs one application until it was called so often.
async fn run(connection: &Connection, calls: usize) -> (Vec<String>, RunReport) {
    let seen = Calls::default();
    let app = App::new()
        .state(seen.clone())
        .subscribe(subscription("a", records).group("g"));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let task = tokio::spawn(app.run_on(connection.clone(), shutdown));
    while seen.lock().unwrap().len() < calls {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    let report = task.await.unwrap().unwrap();
    let calls = seen.lock().unwrap().clone();
    (calls, report)
}

#[tokio::test]
async fn a_clean_end_repeats_nothing_but_what_was_not_finished() {
    let mut settings = Settings::default();
    settings.partitions = 1;
    let broker = Arc::new(MemoryBroker::with_prefix(settings.topic_prefix.clone()));
    let connection = Connection::with_broker(settings, broker.clone());
    let publisher = connection.publisher();
    for number in 0..300 {
        let text = match number % 50 {
            0 => format!("held {number}"),
            _ => format!("{number}"),
        };
        publisher
            .publish("a", &Content::new(&text))
            .key(text)
            .await
            .unwrap();
    }
    let (_, report) = run(&connection, 300).await;
    assert_eq!((report.unfinished_total, report.redelivered), (6, 0));
    for _ in 0..3 {
        let (calls, _) = run(&connection, 6).await;
        assert_eq!(calls.len(), 6, "{calls:?}");
        assert!(
            calls.iter().all(|call| call.starts_with("held")),
            "{calls:?}"
        );
    }
    publisher.publish("a", &Content::new("new")).await.unwrap();
    let (calls, _) = run(&connection, 7).await;
    assert!(calls.contains(&"new".to_owned()));
}
