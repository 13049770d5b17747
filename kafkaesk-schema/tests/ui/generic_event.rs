//! A generic event.

use kafkaesk_schema::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Page", version = 1)]
struct Page<T> {
    items: Vec<T>,
}

fn main() {}
