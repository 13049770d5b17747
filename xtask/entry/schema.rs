//! A program that depends on kafkaesk-schema alone: the derives resolve there.
use kafkaesk_schema::{Event, Events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Content", version = 1, retention = "24h")]
struct Content {
    foo: String,
}

#[derive(Events)]
enum Change {
    Content(Content),
}

fn main() {
    assert!(Change::takes("Content", 1));
    let change = Change::decode("Content", 1, br#"{"foo":"bar"}"#);
    assert!(matches!(change, Ok(Change::Content(content)) if content.foo == "bar"));
}
