//! Needs: what handlers need of their application, collected once at start.

use kafkaesk_client::schema::{DocumentError, EventSchema};

/// What handlers need of their application.
#[derive(Debug, Default)]
pub struct Needs {
    /// The schemas that arguments take.
    pub(crate) schemas: Vec<Result<EventSchema, DocumentError>>,
    /// `State<T>` arguments: type id and name.
    pub(crate) states: Vec<(std::any::TypeId, &'static str)>,
    /// Some argument decodes the data, which proves the envelope on its way.
    pub(crate) decodes: bool,
    /// Some argument is a `Committer`.
    pub(crate) committer: bool,
    /// Some argument is a `Batch`.
    pub(crate) batch: bool,
    /// Some argument is made of one message.
    pub(crate) one: bool,
    /// The handler is a function, so its arguments say everything.
    pub(crate) by_arguments: bool,
}
