//! Metrics: values belong to names, process-wide; numbers belong to the VM that defined them.

use std::collections::BTreeMap;

use crate::abi::Status;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricKind {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Counter),
            1 => Some(Self::Gauge),
            2 => Some(Self::Histogram),
            _ => None,
        }
    }
}

/// The values of a process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    values: BTreeMap<String, u64>,
    samples: BTreeMap<String, Vec<u64>>,
}

/// The numbers that one VM gave to names.
#[derive(Debug, Default)]
pub(crate) struct MetricNumbers {
    defined: Vec<(MetricKind, String)>,
}

impl MetricNumbers {
    pub(crate) fn define(&mut self, kind: MetricKind, name: String) -> u32 {
        self.defined.push((kind, name));
        u32::try_from(self.defined.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn find(&self, number: u32) -> Result<(MetricKind, String), Status> {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or(Status::NotFound)?;
        self.defined.get(index).cloned().ok_or(Status::NotFound)
    }
}

impl Metrics {
    pub(crate) fn define(&mut self, kind: MetricKind, name: &str) {
        if kind == MetricKind::Histogram {
            self.samples.entry(name.to_owned()).or_default();
        } else {
            self.values.entry(name.to_owned()).or_default();
        }
    }

    /// A counter only grows; a gauge also falls; a histogram knows no increment.
    pub(crate) fn increment(&mut self, kind: MetricKind, name: &str, offset: i64) -> Result<(), Status> {
        if kind == MetricKind::Histogram || (kind == MetricKind::Counter && offset <= 0) {
            return Err(Status::BadArgument);
        }
        let value = self.values.entry(name.to_owned()).or_default();
        *value = value.saturating_add_signed(offset);
        Ok(())
    }

    /// Records a value: a counter *adds* it, a gauge takes it, a histogram gets a sample.
    pub(crate) fn record(&mut self, kind: MetricKind, name: &str, value: u64) {
        match kind {
            MetricKind::Counter => *self.values.entry(name.to_owned()).or_default() += value,
            MetricKind::Gauge => *self.values.entry(name.to_owned()).or_default() = value,
            MetricKind::Histogram => self.samples.entry(name.to_owned()).or_default().push(value),
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<u64> {
        self.values.get(name).copied()
    }

    pub(crate) fn samples(&self, name: &str) -> Vec<u64> {
        self.samples.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.values.keys().chain(self.samples.keys()).cloned().collect()
    }
}
