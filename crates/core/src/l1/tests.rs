use std::rc::Rc;

use super::*;
use crate::fields::Fields;
use crate::mac::MacKey;
use crate::record::{Generation, Realm};
use crate::secret::Secret;
use crate::verdict::{Barred, Limits};

const NOW: UnixMillis = UnixMillis(1000);

fn l1(realm: u8) -> L1 {
    let keys = vec![MacKey::derive(&Secret::new("secret of the test"), &[realm])];
    L1::new(Codec::new(Realm([realm; 16]), Generation([0; 8]), keys), 16, 256)
}

fn judgement(verdict: Verdict, as_of: u64) -> Judgement {
    let until = UnixMillis(2000);
    let limits = Limits { fresh_until: until, stale_until: until, hard_until: until };
    Judgement { verdict, user: Rc::from("u"), fields: Fields::default(), as_of: UnixMillis(as_of), limits }
}

const UNKNOWN: Verdict = Verdict::Deny(Barred::UnknownUser);

fn tag(number: u8) -> Tag {
    Tag([number; 16])
}

/// A set that other records share, built in order.
fn set(records: &[(&L1, Tag, Judgement)]) -> Vec<u8> {
    let mut set = Vec::new();
    for (l1, tag, judgement) in records {
        match l1.store(*tag, judgement, &set, NOW) {
            Stored::Changed { value, .. } => set = value,
            other => panic!("{other:?}"),
        }
    }
    set
}

#[test]
fn a_set_never_grows() {
    let l1 = l1(1);
    let records: Vec<_> = (0..100).map(|number| (&l1, tag(number), judgement(Verdict::Allow, 1))).collect();
    assert_eq!(set(&records).len(), WAYS * 256);
}

#[test]
fn what_was_stored_is_found_and_nothing_else() {
    let l1 = l1(1);
    let set = set(&[(&l1, tag(1), judgement(Verdict::Allow, 5)), (&l1, tag(2), judgement(UNKNOWN, 6))]);
    assert_eq!(l1.find(tag(1), &set), Some(judgement(Verdict::Allow, 5)));
    assert_eq!(l1.find(tag(2), &set).unwrap().verdict, UNKNOWN);
    assert_eq!(l1.find(tag(3), &set), None);
}

#[test]
fn an_older_judgement_never_replaces_a_newer_one() {
    let l1 = l1(1);
    let set = set(&[(&l1, tag(1), judgement(UNKNOWN, 10))]);
    let older = judgement(Verdict::Allow, 9);
    assert_eq!(l1.store(tag(1), &older, &set, NOW), Stored::Superseded(judgement(UNKNOWN, 10)));
    // Of two that are equally old the denial holds.
    let equal = judgement(Verdict::Allow, 10);
    assert!(matches!(l1.store(tag(1), &equal, &set, NOW), Stored::Superseded(_)));
    let newer = judgement(Verdict::Allow, 11);
    assert!(matches!(l1.store(tag(1), &newer, &set, NOW), Stored::Changed { evicted: false, .. }));
}

#[test]
fn a_full_set_gives_up_its_oldest_record() {
    let l1 = l1(1);
    let full: Vec<_> = [4, 2, 3, 5].map(|n| (&l1, tag(n), judgement(Verdict::Allow, n.into()))).into();
    let Stored::Changed { value, evicted } = l1.store(tag(9), &judgement(Verdict::Allow, 9), &set(&full), NOW) else {
        panic!("not stored");
    };
    assert!(evicted);
    assert_eq!(l1.find(tag(2), &value), None);
    for kept in [3, 4, 5, 9] {
        assert!(l1.find(tag(kept), &value).is_some(), "{kept}");
    }
}

#[test]
fn a_record_that_is_over_makes_room_first() {
    let l1 = l1(1);
    let full: Vec<_> = [1, 2, 3, 4].map(|n| (&l1, tag(n), judgement(Verdict::Allow, n.into()))).into();
    let mut over = full.clone();
    over[2].2.limits.hard_until = NOW;
    let stored = l1.store(tag(9), &judgement(Verdict::Allow, 9), &set(&over), NOW);
    let Stored::Changed { value, evicted: false } = stored else { panic!("{stored:?}") };
    assert_eq!(l1.find(tag(3), &value), None);
    assert!(l1.find(tag(1), &value).is_some());
}

#[test]
fn denials_never_take_more_than_half_of_a_set() {
    let l1 = l1(1);
    let mut records =
        vec![(&l1, tag(100), judgement(Verdict::Allow, 1)), (&l1, tag(101), judgement(Verdict::Allow, 2))];
    records.extend((0..50).map(|number| (&l1, tag(number), judgement(UNKNOWN, 10 + u64::from(number)))));
    let set = set(&records);
    assert!(l1.find(tag(100), &set).is_some());
    assert!(l1.find(tag(101), &set).is_some());
    assert!(l1.find(tag(49), &set).is_some());
}

#[test]
fn realms_share_slots_and_never_judgements() {
    let (one, other) = (l1(1), l1(2));
    let set = set(&[(&one, tag(1), judgement(Verdict::Allow, 5)), (&other, tag(1), judgement(UNKNOWN, 6))]);
    assert_eq!(one.find(tag(1), &set).unwrap().verdict, Verdict::Allow);
    assert_eq!(other.find(tag(1), &set).unwrap().verdict, UNKNOWN);
}

#[test]
fn a_value_of_another_shape_reads_as_empty_and_is_mended() {
    let l1 = l1(1);
    for value in [vec![], vec![1; 7], vec![1; WAYS * 256], vec![0xff; WAYS * 512]] {
        assert_eq!(l1.find(tag(1), &value), None);
        let Stored::Changed { value, .. } = l1.store(tag(1), &judgement(Verdict::Allow, 1), &value, NOW) else {
            panic!("not stored");
        };
        assert_eq!(value.len(), WAYS * 256);
        assert!(l1.find(tag(1), &value).is_some());
    }
}

#[test]
fn records_of_another_layout_are_free_slots() {
    let l1 = l1(1);
    let full: Vec<_> = [1, 2, 3, 4].map(|n| (&l1, tag(n), judgement(Verdict::Allow, n.into()))).into();
    let mut set = set(&full);
    set.chunks_exact_mut(256).for_each(|slot| slot[0] += 1);
    assert!((1..=4).all(|n| l1.find(tag(n), &set).is_none()));
    // Even an older judgement is stored: what nobody can read supersedes nothing, and is lost to nobody.
    let Stored::Changed { value, evicted: false } = l1.store(tag(1), &judgement(Verdict::Allow, 0), &set, NOW) else {
        panic!("not stored");
    };
    assert_eq!(l1.find(tag(1), &value), Some(judgement(Verdict::Allow, 0)));
}

#[test]
fn set_names_are_few() {
    let l1 = l1(1);
    let names: std::collections::BTreeSet<_> = (0..=255).map(|number| l1.set_of(tag(number))).collect();
    assert!(names.len() <= 16 / WAYS, "{names:?}");
    assert!(names.iter().all(|name| name.0.starts_with("jwe_gate/")));
}
