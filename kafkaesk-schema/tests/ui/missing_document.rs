//! A document that is not there.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1, schema = "schemas/Missing.1.json")]
struct Content {
    foo: String,
}

fn main() {}
