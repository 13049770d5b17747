//! `record: Record`: topic, partition, offset, timestamp, key, headers and value.

use std::ops::Deref;

use crate::{Delivery, FromDelivery, Needs, Rejection};

/// The record as it was read. Derefs to [`kafkaesk_core::Record`]; shares its bytes.
#[derive(Clone, Debug)]
pub struct Record(pub kafkaesk_core::Record);

impl Deref for Record {
    type Target = kafkaesk_core::Record;

    fn deref(&self) -> &kafkaesk_core::Record {
        &self.0
    }
}

impl FromDelivery for Record {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        Ok(Self(delivery.record().clone()))
    }

    fn needs(needs: &mut Needs) {
        needs.one = true;
    }
}
