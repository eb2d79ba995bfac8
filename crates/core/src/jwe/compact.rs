//! The compact serialization (RFC 7516 section 7.1): five parts of base64url, split and decoded strictly.
//!
//! Only the canonical spelling is read: no padding, no other alphabet, no stray bits at the end. A token then has one
//! spelling, which is what lets a token's bytes stand for the token in a cache.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::JweError;

/// A token's parts, still encoded. The encrypted key is empty and therefore not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compact<'a> {
    pub(super) header: &'a [u8],
    pub(super) iv: &'a [u8],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: &'a [u8],
}

impl<'a> Compact<'a> {
    pub(super) fn split(token: &'a [u8]) -> Result<Self, JweError> {
        let mut parts = token.split(|byte| *byte == b'.');
        let mut part = || parts.next().ok_or(JweError::MalformedToken);
        let (header, key, iv, ciphertext, tag) = (part()?, part()?, part()?, part()?, part()?);
        // `dir` has no encrypted key (RFC 7518 section 4.5), and the other three parts are never empty for our
        // algorithms, with the exception of GCM's ciphertext, which would be an empty payload and no JSON object.
        let complete = key.is_empty() && ![header, iv, ciphertext, tag].iter().any(|part| part.is_empty());
        if !complete || parts.next().is_some() {
            return Err(JweError::MalformedToken);
        }
        Ok(Self { header, iv, ciphertext, tag })
    }
}

/// Decodes a part whose length is known; the rest of `buffer` stays as it is.
pub(super) fn decode_fixed<'b>(part: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], JweError> {
    let len = URL_SAFE_NO_PAD.decode_slice(part, buffer).map_err(|_| JweError::MalformedToken)?;
    buffer.get(..len).ok_or(JweError::MalformedToken)
}

/// Decodes a part of any length into memory that is wiped afterwards.
pub(super) fn decode(part: &[u8]) -> Result<Zeroizing<Vec<u8>>, JweError> {
    let mut bytes = Zeroizing::new(vec![0; decoded_len(part)]);
    let len = URL_SAFE_NO_PAD.decode_slice(part, &mut bytes).map_err(|_| JweError::MalformedToken)?;
    bytes.truncate(len);
    Ok(bytes)
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How many bytes `part` decodes to: four characters hold three.
fn decoded_len(part: &[u8]) -> usize {
    part.len() / 4 * 3 + part.len() % 4 * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_parts_with_an_empty_second_are_split() {
        let compact = Compact::split(b"h..i.c.t").unwrap();
        assert_eq!(compact, Compact { header: b"h", iv: b"i", ciphertext: b"c", tag: b"t" });
    }

    #[test]
    fn any_other_number_of_parts_is_malformed() {
        for token in ["", "h", "h..i.c", "h..i.c.t.", "h..i.c.t.x", "....", "h.k.i.c.t", ".h.i.c.t", "h..i..t"] {
            assert_eq!(Compact::split(token.as_bytes()), Err(JweError::MalformedToken), "{token}");
        }
    }

    #[test]
    fn only_the_canonical_spelling_is_decoded() {
        assert_eq!(decode(b"_-8").unwrap().as_slice(), [0xff, 0xef]);
        for part in ["_-9", "_-8=", "/+8", "_-8 ", " _-8", "_-\n8", "A", "_-8A\0", "\u{435}yJ"] {
            assert_eq!(decode(part.as_bytes()).unwrap_err(), JweError::MalformedToken, "{part:?}");
        }
    }

    #[test]
    fn every_length_survives_a_round_trip() {
        for len in 0..100 {
            let bytes = vec![0xa5; len];
            assert_eq!(decode(encode(&bytes).as_bytes()).unwrap().as_slice(), bytes);
        }
    }
}
