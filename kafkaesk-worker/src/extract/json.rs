//! `data: Json`: the message's data as JSON, whatever its schema.

use std::ops::{Deref, DerefMut};

use kafkaesk_client::schema::{DecodeError, DocumentError, EventSchema, Events};
use serde_json::Value;

/// The message's data as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub Value);

impl Deref for Json {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl DerefMut for Json {
    fn deref_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

/// Takes every schema and registers none. So `Option<Json>` is an argument like `Option<Content>`.
impl Events for Json {
    fn takes(_name: &str, _version: u32) -> bool {
        true
    }

    fn decode(_name: &str, _version: u32, data: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(data)
            .map(Self)
            .map_err(|error| DecodeError::Data {
                type_name: "Json",
                message: error.to_string(),
            })
    }

    fn schemas() -> Result<Vec<EventSchema>, DocumentError> {
        Ok(Vec::new())
    }
}
