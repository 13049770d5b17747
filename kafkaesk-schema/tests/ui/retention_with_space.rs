//! A retention that the configuration would refuse as well.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1, retention = "24h ")]
struct Content {
    foo: String,
}

fn main() {}
