//! How the workers of a process share what the feed says: a log in shared data.
//!
//! Whoever follows the feed appends, all read what they have not read. Notices stand in blocks of [`BLOCK`] in the order
//! in which they came; the last block, which is not full yet, stands in the head. So an append is one
//! compare-and-swap of the head, and nobody has to be there at the right moment to learn of it. A log that is full gives
//! way to one that holds what is still in force; the two take turns in two areas, so the number of keys is fixed.
//!
//! ```text
//! head: offset 0   layout, 1 byte               block: offset 0   layout, 1 byte
//!              1   length of the epoch, 1 byte                  1   nothing, 1 byte
//!              2   notices here, 2 bytes                        2   notices here, 2 bytes
//!              4   blocks before, 4 bytes                       4   number of the block, 4 bytes
//!              8   number of the log, 8 bytes                   8   number of the log, 8 bytes
//!              16  confirmed, 8 bytes, ms                       16  notices
//!              24  read up to, 8 bytes                          end - 16: MAC
//!              32  promised delay, 8 bytes, ms
//!              40  epoch
//!              ..  notices
//!              end - 16: MAC
//! notice:  tag, 16 bytes; signed in before, issued before, changed, until, 8 bytes each, ms
//! ```
//! Numbers are little-endian. A MAC is HMAC-SHA256 over everything before it, truncated, and names what it stands on. What
//! has another layout or no right MAC is not there: then the log begins anew with what the service says.

use jwe_gate_contract::{Bounds, Tag};

use super::{Cursor, Notice};
use crate::mac::{MacKey, digest};
use crate::shared::{Cas, SharedData, SharedKey};
use crate::time::UnixMillis;

/// Notices in a block.
pub const BLOCK: usize = 128;

/// Notices in a log. More than are ever in force, so that a log that takes the place of a full one has room.
pub const CAPACITY: usize = 1024 * BLOCK;

const LAYOUT: u8 = 1;
const FIXED: usize = 40;
const BLOCK_FIXED: usize = 16;
const NOTICE: usize = 48;
const MAC: usize = 16;
const MAX_EPOCH: usize = u8::MAX as usize;

/// Where the log of one feed stands, and what authenticates it.
#[derive(Debug)]
pub struct Log {
    name: String,
    key: MacKey,
}

/// The head of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Tells the log from those before and after it.
    pub number: u64,
    /// How many blocks are full.
    pub blocks: u32,
    /// When the service was last asked and then answered.
    pub confirmed: UnixMillis,
    /// How far the log has come in the feed.
    pub cursor: Cursor,
    /// How soon after a revocation the service promises that every proxy applies it, in milliseconds.
    pub promised_delay_ms: u64,
    /// What the next block holds so far.
    pub tail: Vec<Notice>,
}

/// How far a worker has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The log.
    pub number: u64,
    /// How many of its notices.
    pub read: usize,
}

/// Why a log was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWritten {
    /// Another worker was there first.
    Conflict,
    /// There is no room; a log of what is in force has to take its place.
    NoRoom,
}

/// A block is not what the head says. The log is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Head {
    /// How many notices the log holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks as usize * BLOCK + self.tail.len()
    }

    /// Whether the log holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Log {
    /// The log of the feed that these parts name. Under another key it is another log.
    #[must_use]
    pub fn new(feed: &[&[u8]], key: MacKey) -> Self {
        let own = key.tag(b"jwe-gate feed");
        let name = u128::from_be_bytes(digest("jwe-gate feed", &[&[&own[..]], feed].concat()));
        Self { name: format!("jwe_gate/feed/{name:032x}"), key }
    }

    /// Where it is said who follows the feed for all.
    #[must_use]
    pub fn lease_key(&self) -> SharedKey {
        SharedKey(format!("{}/lease", self.name))
    }

    /// The head, if it is another value than the one last `seen`.
    pub fn head(&self, shared: &dyn SharedData, seen: Option<Cas>) -> (Option<Head>, Cas) {
        let (value, cas) = shared.get(&self.head_key());
        let head = value.filter(|_| Some(cas) != seen).and_then(|value| self.decode(&value));
        (head, cas)
    }

    /// What a log holds beyond a position in it.
    ///
    /// # Errors
    /// [`Unreadable`] when a block is missing, foreign or corrupt.
    pub fn read(&self, shared: &dyn SharedData, head: &Head, from: usize) -> Result<Vec<Notice>, Unreadable> {
        let mut notices = Vec::with_capacity(head.len().saturating_sub(from));
        let first = u32::try_from(from / BLOCK).map_err(|_| Unreadable)?;
        for block in first..head.blocks {
            let (value, _) = shared.get(&self.block_key(head.number, block));
            let notices_here = self.block(head.number, block, &value.ok_or(Unreadable)?).ok_or(Unreadable)?;
            let skipped = from.saturating_sub(block as usize * BLOCK);
            notices.extend(notices_here.into_iter().skip(skipped));
        }
        let skipped = from.saturating_sub(head.blocks as usize * BLOCK);
        notices.extend(head.tail.iter().skip(skipped));
        Ok(notices)
    }

    /// Appends what the feed has brought. `head` and `cas` are as they were read; the head is then as it was written.
    ///
    /// # Errors
    /// [`NotWritten`]. What was written until then stays; the cursor does not go beyond it.
    pub fn append(
        &self,
        shared: &dyn SharedData,
        (head, mut cas): (&mut Head, Cas),
        notices: &[Notice],
        (cursor, confirmed): (Cursor, UnixMillis),
    ) -> Result<(), NotWritten> {
        if head.len() + notices.len() > CAPACITY {
            return Err(NotWritten::NoRoom);
        }
        let mut left = notices;
        loop {
            if head.tail.len() >= BLOCK {
                self.fill_block(shared, head)?;
            }
            let (now, later) = left.split_at(left.len().min(BLOCK - head.tail.len()));
            head.tail.extend(now);
            left = later;
            if left.is_empty() {
                (head.cursor, head.confirmed) = (cursor, confirmed);
                return self.write_head(shared, head, cas);
            }
            // A full tail is written before it becomes a block: so two who append can make but one block of it.
            self.write_head(shared, head, cas)?;
            cas = shared.get(&self.head_key()).1;
        }
    }

    /// Puts a log in place that holds just these. `before` is the head that it takes the place of.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub fn replace(
        &self,
        shared: &dyn SharedData,
        before: (Option<&Head>, Cas),
        notices: &[Notice],
        mut head: Head,
    ) -> Result<Head, NotWritten> {
        if notices.len() > CAPACITY {
            return Err(NotWritten::NoRoom);
        }
        // The area is the last bit of the number.
        let other_area = before.0.map_or(0, |before| !before.number & 1);
        head.number = head.number & !1 | other_area;
        let (blocks, tail) = notices.as_chunks::<BLOCK>();
        head.blocks = 0;
        for block in blocks {
            head.tail = block.to_vec();
            self.fill_block(shared, &mut head)?;
        }
        head.tail = tail.to_vec();
        self.write_head(shared, &head, before.1)?;
        Ok(head)
    }

    fn fill_block(&self, shared: &dyn SharedData, head: &mut Head) -> Result<(), NotWritten> {
        let key = self.block_key(head.number, head.blocks);
        let mut bytes = vec![LAYOUT, 0];
        put_count(&mut bytes, head.tail.len());
        bytes.extend(head.blocks.to_le_bytes());
        bytes.extend(head.number.to_le_bytes());
        put_notices(&mut bytes, &head.tail);
        let bytes = self.sealed(bytes);
        let (value, cas) = shared.get(&key);
        if value.as_deref() != Some(&bytes) && !shared.put(&key, &bytes, cas) {
            return Err(NotWritten::Conflict);
        }
        head.blocks += 1;
        head.tail.clear();
        Ok(())
    }

    fn write_head(&self, shared: &dyn SharedData, head: &Head, cas: Cas) -> Result<(), NotWritten> {
        let epoch = head.cursor.epoch.as_bytes();
        let length = u8::try_from(epoch.len()).map_err(|_| NotWritten::NoRoom)?;
        let mut bytes = Vec::with_capacity(FIXED + MAX_EPOCH + BLOCK * NOTICE + MAC);
        bytes.extend([LAYOUT, length]);
        put_count(&mut bytes, head.tail.len());
        bytes.extend(head.blocks.to_le_bytes());
        bytes.extend(head.number.to_le_bytes());
        bytes.extend(head.confirmed.0.to_le_bytes());
        bytes.extend(head.cursor.upto.to_le_bytes());
        bytes.extend(head.promised_delay_ms.to_le_bytes());
        bytes.extend(epoch);
        put_notices(&mut bytes, &head.tail);
        let written = shared.put(&self.head_key(), &self.sealed(bytes), cas);
        written.then_some(()).ok_or(NotWritten::Conflict)
    }

    fn decode(&self, value: &[u8]) -> Option<Head> {
        let bytes = self.opened(value)?;
        let (fixed, rest) = bytes.split_first_chunk::<FIXED>()?;
        let mut reader = Reader(fixed);
        let [LAYOUT, epoch] = reader.array()? else { return None };
        let count = u16::from_le_bytes(reader.array()?);
        let blocks = u32::from_le_bytes(reader.array()?);
        let [number, confirmed] = [reader.number()?, reader.number()?];
        let [upto, promised_delay_ms] = [reader.number()?, reader.number()?];
        let (epoch, notices) = rest.split_at_checked(usize::from(epoch))?;
        let epoch = std::str::from_utf8(epoch).ok()?.to_owned();
        let tail = notices_of(notices, count)?;
        let (confirmed, cursor) = (UnixMillis(confirmed), Cursor { epoch, upto });
        let head = Head { number, blocks, confirmed, cursor, promised_delay_ms, tail };
        (head.len() <= CAPACITY).then_some(head)
    }

    fn block(&self, log: u64, block: u32, value: &[u8]) -> Option<Vec<Notice>> {
        let bytes = self.opened(value)?;
        let (fixed, notices) = bytes.split_first_chunk::<BLOCK_FIXED>()?;
        let mut reader = Reader(fixed);
        let [LAYOUT, 0] = reader.array()? else { return None };
        let count = u16::from_le_bytes(reader.array()?);
        let is_it = u32::from_le_bytes(reader.array()?) == block && reader.number()? == log;
        notices_of(notices, count).filter(|notices| is_it && notices.len() == BLOCK)
    }

    fn sealed(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let mac = self.key.tag(&bytes);
        bytes.extend(mac);
        bytes
    }

    fn opened<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        let (bytes, mac) = value.split_last_chunk::<MAC>()?;
        self.key.verifies(bytes, mac).then_some(bytes)
    }

    fn head_key(&self) -> SharedKey {
        SharedKey(format!("{}/head", self.name))
    }

    fn block_key(&self, log: u64, block: u32) -> SharedKey {
        SharedKey(format!("{}/{}/{block:x}", self.name, log & 1))
    }
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    // A block has 128 at most.
    bytes.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
}

fn put_notices(bytes: &mut Vec<u8>, notices: &[Notice]) {
    for Notice { tag, ended, changed, until } in notices {
        bytes.extend(tag.as_bytes());
        for time in [ended.signed_in_before_ms, ended.issued_before_ms, changed.0, until.0] {
            bytes.extend(time.to_le_bytes());
        }
    }
}

fn notices_of(bytes: &[u8], count: u16) -> Option<Vec<Notice>> {
    let (notices, []) = bytes.as_chunks::<NOTICE>() else { return None };
    let notice = |notice: &[u8; NOTICE]| {
        let mut reader = Reader(notice);
        let tag = Tag::from_bytes(reader.array()?);
        let ended = Bounds { signed_in_before_ms: reader.number()?, issued_before_ms: reader.number()? };
        Some(Notice { tag, ended, changed: UnixMillis(reader.number()?), until: UnixMillis(reader.number()?) })
    };
    let notices: Vec<_> = notices.iter().map(notice).collect::<Option<_>>()?;
    (notices.len() == usize::from(count)).then_some(notices)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
pub(super) mod tests;
