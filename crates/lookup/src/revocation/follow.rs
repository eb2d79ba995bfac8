//! Keeps the copy up to date.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::feed::{Feed, News, entry};
use super::{Inner, Revocations};
use crate::store::StoreError;

impl Revocations {
    /// Reads what is written, here and elsewhere, for as long as it is polled. One task does.
    pub async fn run(self) {
        tokio::join!(self.0.follow(), self.0.listen(), self.0.write_changes(), self.0.prune());
    }
}

impl Inner {
    async fn follow(&self) {
        let mut told = None;
        loop {
            let error = self.follow_until_it_fails(&mut told).await;
            self.parts.metrics.feed_read_failed(&error);
            if told.as_ref() != Some(&error) {
                tracing::warn!(%error, "revocations cannot be read");
                told = Some(error);
            }
            tokio::time::sleep(BEFORE_TRYING_AGAIN).await;
        }
    }

    async fn follow_until_it_fails(&self, told: &mut Option<StoreError>) -> StoreError {
        // It may be that there are no tables, now or again.
        if let Err(error) = self.parts.journal.prepare().await {
            return error;
        }
        loop {
            if let Err(error) = self.read_on().await {
                return error;
            }
            *told = None;
            // Whichever is first. A bell that rang while we read has us read again at once.
            let _ = tokio::time::timeout(self.parts.rules.poll, self.ears.bell.notified()).await;
        }
    }

    /// Reads all that is new, and tells those who wait.
    async fn read_on(&self) -> Result<(), StoreError> {
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let (origin, head) = {
            let feed = self.feed.read().unwrap_or_else(PoisonError::into_inner);
            feed.as_ref().map_or((None, 0), |feed| (Some(feed.origin().to_owned()), feed.head()))
        };
        let news = self.news(origin, head).await?;
        self.take(news);
        self.progress.send_modify(|progress| progress.read = number);
        Ok(())
    }

    /// All rows after `head` in `origin`, or all that there are where the database has another origin or went back.
    async fn news(&self, mut origin: Option<String>, head: u64) -> Result<News, StoreError> {
        let (mut cursor, mut anew, mut entries) = (head, head == 0, Vec::new());
        loop {
            let read_at = self.parts.clock.now();
            let page = self.parts.journal.read(cursor, PAGE).await?;
            if origin.as_ref() != Some(&page.origin) || page.head < cursor {
                let from_the_start = cursor == 0;
                origin = Some(page.origin.clone());
                (cursor, anew) = (0, true);
                entries.clear();
                if !from_the_start {
                    continue;
                }
            }
            // Before the proxies hear of it, and ask.
            self.tell_lookup(&page.rows);
            let (secret, realm) = (&self.parts.secret, &*self.parts.realm);
            entries.extend(page.rows.iter().map(|row| entry(row, secret, realm)));
            if page.rows.len() < PAGE as usize {
                return Ok(News { origin: page.origin, anew, head: page.head, entries, now_ms: page.now_ms, read_at });
            }
            cursor = page.rows.last().map_or(cursor, |row| row.place.seq);
        }
    }

    /// No other task writes: what was read on from is what is here.
    fn take(&self, news: News) {
        let mut feed = self.feed.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feed.as_mut().filter(|_| !news.anew) {
            return feed.add(news);
        }
        let epoch = self.parts.secret.epoch(&self.parts.realm, &news.origin);
        *feed = Some(Feed::new(news, epoch));
    }

    async fn listen(&self) {
        loop {
            let error = self.parts.journal.listen(&self.ears).await;
            tracing::debug!(%error, "not told of revocations that others write; they are found by polling");
            tokio::time::sleep(BEFORE_LISTENING_AGAIN).await;
        }
    }

    async fn prune(&self) {
        loop {
            tokio::time::sleep(BETWEEN_PRUNINGS).await;
            if let Some(feed) = self.feed.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
                feed.prune();
            }
            // Some at a time, so that each takes no longer than a query may.
            loop {
                match self.parts.journal.prune(DELETED_AT_ONCE).await {
                    Ok(deleted) if deleted == u64::from(DELETED_AT_ONCE) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "revocations that are over cannot be deleted");
                        break;
                    }
                }
            }
        }
    }
}

/// Rows that are read at once.
const PAGE: u32 = 10_000;
const BEFORE_TRYING_AGAIN: Duration = Duration::from_millis(100);
const BEFORE_LISTENING_AGAIN: Duration = Duration::from_secs(1);
const DELETED_AT_ONCE: u32 = 1_000;
const BETWEEN_PRUNINGS: Duration = Duration::from_mins(5);
