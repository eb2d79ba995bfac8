//! What a burst has shown: figures to print, and what must not be.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::crowd::Answer;

/// The outcome of one burst.
#[derive(Debug)]
pub struct Report {
    title: String,
    figures: Vec<(String, String)>,
    violations: Vec<String>,
}

impl Report {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), figures: Vec::new(), violations: Vec::new() }
    }

    /// A figure to be printed.
    pub(super) fn figure(&mut self, name: &str, value: impl fmt::Display) {
        self.figures.push((name.to_owned(), value.to_string()));
    }

    /// A figure with a bound.
    pub(super) fn at_most(&mut self, name: &str, value: u64, bound: u64) {
        self.figure(name, value);
        self.demand(value <= bound, || format!("{name}: {value}, and at most {bound} may be"));
    }

    /// A figure that is known beforehand.
    pub(super) fn exactly(&mut self, name: &str, value: u64, expected: u64) {
        self.figure(name, value);
        self.demand(value == expected, || format!("{name}: {value}, and must be {expected}"));
    }

    /// How long the answers took, for the reader alone.
    pub(super) fn times(&mut self, name: &str, answers: &[Option<Answer>]) {
        let mut times: Vec<_> = answers.iter().flatten().map(|answer| answer.took).collect();
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
        let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
        let text = format!("p50 {:.0} ms, p99 {:.0} ms, last {:.0} ms", ms(at(50)), ms(at(99)), ms(times.last()));
        self.figure(name, text);
    }

    /// Demands that each answer has the status 200, and tells of the others how often they came.
    pub(super) fn all_served(&mut self, name: &str, answers: &[Option<Answer>]) {
        let mut others = BTreeMap::<_, u64>::new();
        for status in answers.iter().map(|answer| answer.as_ref().map(|answer| answer.status)) {
            if status != Some(200) {
                *others.entry(status).or_default() += 1;
            }
        }
        self.exactly(name, others.values().sum(), 0);
        self.demand(others.is_empty(), || format!("{name}, by status: {others:?}"));
    }

    pub(super) fn demand(&mut self, is_so: bool, otherwise: impl FnOnce() -> String) {
        if !is_so {
            self.violations.push(otherwise());
        }
    }

    /// What was found that must not be.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for (name, value) in &self.figures {
            writeln!(f, "  {name:<48}{value}")?;
        }
        self.violations.iter().try_for_each(|violation| writeln!(f, "  VIOLATED  {violation}"))
    }
}
