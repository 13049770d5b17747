//! A variant with nothing.

use kafkaesk_schema::{Event, Events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1)]
struct Content {
    foo: String,
}

#[derive(Events)]
enum Change {
    V1(Content),
    Other,
}

fn main() {}
