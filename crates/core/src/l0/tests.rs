use super::*;
use crate::claims::{Rules, check};
use crate::fields::Fields;
use crate::identity::{Facts, Proof};
use crate::mac::MacKey;
use crate::secret::Secret;
use crate::verdict::{Barred, Limits, Verdict};

const NOW: UnixMillis = UnixMillis::from_seconds(1000);

fn known(subject: &str, hard_until: UnixMillis) -> Rc<Known> {
    judged(subject, hard_until, Verdict::Allow)
}

fn judged(subject: &str, hard_until: UnixMillis, verdict: Verdict) -> Rc<Known> {
    let payload = format!(r#"{{"sub":"{subject}","iat":1000,"exp":2000}}"#);
    let session = Rc::new(check(payload.as_bytes(), None, &Rules::default(), NOW).unwrap());
    let limits = Limits { fresh_until: hard_until, stale_until: hard_until, hard_until };
    let judgement = Judgement { verdict, user: Rc::from(subject), fields: Fields::default(), as_of: NOW, limits };
    let facts = Facts { user: subject, claims: session.claims(), fields: &serde_json::Map::new() };
    let identity = Identity::new(&[], &facts, &MacKey::derive(&Secret::new("a"), b"log"));
    Rc::new(Known { session, judgement, identity: Rc::new(identity), proof: Proof::default(), met: 0 })
}

fn later() -> UnixMillis {
    UnixMillis(NOW.0 + 1000)
}

#[test]
fn a_token_is_found_until_it_is_forgotten() {
    let mut l0 = L0::new(16, [1; 16]);
    let key = l0.key(0, 0, [b"token".as_slice()]);
    assert!(l0.get(key).is_none());
    assert!(!l0.put(key, known("a", later()), NOW));
    assert_eq!(l0.get(key).unwrap().session.subject(), "a");
    l0.forget(key);
    assert!(l0.get(key).is_none());
}

#[test]
fn where_a_token_came_from_and_how_it_was_cut_are_part_of_its_key() {
    let l0 = L0::new(16, [1; 16]);
    let key = |name, source, pieces: &[&'static [u8]]| l0.key(name, source, pieces.iter().copied());
    let keys = [
        key(0, 0, &[b"token"]),
        key(1, 0, &[b"token"]),
        key(0, 1, &[b"token"]),
        key(0, 0, &[b"to", b"ken"]),
        key(0, 0, &[b"tok", b"en"]),
        L0::new(16, [2; 16]).key(0, 0, [b"token".as_slice()]),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "{index}");
    }
}

#[test]
fn a_full_set_forgets_what_was_used_least_recently() {
    let mut l0 = L0::new(WAYS, [1; 16]);
    let keys: Vec<L0Key> = (0..5_u8).map(|number| l0.key(0, 0, [[number].as_slice()])).collect();
    for key in &keys[..WAYS] {
        assert!(!l0.put(*key, known("a", later()), NOW));
    }
    l0.get(keys[0]);
    assert!(l0.put(keys[4], known("b", later()), NOW));
    assert!(l0.get(keys[1]).is_none());
    assert!(l0.get(keys[0]).is_some() && l0.get(keys[4]).is_some());
}

#[test]
fn an_entry_that_is_over_makes_room_first() {
    let mut l0 = L0::new(WAYS, [1; 16]);
    let keys: Vec<L0Key> = (0..5_u8).map(|number| l0.key(0, 0, [[number].as_slice()])).collect();
    for (index, key) in keys[..WAYS].iter().enumerate() {
        l0.put(*key, known("a", if index == 2 { NOW } else { later() }), NOW);
    }
    assert!(!l0.put(keys[4], known("b", later()), NOW));
    assert!(l0.get(keys[2]).is_none() && l0.get(keys[1]).is_some());
}

#[test]
fn denials_never_take_more_than_half_of_a_set() {
    let mut l0 = L0::new(WAYS, [1; 16]);
    let keys: Vec<L0Key> = (0..200_u8).map(|number| l0.key(0, 0, [[number].as_slice()])).collect();
    for key in &keys[..2] {
        l0.put(*key, known("a", later()), NOW);
    }
    for key in &keys[2..] {
        l0.put(*key, judged("b", later(), Verdict::Deny(Barred::UnknownUser)), NOW);
    }
    assert!(keys[198..].iter().all(|key| l0.get(*key).is_some()));
    assert!(keys[..2].iter().all(|key| l0.get(*key).is_some()));
    // What is admitted takes their place.
    for key in &keys[2..4] {
        l0.put(*key, known("c", later()), NOW);
    }
    assert!(keys[..4].iter().all(|key| l0.get(*key).is_some()));
}

#[test]
fn memory_is_bounded_by_the_configured_entries() {
    let mut l0 = L0::new(100, [1; 16]);
    for number in 0..10_000_u32 {
        let key = l0.key(0, 0, [number.to_le_bytes().as_slice()]);
        l0.put(key, known("a", later()), NOW);
    }
    assert_eq!(l0.slots.len(), 128);
}

/// Remembers that so many headers each show a token of their own, twice; tells how many of them are found then.
fn headers_found(entries: usize, headers: u32) -> usize {
    let mut l0 = L0::new(entries, [1; 16]);
    let named = |number: u32| (number.to_be_bytes(), format!("session={number}"));
    for _ in 0..2 {
        for number in 0..headers {
            let (token, line) = named(number);
            let key = l0.key(0, 0, [token.as_slice()]);
            l0.put(key, known(&line, later()), NOW);
            l0.note_shown(line.as_bytes(), key);
        }
    }
    let lines = (0..headers).map(|number| named(number).1);
    let found = lines.filter(|line| match l0.get_shown(line.as_bytes()) {
        Some(known) => known.session.subject() == line,
        None => false,
    });
    found.count()
}

#[test]
fn nearly_all_headers_are_remembered_of_a_quarter_as_many_users_as_there_are_entries() {
    assert!(headers_found(4096, 1024) > 1000);
}

#[test]
fn a_set_remembers_the_headers_that_came_last_and_each_once() {
    assert_eq!(headers_found(WAYS, 1), 1);
    assert_eq!(headers_found(WAYS, 4), 4);
    assert_eq!(headers_found(WAYS, 40), 4);
}
