//! A service moves between the Python library and ours in one group, with its committed offsets: all at once and side by
//! side. What a group cannot hold is refused with both remedies.

use std::{collections::BTreeSet, time::Duration};

use kafkaesk_client::Publisher;
use serde_json::Value;

use crate::service::{Content, Place, Seen};

const STREAM: &str = "content.moving";
const ROUND_ROBIN: (&str, &str) = ("partition.assignment.strategy", "roundrobin");

async fn publish(publisher: &Publisher, numbers: std::ops::Range<usize>) {
    for number in numbers {
        publisher
            .publish(STREAM, &Content::new(number.to_string()))
            .key(format!("key-{number}"))
            .await
            .expect("published");
    }
}

fn number(message: &Value) -> usize {
    message["foo"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a number")
}

fn own_number(message: &Seen) -> usize {
    message.data.foo.parse().expect("a number")
}

fn sorted(numbers: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut numbers: Vec<usize> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_moves_all_at_once_and_nothing_is_lost_or_repeated() {
    let place = Place::new("at-once").await;
    let publisher = place.connect().await.publisher();

    publish(&publisher, 0..30).await;
    let mut python = place.python_consumer("content.*");
    let mut first = python.take(30).await;
    first.extend(python.stop().await);
    assert_eq!(sorted(first.iter().map(number)), sorted(0..30));

    publish(&publisher, 30..60).await;
    let mut rust = place.rust_consumer("content.*", &[]);
    let mut second = rust.take(30).await;
    second.extend(rust.stop().await);
    assert_eq!(sorted(second.iter().map(own_number)), sorted(30..60));

    // And back.
    publish(&publisher, 60..90).await;
    let mut python = place.python_consumer("content.*");
    let mut third = python.take(30).await;
    third.extend(python.stop().await);
    assert_eq!(sorted(third.iter().map(number)), sorted(60..90));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_moves_side_by_side_and_nothing_is_lost() {
    let place = Place::new("side-by-side").await;
    let publisher = place.connect().await.publisher();
    publish(&publisher, 0..10).await;
    let mut python = place.python_consumer("content.*");
    let mut all: BTreeSet<usize> = python.take(10).await.iter().map(number).collect();

    let mut rust = place.rust_consumer("content.*", &[ROUND_ROBIN]);
    // Both hold partitions once each has seen something new.
    let (mut published, mut by_python, mut by_rust) = (10, 0, 0);
    while by_python == 0 || by_rust == 0 {
        assert!(
            published < 2_000,
            "one side got no partition: python {by_python}, rust {by_rust}"
        );
        publish(&publisher, published..published + 20).await;
        published += 20;
        while let Some(message) = python.next_within(Duration::from_millis(300)).await {
            by_python += 1;
            all.insert(number(&message));
        }
        while let Some(message) = rust.next_within(Duration::from_millis(300)).await {
            by_rust += 1;
            all.insert(own_number(&message));
        }
    }

    all.extend(python.stop().await.iter().map(number));
    publish(&publisher, published..published + 20).await;
    published += 20;
    while all.len() < published {
        all.extend(rust.take(1).await.iter().map(own_number));
    }
    rust.stop().await;
    assert_eq!(sorted(all), sorted(0..published));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooperative_member_beside_python_is_refused_with_both_remedies() {
    let place = Place::new("cooperative").await;
    let publisher = place.connect().await.publisher();
    publish(&publisher, 0..1).await;
    let mut python = place.python_consumer("content.*");
    python.take(1).await;

    let error = place
        .rust_consumer("content.*", &[])
        .fails()
        .await
        .to_string();
    assert!(error.contains(&place.group), "{error}");
    assert!(
        error.contains("partition.assignment.strategy=roundrobin"),
        "{error}"
    );
    assert!(error.contains("stop"), "{error}");

    // Python goes on as if nothing had been.
    publish(&publisher, 1..2).await;
    assert_eq!(number(&python.next().await), 1);
    python.stop().await;
}
