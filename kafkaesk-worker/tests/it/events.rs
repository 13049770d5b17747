//! The events that these tests publish.

use kafkaesk_worker::prelude::*;

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1)]
pub(crate) struct Content {
    pub(crate) foo: String,
}

impl Content {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { foo: text.into() }
    }
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 2)]
pub(crate) struct ContentV2 {
    pub(crate) foo: String,
    pub(crate) bar: u32,
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Removed", version = 1)]
pub(crate) struct Removed {
    pub(crate) id: u64,
}

#[derive(Clone, Debug, PartialEq, Events)]
pub(crate) enum ContentChange {
    V1(Content),
    V2(ContentV2),
    Removed(Removed),
}
