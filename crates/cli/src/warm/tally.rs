//! What came of many requests: how often, and if not well, why.

use std::collections::BTreeMap;

/// What came of one request, or of one question in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Known; or let through.
    Passed,
    /// Not known; or not let through.
    Refused,
    /// It did not work.
    Failed(&'static str),
}

/// How often what came.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: u64,
    refused: u64,
    failed: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn count(&mut self, seen: Seen) {
        match seen {
            Seen::Passed => self.passed += 1,
            Seen::Refused => self.refused += 1,
            Seen::Failed(why) => *self.failed.entry(why).or_default() += 1,
        }
    }

    /// Prints it, and returns whether nothing failed.
    pub(super) fn report(&self, of: &str) -> bool {
        let failed: u64 = self.failed.values().sum();
        let asked = self.passed + self.refused + failed;
        println!("{of}: {asked} asked, {} allowed, {} unknown, {failed} failed", self.passed, self.refused);
        for (why, count) in &self.failed {
            println!("  failed: {count} {why}");
        }
        failed == 0
    }
}

impl FromIterator<Seen> for Tally {
    fn from_iter<I: IntoIterator<Item = Seen>>(all: I) -> Self {
        let mut tally = Self::default();
        all.into_iter().for_each(|seen| tally.count(seen));
        tally
    }
}
