//! Laws of the figures on a real Kafka, through a rebalance.

use kafkaesk_client::testing;
use kafkaesk_worker::prelude::*;

use crate::{
    http::get,
    support::{Running, app, shown, sum, until},
};

const ASSIGNED: &str = "kafkaesk_consumer_assigned_partitions";
const FINISHED: &str = "kafkaesk_consumer_finished_messages_total";
const LAG: &str = "kafkaesk_consumer_lag_records";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_rebalance_each_partition_is_counted_once_and_no_count_goes_back() {
    let kafka = testing::kafka().await;
    let mut settings = kafka.settings();
    settings.partitions = 4;
    let open = || async { Connection::open(&settings).await.unwrap() };
    let first = Running::start_on(app(), open().await, shown()).await;
    first.publish(&["1", "2", "3", "4", "5", "6"]).await;
    let alone = until(first.address, "/metrics", |all| {
        sum(all, FINISHED) == 6.0 && sum(all, ASSIGNED) == 4.0 && lags(all) == 4
    })
    .await;
    assert!(sum(&alone, LAG) <= 6.0);
    let second = Running::start_on(app(), open().await, shown()).await;
    let shared = until(second.address, "/metrics", |all| {
        sum(all, ASSIGNED) == 2.0 && lags(all) == 2
    })
    .await;
    let rest = until(first.address, "/metrics", |all| {
        sum(all, ASSIGNED) == 2.0 && lags(all) == 2
    })
    .await;
    // The partition that moved has its gauges where it is, and its counters where they were counted.
    let mut partitions: Vec<&str> = [&shared, &rest].into_iter().flat_map(partitions).collect();
    partitions.sort_unstable();
    assert_eq!(partitions.len(), 4);
    partitions.dedup();
    assert_eq!(partitions.len(), 4);
    assert_eq!(sum(&rest, FINISHED), 6.0);
    first
        .publish(&["a", "b", "c", "d", "e", "f", "g", "h"])
        .await;
    for _ in 0..600 {
        let (one, two) = (
            get(first.address, "/metrics").await,
            get(second.address, "/metrics").await,
        );
        if sum(&one, FINISHED) + sum(&two, FINISHED) == 14.0 {
            assert!(sum(&one, FINISHED) > 6.0 && sum(&two, FINISHED) > 0.0);
            first.end().await;
            let back = until(second.address, "/metrics", |all| {
                sum(all, ASSIGNED) == 4.0 && lags(all) == 4 && sum(all, LAG) == 0.0
            })
            .await;
            assert_eq!(sum(&back, "kafkaesk_consumer_committed_offset"), 14.0);
            assert_eq!(sum(&back, FINISHED), sum(&two, FINISHED));
            second.end().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not everything was handled");
}

/// How many partitions have a lag.
fn lags(answer: &crate::http::Answer) -> usize {
    partitions(answer).len()
}

/// The partitions that have a lag, as labels.
fn partitions(answer: &crate::http::Answer) -> Vec<&str> {
    let lines = answer.body.lines();
    let of = lines.filter_map(|line| line.strip_prefix(LAG)?.split(' ').next());
    of.collect()
}
