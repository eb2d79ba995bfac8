//! The protected header (RFC 7516 section 4): parsed strictly, from the bytes that the tag covers.
//!
//! The key decides the algorithm and the header may only agree. What could make another recipient read the token
//! differently is refused: a member twice (RFC 8725 section 2.4), `crit`, `zip`, a key inside or a link to one.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::compact::decode;
use super::{Encryption, JweError, Profile, Replicated};

/// The largest header that is read, encoded. The packages write 162 bytes and less.
const MAX_ENCODED: usize = 8 * 1024;

/// The most members that a header may have; names seen so far are searched one by one.
const MAX_MEMBERS: usize = 32;

/// What a header says once it has been found acceptable.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) encryption: Encryption,
    pub(super) kid: Kid,
    pub(super) replicated: Option<Box<Replicated>>,
}

/// The `kid` member.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Kid {
    #[default]
    Absent,
    /// Not a string, so it is nobody's.
    Odd,
    Text(String),
}

impl Header {
    pub(super) fn parse(encoded: &[u8], profile: Profile) -> Result<Self, JweError> {
        if encoded.len() > MAX_ENCODED {
            return Err(JweError::HeaderInvalid);
        }
        let json = decode(encoded).map_err(|_| JweError::HeaderInvalid)?;
        // A byte order mark may be ignored (RFC 8259 section 8.1), and the packages do.
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&json);
        let members: Members = serde_json::from_slice(json).map_err(|_| JweError::HeaderInvalid)?;
        members.check(profile)
    }
}

/// The members that matter, each at most once.
#[derive(Default)]
struct Members {
    alg: Option<Value>,
    enc: Option<Value>,
    kid: Option<Value>,
    replicated: Replicated,
    crit: bool,
    zip: bool,
    key: bool,
}

impl Members {
    fn check(self, profile: Profile) -> Result<Header, JweError> {
        if self.crit {
            return Err(JweError::CritNotSupported);
        }
        if self.zip {
            return Err(JweError::ZipNotSupported);
        }
        if self.key {
            return Err(JweError::HeaderInvalid);
        }
        match text(self.alg.as_ref())? {
            "dir" => {}
            _ => return Err(JweError::AlgNotAllowed),
        }
        let encryption = Encryption::from_name(text(self.enc.as_ref())?)
            .filter(|encryption| profile.encryptions().contains(encryption))
            .ok_or(JweError::EncNotAllowed)?;
        let kid = match self.kid {
            None => Kid::Absent,
            Some(Value::String(kid)) => Kid::Text(kid),
            Some(_) => Kid::Odd,
        };
        let replicated = Some(self.replicated).filter(|claims| !claims.is_empty()).map(Box::new);
        Ok(Header { encryption, kid, replicated })
    }
}

/// A member that must be there and be a string with something in it.
fn text(member: Option<&Value>) -> Result<&str, JweError> {
    member.and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(JweError::HeaderInvalid)
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        let mut seen: Vec<Name<'de>> = Vec::new();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            if seen.len() == MAX_MEMBERS || seen.contains(&name) {
                return Err(A::Error::custom("a member twice, or too many"));
            }
            match name.0.as_ref() {
                "alg" => members.alg = Some(map.next_value()?),
                "enc" => members.enc = Some(map.next_value()?),
                "kid" => members.kid = Some(map.next_value()?),
                "iss" => members.replicated.iss = Some(map.next_value()?),
                "sub" => members.replicated.sub = Some(map.next_value()?),
                "aud" => members.replicated.aud = Some(map.next_value()?),
                other => {
                    members.crit |= other == "crit";
                    members.zip |= other == "zip";
                    members.key |= matches!(other, "jwk" | "jku" | "x5c" | "x5u" | "x5t" | "x5t#S256" | "epk");
                    map.next_value::<IgnoredAny>()?;
                }
            }
            seen.push(name);
        }
        Ok(members)
    }
}

/// A member's name, borrowed unless it was written with escapes.
#[derive(PartialEq, Eq)]
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::super::compact::encode;
    use super::*;

    fn parse(json: &str) -> Result<Header, JweError> {
        Header::parse(encode(json.as_bytes()).as_bytes(), Profile::AuthJs)
    }

    #[test]
    fn the_headers_of_the_packages_are_read() {
        let header = parse(r#"{"alg":"dir","enc":"A256CBC-HS512","kid":"abc"}"#).unwrap();
        assert_eq!((header.encryption, header.kid), (Encryption::A256CbcHs512, Kid::Text("abc".into())));
        let header = parse(r#"{"alg":"dir","enc":"A256GCM"}"#).unwrap();
        assert_eq!((header.encryption, header.kid), (Encryption::A256Gcm, Kid::Absent));
        assert!(header.replicated.is_none());
    }

    #[test]
    fn what_is_refused_is_refused_with_its_cause() {
        let enc = r#""enc":"A256GCM""#;
        let cases = [
            (format!("{{{enc}}}"), JweError::HeaderInvalid),
            (format!(r#"{{"alg":null,{enc}}}"#), JweError::HeaderInvalid),
            (format!(r#"{{"alg":["dir"],{enc}}}"#), JweError::HeaderInvalid),
            (r#"{"alg":"","enc":"A256GCM"}"#.into(), JweError::HeaderInvalid),
            (format!(r#"{{"alg":"DIR",{enc}}}"#), JweError::AlgNotAllowed),
            (format!(r#"{{"alg":"none",{enc}}}"#), JweError::AlgNotAllowed),
            (format!(r#"{{"alg":"A256KW",{enc}}}"#), JweError::AlgNotAllowed),
            (
                r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"p2s":"AAAA","enc":"A256GCM"}"#.into(),
                JweError::AlgNotAllowed,
            ),
            (r#"{"alg":"dir"}"#.into(), JweError::HeaderInvalid),
            (r#"{"alg":"dir","enc":"A128GCM"}"#.into(), JweError::EncNotAllowed),
            (format!(r#"{{"alg":"dir",{enc},"crit":null}}"#), JweError::CritNotSupported),
            (format!(r#"{{"alg":"dir",{enc},"crit":["exp"],"exp":1}}"#), JweError::CritNotSupported),
            (format!(r#"{{"alg":"dir",{enc},"zip":""}}"#), JweError::ZipNotSupported),
            (format!(r#"{{"alg":"dir",{enc},"jwk":{{}}}}"#), JweError::HeaderInvalid),
            (format!(r#"{{"alg":"dir",{enc},"x5u":"https://example.org"}}"#), JweError::HeaderInvalid),
            (format!(r#"{{"alg":"dir","alg":"dir",{enc}}}"#), JweError::HeaderInvalid),
            (format!(r#"{{"alg":"dir","al\u0067":"dir",{enc}}}"#), JweError::HeaderInvalid),
            (format!(r#"{{"alg":"dir",{enc},"x":1,"x":1}}"#), JweError::HeaderInvalid),
            (format!(r#"{{"alg":"dir",{enc}}} x"#), JweError::HeaderInvalid),
            (format!(r#"[{{"alg":"dir",{enc}}}]"#), JweError::HeaderInvalid),
            ("null".into(), JweError::HeaderInvalid),
            ("{}".into(), JweError::HeaderInvalid),
            (String::new(), JweError::HeaderInvalid),
        ];
        for (json, error) in cases {
            assert_eq!(parse(&json).unwrap_err(), error, "{json}");
        }
    }

    #[test]
    fn an_algorithm_of_another_profile_is_refused() {
        let encoded = encode(br#"{"alg":"dir","enc":"A256CBC-HS512"}"#);
        for profile in [Profile::AuthJsLegacy, Profile::NextAuth] {
            let error = Header::parse(encoded.as_bytes(), profile).unwrap_err();
            assert_eq!(error, JweError::EncNotAllowed, "{profile:?}");
        }
    }

    #[test]
    fn a_kid_that_is_not_a_string_is_not_taken_for_an_absent_one() {
        for kid in ["null", "1", "{}", "[\"abc\"]"] {
            let header = parse(&format!(r#"{{"alg":"dir","enc":"A256GCM","kid":{kid}}}"#)).unwrap();
            assert_eq!(header.kid, Kid::Odd, "{kid}");
        }
    }

    #[test]
    fn replicated_claims_are_kept_even_when_null() {
        let header = parse(r#"{"alg":"dir","enc":"A256GCM","sub":null,"aud":["a"]}"#).unwrap();
        let replicated = header.replicated.unwrap();
        assert_eq!(replicated.sub, Some(Value::Null));
        assert_eq!(replicated.aud, Some(serde_json::json!(["a"])));
        assert_eq!(replicated.iss, None);
    }

    #[test]
    fn large_and_deep_headers_end_early() {
        let deep = format!(r#"{{"alg":"dir","enc":"A256GCM","x":{}}}"#, "[".repeat(5000));
        assert_eq!(parse(&deep).unwrap_err(), JweError::HeaderInvalid);
        let deep_kid = format!(r#"{{"alg":"dir","enc":"A256GCM","kid":{}1{}}}"#, "[".repeat(2000), "]".repeat(2000));
        assert_eq!(parse(&deep_kid).unwrap_err(), JweError::HeaderInvalid);
        let large = format!(r#"{{"alg":"dir","enc":"A256GCM","x":"{}"}}"#, "x".repeat(MAX_ENCODED));
        assert_eq!(parse(&large).unwrap_err(), JweError::HeaderInvalid);
        let members: Vec<String> = (0..MAX_MEMBERS).map(|n| format!(r#","x{n}":1"#)).collect();
        let members = members.concat();
        assert_eq!(
            parse(&format!(r#"{{"alg":"dir","enc":"A256GCM"{members}}}"#)).unwrap_err(),
            JweError::HeaderInvalid
        );
    }
}
