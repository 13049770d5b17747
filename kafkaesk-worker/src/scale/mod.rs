//! Scale: lets the number of handlers of an instance follow its load, for `concurrency = "auto"`. `handlers` decides, `limit`
//! measures for it.

mod handlers;
mod limit;

pub(crate) use limit::Limit;
