//! Laws of what comes from those who mean no good, or do not know better.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kafkaesk_operate::Operate;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

use crate::{
    http::{get, get_with, post, send},
    support::{Running, TOKEN, app, blocking_app, shown, sum, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_is_an_error_that_names_it() {
    let app = app();
    let first = Operate::start(shown(), app.watch(), app.control())
        .await
        .unwrap();
    let mut settings = shown();
    settings.listen = first.address().map(|address| address.to_string());
    let error = Operate::start(settings.clone(), app.watch(), app.control())
        .await
        .unwrap_err();
    let named = format!("cannot listen at {}: ", first.address().unwrap());
    assert!(error.to_string().starts_with(&named), "{error}");
    settings.listen = Some("no.such.host.invalid:9464".into());
    let error = Operate::start(settings, app.watch(), app.control()).await;
    assert!(error.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_or_not_meant_for_us_is_refused_in_a_sentence() {
    let running = Running::start(app(), shown()).await;
    let address = running.address;
    let unknown = get(address, "/nothing").await;
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.json()["error"]
            .as_str()
            .unwrap()
            .contains("/nothing")
    );
    let method = post(address, "/metrics", None, "").await;
    assert_eq!(
        (method.status, method.header("allow")),
        (405, Some("GET,HEAD"))
    );
    let rebound = send(
        address,
        b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    )
    .await;
    assert_eq!(rebound.status, 421);
    let long = get(address, &format!("/metrics?{}", "q".repeat(40_000))).await;
    assert!((400..500).contains(&long.status), "{}", long.status);
    for query in ["group=", "colour=red", "limit=-1", "sort=size", "limit=%zz"] {
        let wrong = get(address, &format!("/stats?{query}")).await;
        let expected = if query == "group=" { 200 } else { 400 };
        assert_eq!(wrong.status, expected, "{query}: {wrong:?}");
    }
    let garbage = send(address, b"\x16\x03\x01\x02garbage\r\n\r\n").await;
    assert_eq!(garbage.status, 400);
    let large = "x".repeat(20_000);
    let large = post(address, "/subscriptions/g/pause", Some(TOKEN), &large).await;
    assert_eq!(large.status, 413);
    assert_eq!(large.json()["error"], "the body is larger than 16 KiB");
    let path = post(address, "/subscriptions/%zz%ff/pause", Some(TOKEN), "").await;
    assert!(
        path.status == 400 && path.json()["error"].is_string(),
        "{path:?}"
    );
    let index = get(address, "/").await;
    assert_eq!(index.status, 200);
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(index.header(name), Some(value));
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_do_not_keep_others_from_an_answer() {
    let running = Running::start(app(), shown()).await;
    let mut idle = Vec::new();
    for number in 0..1000 {
        // More than are served at a time wait in the operating system; that is bounded too.
        let connected = TcpStream::connect(running.address);
        let connected = tokio::time::timeout(Duration::from_secs(1), connected).await;
        if let Ok(Ok(mut stream)) = connected {
            if number % 2 == 0 {
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n").await;
            }
            idle.push(stream);
        }
    }
    // A probe of Kubernetes waits for one second.
    for path in ["/livez", "/metrics"] {
        let begun = Instant::now();
        assert_eq!(get(running.address, path).await.status, 200);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(1), "{path}: {took:?}");
    }
    // Nor do they keep messages from being handled.
    let before = idle.len();
    running.publish(&["1", "2", "3"]).await;
    until(running.address, "/metrics", |all| {
        sum(all, "kafkaesk_consumer_finished_messages_total") == 3.0
    })
    .await;
    assert!(before > 900, "{before}");
    drop(idle);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_has_a_secret() {
    let running = Running::start(app(), shown()).await;
    running.publish(&["planted-secret-content"]).await;
    until(running.address, "/readyz", |answer| answer.status == 200).await;
    let wrong = "Authorization: Bearer planted-secret-guess\r\n";
    for path in [
        "/", "/metrics", "/stats", "/livez", "/readyz", "/healthz", "/nothing",
    ] {
        let answer = get_with(running.address, path, wrong).await;
        assert!(
            !format!("{answer:?}").contains("planted-secret"),
            "{path}: {answer:?}"
        );
    }
    let answer = post(
        running.address,
        "/subscriptions/g/pause",
        Some("planted-secret-guess"),
        "",
    )
    .await;
    assert!(
        !format!("{answer:?}").contains("planted-secret"),
        "{answer:?}"
    );
    assert!(!format!("{:?}", running.operate).contains("planted-secret"));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn too_many_requests_at_a_time_are_refused_and_health_is_answered_all_the_same() {
    let (app, mut blocked) = blocking_app();
    let running = Running::start(app, shown()).await;
    let address = running.address;
    until(address, "/readyz", |answer| answer.status == 200).await;
    running.publish(&["1"]).await;
    blocked.begun.recv().await.unwrap();
    // Each waits for the subscription, whose thread a handler blocks.
    let waiting: Vec<_> = (0..64)
        .map(|_| tokio::spawn(post(address, "/subscriptions/g/resume", Some(TOKEN), "")))
        .collect();
    let refused = until(address, "/stats", |answer| answer.status == 503).await;
    assert!(
        refused.json()["error"]
            .as_str()
            .unwrap()
            .starts_with("16 requests")
    );
    assert_eq!(get(address, "/livez").await.status, 200);
    assert_eq!(get(address, "/readyz").await.status, 200);
    blocked.release.send(()).unwrap();
    for command in waiting {
        let answer = command.await.unwrap();
        assert!([200, 202, 503].contains(&answer.status), "{answer:?}");
    }
    until(address, "/stats", |answer| answer.status == 200).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_take_no_throughput_from_the_worker() {
    const MESSAGES: usize = 4_000;
    const ROUNDS: usize = 5;
    let running = Running::start(app(), shown()).await;
    let address = running.address;
    until(address, "/readyz", |answer| answer.status == 200).await;
    let texts: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let handled = Arc::new(AtomicUsize::new(0));
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for (times, strangers) in [(&mut alone, false), (&mut beside, true)] {
            let mut tasks = JoinSet::new();
            let mut idle = Vec::new();
            for number in 0..if strangers { 500 } else { 0 } {
                let mut stream = TcpStream::connect(address).await.unwrap();
                if number % 2 == 0 {
                    let _ = stream.write_all(b"GET /stats?search=").await;
                }
                idle.push(stream);
            }
            for _ in 0..if strangers { 4 } else { 0 } {
                let handled = handled.clone();
                tasks.spawn(async move {
                    loop {
                        get(address, "/stats?search=nothing&limit=500").await;
                        handled.fetch_add(1, Ordering::Relaxed);
                        post(address, "/subscriptions/g/pause", Some("guess"), "").await;
                    }
                });
            }
            let begun = Instant::now();
            running.publish(&texts).await;
            let all = (MESSAGES * (2 * round + 1 + usize::from(strangers))) as u64;
            while running.finished().await < all {
                tokio::task::yield_now().await;
            }
            times.push(begun.elapsed());
            drop(idle);
            tasks.shutdown().await;
        }
    }
    alone.sort_unstable();
    beside.sort_unstable();
    let (alone, beside) = (alone[ROUNDS / 2], beside[ROUNDS / 2]);
    assert!(handled.load(Ordering::Relaxed) > 0);
    // The strangers of this test run on the worker's own cores, and so cost more than real ones.
    assert!(
        beside < alone * 3,
        "alone {alone:?}, beside strangers {beside:?}"
    );
    running.end().await;
}
