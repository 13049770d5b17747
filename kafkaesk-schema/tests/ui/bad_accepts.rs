//! A half-open range.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1, accepts = "1..2")]
struct Content {
    foo: String,
}

fn main() {}
