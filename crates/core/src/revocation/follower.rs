//! Following the feed: one worker of a process asks the service, all others read what it has written into the log.
//!
//! Who asks holds a lease in shared data and renews it on every tick; when it is silent, whoever notices first takes its
//! place and goes on from the log's cursor. Answers are believed by what they say and by their MAC, like those of lookups.
//! What goes wrong makes knowledge older and never less: how old it may be is the policy's to say.

use std::rc::Rc;
use std::time::Duration;

use jwe_gate_contract::{FeedAnswer, FeedQuestion, LookupSecret, Message, VERSION};

use super::log::{Head, Log, NotWritten, Position};
use super::{Cursor, Full, Notice, Revocations, Set};
use crate::mac::MacKey;
use crate::metrics::FeedResult;
use crate::nonce::Nonces;
use crate::roster::Entry;
use crate::shared::{Cas, SharedData};
use crate::time::UnixMillis;

/// After two questions in a row that came to nothing the next one waits this long. After one it does not: another host of
/// the cluster may be well.
const RETRY: Duration = Duration::from_secs(1);

/// How much longer than it is held back an answer may take.
const SLACK: Duration = Duration::from_secs(1);

/// How often what is over is forgotten.
const PRUNE: Duration = Duration::from_mins(1);

/// The feed that is followed.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The secret that the service shares.
    pub secret: LookupSecret,
    /// The realm of the sessions.
    pub realm: Rc<str>,
    /// What names the feed in shared data: other feeds differ in it.
    pub parts: Vec<String>,
    /// Authenticates what stands in shared data.
    pub key: MacKey,
    /// How long the service is to hold back an answer that says nothing.
    pub poll: Duration,
    /// How long a session may last here; the service must remember revocations for as long.
    pub max_session_age: Duration,
}

/// What one worker knows of the feed, and its part in following it.
#[derive(Debug)]
pub struct Follower {
    feed: Feed,
    log: Log,
    revocations: Revocations,
    nonces: Nonces,
    /// The head as it was last read, if it could be read.
    head: Option<Head>,
    /// What the head looked like then.
    seen: Option<Cas>,
    /// Up to where what the log says is known.
    position: Option<Position>,
    /// Of which moment that is what the service knew.
    confirmed: Option<UnixMillis>,
    promised_delay_ms: u64,
    poll: Option<Poll>,
    snapshot: Option<Snapshot>,
    /// Whether the last question came to nothing.
    has_failed: bool,
    retry_at: UnixMillis,
    pruned: UnixMillis,
}

/// A question that has not been answered.
#[derive(Debug)]
struct Poll {
    nonce: String,
    cursor: Option<Cursor>,
    asked: UnixMillis,
    overdue: UnixMillis,
}

/// A snapshot that is not complete.
#[derive(Debug)]
struct Snapshot {
    set: Set,
    cursor: Cursor,
}

/// What a worker has learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    #[default]
    Nothing,
    /// Something about these tags.
    About(Vec<jwe_gate_contract::Tag>),
    /// Everything may be otherwise.
    Everything,
}

/// A question to the service.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    /// The request target of a `GET`.
    pub target: String,
    /// Its MAC.
    pub mac: String,
    /// How long to wait for the answer.
    pub timeout: Duration,
}

/// What came of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// What it was.
    pub result: FeedResult,
    /// What this worker has learnt by it.
    pub news: News,
}

impl Follower {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(feed: Feed, seed: [u8; 16]) -> Self {
        let parts: Vec<_> = feed.parts.iter().map(String::as_bytes).collect();
        Self {
            log: Log::new(&parts, feed.key.clone()),
            revocations: Revocations::new(feed.secret.clone(), &feed.realm),
            nonces: Nonces::new("jwe-gate feed nonce", seed),
            head: None,
            seen: None,
            position: None,
            confirmed: None,
            promised_delay_ms: 0,
            poll: None,
            snapshot: None,
            has_failed: false,
            retry_at: UnixMillis(0),
            pruned: UnixMillis(0),
            feed,
        }
    }

    /// What is known.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// How old what is known is, in milliseconds; `None` while nothing is. A clock that was set back makes it old, too.
    #[must_use]
    pub fn age_ms(&self, now: UnixMillis) -> Option<u64> {
        self.confirmed.map(|confirmed| now.0.abs_diff(confirmed.0))
    }

    /// How soon after a revocation the service promises that every proxy applies it, in milliseconds.
    #[must_use]
    pub fn promised_delay_ms(&self) -> u64 {
        self.promised_delay_ms
    }

    /// Reads what others have written into the log.
    pub fn catch_up(&mut self, now: UnixMillis, shared: &dyn SharedData) -> News {
        if u128::from(now.0.abs_diff(self.pruned.0)) >= PRUNE.as_millis() {
            self.pruned = now;
            self.revocations.prune(now);
        }
        let (head, cas) = self.log.head(shared, self.seen);
        if self.seen == Some(cas) {
            return News::Nothing;
        }
        self.head = None;
        let Some(head) = head else { return News::Nothing };
        let Some(news) = self.read(now, shared, &head) else { return News::Nothing };
        self.position = Some(Position { number: head.number, read: head.len() });
        self.confirmed = Some(head.confirmed);
        self.promised_delay_ms = head.promised_delay_ms;
        (self.head, self.seen) = (Some(head), Some(cas));
        news
    }

    /// Reads what is new in the log; `None` when it cannot be read, or there is no room for it.
    fn read(&mut self, now: UnixMillis, shared: &dyn SharedData, head: &Head) -> Option<News> {
        let from = self.position.filter(|position| position.number == head.number && position.read <= head.len());
        let notices = self.log.read(shared, head, from.map_or(0, |position| position.read)).ok()?;
        if from.is_some() {
            return Some(News::about(self.add(now, &notices).ok()?));
        }
        self.revocations.replace(set_of(now, &notices).ok()?);
        Some(News::Everything)
    }

    fn add(&mut self, now: UnixMillis, notices: &[Notice]) -> Result<Vec<jwe_gate_contract::Tag>, Full> {
        if self.revocations.set().len() + notices.len() > super::LIMIT {
            self.revocations.prune(now);
        }
        self.revocations.add(notices)
    }

    /// Whether this worker is the one that asks; it becomes so if nobody is. `own` is what it says of itself.
    pub fn leads(&self, now: UnixMillis, own: &Entry, shared: &dyn SharedData) -> bool {
        own.take(&self.log.lease_key(), now, shared)
    }

    /// The next question, if it is time for one.
    pub fn ask(&mut self, now: UnixMillis) -> Option<Ask> {
        if self.poll.is_some() || now < self.retry_at && self.retry_at <= now.after(RETRY) {
            return None;
        }
        let known = self.head.as_ref().map(|head| &head.cursor);
        let cursor = self.snapshot.as_ref().map(|snapshot| &snapshot.cursor).or(known).cloned();
        let nonce = self.nonces.text();
        let question = FeedQuestion {
            version: VERSION,
            realm: self.feed.realm.to_string(),
            nonce: nonce.clone(),
            epoch: cursor.as_ref().map(|cursor| cursor.epoch.clone()),
            after: cursor.as_ref().map_or(0, |cursor| cursor.upto),
            wait_ms: u64::try_from(self.feed.poll.as_millis()).unwrap_or(u64::MAX),
        };
        let timeout = self.feed.poll + SLACK;
        self.poll = Some(Poll { nonce, cursor, asked: now, overdue: now.after(timeout + SLACK) });
        let target = question.target();
        let mac = self.feed.secret.sign(Message::FeedQuestion, target.as_bytes());
        Some(Ask { target, mac, timeout })
    }

    /// Whether nothing has been heard of a question for too long. It is then given up.
    pub fn gives_up(&mut self, now: UnixMillis) -> bool {
        let overdue = self.poll.as_ref().is_some_and(|poll| poll.overdue <= now);
        if overdue {
            self.failed(now);
        }
        overdue
    }

    /// The question could not be asked, or has no answer.
    pub fn failed(&mut self, now: UnixMillis) {
        self.poll = None;
        let wait = if self.has_failed { RETRY } else { Duration::ZERO };
        (self.has_failed, self.retry_at) = (true, now.after(wait));
    }

    /// Takes an answer: what it says goes into the log, for all.
    pub fn answered(
        &mut self,
        now: UnixMillis,
        (mac, body): (Option<&[u8]>, Option<&[u8]>),
        shared: &dyn SharedData,
    ) -> Taken {
        let mut news = self.catch_up(now, shared);
        let answer = self.poll.take().ok_or(FeedResult::Unknown).and_then(|poll| {
            let answer = self.authentic(&poll, mac, body).ok_or(match body {
                Some(_) => FeedResult::Invalid,
                None => FeedResult::Lost,
            })?;
            Ok((poll, answer))
        });
        let result = match answer.and_then(|(poll, answer)| self.take(now, &poll, answer, shared)) {
            Ok(more) => {
                news = news.and(more);
                self.has_failed = false;
                FeedResult::Answered
            }
            Err(FeedResult::Conflict) => FeedResult::Conflict,
            Err(result) => {
                self.failed(now);
                result
            }
        };
        Taken { result, news }
    }

    fn authentic(&self, poll: &Poll, mac: Option<&[u8]>, body: Option<&[u8]>) -> Option<FeedAnswer> {
        let (mac, body) = (mac?, body?);
        if !self.feed.secret.is_signed(Message::FeedAnswer, body, mac) {
            return None;
        }
        let answer: FeedAnswer = serde_json::from_slice(body).ok()?;
        let is_it = answer.version == VERSION && answer.realm == *self.feed.realm && answer.nonce == poll.nonce;
        // What follows must go on from what was asked, or begin anew.
        let goes_on = poll.cursor.as_ref().is_some_and(|cursor| {
            cursor.epoch == answer.epoch && cursor.upto <= answer.upto && (answer.complete || cursor.upto < answer.upto)
        });
        (is_it && (answer.snapshot || goes_on)).then_some(answer)
    }

    fn take(
        &mut self,
        now: UnixMillis,
        poll: &Poll,
        answer: FeedAnswer,
        shared: &dyn SharedData,
    ) -> Result<News, FeedResult> {
        if u128::from(answer.max_session_age_ms) < self.feed.max_session_age.as_millis() {
            return Err(FeedResult::SessionAge);
        }
        let notices: Vec<_> = answer.entries.iter().map(Notice::from).collect();
        let cursor = Cursor { epoch: answer.epoch, upto: answer.upto };
        // The answer took some of the time since it was asked for, and nobody knows which part.
        let confirmed = UnixMillis(poll.asked.0.saturating_sub(answer.read_ms_ago));
        let begun = if answer.snapshot { Some(Set::default()) } else { self.snapshot.take().map(|begun| begun.set) };
        let Some(mut set) = begun else {
            let confirmed = answer.complete.then_some(confirmed);
            return self.append(now, poll, &notices, (cursor, confirmed, answer.promised_delay_ms), shared);
        };
        extend(&mut set, now, &notices).map_err(|Full| FeedResult::Full)?;
        if !answer.complete {
            self.snapshot = Some(Snapshot { set, cursor });
            return Ok(News::Nothing);
        }
        self.publish(set, (cursor, confirmed, answer.promised_delay_ms), shared)
    }

    fn append(
        &mut self,
        now: UnixMillis,
        poll: &Poll,
        notices: &[Notice],
        (cursor, confirmed, promised_delay_ms): (Cursor, Option<UnixMillis>, u64),
        shared: &dyn SharedData,
    ) -> Result<News, FeedResult> {
        let (Some(mut head), Some(seen)) = (self.head.take(), self.seen.take()) else {
            return Err(FeedResult::Conflict);
        };
        if poll.cursor.as_ref() != Some(&head.cursor) {
            return Err(FeedResult::Conflict);
        }
        let news = News::about(self.add(now, notices).map_err(|Full| FeedResult::Full)?);
        let confirmed = confirmed.unwrap_or(head.confirmed);
        head.promised_delay_ms = promised_delay_ms;
        match self.log.append(shared, (&mut head, seen), notices, (cursor.clone(), confirmed)) {
            Ok(()) => {
                self.position = Some(Position { number: head.number, read: head.len() });
                (self.confirmed, self.promised_delay_ms) = (Some(confirmed), promised_delay_ms);
                self.head = Some(head);
                Ok(news)
            }
            Err(NotWritten::Conflict) => Err(FeedResult::Conflict),
            Err(NotWritten::NoRoom) => {
                let set = self.revocations.set().clone();
                self.publish(set, (cursor, confirmed, promised_delay_ms), shared).map(|_| news)
            }
        }
    }

    /// Lets a new log take the place of the one there is, with just this in it.
    fn publish(
        &mut self,
        set: Set,
        (cursor, confirmed, promised_delay_ms): (Cursor, UnixMillis, u64),
        shared: &dyn SharedData,
    ) -> Result<News, FeedResult> {
        let (before, cas) = self.log.head(shared, None);
        let notices: Vec<_> = set.iter().collect();
        let number = self.nonces.number();
        let head = Head { number, blocks: 0, confirmed, cursor, promised_delay_ms, tail: Vec::new() };
        let head = self.log.replace(shared, (before.as_ref(), cas), &notices, head);
        let head = head.map_err(|_| FeedResult::Conflict)?;
        self.position = Some(Position { number: head.number, read: head.len() });
        (self.confirmed, self.promised_delay_ms) = (Some(confirmed), promised_delay_ms);
        (self.head, self.seen) = (Some(head), None);
        self.revocations.replace(set);
        Ok(News::Everything)
    }
}

impl News {
    fn about(tags: Vec<jwe_gate_contract::Tag>) -> Self {
        if tags.is_empty() { Self::Nothing } else { Self::About(tags) }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, news) | (news, Self::Nothing) => news,
            (Self::About(mut one), Self::About(other)) => {
                one.extend(other);
                Self::About(one)
            }
            _ => Self::Everything,
        }
    }
}

fn set_of(now: UnixMillis, notices: &[Notice]) -> Result<Set, Full> {
    let mut set = Set::default();
    extend(&mut set, now, notices)?;
    Ok(set)
}

/// Adds what is not over.
fn extend(set: &mut Set, now: UnixMillis, notices: &[Notice]) -> Result<(), Full> {
    notices.iter().filter(|notice| notice.until > now).try_for_each(|notice| set.insert(notice).map(|_| ()))
}
