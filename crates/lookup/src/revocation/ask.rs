//! Answers proxies that follow the feed.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jwe_gate_contract::revocation::MAX_WAIT_MS;
use jwe_gate_contract::{FeedAnswer, FeedQuestion, VERSION};
use tokio::time::Instant;

use super::feed::{Feed, Part, Step};
use super::{Inner, Refusal, Revocations};
use crate::clock::whole_ms;

impl Revocations {
    /// What follows the question's cursor; where that is nothing yet, as soon as there is something, or when the asker
    /// wants to wait no longer.
    ///
    /// # Errors
    /// When too many wait, or when it is not known what follows.
    pub async fn answer(&self, question: &FeedQuestion) -> Result<FeedAnswer, Refusal> {
        let _place = self.0.waiting.try_acquire().map_err(|_| Refusal::Busy)?;
        let part = self.0.part(question).await?;
        self.0.reply(question, part)
    }
}

impl Inner {
    async fn part(&self, question: &FeedQuestion) -> Result<Part, Refusal> {
        let asked = Instant::now();
        let content = asked + Duration::from_millis(question.wait_ms.min(MAX_WAIT_MS));
        let impatient = asked + LONGEST_READING;
        let mut progress = self.progress.subscribe();
        let begun = self.begun.load(Ordering::Acquire);
        let mut rung = false;
        loop {
            let seen = *progress.borrow_and_update();
            let until = match self.step(question) {
                Some(Step::News(part)) => return Ok(part),
                Some(Step::Nothing(part)) if seen.stopping || Instant::now() >= content => return Ok(part),
                Some(Step::Nothing(_)) => content,
                // Another service may have told the asker what we have not read yet. Only a reading that began after the
                // question can say that it is otherwise.
                Some(Step::Unknown) if seen.read > begun => return self.snapshot().ok_or(Refusal::Unavailable),
                Some(Step::Unknown) | None if seen.stopping || Instant::now() >= impatient => {
                    return Err(Refusal::Unavailable);
                }
                Some(Step::Unknown) | None => {
                    if !std::mem::replace(&mut rung, true) {
                        self.ears.bell.notify_one();
                    }
                    impatient
                }
            };
            // Out of time is found out above.
            let _ = tokio::time::timeout_at(until, progress.changed()).await;
        }
    }

    /// Nothing where the database has not been read yet.
    fn step(&self, question: &FeedQuestion) -> Option<Step> {
        self.with_feed(|feed| feed.after(question.epoch.as_deref(), question.after))
    }

    fn snapshot(&self) -> Option<Part> {
        self.with_feed(Feed::snapshot)
    }

    fn reply(&self, question: &FeedQuestion, part: Part) -> Result<FeedAnswer, Refusal> {
        let now = self.parts.clock.now();
        let (age, now_ms) = self.with_feed(|feed| (feed.age(now), feed.now_ms(now))).ok_or(Refusal::Unavailable)?;
        self.parts.metrics.feed_answered(part.snapshot, part.entries.is_empty());
        let rules = self.parts.rules;
        Ok(FeedAnswer {
            version: VERSION,
            realm: question.realm.clone(),
            nonce: question.nonce.clone(),
            epoch: part.epoch,
            snapshot: part.snapshot,
            upto: part.upto,
            complete: part.complete,
            read_ms_ago: whole_ms(age),
            now_ms,
            promised_delay_ms: whole_ms(rules.delay),
            max_session_age_ms: whole_ms(rules.max_session_age),
            entries: part.entries,
        })
    }

    pub(super) fn with_feed<T>(&self, look: impl FnOnce(&Feed) -> T) -> Option<T> {
        self.feed.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(look)
    }
}

/// How long a reading is waited for without which there is no answer.
const LONGEST_READING: Duration = Duration::from_secs(2);
