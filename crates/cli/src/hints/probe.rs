//! Trying a token with other keys than the configured ones.

use jwe_gate_core::jwe::{KeyRing, Profile};
use jwe_gate_core::secret::Secret;

/// Whether the token opens this way. What is inside is not looked at.
pub(super) fn opens(token: &[u8], profile: Profile, salt: Option<&str>, cookie: &str, secrets: &[Secret]) -> bool {
    KeyRing::derive(profile, salt, cookie, secrets).is_ok_and(|ring| ring.open(token).is_ok())
}

/// A name without `__Secure-` or `__Host-`.
pub(super) fn base(name: &str) -> &str {
    ["__Secure-", "__Host-"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// The same name with each prefix, and without.
pub(super) fn spellings(name: &str) -> [String; 3] {
    let base = base(name);
    [base.to_owned(), format!("__Secure-{base}"), format!("__Host-{base}")]
}

/// What a profile is called among people.
pub(super) const fn package(profile: Profile) -> &'static str {
    match profile {
        Profile::AuthJs => "Auth.js v5",
        Profile::AuthJsLegacy => "an older @auth/core",
        Profile::NextAuth => "NextAuth v4",
    }
}
