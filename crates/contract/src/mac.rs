//! The authentication of all messages: HMAC-SHA256 (RFC 2104) under the shared secret.
//!
//! Each kind of message has a label of its own, so that none can be played back as another.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The shortest secret that is accepted, in bytes.
const MIN_SECRET_BYTES: usize = 16;

/// The secret that the filter and the lookup service share. It is never printed.
#[derive(Clone)]
pub struct LookupSecret {
    keyed: Hmac<Sha256>,
}

/// The secret is shorter than 16 bytes. The operator should set a random one, such as 32 bytes in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeakSecret;

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// [`FeedAnswer`](crate::FeedAnswer)
    FeedAnswer,
    /// [`FeedQuestion`](crate::FeedQuestion)
    FeedQuestion,
    /// [`LookupAnswer`](crate::LookupAnswer)
    LookupAnswer,
    /// [`LookupQuestion`](crate::LookupQuestion)
    LookupQuestion,
    /// [`Receipt`](crate::Receipt)
    Receipt,
    /// [`RevocationRequest`](crate::RevocationRequest)
    Revocation,
}

impl LookupSecret {
    /// Takes the bytes of the secret as they are.
    ///
    /// # Errors
    /// [`WeakSecret`] when it has fewer than 16 bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, WeakSecret> {
        let secret = secret.as_ref();
        if secret.len() < MIN_SECRET_BYTES {
            return Err(WeakSecret);
        }
        let keyed = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| WeakSecret)?;
        Ok(Self { keyed })
    }

    /// The [`MAC_HEADER`](crate::MAC_HEADER) value for the body of a question.
    #[must_use]
    pub fn sign_question(&self, body: &[u8]) -> String {
        self.sign(Message::LookupQuestion, body)
    }

    /// The [`MAC_HEADER`](crate::MAC_HEADER) value for the body of an answer.
    #[must_use]
    pub fn sign_answer(&self, body: &[u8]) -> String {
        self.sign(Message::LookupAnswer, body)
    }

    /// The [`MAC_HEADER`](crate::MAC_HEADER) value for a message of this kind. What is signed is the body, and where
    /// there is none, the request target as it is sent: path and query.
    #[must_use]
    pub fn sign(&self, message: Message, content: &[u8]) -> String {
        hex(&self.mac(message.label(), content).finalize().into_bytes())
    }

    /// Whether `mac` is that of a message of this kind with this content; compared in constant time.
    #[must_use]
    pub fn is_signed(&self, message: Message, content: &[u8], mac: &[u8]) -> bool {
        unhex::<32>(mac).is_some_and(|tag| self.mac(message.label(), content).verify_slice(&tag).is_ok())
    }

    /// Whether `mac` is that of a question with this body; compared in constant time.
    #[must_use]
    pub fn is_question(&self, body: &[u8], mac: &[u8]) -> bool {
        self.is_signed(Message::LookupQuestion, body, mac)
    }

    /// Whether `mac` is that of an answer with this body; compared in constant time.
    #[must_use]
    pub fn is_answer(&self, body: &[u8], mac: &[u8]) -> bool {
        self.is_signed(Message::LookupAnswer, body, mac)
    }

    pub(crate) fn mac(&self, label: &[u8], content: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(label);
        mac.update(content);
        mac
    }
}

impl Message {
    fn label(self) -> &'static [u8] {
        match self {
            Self::FeedAnswer => b"jwe-gate/1 feed answer\n",
            Self::FeedQuestion => b"jwe-gate/1 feed question\n",
            Self::LookupAnswer => b"jwe-gate/1 answer\n",
            Self::LookupQuestion => b"jwe-gate/1 question\n",
            Self::Receipt => b"jwe-gate/1 revocation receipt\n",
            Self::Revocation => b"jwe-gate/1 revocation\n",
        }
    }
}

impl fmt::Debug for LookupSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupSecret(..)")
    }
}

impl fmt::Display for WeakSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lookup secret must have at least {MIN_SECRET_BYTES} bytes")
    }
}

impl std::error::Error for WeakSecret {}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The `N` bytes behind twice as many lower-case hex digits; anything else is nothing of ours.
pub(crate) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; N] = pairs.try_into().ok()?;
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> LookupSecret {
        LookupSecret::new("0123456789abcdef").unwrap()
    }

    #[test]
    fn a_signed_answer_verifies_and_a_changed_one_does_not() {
        let mac = secret().sign_answer(b"{}");
        assert!(secret().is_answer(b"{}", mac.as_bytes()));
        assert!(!secret().is_answer(b"{ }", mac.as_bytes()));
        assert!(!secret().is_answer(b"{}", mac.to_uppercase().as_bytes()));
        assert!(!secret().is_answer(b"{}", b""));
        let other = LookupSecret::new("fedcba9876543210").unwrap();
        assert!(!other.is_answer(b"{}", mac.as_bytes()));
    }

    #[test]
    fn a_question_is_not_an_answer() {
        let mac = secret().sign_question(b"{}");
        assert!(secret().is_question(b"{}", mac.as_bytes()));
        assert!(!secret().is_answer(b"{}", mac.as_bytes()));
    }

    #[test]
    fn no_kind_of_message_passes_for_another() {
        use Message::{FeedAnswer, FeedQuestion, LookupAnswer, LookupQuestion, Receipt, Revocation};
        let kinds = [FeedAnswer, FeedQuestion, LookupAnswer, LookupQuestion, Receipt, Revocation];
        for signed in kinds {
            let mac = secret().sign(signed, b"{}");
            for read in kinds {
                assert_eq!(secret().is_signed(read, b"{}", mac.as_bytes()), read == signed, "{signed:?} as {read:?}");
            }
        }
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_printed() {
        assert_eq!(LookupSecret::new("short").unwrap_err(), WeakSecret);
        assert_eq!(format!("{:?}", secret()), "LookupSecret(..)");
    }
}
