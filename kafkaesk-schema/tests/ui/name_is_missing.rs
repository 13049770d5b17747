//! No name.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(version = 1)]
struct Content {
    foo: String,
}

fn main() {}
