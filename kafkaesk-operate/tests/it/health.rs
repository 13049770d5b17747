//! Laws of `/livez` and `/readyz`, from outside.

use std::{sync::mpsc, time::Duration};

use kafkaesk_operate::Operate;

use crate::{
    http::get,
    support::{Running, app, blocking_app, shown, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_from_the_join_until_the_shutdown_and_alive_before_and_after() {
    let app = app();
    let before = Operate::start(shown(), app.watch(), app.control())
        .await
        .unwrap();
    let address = before.address().unwrap();
    assert_eq!(get(address, "/livez").await.status, 200);
    let ready = get(address, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("it has not connected yet"), "{ready:?}");
    drop(before);

    let running = Running::start(app, shown()).await;
    let address = running.address;
    let ready = until(address, "/readyz", |answer| answer.status == 200).await;
    let checks = ready.json()["checks"].as_array().unwrap().len();
    assert_eq!((ready.json()["ok"].as_bool(), checks), (Some(true), 4));
    let (operate, _) = running.end().await;
    let ended = until(address, "/readyz", |answer| answer.status == 503).await;
    assert!(ended.body.contains("it began at "), "{ended:?}");
    assert_eq!(get(address, "/livez").await.status, 200);
    assert_eq!(get(address, "/healthz").await.status, 200);
    operate.finish(Duration::ZERO).await;
}

/// The only thread of the application is blocked: the service answers on its own.
#[test]
fn a_process_whose_every_thread_is_blocked_says_so() {
    let (app, blocked) = blocking_app();
    let mut settings = shown();
    settings.alive_within = Duration::from_secs(1);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let own = { runtime }.enable_all().build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let application = { runtime }.enable_all().build().unwrap();
    let (start, started) = mpsc::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        application.block_on(async {
            let running = Running::start(app, settings).await;
            start.send(running.address).unwrap();
            running.publish(&["1"]).await;
            ended.await.unwrap();
            running.end().await;
        });
    });
    let address = started.recv().unwrap();
    own.block_on(async {
        let failing = until(address, "/livez", |answer| answer.status == 503).await;
        assert!(failing.body.contains("spawn_blocking"), "{failing:?}");
        assert_eq!(get(address, "/metrics").await.status, 200);
        blocked.release.send(()).unwrap();
        until(address, "/livez", |answer| answer.status == 200).await;
        end.send(()).unwrap();
    });
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_fails_livez_and_its_end_heals_it() {
    let (app, blocked) = blocking_app();
    let mut settings = shown();
    settings.alive_within = Duration::from_secs(1);
    let running = Running::start(app, settings).await;
    until(running.address, "/readyz", |answer| answer.status == 200).await;
    assert_eq!(get(running.address, "/livez").await.status, 200);
    running.publish(&["1"]).await;
    let failing = until(running.address, "/livez", |answer| answer.status == 503).await;
    let checks = failing.json()["checks"].clone();
    let task = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["check"] == "task")
        .unwrap();
    assert_eq!((&task["ok"], &task["group"]), (&false.into(), &"g".into()));
    assert!(
        task["sentence"]
            .as_str()
            .unwrap()
            .contains("spawn_blocking"),
        "{task}"
    );
    blocked.release.send(()).unwrap();
    until(running.address, "/livez", |answer| answer.status == 200).await;
    running.end().await;
}
