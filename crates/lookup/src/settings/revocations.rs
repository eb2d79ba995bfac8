//! Whether and how sessions can be ended early.

use std::time::Duration;

use jwe_gate_contract::Reason;

use super::checked::{Reader, milliseconds};
use super::{Problem, SettingsError};
use crate::http::AdminToken;
use crate::record::Freshness;
use crate::revocation::Rules;

/// How sessions are ended early.
#[derive(Clone, Debug)]
pub struct RevocationSettings {
    /// What administrators show; without it there are none.
    pub admin: Option<AdminToken>,
    /// How revocations work.
    pub rules: Rules,
}

impl RevocationSettings {
    /// Nothing where revocations are off, which they are by default: the tables that they need are not there yet.
    pub(super) fn read(reader: &Reader<'_>, freshness: &Freshness) -> Result<Option<Self>, SettingsError> {
        if !reader.is_true("REVOCATIONS")? {
            return match OTHERS.iter().find(|variable| reader.text(variable).is_some()) {
                None => Ok(None),
                Some(variable) => Err(Problem::Needs { other: "REVOCATIONS=true" }.of(variable)),
            };
        }
        Ok(Some(Self { admin: admin(reader)?, rules: rules(reader, freshness)? }))
    }
}

fn admin(reader: &Reader<'_>) -> Result<Option<AdminToken>, SettingsError> {
    let Some(text) = reader.text(ADMIN) else { return Ok(None) };
    let expected = "long enough: at least 32 bytes are needed";
    AdminToken::new(&text).map(Some).ok_or(Problem::Unfit { expected }.of(ADMIN))
}

fn rules(reader: &Reader<'_>, freshness: &Freshness) -> Result<Rules, SettingsError> {
    let delay = milliseconds(reader, DELAY, 2_000)?;
    let poll = milliseconds(reader, POLL, 200)?;
    // One reading that nobody asked for, and time for it and for the way to the proxy.
    if delay < poll.saturating_mul(3) {
        let expected = "at least three times REVOCATION_POLL";
        return Err(Problem::Value { value: delay.as_millis().to_string(), expected }.of(DELAY));
    }
    let most = 366 * 24 * 60 * 60;
    let expected = "a number of seconds from 60 to 31622400";
    let age = reader.number(AGE, 60..=most, 30 * 24 * 60 * 60, expected)?;
    let max_session_age = Duration::from_secs(age);
    let longest = freshness.of_known(None).hard_ms.max(freshness.of_denied(Reason::UnknownUser).hard_ms);
    let verdicts = Duration::from_millis(longest).saturating_add(Duration::from_mins(1));
    Ok(Rules { delay, skew: milliseconds(reader, SKEW, 5_000)?, max_session_age, poll, verdicts })
}

const ADMIN: &str = "REVOCATION_ADMIN_TOKEN";
const DELAY: &str = "REVOCATION_DELAY";
const SKEW: &str = "REVOCATION_SKEW";
const POLL: &str = "REVOCATION_POLL";
const AGE: &str = "MAX_SESSION_AGE";

/// Those that say nothing without revocations. `MAX_SESSION_AGE` may be a variable that all parts are given.
const OTHERS: &[&str] = &[ADMIN, DELAY, SKEW, POLL];
