//! The copy of all that is in force, and what it answers to a cursor.

use std::time::{Duration, Instant};

use jwe_gate_contract::revocation::MAX_ENTRIES;
use jwe_gate_contract::{Entry, Fact, LookupSecret, TagKind};

use crate::store::journal::{Named, Row};

/// All that is in force, as of one moment.
#[derive(Debug)]
pub(super) struct Feed {
    origin: String,
    epoch: String,
    head: u64,
    /// In the order of their numbers.
    entries: Vec<Entry>,
    now_ms: u64,
    read_at: Instant,
}

/// What is new since the last reading, all of it.
#[derive(Debug)]
pub(super) struct News {
    pub(super) origin: String,
    /// Whether it was read from the first number on, and takes the place of what is known.
    pub(super) anew: bool,
    pub(super) head: u64,
    pub(super) entries: Vec<Entry>,
    /// The database's clock at the last page.
    pub(super) now_ms: u64,
    /// Our own clock before it was asked for the last page.
    pub(super) read_at: Instant,
}

/// What follows a cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something, or at least another number.
    News(Part),
    /// Nothing.
    Nothing(Part),
    /// The cursor is not of this feed. It may be that the feed is behind.
    Unknown,
}

/// A part of the feed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) epoch: String,
    pub(super) snapshot: bool,
    pub(super) upto: u64,
    pub(super) complete: bool,
    pub(super) entries: Vec<Entry>,
}

impl Feed {
    pub(super) fn new(news: News, epoch: String) -> Self {
        let News { origin, head, entries, now_ms, read_at, .. } = news;
        Self { origin, epoch, head, entries, now_ms, read_at }
    }

    /// Adds what has been read on from [`head`](Self::head) in the same origin.
    pub(super) fn add(&mut self, news: News) {
        (self.head, self.now_ms, self.read_at) = (news.head, news.now_ms, news.read_at);
        self.entries.extend(news.entries);
    }

    /// Forgets what is no longer in force.
    pub(super) fn prune(&mut self) {
        let now_ms = self.now_ms;
        self.entries.retain(|entry| entry.until_ms > now_ms);
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How long ago the database was read.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.read_at)
    }

    /// The database's clock.
    pub(super) fn now_ms(&self, now: Instant) -> u64 {
        self.now_ms.saturating_add(crate::clock::whole_ms(self.age(now)))
    }

    pub(super) fn after(&self, epoch: Option<&str>, after: u64) -> Step {
        match epoch {
            Some(epoch) if epoch != self.epoch || after > self.head => Step::Unknown,
            Some(_) if after == self.head => Step::Nothing(self.part(false, after)),
            Some(_) => Step::News(self.part(false, after)),
            None => Step::News(self.snapshot()),
        }
    }

    pub(super) fn snapshot(&self) -> Part {
        self.part(true, 0)
    }

    fn part(&self, snapshot: bool, after: u64) -> Part {
        let start = self.entries.partition_point(|entry| entry.seq <= after);
        let rest = self.entries.get(start..).unwrap_or_default();
        let (entries, complete) = match rest.get(..MAX_ENTRIES) {
            Some(page) if page.len() < rest.len() => (page, false),
            _ => (rest, true),
        };
        let upto = if complete { self.head } else { entries.last().map_or(after, |entry| entry.seq) };
        Part { epoch: self.epoch.clone(), snapshot, upto, complete, entries: entries.to_vec() }
    }
}

/// As proxies get to see it.
pub(super) fn entry(row: &Row, secret: &LookupSecret, realm: &str) -> Entry {
    let tag = |kind, text| secret.tag(realm, kind, text);
    let fact = match &row.named {
        Named::Changed(sub) => Fact::Changed { tag: tag(TagKind::Subject, sub), as_of_ms: row.place.at_ms },
        Named::Session(sid) => Fact::Session { tag: tag(TagKind::Session, sid) },
        Named::Subject(sub) => Fact::Subject { tag: tag(TagKind::Subject, sub), bounds: row.bounds },
    };
    Entry { seq: row.place.seq, until_ms: row.until_ms, fact }
}

#[cfg(test)]
mod tests {
    use jwe_gate_contract::Tag;

    use super::*;

    fn entries(numbers: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
        let tag = Tag::from_bytes([0; 16]);
        numbers.map(|seq| Entry { seq, until_ms: seq, fact: Fact::Session { tag } }).collect()
    }

    fn news(head: u64, entries: Vec<Entry>) -> News {
        News { origin: "o".into(), anew: false, head, entries, now_ms: 0, read_at: Instant::now() }
    }

    fn feed(head: u64, entries: Vec<Entry>) -> Feed {
        Feed::new(news(head, entries), "e".into())
    }

    fn numbers(part: &Part) -> Vec<u64> {
        part.entries.iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn a_cursor_gets_what_follows_it_and_the_last_number() {
        let feed = feed(9, entries(5..=8));
        let Step::News(part) = feed.after(Some("e"), 6) else { panic!() };
        assert_eq!((numbers(&part), part.upto, part.complete, part.snapshot), (vec![7, 8], 9, true, false));
        // Those that are no longer in force leave a number behind.
        let Step::News(part) = feed.after(Some("e"), 8) else { panic!() };
        assert_eq!((numbers(&part), part.upto), (vec![], 9));
        assert!(matches!(feed.after(Some("e"), 9), Step::Nothing(part) if part.upto == 9 && part.complete));
    }

    #[test]
    fn without_an_epoch_it_is_a_snapshot() {
        let Step::News(part) = feed(9, entries(5..=8)).after(None, 7) else { panic!() };
        assert_eq!((numbers(&part), part.snapshot), (vec![5, 6, 7, 8], true));
    }

    #[test]
    fn another_epoch_and_a_number_from_the_future_are_unknown() {
        let feed = feed(9, entries(5..=8));
        assert_eq!(feed.after(Some("f"), 6), Step::Unknown);
        assert_eq!(feed.after(Some("e"), 10), Step::Unknown);
    }

    #[test]
    fn a_long_snapshot_comes_in_pages_that_miss_nothing() {
        let mut feed = feed(4_001, entries(1..=4_001));
        let (mut cursor, mut found, mut pages) = (0, Vec::new(), Vec::new());
        loop {
            let (Step::News(part) | Step::Nothing(part)) = feed.after(Some("e"), cursor) else { panic!() };
            found.extend(numbers(&part));
            pages.push(part.entries.len());
            cursor = part.upto;
            if part.complete {
                break;
            }
            // Written while the pages are read.
            if pages.len() == 1 {
                feed.add(news(4_003, entries(4_002..=4_002)));
            }
        }
        assert_eq!(found, (1..=4_002).collect::<Vec<_>>());
        assert_eq!((pages, cursor), (vec![2_000, 2_000, 2], 4_003));
    }

    #[test]
    fn a_full_page_that_is_the_last_is_complete() {
        let Step::News(part) = feed(2_000, entries(1..=2_000)).after(Some("e"), 0) else { panic!() };
        assert!(part.complete);
        assert_eq!(part.entries.len(), 2_000);
    }

    #[test]
    fn what_is_no_longer_in_force_is_forgotten() {
        let mut feed = feed(4, entries(1..=4));
        feed.add(News { now_ms: 2, ..news(4, Vec::new()) });
        feed.prune();
        assert_eq!(numbers(&feed.snapshot()), [3, 4]);
    }
}
