//! A misspelt key.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1, retain = "24h")]
struct Content {
    foo: String,
}

fn main() {}
