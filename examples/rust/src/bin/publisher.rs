//! Publishing: awaited, with a key and a header, enqueued and awaited later, and plain JSON.
//!
//! Needs a broker: `kafkaesk-cli dev` in another terminal, or the one that `KAFKAESK_KAFKA_SERVERS` names.

use std::time::Duration;

use kafkaesk_client::{Publisher, Settings, schema::Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1, retention = "24h")]
struct Content {
    foo: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::load()?;
    let event = Content { foo: "bar".into() };

    let kafka = Publisher::connect(&settings).await?;

    let receipt = kafka
        .publish("content.edited.Resource", &Content { foo: "bar".into() })
        .await?;
    println!("{receipt}");

    kafka
        .publish("content.edited.Resource", &event)
        .key("user-7")
        .header("source", "import")
        .await?;

    let later = kafka
        .publish("content.edited.Resource", &event)
        .enqueue()
        .await?; // in librdkafka's queue
    later.await?; // on the brokers

    kafka
        .publish_json("content.edited.Resource", "Content:1", br#"{"foo":"bar"}"#)
        .await?;
    kafka.flush(Duration::from_secs(10)).await?;
    Ok(())
}
