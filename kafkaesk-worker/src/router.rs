//! A router: subscriptions and event types of one module, to be mounted into an application.

use kafkaesk_client::schema::{DocumentError, Event, EventSchema};

use crate::{
    AppError,
    options::Commit,
    subscription::{self, IntoSubscription, Subscription},
};

/// Subscriptions and event types of one module.
///
/// ```
/// use kafkaesk_worker::prelude::*;
///
/// mod billing {
///     use kafkaesk_worker::prelude::*;
///
///     #[subscribe("orders.*", group = "billing")]
///     async fn bill(order: Json) {
///         drop(order);
///     }
///
///     pub fn router() -> Router {
///         Router::new().subscribe(bill)
///     }
/// }
///
/// let app = App::new().mount(billing::router());
/// assert_eq!(app.subscriptions().len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Router {
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) events: Vec<Result<EventSchema, DocumentError>>,
}

impl Router {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function under `#[subscribe]`, or a [`Subscription`].
    #[must_use]
    pub fn subscribe(mut self, subscription: impl IntoSubscription) -> Self {
        self.subscriptions.push(subscription.into_subscription());
        self
    }

    /// Declares an event type that this program publishes, as [`App::event`](crate::App::event) does.
    #[must_use]
    pub fn event<T: Event>(mut self) -> Self {
        self.events.push(EventSchema::of::<T>());
        self
    }

    /// Adds everything of another router.
    #[must_use]
    pub fn mount(mut self, other: Router) -> Self {
        self.subscriptions.extend(other.subscriptions);
        self.events.extend(other.events);
        self
    }
}

/// Checks each subscription, and that no two of one group overlap.
pub(crate) fn check(subscriptions: &[Subscription]) -> Result<(), AppError> {
    let patterns = subscriptions
        .iter()
        .map(subscription::check)
        .collect::<Result<Vec<_>, _>>()?;
    for (i, one) in subscriptions.iter().enumerate() {
        let of_group = subscriptions[i + 1..]
            .iter()
            .filter(|it| it.group == one.group);
        for other in of_group {
            let mixed = |a: &Subscription, b: &Subscription| {
                let by_hand = b.options.commit == Commit::Manual;
                a.options.in_transactions() && (by_hand || b.options.gathers().is_some())
            };
            if mixed(one, other) || mixed(other, one) {
                return Err(AppError::Subscription {
                    pattern: other.pattern.clone(),
                    message: format!(
                        "group {:?} has a subscription with `transaction = true` and one with `commit = \"manual\"` or a `Batch`, and only one of them can decide when its redriven messages are committed; give them groups of their own",
                        one.group_name().unwrap_or_default()
                    ),
                });
            }
        }
    }
    for (i, first) in patterns.iter().enumerate() {
        for (j, second) in patterns.iter().enumerate().skip(i + 1) {
            if subscriptions[i].group == subscriptions[j].group && first.overlaps(second) {
                return Err(AppError::Overlap {
                    group: subscriptions[i].group.clone().unwrap_or_default(),
                    first: first.as_str().to_owned(),
                    second: second.as_str().to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// The groups as a message names them.
pub(crate) fn groups(subscriptions: &[Subscription]) -> String {
    let groups: Vec<_> = subscriptions
        .iter()
        .filter_map(|s| s.group_name())
        .collect();
    groups.join(", ")
}
