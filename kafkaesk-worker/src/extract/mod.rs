//! Extractors: make one argument of a handler from a delivery. One file each.

mod attempt;
mod batch;
mod committer;
mod event;
mod json;
mod publisher;
mod raw;
mod record;
mod schema;
mod state;

pub use attempt::Attempt;
pub use batch::Batch;
pub use committer::{CommitError, Committer, Done};
pub use json::Json;
pub use publisher::Publisher;
pub use raw::Raw;
pub use record::Record;
pub use schema::Schema;
pub use state::State;

use crate::{delivery::Delivery, needs::Needs, outcome::Rejection};

/// What a handler's argument is made from. Implemented for every event type and for the types of this module;
/// implement it for your own.
///
/// ```
/// use kafkaesk_worker::{Delivery, FromDelivery, Rejection, prelude::*};
///
/// /// The tenant, from a header.
/// struct Tenant(String);
///
/// impl FromDelivery for Tenant {
///     fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
///         let header = delivery.record().headers.get_str("tenant");
///         header
///             .map(|tenant| Tenant(tenant.to_owned()))
///             .ok_or_else(|| Rejection::Mismatch("no `tenant` header".to_owned()))
///     }
/// }
///
/// #[subscribe("orders.*")]
/// async fn bill(tenant: Tenant, order: Json) {
///     println!("{} {}", tenant.0, *order);
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's argument",
    label = "not a handler argument",
    note = "arguments are event types (`#[derive(Event)]` or `#[derive(Events)]`), `Json`, an `Option` of these, `Raw`, `Schema`, `Record`, a `Batch` of these, `State<T>`, `Publisher`, `Attempt`, `Committer`",
    note = "see https://docs.rs/kafkaesk-worker/latest/kafkaesk_worker/docs/handlers/"
)]
pub trait FromDelivery: Sized + Send + 'static {
    /// Makes the argument. Runs on the consumer's task: neither wait nor block.
    ///
    /// # Errors
    /// [`Rejection`] ends the attempt before the handler is called.
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection>;

    /// What it needs of the application, asked once at start.
    fn needs(_needs: &mut Needs) {}
}
