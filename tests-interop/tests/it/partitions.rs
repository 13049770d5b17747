//! A key lands where the Python library's own partitioner would send it, or the order of a key breaks between languages.

use serde_json::json;

use crate::{
    python::Python,
    service::{Content, Place},
};

const KEYS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lands_on_the_partition_that_aiokafka_chooses() {
    let place = Place::new("partitions").await;
    let publisher = place.connect().await.publisher();
    let mut python = Python::start("partitions.py", &[]);
    for number in 0..KEYS {
        // Lengths of every remainder by four, bytes beyond ASCII among them.
        let key = format!("käy-{number}{}", "x".repeat(number % 5));
        let receipt = publisher
            .publish("content.keys", &Content::new(&key))
            .key(&key)
            .await
            .expect("published");
        python.tell(&json!({"key": key, "partitions": 7})).await;
        assert_eq!(python.next().await, receipt.partition, "{key}");
    }
    python.stop().await;
}
