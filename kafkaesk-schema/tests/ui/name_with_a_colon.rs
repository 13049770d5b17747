//! A name that Kafka does not take.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content:1", version = 1)]
struct Content {
    foo: String,
}

fn main() {}
