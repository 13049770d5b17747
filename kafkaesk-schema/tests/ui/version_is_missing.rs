//! No version.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content")]
struct Content {
    foo: String,
}

fn main() {}
