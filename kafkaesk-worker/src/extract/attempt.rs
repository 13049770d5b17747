//! `attempt: Attempt`: how often this process has tried the message, this time included.

use std::ops::Deref;

use crate::{Delivery, FromDelivery, Rejection};

/// 1 for the first attempt, 2 for the second, … Counted in this process: a restart begins again at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u32);

impl Deref for Attempt {
    type Target = u32;

    fn deref(&self) -> &u32 {
        &self.0
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl FromDelivery for Attempt {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        Ok(Self(delivery.attempt()))
    }
}
