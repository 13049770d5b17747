//! A variant with named fields.

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
    V2 { foo: String },
}

fn main() {}
