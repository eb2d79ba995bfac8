//! Facts that end sessions before their tokens expire.
//!
//! The gate asks before it forwards, again when a parked request resumes, and again at response headers. A session of
//! which nothing is known costs one comparison of numbers, until the feed says something new.

mod follower;
mod log;
mod marks;
mod set;

use jwe_gate_contract::{Bounds, Entry, Fact, LookupSecret, Tag};

pub use follower::{Ask, Feed, Follower, News, Taken};
pub use log::{BLOCK, CAPACITY, Head, Log, NotWritten, Position, Unreadable};
pub use marks::Marks;
pub(crate) use marks::milliseconds;
pub use set::{Full, LIMIT, Set, Times};

use crate::claims::Session;
use crate::time::UnixMillis;

/// What the feed says about one tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// A subject or a `sid`.
    pub tag: Tag,
    /// Which of its sessions have ended.
    pub ended: Bounds,
    /// From before when verdicts are of no use; the beginning of time if all are.
    pub changed: UnixMillis,
    /// When all this may be forgotten.
    pub until: UnixMillis,
}

/// How far the feed has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// In which numbering.
    pub epoch: String,
    /// Up to which number nothing is missing.
    pub upto: u64,
}

impl From<&Entry> for Notice {
    fn from(entry: &Entry) -> Self {
        const ALL: Bounds = Bounds { signed_in_before_ms: u64::MAX, issued_before_ms: u64::MAX };
        let (tag, ended, changed) = match entry.fact {
            Fact::Changed { tag, as_of_ms } => (tag, Bounds::default(), as_of_ms),
            Fact::Session { tag } => (tag, ALL, 0),
            Fact::Subject { tag, bounds } => (tag, bounds, 0),
        };
        Self { tag, ended, changed: UnixMillis(changed), until: UnixMillis(entry.until_ms) }
    }
}

/// What a worker knows.
#[derive(Debug)]
pub struct Revocations {
    secret: LookupSecret,
    realm: String,
    set: Set,
    /// Another one whenever the set has changed; never 0.
    generation: u64,
}

impl Revocations {
    /// Nothing yet. Sessions are of this realm, and their tags made under this secret.
    #[must_use]
    pub fn new(secret: LookupSecret, realm: &str) -> Self {
        Self { secret, realm: realm.to_owned(), set: Set::default(), generation: 1 }
    }

    /// Whether something has ended this session.
    #[must_use]
    pub fn end(&self, session: &Session) -> bool {
        let marks = self.marks(session);
        if marks.clean.get() == self.generation {
            return false;
        }
        let mut known = marks.tags().filter_map(|tag| self.set.get(tag)).peekable();
        if known.peek().is_none() {
            marks.clean.set(self.generation);
            return false;
        }
        known.any(|times| times.end(marks))
    }

    /// From before when a verdict on the subject of this session is of no use.
    #[must_use]
    pub fn changed(&self, session: &Session) -> UnixMillis {
        let marks = self.marks(session);
        if marks.clean.get() == self.generation {
            return UnixMillis(0);
        }
        self.set.get(marks.subject).map_or(UnixMillis(0), |times| times.changed)
    }

    /// Whether one of these tags is of this session.
    #[must_use]
    pub fn concern(&self, tags: &[Tag], session: &Session) -> bool {
        self.marks(session).tags().any(|tag| tags.contains(&tag))
    }

    /// What is known.
    #[must_use]
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// Takes notices in. Returns the tags of those that were news.
    ///
    /// # Errors
    /// [`Full`] when there was no room for all of them.
    pub fn add(&mut self, notices: &[Notice]) -> Result<Vec<Tag>, Full> {
        let mut news = Vec::new();
        let mut result = Ok(());
        for notice in notices {
            match self.set.insert(notice) {
                Ok(true) => news.push(notice.tag),
                Ok(false) => {}
                Err(full) => result = Err(full),
            }
        }
        if !news.is_empty() {
            self.generation += 1;
        }
        result.map(|()| news)
    }

    /// Knows just this from now on.
    pub fn replace(&mut self, set: Set) {
        self.set = set;
        self.generation += 1;
    }

    /// Forgets what is over.
    pub fn prune(&mut self, now: UnixMillis) {
        self.set.prune(now);
    }

    fn marks<'a>(&self, session: &'a Session) -> &'a Marks {
        session.marks(|session| Marks::of(session, &self.secret, &self.realm))
    }
}

impl Times {
    fn end(&self, marks: &Marks) -> bool {
        // Without bounds there is only a change of the user.
        self.ended != Bounds::default() && self.ended.end(marks.signed_in_ms, marks.issued_ms)
    }
}

#[cfg(test)]
mod tests;
