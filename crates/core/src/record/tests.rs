use super::*;
use crate::secret::Secret;

fn codec(realm: u8, generation: u8, secrets: &[&str]) -> Codec {
    let keys = secrets.iter().map(|secret| MacKey::derive(&Secret::new(*secret), b"test")).collect();
    Codec::new(Realm([realm; 16]), Generation([generation; 8]), keys)
}

fn judgement() -> Judgement {
    let limits = Limits { fresh_until: UnixMillis(20), stale_until: UnixMillis(30), hard_until: UnixMillis(40) };
    let fields = Fields::from_bytes(FIELDS.as_bytes()).unwrap();
    Judgement { verdict: Verdict::Allow, user: Rc::from("user-7"), fields, as_of: UnixMillis(10), limits }
}

/// Of the record of that judgement.
fn length() -> usize {
    HEAD + "user-7".len() + 2 + FIELDS.len() + MAC
}

const FIELDS: &str = r#"{"role":"admin"}"#;
const TAG: Tag = Tag([7; 16]);

#[test]
fn a_record_reads_as_it_was_written() {
    for verdict in [
        Verdict::Allow,
        Verdict::Deny(Barred::Banned),
        Verdict::Deny(Barred::UnknownSession),
        Verdict::Deny(Barred::UnknownUser),
    ] {
        let judgement = Judgement { verdict, ..judgement() };
        let bytes = codec(1, 1, &["a"]).encode(TAG, &judgement, 512).unwrap();
        assert_eq!(bytes.len(), 512);
        assert_eq!(codec(1, 1, &["a"]).decode(TAG, &bytes), Some(judgement));
    }
}

#[test]
fn a_record_outlives_a_rotation_and_not_the_end_of_its_secret() {
    let bytes = codec(1, 1, &["old"]).encode(TAG, &judgement(), 512).unwrap();
    assert!(codec(1, 1, &["new", "old"]).decode(TAG, &bytes).is_some());
    assert!(codec(1, 1, &["new"]).decode(TAG, &bytes).is_none());
}

#[test]
fn a_record_of_another_realm_generation_or_key_is_none() {
    let bytes = codec(1, 1, &["a"]).encode(TAG, &judgement(), 512).unwrap();
    assert!(codec(2, 1, &["a"]).decode(TAG, &bytes).is_none());
    assert!(codec(1, 2, &["a"]).decode(TAG, &bytes).is_none());
    assert!(codec(1, 1, &["a"]).decode(Tag([8; 16]), &bytes).is_none());
}

#[test]
fn every_changed_bit_and_every_cut_makes_it_no_record() {
    let codec = codec(1, 1, &["a"]);
    let length = length();
    let bytes = codec.encode(TAG, &judgement(), length).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(codec.decode(TAG, &changed), None, "bit {bit}");
    }
    for end in 0..bytes.len() {
        assert_eq!(codec.decode(TAG, &bytes[..end]), None, "cut at {end}");
    }
}

#[test]
fn a_record_of_another_layout_is_none_even_under_a_good_mac() {
    let key = MacKey::derive(&Secret::new("a"), b"test");
    let length = length();
    let mut bytes = codec(1, 1, &["a"]).encode(TAG, &judgement(), length).unwrap();
    for layout in (0..=255).filter(|layout| *layout != LAYOUT) {
        bytes[0] = layout;
        let mac = key.tag(&bytes[..length - MAC]);
        bytes[length - MAC..].copy_from_slice(&mac);
        assert_eq!(codec(1, 1, &["a"]).decode(TAG, &bytes), None, "layout {layout}");
        assert_eq!(outline(&bytes), None, "layout {layout}");
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    assert!(codec(1, 1, &["a"]).encode(TAG, &judgement(), length()).is_some());
    assert!(codec(1, 1, &["a"]).encode(TAG, &judgement(), length() - 1).is_none());
    let judgement = Judgement { user: Rc::from("x".repeat(200)), fields: Fields::default(), ..judgement() };
    assert!(codec(1, 1, &["a"]).encode(TAG, &judgement, HEAD + 200 + 2 + MAC).is_some());
    assert!(codec(1, 1, &["a"]).encode(TAG, &judgement, HEAD + 199 + 2 + MAC).is_none());
}

#[test]
fn the_layout_is_the_documented_one() {
    let bytes = codec(1, 2, &["a"]).encode(TAG, &judgement(), 128).unwrap();
    assert_eq!(bytes[..2], [2, 1]);
    assert_eq!(bytes[2..4], 118_u16.to_le_bytes());
    assert_eq!(bytes[4..20], [1; 16]);
    assert_eq!(bytes[20..28], [2; 8]);
    assert_eq!(bytes[28..44], [7; 16]);
    assert_eq!(bytes[44..52], 10_u64.to_le_bytes());
    assert_eq!(bytes[68..76], 40_u64.to_le_bytes());
    assert_eq!(bytes[76..78], 6_u16.to_le_bytes());
    assert_eq!(&bytes[78..84], b"user-7");
    assert_eq!(bytes[84..86], 16_u16.to_le_bytes());
    assert_eq!(&bytes[86..102], FIELDS.as_bytes());
    assert_eq!(bytes[118..], [0; 10]);
}
