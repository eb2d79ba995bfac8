//! A judgement as bytes in shared data, which survive a swap of the filter and are read by whatever comes after it.
//!
//! ```text
//! offset 0   layout, 1 byte          44  as_of, fresh, stale, hard: 4 × 8 bytes, milliseconds
//!        1   verdict, 1 byte         76  length of the user id, 2 bytes
//!        2   length of all, 2 bytes  78  user id
//!        4   realm, 16 bytes         ..  length of the fields, 2 bytes
//!        20  generation, 8 bytes     ..  fields: a JSON object, or nothing where there are none
//!        28  tag of the key, 16 bytes    end - 16: MAC, HMAC-SHA256 truncated to 16 bytes, over everything before it
//! ```
//! Numbers are little-endian. A record that is corrupt, of another layout, realm or generation, or written under a
//! secret that is not configured, is no record: it reads as a miss.

use std::rc::Rc;

use crate::fields::Fields;
use crate::mac::MacKey;
use crate::time::UnixMillis;
use crate::verdict::{Barred, Judgement, Limits, Verdict};

/// The layout that this build writes. Another one is not understood.
const LAYOUT: u8 = 2;
const HEAD: usize = 78;
const MAC: usize = 16;

/// Whose records are meant: everything that must be equal for a judgement to be one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Realm(pub [u8; 16]);

/// What was asked, so that the answer of yesterday's question is not taken for today's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(pub [u8; 8]);

/// A strong digest of what the record is about. Some hosts compare only 32 bits of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(pub [u8; 16]);

/// Reads and writes the records of one realm and generation.
#[derive(Debug)]
pub struct Codec {
    realm: Realm,
    generation: Generation,
    /// The first one writes; any verifies, so that records outlive a rotation of secrets.
    keys: Vec<MacKey>,
}

/// What can be read of a stored record without a key: enough to decide what may be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Whose it is.
    pub realm: Realm,
    /// What it is about.
    pub tag: Tag,
    /// Whether it admits somebody.
    pub admits: bool,
    /// When the database said so.
    pub as_of: UnixMillis,
    /// When it is over.
    pub hard_until: UnixMillis,
}

impl Codec {
    /// A codec for these records. `keys` must not be empty, or nothing is ever written or read.
    #[must_use]
    pub fn new(realm: Realm, generation: Generation, keys: Vec<MacKey>) -> Self {
        Self { realm, generation, keys }
    }

    /// Whose records this codec reads.
    #[must_use]
    pub fn realm(&self) -> Realm {
        self.realm
    }

    /// The bytes of a record, exactly `size` of them; `None` when it does not fit.
    #[must_use]
    pub fn encode(&self, tag: Tag, judgement: &Judgement, size: usize) -> Option<Vec<u8>> {
        let (user, fields) = (judgement.user.as_bytes(), judgement.fields.to_bytes());
        let length = HEAD + user.len() + 2 + fields.len() + MAC;
        if length > size {
            return None;
        }
        let mut bytes = Vec::with_capacity(size);
        bytes.extend([LAYOUT, verdict_byte(judgement.verdict)]);
        bytes.extend(u16::try_from(length).ok()?.to_le_bytes());
        bytes.extend(self.realm.0);
        bytes.extend(self.generation.0);
        bytes.extend(tag.0);
        let limits = &judgement.limits;
        for time in [judgement.as_of, limits.fresh_until, limits.stale_until, limits.hard_until] {
            bytes.extend(time.0.to_le_bytes());
        }
        bytes.extend(u16::try_from(user.len()).ok()?.to_le_bytes());
        bytes.extend(user);
        bytes.extend(u16::try_from(fields.len()).ok()?.to_le_bytes());
        bytes.extend(fields);
        let mac = self.keys.first()?.tag(&bytes);
        bytes.extend(mac);
        bytes.resize(size, 0);
        Some(bytes)
    }

    /// The judgement on `tag` that these bytes hold, if they are an authentic record of this realm and generation.
    #[must_use]
    pub fn decode(&self, tag: Tag, bytes: &[u8]) -> Option<Judgement> {
        let outline = outline(bytes)?;
        if outline.realm != self.realm || outline.tag != tag {
            return None;
        }
        let mut reader = Reader(bytes);
        let [_, verdict] = reader.array()?;
        let length = usize::from(u16::from_le_bytes(reader.array()?));
        let (signed, mac) = bytes.get(..length)?.split_last_chunk::<MAC>()?;
        if !self.keys.iter().any(|key| key.verifies(signed, mac)) {
            return None;
        }
        let _: [u8; 16] = reader.array()?;
        if Generation(reader.array()?) != self.generation {
            return None;
        }
        let _: [u8; 16] = reader.array()?;
        let as_of = reader.time()?;
        let limits = Limits { fresh_until: reader.time()?, stale_until: reader.time()?, hard_until: reader.time()? };
        let user = std::str::from_utf8(reader.bytes()?).ok()?;
        let fields = Fields::from_bytes(reader.bytes()?)?;
        Some(Judgement { verdict: verdict_of(verdict)?, user: Rc::from(user), fields, as_of, limits })
    }
}

/// What stands in a slot, whoever wrote it; `None` when it is empty or of another layout.
#[must_use]
pub fn outline(bytes: &[u8]) -> Option<Outline> {
    let mut reader = Reader(bytes);
    let [layout, verdict] = reader.array()?;
    if layout != LAYOUT {
        return None;
    }
    let _length: [u8; 2] = reader.array()?;
    let realm = Realm(reader.array()?);
    let _generation: [u8; 8] = reader.array()?;
    let tag = Tag(reader.array()?);
    let as_of = reader.time()?;
    let (_fresh, _stale) = (reader.time()?, reader.time()?);
    let hard_until = reader.time()?;
    Some(Outline { realm, tag, admits: verdict == verdict_byte(Verdict::Allow), as_of, hard_until })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// What stands behind its length.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn time(&mut self) -> Option<UnixMillis> {
        self.array().map(|bytes| UnixMillis(u64::from_le_bytes(bytes)))
    }
}

fn verdict_byte(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 1,
        Verdict::Deny(Barred::UnknownUser) => 2,
        Verdict::Deny(Barred::Banned) => 3,
        Verdict::Deny(Barred::UnknownSession) => 4,
    }
}

fn verdict_of(byte: u8) -> Option<Verdict> {
    Some(match byte {
        1 => Verdict::Allow,
        2 => Verdict::Deny(Barred::UnknownUser),
        3 => Verdict::Deny(Barred::Banned),
        4 => Verdict::Deny(Barred::UnknownSession),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
