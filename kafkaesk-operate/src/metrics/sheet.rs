//! Sheet: the values of all metrics by their labels. Joins values with equal labels and bounds the number of series.
//! Next: `encode`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kafkaesk_client::{meter::Histogram, settings::MetricsDetail};
use tracing::warn;

use super::names::{Id, Join};

/// The stream and partition of what is counted together.
pub(super) const OTHER: &str = "(other)";

/// The labels of a value. Those that its metric does not have stay empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels<'a> {
    /// `stream_id`: the topic.
    pub(super) stream: &'a str,
    /// `None` where all partitions are meant, or others.
    pub(super) partition: Option<i32>,
    pub(super) group: &'a str,
    /// The labels that only this metric has, in its order.
    pub(super) own: [&'a str; 2],
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Whole(i64),
    Float(f64),
    /// Observations of one topic, or of several joined.
    Observed(std::borrow::Cow<'a, Histogram>),
}

impl Value<'_> {
    fn join(&mut self, other: Self, how: Join) {
        match (self, other, how) {
            (Self::Whole(a), Self::Whole(b), Join::Sum) => *a = a.saturating_add(b),
            (Self::Whole(a), Self::Whole(b), Join::Min) => *a = (*a).min(b),
            (Self::Whole(a), Self::Whole(b), _) => *a = (*a).max(b),
            (Self::Float(a), Self::Float(b), Join::Sum) => *a += b,
            (Self::Float(a), Self::Float(b), Join::Min) => *a = a.min(b),
            (Self::Float(a), Self::Float(b), _) => *a = a.max(b),
            (Self::Observed(a), Self::Observed(b), _) => a.to_mut().add(&b),
            _ => {}
        }
    }

    /// How many series it is in the exposition.
    fn series(&self) -> usize {
        match self {
            Self::Observed(histogram) => histogram.buckets().count() + 2,
            _ => 1,
        }
    }
}

/// The values of all metrics.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    detail: MetricsDetail,
    pub(super) values: Vec<BTreeMap<Labels<'a>, Value<'a>>>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(detail: MetricsDetail) -> Self {
        Self {
            detail,
            values: Id::ALL.iter().map(|_| BTreeMap::new()).collect(),
        }
    }

    /// Adds a value, or joins it with the one that has the same labels.
    pub(super) fn add(&mut self, id: Id, mut labels: Labels<'a>, value: Value<'a>) {
        let has_partition = labels.partition.is_some();
        if self.detail != MetricsDetail::Partition {
            labels.partition = None;
        }
        if self.detail == MetricsDetail::Group {
            labels.stream = "";
        }
        let is_detailed = has_partition == labels.partition.is_some();
        if id.family().join == Join::Place && !is_detailed {
            return;
        }
        self.put(id, labels, value);
    }

    fn put(&mut self, id: Id, labels: Labels<'a>, value: Value<'a>) {
        let values = &mut self.values[id as usize];
        match values.get_mut(&labels) {
            Some(there) => there.join(value, id.family().join),
            None => {
                values.insert(labels, value);
            }
        }
    }
}

/// A stream, and a partition of it: what has series of its own, or none.
type Set<'a> = (&'a str, Option<i32>);

/// The label sets that have series of their own. They keep them as long as the process runs, so that no counter goes back.
#[derive(Debug)]
pub(super) struct Admission {
    max_series: usize,
    admitted: BTreeSet<(String, Option<i32>)>,
    folded: BTreeSet<(String, Option<i32>)>,
}

/// How many folded label sets are remembered; further ones are folded and not counted.
const REMEMBERED: usize = 100_000;

impl Admission {
    pub(super) fn new(max_series: usize) -> Self {
        Self {
            max_series,
            admitted: BTreeSet::new(),
            folded: BTreeSet::new(),
        }
    }

    /// Folds the partitions and streams that do not fit beside those that were there before. Groups and the process itself
    /// always fit. The first time, a warning says so; how many were folded is a metric.
    pub(super) fn fold<'a>(&mut self, sheet: Sheet<'a>) -> Sheet<'a> {
        let had_room = self.folded.is_empty();
        let others = self.admit(&sheet);
        if had_room && !self.folded.is_empty() {
            warn!(
                max_series = self.max_series,
                "there are more series than metrics-max-series: further partitions are counted together as stream_id=\"(other)\"; raise it, or set metrics-detail to stream or group"
            );
        }
        let mut sheet = match others.is_empty() {
            true => sheet,
            false => sheet.folded(&others),
        };
        let folded = i64::try_from(self.folded.len()).unwrap_or(i64::MAX);
        sheet.add(Id::Folded, Labels::default(), Value::Whole(folded));
        sheet
    }

    /// The label sets that have no series of their own.
    fn admit<'a>(&mut self, sheet: &Sheet<'a>) -> BTreeSet<Set<'a>> {
        let mut sizes: HashMap<Set<'a>, usize> = HashMap::new();
        let mut order = Vec::new();
        let mut total = 0;
        for (labels, value) in sheet.values.iter().flatten() {
            if labels.stream.is_empty() {
                total += value.series();
                continue;
            }
            let size = sizes.entry((labels.stream, labels.partition));
            *size.or_insert_with(|| {
                order.push((labels.stream, labels.partition));
                0
            }) += value.series();
        }
        // Those that were there before come first.
        let is_new = |set: &Set<'_>| !self.admitted.contains(&(set.0.to_owned(), set.1));
        order.sort_by_key(is_new);
        let mut others = BTreeSet::new();
        for set in order {
            let (name, size) = ((set.0.to_owned(), set.1), sizes[&set]);
            let known = self.admitted.contains(&name);
            if !known && (self.folded.contains(&name) || total + size > self.max_series) {
                others.insert(set);
                if self.folded.len() < REMEMBERED {
                    self.folded.insert(name);
                }
                continue;
            }
            total += size;
            if !known {
                self.admitted.insert(name);
            }
        }
        others
    }
}

impl Sheet<'_> {
    /// The same with these label sets counted together. A place in one of their logs is left out.
    fn folded(mut self, others: &BTreeSet<Set<'_>>) -> Self {
        for id in Id::ALL {
            let is_place = id.family().join == Join::Place;
            for (labels, value) in std::mem::take(&mut self.values[*id as usize]) {
                match others.contains(&(labels.stream, labels.partition)) {
                    true if is_place => {}
                    true => {
                        let labels = Labels {
                            stream: OTHER,
                            partition: None,
                            ..labels
                        };
                        self.put(*id, labels, value);
                    }
                    false => self.put(*id, labels, value),
                }
            }
        }
        self
    }
}
