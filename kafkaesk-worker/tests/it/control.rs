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
