//! What is measured with: one event of ten fields, about 330 bytes as an envelope.

use kafkaesk_worker::prelude::*;

/// The schema id in every envelope.
pub(crate) const SCHEMA: &str = "Reading:1";

/// A device's reading.
#[derive(Clone, Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Reading", version = 1)]
pub(crate) struct Reading {
    /// Counts from 0 in each run, so that a sum shows what is lost or doubled.
    pub(crate) id: u64,
    pub(crate) device: String,
    pub(crate) site: String,
    pub(crate) kind: String,
    pub(crate) temperature: f64,
    pub(crate) humidity: f64,
    pub(crate) battery: u8,
    pub(crate) online: bool,
    pub(crate) firmware: String,
    pub(crate) note: String,
}

/// The whole envelope, as somebody without kafkaesk writes and reads it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope<S, T> {
    pub(crate) schema: S,
    pub(crate) data: T,
}

impl Reading {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            device: format!("device-{:06}", id % 1000),
            site: "Rotterdam, terminal 4, row 17, mast C".into(),
            kind: "reefer-container".into(),
            temperature: 4.0 + (id % 70) as f64 / 10.0,
            humidity: 55.5 + (id % 30) as f64 / 4.0,
            battery: (id % 101) as u8,
            online: !id.is_multiple_of(9),
            firmware: "2026.11.3-lts+build.5521".into(),
            note:
                "door opened twice since the last reading, no alarm was raised; closed by hand now"
                    .into(),
        }
    }

    /// A thousand devices, each in order.
    pub(crate) fn key(&self) -> &str {
        &self.device
    }
}

/// The sum of the ids of a whole run.
pub(crate) fn sum_of_ids(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}
