//! A key that belongs on the variants' types.

use kafkaesk_schema::{Event, Events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1)]
struct Content {
    foo: String,
}

#[derive(Events)]
#[event(name = "Content")]
enum Change {
    V1(Content),
}

fn main() {}
