//! `state: State<Db>`: what `App::state` was given.

use std::{any::TypeId, ops::Deref, sync::Arc};

use crate::{Delivery, FromDelivery, Rejection, needs::Needs, outcome::Outcome};

/// Application state by its type, shared by all handlers. Derefs to it.
///
/// An application that lacks a handler's state does not start.
pub struct State<T> {
    // A name of its own, so that `state.0` is the value's own field.
    shared: Arc<T>,
}

impl<T> State<T> {
    /// State as a handler gets it, to call the handler in a test.
    pub fn new(value: T) -> Self {
        Self {
            shared: Arc::new(value),
        }
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for State<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shared.fmt(f)
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.shared
    }
}

impl<T: Send + Sync + 'static> FromDelivery for State<T> {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        // The start checks that every state exists, so this does not happen. If it does, a retry keeps the message.
        delivery
            .states()
            .get()
            .map(|shared| Self { shared })
            .ok_or(Rejection::Outcome(Outcome::Retry { after: None }))
    }

    fn needs(needs: &mut Needs) {
        needs
            .states
            .push((TypeId::of::<T>(), std::any::type_name::<T>()));
    }
}
