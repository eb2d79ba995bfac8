//! Writes revocations.

use std::time::Duration;

use jwe_gate_contract::{Bounds, Receipt, Shown, Target, VERSION};

use super::{Inner, Refusal, Revocations};
use crate::clock::whole_ms;
use crate::store::journal::{Author, Named, NewRow, Written};

/// A revocation to be written.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The request's id.
    pub id: String,
    /// What is to end.
    pub target: Target,
    /// Who asks for it.
    pub by: Author,
}

impl Revocations {
    /// Writes a revocation. When this returns a receipt, it will outlive a crash; and whether it is new.
    ///
    /// # Errors
    /// When it was not written, or it is not known whether it was. Writing it again is safe.
    pub async fn write(&self, wanted: Wanted) -> Result<(Receipt, bool), Refusal> {
        let by = wanted.by;
        let result = self.0.write(wanted).await;
        self.0.parts.metrics.revoked(by.as_str(), result.as_ref().err().map(|refusal| refusal.as_str()));
        result
    }
}

impl Inner {
    async fn write(&self, wanted: Wanted) -> Result<(Receipt, bool), Refusal> {
        // Without the feed there is no epoch to tell.
        let now = self.parts.clock.now();
        let known = self.with_feed(|feed| (feed.epoch().to_owned(), feed.now_ms(now)));
        let (epoch, now_ms) = known.ok_or(Refusal::Unavailable)?;
        let row = self.row(wanted, now_ms)?;
        let written = self.parts.journal.write(&row).await.map_err(|error| {
            tracing::warn!(%error, "a revocation was not written");
            Refusal::Unavailable
        })?;
        let (place, is_new) = match written {
            Written::Conflict => return Err(Refusal::Conflict),
            Written::New(place) => (place, true),
            Written::Repeated(place) => (place, false),
        };
        self.ears.bell.notify_one();
        let promised_delay_ms = whole_ms(self.parts.rules.delay);
        let (realm, id) = (self.parts.realm.to_string(), row.request_id);
        let receipt =
            Receipt { version: VERSION, realm, id, epoch, seq: place.seq, at_ms: place.at_ms, promised_delay_ms };
        Ok((receipt, is_new))
    }

    fn row(&self, wanted: Wanted, now_ms: u64) -> Result<NewRow, Refusal> {
        let rules = self.parts.rules;
        let (named, at_least) = match wanted.target {
            Target::Session { sid } => (Named::Session(sid), Bounds::default()),
            Target::Subject { sub } => (Named::Subject(sub), Bounds::default()),
            Target::Shown(shown) => {
                self.check(&shown, now_ms)?;
                let at_least = Bounds::default().and_session(shown.auth_time_ms, shown.issued_at_ms, rules.delay);
                (shown.sid.map_or(Named::Subject(shown.sub), Named::Session), at_least)
            }
        };
        Ok(NewRow {
            request_id: wanted.id,
            named,
            by: wanted.by,
            from_now: Bounds::at(0, rules.skew, rules.delay),
            at_least,
            keep_ms: whole_ms(rules.max_session_age.saturating_add(TOLERANCE)),
        })
    }

    /// A session from the future would lock its user out until then. One that is too old to be accepted anywhere is
    /// shown by who repeats a request that has been forgotten.
    fn check(&self, shown: &Shown, now_ms: u64) -> Result<(), Refusal> {
        let (age, tolerance) = (whole_ms(self.parts.rules.max_session_age), whole_ms(TOLERANCE));
        let too_old = shown.issued_at_ms.saturating_add(age).saturating_add(tolerance) < now_ms;
        let not_yet = shown.issued_at_ms > now_ms.saturating_add(tolerance);
        if too_old || not_yet { Err(Refusal::Implausible) } else { Ok(()) }
    }
}

/// More than proxies allow for clocks that differ.
const TOLERANCE: Duration = Duration::from_mins(1);
