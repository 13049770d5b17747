//! `publisher: Publisher`: publishes over the worker's connection, carrying the consumed record's trace on.

use std::ops::Deref;

use crate::{Delivery, FromDelivery, Rejection};

/// Publishes from a handler. Derefs to the client's publisher.
#[derive(Clone, Debug)]
pub struct Publisher(pub kafkaesk_client::Publisher);

impl Deref for Publisher {
    type Target = kafkaesk_client::Publisher;

    fn deref(&self) -> &kafkaesk_client::Publisher {
        &self.0
    }
}

impl FromDelivery for Publisher {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        Ok(Self(delivery.connection().publisher()))
    }
}
