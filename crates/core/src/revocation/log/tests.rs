use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;
use crate::secret::Secret;
use crate::shared::QueueId;

/// Shared data, and what happens before the next write.
#[derive(Default)]
pub(in crate::revocation) struct Memory {
    values: RefCell<BTreeMap<SharedKey, (Vec<u8>, u32)>>,
}

impl Memory {
    pub(in crate::revocation) fn keys(&self) -> usize {
        self.values.borrow().len()
    }

    /// Spoils every value whose key ends like this.
    pub(in crate::revocation) fn spoil(&self, end: &str) {
        for (_, (value, version)) in self.values.borrow_mut().iter_mut().filter(|(key, _)| key.0.ends_with(end)) {
            value.iter_mut().take(20).for_each(|byte| *byte ^= 1);
            *version += 1;
        }
    }
}

impl SharedData for Memory {
    fn get(&self, key: &SharedKey) -> (Option<Vec<u8>>, Cas) {
        match self.values.borrow().get(key) {
            Some((value, version)) => (Some(value.clone()), Cas::Version(*version)),
            None => (None, Cas::Absent),
        }
    }

    fn put(&self, key: &SharedKey, value: &[u8], cas: Cas) -> bool {
        let (_, before) = self.get(key);
        if before != cas {
            return false;
        }
        let version = match before {
            Cas::Absent => 1,
            Cas::Version(version) => version + 1,
        };
        self.values.borrow_mut().insert(key.clone(), (value.to_vec(), version));
        true
    }

    fn queue(&self) -> Option<QueueId> {
        None
    }
}

fn log(secret: &str) -> Log {
    Log::new(&[b"cluster", b"realm"], MacKey::derive(&Secret::new(secret), b"test"))
}

fn notices(numbers: std::ops::Range<usize>) -> Vec<Notice> {
    let notice = |number: usize| {
        let mut tag = [0; 16];
        tag[..8].copy_from_slice(&number.to_le_bytes());
        let ended = Bounds { signed_in_before_ms: 1, issued_before_ms: number as u64 };
        Notice { tag: Tag::from_bytes(tag), ended, changed: UnixMillis(3), until: UnixMillis(4) }
    };
    numbers.map(notice).collect()
}

fn cursor(upto: u64) -> Cursor {
    Cursor { epoch: "an epoch".into(), upto }
}

fn begun(log: &Log, memory: &Memory, first: &[Notice]) -> Head {
    let head = Head {
        number: 8,
        blocks: 0,
        confirmed: UnixMillis(5),
        cursor: cursor(0),
        promised_delay_ms: 9,
        tail: Vec::new(),
    };
    let (before, cas) = log.head(memory, None);
    log.replace(memory, (before.as_ref(), cas), first, head).unwrap()
}

#[test]
fn what_is_appended_is_read_from_any_position_in_order() {
    let (log, memory) = (log("secret"), Memory::default());
    begun(&log, &memory, &notices(0..130));
    let mut upto = 130;
    for count in [1, 0, 125, 1, 300, 128, 5] {
        let (head, cas) = log.head(&memory, None);
        let more = notices(upto..upto + count);
        upto += count;
        let at = (cursor(upto as u64), UnixMillis(6));
        log.append(&memory, (&mut head.unwrap(), cas), &more, at).unwrap();
        let (head, _) = log.head(&memory, None);
        let head = head.unwrap();
        assert_eq!((head.len(), head.confirmed, head.cursor.upto), (upto, UnixMillis(6), upto as u64));
        for from in [0, 1, 127, 128, 129, upto - 1, upto] {
            assert_eq!(log.read(&memory, &head, from), Ok(notices(from..upto)), "from {from} of {upto}");
        }
    }
}

#[test]
fn of_two_who_append_to_one_head_one_is_told_to_read_again() {
    let (log, memory) = (log("secret"), Memory::default());
    begun(&log, &memory, &notices(0..100));
    let (head, cas) = log.head(&memory, None);
    let mut heads = [head.clone().unwrap(), head.unwrap()];
    let [one, other] = &mut heads;
    let at = (cursor(1), UnixMillis(6));
    assert_eq!(log.append(&memory, (one, cas), &notices(100..200), at.clone()), Ok(()));
    assert_eq!(log.append(&memory, (other, cas), &notices(300..301), at), Err(NotWritten::Conflict));
    let (head, _) = log.head(&memory, None);
    assert_eq!(log.read(&memory, &head.unwrap(), 0), Ok(notices(0..200)));
}

#[test]
fn a_full_log_has_room_in_the_one_that_takes_its_place_and_the_keys_are_used_again() {
    let (log, memory) = (log("secret"), Memory::default());
    begun(&log, &memory, &notices(0..CAPACITY));
    let at = (cursor(1), UnixMillis(6));
    let (head, cas) = log.head(&memory, None);
    let mut head = head.unwrap();
    assert_eq!(log.append(&memory, (&mut head, cas), &notices(0..1), at), Err(NotWritten::NoRoom));
    let keys = memory.keys();
    for round in 0..4 {
        let (before, cas) = log.head(&memory, None);
        let before = before.unwrap();
        let next = Head { number: 100 + round, ..before.clone() };
        let after = log.replace(&memory, (Some(&before), cas), &notices(0..100 * BLOCK), next).unwrap();
        assert_ne!(after.number & 1, before.number & 1, "the other area");
        assert_eq!(log.head(&memory, None).0, Some(after.clone()));
        assert_eq!(log.read(&memory, &after, 0), Ok(notices(0..100 * BLOCK)));
    }
    assert!(memory.keys() <= keys + 100, "no other keys");
}

#[test]
fn what_somebody_else_wrote_is_not_there() {
    let (own, other, memory) = (log("secret"), log("another secret"), Memory::default());
    let head = begun(&own, &memory, &notices(0..200));
    assert_eq!(other.head(&memory, None), (None, Cas::Absent), "another secret is another log");
    memory.spoil("/0/0");
    assert_eq!(own.read(&memory, &head, 0), Err(Unreadable));
    assert_eq!(own.read(&memory, &head, 128), Ok(notices(128..200)));
    memory.spoil("/head");
    assert_eq!(own.head(&memory, None).0, None);
}

#[test]
fn an_unchanged_head_is_not_read_twice() {
    let (log, memory) = (log("secret"), Memory::default());
    begun(&log, &memory, &[]);
    let (head, cas) = log.head(&memory, None);
    assert!(head.unwrap().is_empty());
    assert_eq!(log.head(&memory, Some(cas)), (None, cas));
}
