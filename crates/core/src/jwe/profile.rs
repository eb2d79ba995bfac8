//! The token families: which key a secret becomes, which content encryption it may be used with, what `kid` means.
//!
//! This table is the whole difference between the families; everything else in [`super`] is common to them.

use serde::{Deserialize, Serialize};

/// Which package writes the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Profile {
    /// Auth.js v5 (`@auth/core` 0.23 and later): A256CBC-HS512 with `kid`, A256GCM also accepted.
    #[serde(rename = "authjs")]
    AuthJs,
    /// Older `@auth/core`: A256GCM. Without a salt the form up to 0.18.0, with one the form of 0.18.1 to 0.22.
    #[serde(rename = "authjs-legacy")]
    AuthJsLegacy,
    /// `NextAuth` v4: A256GCM.
    #[serde(rename = "next-auth")]
    NextAuth,
}

/// The content encryption algorithms in use (RFC 7518 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encryption {
    /// AES-256-CBC with HMAC-SHA-512, a 64-byte key.
    A256CbcHs512,
    /// AES-256-GCM, a 32-byte key.
    A256Gcm,
}

/// How the keys of a profile come from a secret: HKDF-SHA-256 with these two inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Derivation {
    pub(super) salt: String,
    pub(super) info: String,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::AuthJs, Self::AuthJsLegacy, Self::NextAuth];

    /// The name in configurations and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthJs => "authjs",
            Self::AuthJsLegacy => "authjs-legacy",
            Self::NextAuth => "next-auth",
        }
    }

    /// The content encryptions that its tokens may use; the first is what the package writes.
    #[must_use]
    pub const fn encryptions(self) -> &'static [Encryption] {
        match self {
            Self::AuthJs => &[Encryption::A256CbcHs512, Encryption::A256Gcm],
            Self::AuthJsLegacy | Self::NextAuth => &[Encryption::A256Gcm],
        }
    }

    /// Whether `kid` in a token's header selects the secret. The other packages do not look at it.
    #[must_use]
    pub const fn reads_kid(self) -> bool {
        matches!(self, Self::AuthJs)
    }

    /// The salt in effect: the configured one, or what the package takes when none is given.
    #[must_use]
    pub fn salt<'a>(self, configured: Option<&'a str>, cookie_name: &'a str) -> &'a str {
        match (configured, self) {
            (Some(salt), _) => salt,
            (None, Self::AuthJs) => cookie_name,
            (None, Self::AuthJsLegacy | Self::NextAuth) => "",
        }
    }

    /// The longest part of a token in one cookie; what is longer is cut into `<name>.0`, `<name>.1`, …
    #[must_use]
    pub const fn chunk_size(self) -> usize {
        match self {
            Self::AuthJs => 3936,
            Self::AuthJsLegacy | Self::NextAuth => 3933,
        }
    }

    /// Whether the cookie parser behind the package takes the double quotes off a value.
    #[must_use]
    pub const fn unquotes_cookies(self) -> bool {
        matches!(self, Self::AuthJsLegacy | Self::NextAuth)
    }

    pub(super) fn derivation(self, configured_salt: Option<&str>, cookie_name: &str) -> Derivation {
        let salt = self.salt(configured_salt, cookie_name);
        let label = match self {
            Self::AuthJs | Self::AuthJsLegacy => "Auth.js Generated Encryption Key",
            Self::NextAuth => "NextAuth.js Generated Encryption Key",
        };
        // v5 always names the salt, the others only when there is one.
        let info = match (self, salt) {
            (Self::AuthJsLegacy | Self::NextAuth, "") => label.to_owned(),
            _ => format!("{label} ({salt})"),
        };
        Derivation { salt: salt.to_owned(), info }
    }
}

impl Encryption {
    /// Its name in a token's header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A256CbcHs512 => "A256CBC-HS512",
            Self::A256Gcm => "A256GCM",
        }
    }

    /// Which algorithm a header names, if it is one of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::A256CbcHs512, Self::A256Gcm].into_iter().find(|encryption| encryption.as_str() == name)
    }

    /// Bytes of initialisation vector.
    #[must_use]
    pub const fn iv_len(self) -> usize {
        match self {
            Self::A256CbcHs512 => 16,
            Self::A256Gcm => 12,
        }
    }

    /// Bytes of authentication tag.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::A256CbcHs512 => 32,
            Self::A256Gcm => 16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_derives_as_its_package_does() {
        let cases = [
            (Profile::AuthJs, None, "authjs.session-token", "Auth.js Generated Encryption Key (authjs.session-token)"),
            (Profile::AuthJs, Some("shared"), "shared", "Auth.js Generated Encryption Key (shared)"),
            (Profile::AuthJs, Some(""), "", "Auth.js Generated Encryption Key ()"),
            (Profile::AuthJsLegacy, None, "", "Auth.js Generated Encryption Key"),
            (Profile::AuthJsLegacy, Some("s"), "s", "Auth.js Generated Encryption Key (s)"),
            (Profile::NextAuth, None, "", "NextAuth.js Generated Encryption Key"),
            (Profile::NextAuth, Some(""), "", "NextAuth.js Generated Encryption Key"),
            (Profile::NextAuth, Some("pkce"), "pkce", "NextAuth.js Generated Encryption Key (pkce)"),
        ];
        for (profile, configured, salt, info) in cases {
            let derivation = profile.derivation(configured, "authjs.session-token");
            assert_eq!(derivation, Derivation { salt: salt.into(), info: info.into() }, "{profile:?} {configured:?}");
        }
    }

    #[test]
    fn names_in_configurations_are_those_of_as_str() {
        for profile in Profile::ALL {
            assert_eq!(serde_json::to_value(profile).unwrap(), profile.as_str());
        }
    }
}
