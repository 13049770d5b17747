//! `data: Content`: the typed event, of any version that the type takes; an enum takes one of several.
//! `data: Option<Content>`: `None` for a tombstone.

use kafkaesk_client::schema::Events;

use crate::{Delivery, FromDelivery, Rejection, needs::Needs};

impl<T: Events> FromDelivery for T {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        delivery.event()
    }

    fn needs(needs: &mut Needs) {
        needs.decodes = true;
        needs.one = true;
        match T::schemas() {
            Ok(schemas) => needs.schemas.extend(schemas.into_iter().map(Ok)),
            Err(e) => needs.schemas.push(Err(e)),
        }
    }
}
