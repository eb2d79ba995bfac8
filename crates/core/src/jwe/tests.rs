//! Opening tokens: what each profile accepts, and that every change to a token is noticed.

use super::seal::{HeaderForm, Recipe, SealError};
use super::*;

const COOKIE: &str = "__Secure-authjs.session-token";
const PAYLOAD: &[u8] = br#"{"sub":"alice"}"#;
const IV: [u8; 16] = [7; 16];

fn ring(profile: Profile, secrets: &[&str]) -> KeyRing {
    let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    KeyRing::derive(profile, None, COOKIE, &secrets).unwrap()
}

fn recipe(encryption: Encryption, header: HeaderForm<'_>) -> Recipe<'_> {
    Recipe { secret: 0, encryption, header, iv: &IV[..encryption.iv_len()] }
}

fn seal(ring: &KeyRing, encryption: Encryption, header: HeaderForm<'_>) -> String {
    ring.seal(&recipe(encryption, header), PAYLOAD).unwrap()
}

fn error(ring: &KeyRing, token: &str) -> JweError {
    ring.open(token.as_bytes()).unwrap_err()
}

#[test]
fn each_profile_opens_what_it_seals() {
    for profile in Profile::ALL {
        let ring = ring(profile, &["secret"]);
        for encryption in profile.encryptions() {
            for header in [HeaderForm::Kid, HeaderForm::Plain] {
                let token = seal(&ring, *encryption, header);
                assert_eq!(ring.open(token.as_bytes()).unwrap().plaintext(), PAYLOAD, "{profile:?} {encryption:?}");
            }
        }
    }
}

#[test]
fn only_authjs_v5_uses_cbc() {
    for profile in [Profile::AuthJsLegacy, Profile::NextAuth] {
        let ring = ring(profile, &["secret"]);
        let sealed = ring.seal(&recipe(Encryption::A256CbcHs512, HeaderForm::Plain), PAYLOAD);
        assert_eq!(sealed, Err(SealError::NoSuchKey));
        let v5 = seal(&self::ring(Profile::AuthJs, &["secret"]), Encryption::A256CbcHs512, HeaderForm::Kid);
        assert_eq!(error(&ring, &v5), JweError::EncNotAllowed);
    }
}

#[test]
fn each_profile_has_keys_of_its_own() {
    let rings = Profile::ALL.map(|profile| ring(profile, &["secret"]));
    for minting in &rings {
        let token = seal(minting, Encryption::A256Gcm, HeaderForm::Plain);
        for opening in rings.iter().filter(|ring| ring.profile() != minting.profile()) {
            assert_eq!(error(opening, &token), JweError::DecryptFailed);
        }
    }
}

#[test]
fn another_salt_is_another_key() {
    let secrets = [Secret::new("secret")];
    for profile in Profile::ALL {
        let salted = KeyRing::derive(profile, Some("shared"), COOKIE, &secrets).unwrap();
        let token = seal(&salted, Encryption::A256Gcm, HeaderForm::Plain);
        assert_eq!(error(&ring(profile, &["secret"]), &token), JweError::DecryptFailed, "{profile:?}");
    }
}

#[test]
fn the_kid_selects_the_secret_and_there_is_no_fallback() {
    let (old, new) = (ring(Profile::AuthJs, &["old"]), ring(Profile::AuthJs, &["new"]));
    let both = ring(Profile::AuthJs, &["new", "old"]);
    for encryption in Profile::AuthJs.encryptions() {
        let token = seal(&old, *encryption, HeaderForm::Kid);
        assert_eq!(both.open(token.as_bytes()).unwrap().secret(), 1);
        assert_eq!(error(&new, &token), JweError::KeyNotFound);

        let kid_of_new =
            format!(r#"{{"alg":"dir","enc":"{}","kid":"{}"}}"#, encryption.as_str(), both.kid(0, *encryption).unwrap());
        let token = seal(&old, *encryption, HeaderForm::Verbatim(&kid_of_new));
        assert_eq!(error(&both, &token), JweError::DecryptFailed);
    }
}

#[test]
fn a_kid_counts_for_its_own_algorithm_only() {
    let ring = ring(Profile::AuthJs, &["secret"]);
    let kid_of_cbc = ring.kid(0, Encryption::A256CbcHs512).unwrap();
    let header = format!(r#"{{"alg":"dir","enc":"A256GCM","kid":"{kid_of_cbc}"}}"#);
    let token = seal(&ring, Encryption::A256Gcm, HeaderForm::Verbatim(&header));
    assert_eq!(error(&ring, &token), JweError::KeyNotFound);
}

#[test]
fn without_kid_each_secret_is_tried() {
    let both = ring(Profile::AuthJs, &["new", "old"]);
    for encryption in Profile::AuthJs.encryptions() {
        let token = seal(&ring(Profile::AuthJs, &["old"]), *encryption, HeaderForm::Plain);
        assert_eq!(both.open(token.as_bytes()).unwrap().secret(), 1);
    }
}

#[test]
fn next_auth_and_legacy_do_not_look_at_kid() {
    for profile in [Profile::AuthJsLegacy, Profile::NextAuth] {
        let ring = ring(profile, &["secret"]);
        for kid in [r#""unknown""#, "null", "1"] {
            let header = format!(r#"{{"alg":"dir","enc":"A256GCM","kid":{kid}}}"#);
            let token = seal(&ring, Encryption::A256Gcm, HeaderForm::Verbatim(&header));
            assert_eq!(ring.open(token.as_bytes()).unwrap().plaintext(), PAYLOAD);
        }
    }
}

#[test]
fn a_kid_that_is_no_string_belongs_to_nobody() {
    let ring = ring(Profile::AuthJs, &["secret"]);
    for kid in ["null", "1", "[]"] {
        let header = format!(r#"{{"alg":"dir","enc":"A256GCM","kid":{kid}}}"#);
        let token = seal(&ring, Encryption::A256Gcm, HeaderForm::Verbatim(&header));
        assert_eq!(error(&ring, &token), JweError::KeyNotFound, "{kid}");
    }
}

#[test]
fn a_header_in_other_words_is_read_too() {
    let ring = ring(Profile::AuthJs, &["secret"]);
    let header = " { \"enc\" : \"A256GCM\", \"alg\" : \"dir\", \"sub\": \"alice\" } ";
    let token = seal(&ring, Encryption::A256Gcm, HeaderForm::Verbatim(header));
    let opened = ring.open(token.as_bytes()).unwrap();
    assert_eq!(opened.replicated().unwrap().sub, Some(Value::from("alice")));
}

#[test]
fn every_changed_character_of_every_part_is_noticed() {
    let ring = ring(Profile::AuthJs, &["secret"]);
    for encryption in Profile::AuthJs.encryptions() {
        let token = seal(&ring, *encryption, HeaderForm::Kid);
        for position in 0..token.len() {
            for other in [b'A', b'B', b'.', b'=', b'%', 0, 0xff] {
                let mut changed = token.clone().into_bytes();
                if changed[position] != other {
                    changed[position] = other;
                    assert!(ring.open(&changed).is_err(), "{encryption:?}, position {position}, {other:#x}");
                }
            }
        }
    }
}

#[test]
fn every_truncated_or_extended_part_is_noticed() {
    let ring = ring(Profile::AuthJs, &["secret"]);
    for encryption in Profile::AuthJs.encryptions() {
        let token = seal(&ring, *encryption, HeaderForm::Plain);
        for index in 0..5 {
            for change in
                [|part: &str| part[..part.len().saturating_sub(4)].to_owned(), |part: &str| format!("{part}AAAA")]
            {
                let parts: Vec<&str> = token.split('.').collect();
                let replaced = change(parts[index]);
                let mut changed: Vec<&str> = parts.clone();
                changed[index] = &replaced;
                let changed = changed.join(".");
                assert_eq!(ring.open(changed.as_bytes()).is_ok(), changed == token, "{encryption:?}, part {index}");
            }
        }
    }
}

#[test]
fn parts_of_two_tokens_do_not_mix() {
    let ring = ring(Profile::AuthJs, &["secret"]);
    for encryption in Profile::AuthJs.encryptions() {
        let one = seal(&ring, *encryption, HeaderForm::Plain);
        let other_iv = [9; 16];
        let recipe = Recipe { iv: &other_iv[..encryption.iv_len()], ..recipe(*encryption, HeaderForm::Plain) };
        let two = ring.seal(&recipe, br#"{"sub":"mallory"}"#).unwrap();
        for index in 2..5 {
            let mut parts: Vec<&str> = one.split('.').collect();
            parts[index] = two.split('.').nth(index).unwrap();
            assert_eq!(error(&ring, &parts.join(".")), JweError::DecryptFailed, "{encryption:?}, part {index}");
        }
    }
}

#[test]
fn an_initialisation_vector_of_another_length_is_refused() {
    let ring = ring(Profile::AuthJs, &["secret"]);
    for (encryption, len) in [(Encryption::A256Gcm, 16), (Encryption::A256CbcHs512, 12)] {
        let token = seal(&ring, encryption, HeaderForm::Plain);
        let mut parts: Vec<&str> = token.split('.').collect();
        let iv = compact::encode(&IV[..len]);
        parts[2] = &iv;
        assert_eq!(error(&ring, &parts.join(".")), JweError::MalformedToken);
    }
}

#[test]
fn no_secret_and_an_empty_secret_are_refused() {
    let derive = |secrets: &[Secret]| KeyRing::derive(Profile::AuthJs, None, COOKIE, secrets).unwrap_err();
    assert_eq!(derive(&[]), DeriveError::NoSecret);
    assert_eq!(derive(&[Secret::new("good"), Secret::new("")]), DeriveError::EmptySecret);
}

#[test]
fn nothing_secret_is_printed() {
    let ring = ring(Profile::AuthJs, &["hunter2-hunter2"]);
    let opened = ring.open(seal(&ring, Encryption::A256Gcm, HeaderForm::Plain).as_bytes()).unwrap();
    let printed = format!("{ring:?} {opened:?}");
    assert!(!printed.contains("hunter2") && !printed.contains("alice"), "{printed}");
}
