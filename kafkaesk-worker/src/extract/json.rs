//! `data: Json`: the message's data as JSON, whatever its schema.

use std::ops::{Deref, DerefMut};

use serde_json::Value;

use crate::{Delivery, FromDelivery, Rejection, handler::Needs};

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

impl FromDelivery for Json {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        delivery.decode(|known, data| {
            serde_json::from_slice(data).map(Self).map_err(|e| {
                Rejection::Mismatch(format!("{}: the data is no JSON: {e}", known.text))
            })
        })
    }

    fn needs(needs: &mut Needs) {
        needs.decodes = true;
    }
}
