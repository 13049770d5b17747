//! A range that leaves out the type's own version.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 3, accepts = "1..=2")]
struct Content {
    foo: String,
}

fn main() {}
