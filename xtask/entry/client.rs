//! A program that depends on kafkaesk-client alone: the derive resolves there, and it publishes.
use kafkaesk_client::{ClientError, Publisher, Settings, schema::Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1)]
struct Content {
    foo: String,
}

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let kafka = Publisher::connect(&Settings::default()).await?;
    let event = Content { foo: "bar".into() };
    kafka.publish("content.edited", &event).key("user-7").await?;
    Ok(())
}
