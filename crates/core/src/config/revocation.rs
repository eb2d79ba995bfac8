//! How revocations are followed.

use std::time::Duration;

use super::Checked;
use super::check::{bounded, text};
use super::error::{ConfigError, Fault};
use super::raw::{RawRevocation, RawSignOut};
use super::scalar::Whole;
use super::{LookupConfig, OnStaleFeed, RevocationConfig, SessionConfig, SignOutConfig};

/// Revocations are followed where users are looked up, and must be remembered for as long as sessions last.
pub(super) fn checked(
    raw: Option<RawRevocation>,
    lookup: Option<&LookupConfig>,
    sessions: &[SessionConfig],
    warnings: &mut Vec<String>,
) -> Checked<Option<RevocationConfig>> {
    let Some(raw) = raw else { return Ok(None) };
    let poll = Duration::from_millis(raw.poll_ms.unwrap_or_default().get());
    // Three polls, lest one that is lost make the feed stale.
    let least = (3 * poll).as_secs() + 1;
    let max_age = raw.max_feed_age_seconds.map_or_else(|| 30.max(least), Whole::get);
    let max_age = bounded("revocation.max_feed_age_seconds", max_age, least, 86_400)?;
    let Some(lookup) = lookup else { return Err(ConfigError::new("revocation", Fault::NeedsLookup)) };
    if let Some(index) = sessions.iter().position(|session| session.rules.max_session_age.is_none()) {
        return Err(ConfigError::new(format!("sessions[{index}].max_session_age"), Fault::Endless));
    }
    let cluster = text("revocation.cluster", raw.cluster, "jwe_gate_revocations")?;
    if cluster == lookup.cluster {
        return Err(ConfigError::new("revocation.cluster", Fault::OwnCluster));
    }
    if raw.on_stale_feed == Some(OnStaleFeed::Serve) {
        warnings.push("revocation.on_stale_feed: while the feed is not heard, revoked sessions pass".to_owned());
    }
    let ready_path = raw.ready_path.map(|path| plain("revocation.ready_path", path)).transpose()?;
    let sign_out = raw.sign_out.map(sign_out).transpose()?;
    if sign_out.as_ref().is_some_and(|sign_out| Some(&sign_out.path) == ready_path.as_ref()) {
        return Err(ConfigError::new("revocation.ready_path", Fault::OwnPath));
    }
    Ok(Some(RevocationConfig {
        cluster,
        authority: text("revocation.authority", raw.authority, &lookup.authority)?,
        poll,
        max_age: Duration::from_secs(max_age),
        on_stale: raw.on_stale_feed.unwrap_or_default(),
        ready_path,
        sign_out,
        observe_sign_out: raw.observe_sign_out,
    }))
}

fn sign_out(raw: RawSignOut) -> Checked<SignOutConfig> {
    if raw.location.as_deref().is_some_and(|location| !is_path(location)) {
        return Err(ConfigError::new("revocation.sign_out.location", Fault::Path));
    }
    Ok(SignOutConfig { path: plain("revocation.sign_out.path", raw.path)?, location: raw.location })
}

/// A path of which two readers see the same.
fn plain(field: &str, path: String) -> Checked<String> {
    let is_plain = is_path(&path) && !path.contains(['?', '#', '%', ';', '\\']) && !path.contains("//");
    if is_plain { Ok(path) } else { Err(ConfigError::new(field, Fault::PlainPath)) }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.starts_with("//") && text.bytes().all(|byte| byte.is_ascii_graphic())
}
