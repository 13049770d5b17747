//! Laws of commands to a running application.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use kafkaesk_worker::{prelude::*, subscription};

use crate::events::Content;

/// An application that counts what it handles.
fn counting(handled: &Arc<AtomicU32>) -> App {
    let handled = handled.clone();
    let handler = move |_: Content| {
        let handled = handled.clone();
        async move {
            handled.fetch_add(1, SeqCst);
        }
    };
    App::new().subscribe(subscription("content.*", handler).group("g"))
}

#[tokio::test(start_paused = true)]
async fn a_commit_by_command_needs_no_interval() {
    let app = counting(&Arc::default());
    let control = app.control();
    let app = TestApp::start(app).await;
    app.publish("content.a", &Content::new("1")).await.unwrap();
    app.settle().await;
    assert_eq!(app.broker().lag("g"), 1);
    assert_eq!(control.commit("g").await, 1);
    assert_eq!(app.broker().lag("g"), 0);
    app.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_paused_group_starts_no_handler_until_it_is_resumed() {
    let handled = Arc::default();
    let app = counting(&handled);
    let control = app.control();
    let app = TestApp::start(app).await;
    assert_eq!(control.pause("g").await, 1);
    app.publish("content.a", &Content::new("1")).await.unwrap();
    // The clock is paused: this passes once nothing else can happen.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(handled.load(SeqCst), 0);
    assert_eq!(control.resume("g").await, 1);
    app.settle().await;
    assert_eq!(handled.load(SeqCst), 1);
    app.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_command_reaches_running_instances_of_its_group_and_no_other() {
    let app = counting(&Arc::default());
    let control = app.control();
    assert_eq!(control.pause("g").await, 0, "it does not run yet");
    let app = TestApp::start(app).await;
    assert_eq!(control.commit("g").await, 1);
    assert_eq!(control.commit("other").await, 0);
    app.stop().await.unwrap();
    assert_eq!(control.commit("g").await, 0, "it has ended");
}

/// Handles messages before, while and after its group is joined again; nothing is lost or repeated.
async fn joins_again(app: App, connection: Connection, handled: Arc<AtomicU32>) {
    let (control, watch) = (app.control(), app.watch());
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let shutdown = async { drop(stopped.await) };
    let ran = tokio::spawn(app.run_on(connection.clone(), shutdown));
    let publisher = connection.publisher();
    let publish = async |from: u32, to: u32| {
        for number in from..to {
            let event = Content::new(number.to_string());
            publisher.publish("content.a", &event).await.unwrap();
        }
    };
    let until = async |wanted: u32| {
        while handled.load(SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let shown = async || {
        let snapshot = watch.snapshot(Duration::from_secs(1)).await;
        snapshot.subscriptions[0].clone()
    };
    publish(0, 10).await;
    until(10).await;
    let before = shown().await;
    assert_eq!(control.rejoin("g").await, 1);
    publish(10, 20).await;
    until(20).await;
    let after = shown().await;
    let (was, is) = (before.rebalanced, after.rebalanced);
    let all = before.partitions.len() as u64;
    assert_eq!(is.revoked + is.lost, was.revoked + was.lost + all);
    assert_eq!(is.assigned, was.assigned + all);
    assert_eq!(after.partitions.len() as u64, all);
    assert_eq!(after.apart, None);
    stop.send(()).unwrap();
    let report = ran.await.unwrap().unwrap();
    assert_eq!((report.handled, handled.load(SeqCst)), (20, 20));
}

#[tokio::test]
async fn a_group_that_is_joined_again_by_command_loses_and_repeats_nothing() {
    let handled = Arc::default();
    let connection = Connection::in_memory(Settings::default());
    joins_again(counting(&handled), connection, handled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_a_group_that_is_joined_again_by_command_loses_and_repeats_nothing() {
    let kafka = kafkaesk_client::testing::kafka().await;
    let connection = Connection::open(&kafka.settings()).await.unwrap();
    let handled = Arc::default();
    joins_again(counting(&handled), connection, handled).await;
}
