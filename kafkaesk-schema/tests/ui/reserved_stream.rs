//! A stream that is reserved.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1, streams = ["content", "__streams__"])]
struct Content {
    foo: String,
}

fn main() {}
