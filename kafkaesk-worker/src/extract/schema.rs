//! `schema: Schema`: the schema id that the message carries.

use std::{fmt, ops::Deref};

use kafkaesk_core::SchemaId;

use crate::{Delivery, FromDelivery, Needs, Rejection};

/// The message's schema id, `Content:1`. A record without an event has none: [`crate::OnNoEvent`] decides then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema(pub SchemaId);

impl Deref for Schema {
    type Target = SchemaId;

    fn deref(&self) -> &SchemaId {
        &self.0
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromDelivery for Schema {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        Ok(Self(delivery.known_schema()?.id.clone()))
    }

    fn needs(needs: &mut Needs) {
        needs.one = true;
    }
}
