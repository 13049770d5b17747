//! Laws of `/metrics`, and of the last words of a process.

use std::time::Duration;

use kafkaesk_worker::{prelude::*, subscription};
use serde_json::Value;

use crate::{
    http::{get, get_with},
    support::{Content, Running, app, shown, sum, until, value},
};

const FINISHED: &str = "kafkaesk_consumer_finished_messages_total";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_lag_are_those_of_what_was_published_and_handled() {
    let running = Running::start(app(), shown()).await;
    running.publish(&["1", "2", "3", "4", "5", "6", "7"]).await;
    let all = until(running.address, "/metrics", |all| {
        sum(all, FINISHED) == 7.0
            && sum(all, "kafkaesk_consumer_committed_offset") == 7.0
            && sum(all, "kafkaesk_stream_end_offset") == 7.0
    })
    .await;
    assert_eq!(sum(&all, "kafkaesk_consumed_messages_total"), 7.0);
    assert_eq!(sum(&all, "kafkaesk_consumer_lag_records"), 0.0);
    assert_eq!(sum(&all, "kafkaesk_message_lead_time_count"), 7.0);
    assert_eq!(
        sum(&all, "kafkaesk_consumed_message_elapsed_time_count"),
        7.0
    );
    let status = "kafkaesk_consumer_status{group_id=\"g\",status=\"OK\"}";
    assert_eq!(value(&all, status), Some(1.0), "{}", all.body);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accept_chooses_the_form() {
    let running = Running::start(app(), shown()).await;
    let text = get(running.address, "/metrics").await;
    assert_eq!(text.status, 200);
    assert_eq!(
        text.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let open = get_with(running.address, "/metrics", accept).await;
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.body.ends_with("# EOF\n"));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_counts_are_in_the_file_and_in_the_scrape_that_the_end_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("last.prom");
    let mut settings = shown();
    settings.metrics_file = Some(file.clone());
    settings.linger = Duration::from_secs(60);
    let running = Running::start(app(), settings).await;
    running.publish(&["1", "2", "3"]).await;
    until(running.address, "/metrics", |all| sum(all, FINISHED) == 3.0).await;
    running.publish(&["4"]).await;
    until(running.address, "/metrics", |all| sum(all, FINISHED) == 4.0).await;
    let address = running.address;
    let (operate, _) = running.end().await;
    let finish = tokio::spawn(operate.finish(Duration::from_secs(60)));
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let last = get(address, "/metrics").await;
    assert_eq!(sum(&last, FINISHED), 4.0);
    assert_eq!(sum(&last, "kafkaesk_consumer_instances"), 0.0);
    // It waits for one scrape, and not for its whole minute.
    tokio::time::timeout(Duration::from_secs(10), finish)
        .await
        .unwrap()
        .unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(
        written.contains("kafkaesk_consumer_finished_messages_total"),
        "{written}"
    );
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_and_those_that_nobody_settled_are_counted_with_their_age() {
    let handler = |content: Content| async move {
        match content.text.as_str() {
            "bad" => Outcome::reject("it is bad"),
            _ => Outcome::Done,
        }
    };
    let rejects = App::new().subscribe(subscription("content.*", handler).group("g"));
    let first = Running::start(rejects, shown()).await;
    first.publish(&["good", "bad"]).await;
    let listed = until(first.address, "/stats", |all| {
        all.body.contains("\"recent_dead_letters\":[{")
    })
    .await;
    let listed: Value = serde_json::from_str(&listed.body).unwrap();
    let recent = &listed["subscriptions"][0]["recent_dead_letters"];
    assert_eq!(recent.as_array().unwrap().len(), 1);
    assert_eq!(recent[0]["reason"], "rejected");
    assert_eq!(recent[0]["error"], "it is bad");
    let connection = first.connection.clone();
    first.end().await;
    // Counted once a minute, and when a process gets its partitions.
    let second = Running::start_on(app(), connection, shown()).await;
    let unsettled = "kafkaesk_dead_letters_unsettled{group_id=\"g\"}";
    let all = until(second.address, "/metrics", |all| {
        value(all, unsettled).is_some()
    })
    .await;
    assert_eq!(value(&all, unsettled), Some(1.0));
    let fourteen_days = 14.0 * 24.0 * 60.0 * 60.0;
    let of = |name: &str| {
        value(
            &all,
            &format!("kafkaesk_dead_letters_{name}{{group_id=\"g\"}}"),
        )
    };
    assert_eq!(of("retention_seconds"), Some(fourteen_days));
    let age = of("oldest_seconds").unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    second.end().await;
}
