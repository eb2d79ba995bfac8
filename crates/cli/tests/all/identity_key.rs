//! `jwe-gate identity-key`: two halves of one new key.

use jwe_gate_contract::PublicKey;
use jwe_gate_core::jws::Signer;
use jwe_gate_core::secret::Secret;

use crate::common;

/// The private and the public half.
fn new_key() -> (String, PublicKey) {
    let printed = common::run(&["identity-key"], common::SECRET, b"");
    assert_eq!(printed.status, 0);
    let lines: Vec<&str> = printed.out.lines().collect();
    let [private, public] = lines[..] else { panic!("two lines expected") };
    let private = private.strip_prefix("IDENTITY_KEY=").unwrap();
    (private.to_owned(), public.strip_prefix("IDENTITY_PUBLIC_KEYS=").unwrap().parse().unwrap())
}

#[test]
fn the_public_half_is_that_of_the_private_one() {
    let (private, public) = new_key();
    assert_eq!(Signer::new(&Secret::new(private)).unwrap().public_key(), public);
}

#[test]
fn every_key_is_another_one() {
    assert_ne!(new_key().0, new_key().0);
}
