//! Events on a struct.

use kafkaesk_schema::{Event, Events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1)]
struct Content {
    foo: String,
}

#[derive(Events)]
struct Change(Content);

fn main() {}
