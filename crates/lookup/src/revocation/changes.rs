//! Users that were changed, banned or deleted, where the database tells of it by itself.
//!
//! The notice reaches every service. The first one to write it down has all of them, and through them all proxies, look
//! the user up again, also those that were not listening. It is not durable before that: a notice that is lost costs no more
//! than the time that verdicts are fresh for.

use jwe_gate_contract::Bounds;

use super::Inner;
use crate::clock::whole_ms;
use crate::store::StoreError;
use crate::store::journal::{Author, Change, Named, NewRow, Row, Written};

impl Inner {
    /// Writes down what is heard, one after the other.
    pub(super) async fn write_changes(&self) {
        let mut changes = self.changes.lock().await;
        while let Some(change) = changes.recv().await {
            let written = match self.write_change(&change).await {
                Err(_) => self.write_change(&change).await,
                written => written,
            };
            self.parts.metrics.revoked(Author::Database.as_str(), written.as_ref().err().map(StoreError::as_str));
            match written {
                Ok(_) => self.ears.bell.notify_one(),
                Err(error) => tracing::warn!(%error, "the change of a user was not announced"),
            }
        }
    }

    async fn write_change(&self, change: &Change) -> Result<Written, StoreError> {
        let row = NewRow {
            request_id: change.request_id(),
            named: Named::Changed(change.subject().to_owned()),
            by: Author::Database,
            from_now: Bounds::default(),
            at_least: Bounds::default(),
            keep_ms: whole_ms(self.parts.rules.verdicts),
        };
        self.parts.journal.write(&row).await
    }

    /// What is known of these users from before is of no use from now on.
    pub(super) fn tell_lookup(&self, rows: &[Row]) {
        for row in rows {
            if let Named::Changed(subject) = &row.named {
                self.parts.lookup.changed(subject, row.place.at_ms);
            }
        }
    }
}
