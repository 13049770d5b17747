//! Scale: lets the numbers of handlers and of instances follow the load, says how many processes are needed,
//! and grows or proposes to grow streams. `handlers`, `instances`, `processes` and `partitions` decide; `limit`, `measure` and
//! `demand` measure for them by the rules of `sampling`; `growth` adds partitions.

mod demand;
mod growth;
mod handlers;
mod history;
mod instances;
mod limit;
mod measure;
mod partitions;
mod processes;
mod remembered;
mod sampling;
mod timed;

pub(crate) use demand::{Demand, Whole};
pub(crate) use growth::{Ceilings, Decided, Growth};
pub(crate) use limit::Limit;
pub(crate) use measure::{Measure, Subject};
pub(crate) use timed::Timed;
