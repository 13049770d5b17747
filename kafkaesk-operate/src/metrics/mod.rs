//! Metrics: what a process did and does, for Prometheus. `names` declares every metric; a view becomes values in `collect`,
//! labels are joined and bounded in `sheet`, and `encode` writes the text.

mod collect;
mod encode;
mod names;
mod process;
mod sheet;

#[cfg(test)]
mod tests;

use std::{fmt, fmt::Write as _, sync::Arc};

use kafkaesk_client::settings::{MetricsDetail, OperateSettings};
use parking_lot::Mutex;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

pub use self::{
    encode::Format,
    names::{FAMILIES, Family, Kind},
};
use self::{
    process::Process,
    sheet::{Admission, Sheet},
};
use crate::{board::JudgedGroup, view::View};

/// The metrics of one process.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    detail: MetricsDetail,
    admission: Arc<Mutex<Admission>>,
    process: Arc<Process>,
}

impl Metrics {
    pub(crate) fn new(settings: &OperateSettings) -> Self {
        Self {
            detail: settings.detail,
            admission: Arc::new(Mutex::new(Admission::new(settings.max_series))),
            process: Arc::new(Process::new()),
        }
    }

    /// All metrics as text. Takes as long as its size: some 100 ms for 10,000 partitions.
    pub(crate) fn text(&self, view: Arc<View>, format: Format) -> String {
        self.encoded(Of::View(view), format)
    }

    /// The lag of groups as text; `None` where Kafka did not answer.
    pub(crate) fn of_groups(
        &self,
        groups: Option<Arc<Vec<JudgedGroup>>>,
        format: Format,
    ) -> String {
        self.encoded(Of::Groups(groups), format)
    }

    fn encoded(&self, of: Of, format: Format) -> String {
        let metrics = self.clone();
        encode::text_of(Exposition { metrics, of }, format)
    }
}

/// What an exposition is made of.
#[derive(Debug)]
enum Of {
    /// A process.
    View(Arc<View>),
    /// Groups as Kafka knows them; `None` where it did not answer.
    Groups(Option<Arc<Vec<JudgedGroup>>>),
}

/// One exposition.
#[derive(Debug)]
struct Exposition {
    metrics: Metrics,
    of: Of,
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let own = &self.metrics;
        let mut sheet = Sheet::new(own.detail);
        match &self.of {
            Of::View(view) => collect::of_view(view, &mut sheet),
            Of::Groups(groups) => {
                let groups = groups.as_ref().map(|groups| groups.as_slice());
                collect::of_groups(groups, &mut sheet);
            }
        }
        collect::of_process(&own.process, &mut sheet);
        let sheet = own.admission.lock().fold(sheet);
        encode::write(&sheet, encoder)
    }
}

/// `docs/metrics.md`: every metric, as declared.
pub fn document() -> String {
    let mut text = String::from(HEAD);
    for family in FAMILIES {
        let total = if family.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        let labels = family.labels.join(", ");
        let _ = writeln!(
            text,
            "| `{}{total}` | {} | {} | {labels} | {} |",
            family.name,
            family.kind.name(),
            family.unit,
            family.help,
        );
    }
    text
}

const HEAD: &str = "\
# Metrics

`/metrics` of a worker with `operate-listen` has these metrics. This page is made of their declaration
(`kafkaesk-operate/src/metrics/names.rs`) by `cargo run -p kafkaesk-operate --example documents -- metrics`; a test compares the two.
[operate.md](operate.md) says how to read them.

`stream_id` is the whole name of the topic, prefix included, as in the Python library. `group_id` is the group as Kafka knows
it. Gauges of a partition exist while it is assigned to the process, and end with the assignment; its counters stay as long as
the process runs. With `metrics-detail = \"stream\"` the label `partition` is absent, with `\"group\"` the label `stream_id` as
well; both leave out the metrics of one place in a log (unit: offset). Labels without a value are absent.

| metric | kind | unit | labels | meaning |
|---|---|---|---|---|
";
