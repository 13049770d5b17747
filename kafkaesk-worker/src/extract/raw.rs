//! `data: Raw`: the record's value, untouched, envelope or not.

use std::ops::Deref;

use bytes::Bytes;

use crate::{Delivery, FromDelivery, Needs, Rejection};

/// The record's value as read, not parsed. A null value is empty; `Record` distinguishes the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(pub Bytes);

impl Deref for Raw {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl FromDelivery for Raw {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        Ok(Self(delivery.record().value.clone().unwrap_or_default()))
    }

    fn needs(needs: &mut Needs) {
        needs.one = true;
    }
}
