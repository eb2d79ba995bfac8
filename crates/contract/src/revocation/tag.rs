//! What stands for a subject or a `sid` in the feed and in proxies: 16 bytes that tell nobody who is meant.

use std::fmt;

use hmac::Mac;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::LookupSecret;
use crate::mac::{hex, unhex};

/// A keyed digest of a subject or a `sid`. Under another secret it is another one: tags from before a change of the
/// secret mean nothing after it, and the feed's epoch changes with the secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; 16]);

/// What a tag stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    /// A `sid`.
    Session,
    /// A `sub`.
    Subject,
}

impl LookupSecret {
    /// The tag of a subject or `sid` in a realm.
    #[must_use]
    pub fn tag(&self, realm: &str, kind: TagKind, text: &str) -> Tag {
        let label: &[u8] = match kind {
            TagKind::Session => b"jwe-gate/1 session tag\n",
            TagKind::Subject => b"jwe-gate/1 subject tag\n",
        };
        self.digest(label, realm, text)
    }

    /// The epoch that a feed whose numbers come from `origin` has under this secret.
    #[must_use]
    pub fn epoch(&self, realm: &str, origin: &str) -> String {
        hex(self.digest(b"jwe-gate/1 epoch\n", realm, origin).as_bytes())
    }

    fn digest(&self, label: &[u8], realm: &str, text: &str) -> Tag {
        // The length keeps realm and text apart.
        let length = u64::try_from(realm.len()).unwrap_or(u64::MAX).to_be_bytes();
        let mac = self.mac(label, &length).chain_update(realm).chain_update(text).finalize().into_bytes();
        let mut tag = [0; 16];
        tag.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        Tag(tag)
    }
}

impl Tag {
    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The tag with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(..)")
    }
}

/// 32 lower-case hex digits.
impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Tag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 lower-case hex digits")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Tag, E> {
                unhex(text.as_bytes()).map(Tag).ok_or_else(|| E::invalid_length(text.len(), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(secret: &str, realm: &str, kind: TagKind, text: &str) -> Tag {
        LookupSecret::new(secret).unwrap().tag(realm, kind, text)
    }

    #[test]
    fn secret_realm_kind_and_text_all_count() {
        let one = tag("0123456789abcdef", "a", TagKind::Subject, "bc");
        assert_eq!(one, tag("0123456789abcdef", "a", TagKind::Subject, "bc"));
        for other in [
            tag("fedcba9876543210", "a", TagKind::Subject, "bc"),
            tag("0123456789abcdef", "ab", TagKind::Subject, "c"),
            tag("0123456789abcdef", "a", TagKind::Session, "bc"),
            tag("0123456789abcdef", "a", TagKind::Subject, "b"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_epoch_changes_with_the_origin_and_with_the_secret() {
        let (one, other) =
            (LookupSecret::new("0123456789abcdef").unwrap(), LookupSecret::new("fedcba9876543210").unwrap());
        assert_eq!(one.epoch("a", "x"), one.epoch("a", "x"));
        assert_ne!(one.epoch("a", "x"), one.epoch("a", "y"));
        assert_ne!(one.epoch("a", "x"), other.epoch("a", "x"));
    }

    #[test]
    fn a_tag_travels_as_hex_and_anything_else_is_refused() {
        let tag = tag("0123456789abcdef", "a", TagKind::Subject, "7");
        let json = serde_json::to_string(&tag).unwrap();
        assert_eq!(json.len(), 34);
        assert_eq!(serde_json::from_str::<Tag>(&json).unwrap(), tag);
        for wrong in [json.to_uppercase(), "\"00\"".into(), "7".into()] {
            assert!(serde_json::from_str::<Tag>(&wrong).is_err(), "{wrong}");
        }
    }
}
