//! `batch: Batch<Content>`: the messages of one batch, in order.

use std::{
    ops::{Deref, RangeInclusive},
    sync::Arc,
};

use crate::{Delivery, FromDelivery, Needs, Rejection, schedule::Gathered};

/// The messages of one batch: of one partition, in order. Derefs to a slice. `T` is what a handler could take of one message: an
/// event type, [`Json`](crate::Json), an `Option` of these, [`Record`](crate::Record), [`Raw`](crate::Raw),
/// [`Schema`](crate::Schema), or an extractor of your own. Several such arguments have the same messages in the same order.
///
/// The subscription says how much a batch gathers: `batch(max = 500, bytes = 4_194_304, wait = "200ms")`, each of them optional
/// ([`BatchOptions`](crate::BatchOptions)). What does not fit `T` is judged before the handler is called (`on-mismatch`,
/// `on-no-event`); the handler gets the others.
///
/// The handler's result counts for all messages, or is a [`BatchOutcome`](crate::BatchOutcome), one for each. A batch that fails
/// or is rejected is handled again in two halves, at once, until what fails stands alone: only that is retried or given up. With
/// [`Outcome::Retry`](crate::Outcome::Retry) and [`HandlerError::unavailable`](crate::HandlerError::unavailable) no message is at
/// fault: the batch waits and comes again as it is.
///
/// ```
/// use kafkaesk_worker::prelude::*;
///
/// struct Db;
/// impl Db {
///     async fn insert(&self, _rows: &[Json]) -> Result<(), std::io::Error> {
///         Ok(())
///     }
/// }
///
/// #[subscribe("orders.*", group = "load", batch(max = 500, wait = "200ms"))]
/// async fn load(orders: Batch<Json>, db: State<Db>) -> Result<(), HandlerError> {
///     db.insert(&orders).await?;
///     Ok(())
/// }
/// # App::new().state(Db).subscribe(load).check().unwrap();
/// ```
#[derive(Debug)]
pub struct Batch<T> {
    items: Vec<T>,
    messages: Arc<Gathered>,
}

impl<T> Batch<T> {
    /// A batch as a handler gets it, to call the handler in a test. It has no records.
    pub fn new(items: Vec<T>) -> Self {
        Self {
            items,
            messages: Arc::default(),
        }
    }

    /// The messages' records, in the same order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &kafkaesk_core::Record> {
        self.messages.deliveries.iter().map(Delivery::record)
    }

    /// The first and the last offset; `None` for a batch made by [`Self::new`]. Between them there may be offsets of other
    /// messages: those that did not fit, or that wait for an earlier one of their key.
    pub fn offsets(&self) -> Option<RangeInclusive<i64>> {
        let mut offsets = self.records().map(|record| record.offset.0);
        let first = offsets.next()?;
        Some(first..=offsets.last().unwrap_or(first))
    }

    /// The stream; empty for a batch made by [`Self::new`].
    pub fn stream(&self) -> &str {
        let first = self.messages.deliveries.first();
        first.map_or("", |first| first.record().stream())
    }

    /// The partition; 0 for a batch made by [`Self::new`].
    pub fn partition(&self) -> i32 {
        let first = self.messages.deliveries.first();
        first.map_or(0, |first| first.record().partition())
    }

    /// The messages alone.
    pub fn into_vec(self) -> Vec<T> {
        self.items
    }
}

impl<T> Deref for Batch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> IntoIterator for Batch<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T: FromDelivery> FromDelivery for Batch<T> {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        let messages = match delivery.gathered() {
            Some(messages) => messages.clone(),
            None => Arc::new(Gathered {
                deliveries: vec![delivery.clone()],
                tickets: Vec::new(),
            }),
        };
        let (mut items, mut unfit) = (Vec::with_capacity(messages.len()), Vec::new());
        for (at, message) in messages.deliveries.iter().enumerate() {
            match T::from_delivery(message) {
                Ok(item) => items.push(item),
                Err(why) => unfit.push((at, why)),
            }
        }
        match unfit.is_empty() {
            true => Ok(Self { items, messages }),
            false => Err(Rejection::Messages(unfit)),
        }
    }

    fn needs(needs: &mut Needs) {
        let mut of_message = Needs::default();
        T::needs(&mut of_message);
        needs.schemas.append(&mut of_message.schemas);
        needs.states.append(&mut of_message.states);
        needs.decodes |= of_message.decodes;
        needs.committer |= of_message.committer;
        needs.batch = true;
    }
}
