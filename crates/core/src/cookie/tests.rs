//! Which credential is found, and what is left of the headers.

use std::borrow::Cow;

use super::*;
use crate::jwe::Profile;

const SECURE: &str = "__Secure-authjs.session-token";

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::new(name).unwrap()).collect()
}

/// The token in a Cookie header, where `S` stands for the name of the session cookie.
fn token(header: &str) -> Result<Option<String>, CredentialError> {
    let header = header.replace('S', SECURE);
    let scan = scan(&[header.as_bytes()], &names(&[SECURE]), &Limits::default())?;
    Ok(scan.credential().map(|found| String::from_utf8(found.token(Profile::AuthJs).into_owned()).unwrap()))
}

#[test]
fn the_credential_is_the_plain_cookie_or_an_unbroken_row_of_chunks() {
    let cases = [
        ("", None),
        ("a=1", None),
        ("S", None),
        ("S=", None),
        ("S=; S.0=", None),
        ("s=x", None),
        ("xS=x", None),
        ("authjs.session-token=x", None),
        ("__Host-authjs.session-token=x", None),
        ("SX=x; S.x=y; S-foo=z; S.01=w", None),
        ("S=abc", Some("abc")),
        ("a=1;S=abc;", Some("abc")),
        ("  a=1 ;\tS\t = abc ;b", Some("abc")),
        ("S; S=abc", Some("abc")),
        ("S=a%2Eb", Some("a.b")),
        ("S=a%2", Some("a%2")),
        ("S=a=b", Some("a=b")),
        ("S=\"abc\"", Some("\"abc\"")),
        ("S.0=a", Some("a")),
        ("S.1=b; x=y; S.0=a; S.2=c", Some("abc")),
        ("S.0=a%2E; S.1=b%2", Some("a.b%2")),
        ("S=; S.0=a; S.1=b", Some("ab")),
        ("S=abc; S.0=x; S.0=y; S.9=z", Some("abc")),
        ("S.0=a; S.1=; S.2=c", Some("ac")),
    ];
    for (header, expected) in cases {
        assert_eq!(token(header).unwrap().as_deref(), expected, "{header}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let cases = [
        ("S=a; S=b", CredentialError::AmbiguousCookie),
        ("S=a; S=a", CredentialError::AmbiguousCookie),
        ("S=; S=a", CredentialError::AmbiguousCookie),
        ("S.0=a; S.1=b; S.0=c", CredentialError::AmbiguousCookie),
        ("S.1=b", CredentialError::ChunkIncomplete),
        ("S.0=a; S.2=c", CredentialError::ChunkIncomplete),
        ("S.0=a; S.9=c", CredentialError::ChunkIncomplete),
        ("S.0=a; S.99999999999999999999=c", CredentialError::ChunkIncomplete),
    ];
    for (header, expected) in cases {
        assert_eq!(token(header), Err(expected), "{header}");
    }
}

#[test]
fn quotes_are_taken_off_where_the_package_does() {
    let lines: [&[u8]; 1] = [b"next-auth.session-token=\"abc\""];
    let scan = scan(&lines, &names(&["next-auth.session-token"]), &Limits::default()).unwrap();
    let credential = scan.credential().unwrap();
    assert_eq!(credential.token(Profile::NextAuth).as_ref(), b"abc");
    assert_eq!(credential.token(Profile::AuthJsLegacy).as_ref(), b"abc");
    assert_eq!(credential.token(Profile::AuthJs).as_ref(), b"\"abc\"");
}

#[test]
fn chunks_may_come_in_several_headers_and_in_any_order() {
    let chunks: Vec<String> = (0..20).rev().map(|index| format!("{SECURE}.{index}=<{index}>")).collect();
    let lines: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
    let scan = scan(&lines, &names(&[SECURE]), &Limits::default()).unwrap();
    let expected = (0..20).map(|index| format!("<{index}>")).collect::<Vec<_>>().concat();
    assert_eq!(scan.credential().unwrap().token(Profile::AuthJs).as_ref(), expected.as_bytes());
    assert!(!scan.has_strangers());
}

#[test]
fn the_first_configured_name_that_is_present_counts() {
    let names = names(&["authjs.session-token", "next-auth.session-token"]);
    let find = |header: &'static str| {
        let scan = scan(&[header.as_bytes()], &names, &Limits::default()).unwrap();
        scan.credential().map(|found| (found.name(), found.token(Profile::AuthJs), scan.has_strangers()))
    };
    let plain = |text: &'static str| Cow::Borrowed(text.as_bytes());
    assert_eq!(find("next-auth.session-token=b; authjs.session-token=a"), Some((0, plain("a"), true)));
    assert_eq!(find("next-auth.session-token=b; x=y"), Some((1, plain("b"), false)));
    assert_eq!(find("next-auth.session-token=b; authjs.session-token="), Some((1, plain("b"), true)));
}

#[test]
fn a_plain_token_without_escapes_is_not_copied() {
    let header = format!("{SECURE}=eyJ..a.b.c");
    let lines = [header.as_bytes()];
    let scan = scan(&lines, &names(&[SECURE]), &Limits::default()).unwrap();
    assert!(matches!(scan.credential().unwrap().token(Profile::AuthJs), Cow::Borrowed(_)));
}

#[test]
fn limits_hold_before_anything_is_joined() {
    let limits = Limits { token_bytes: 6, chunks: 3, header_bytes: 30 };
    let names = names(&["s"]);
    let scan =
        |header: &'static str| scan(&[header.as_bytes()], &names, &limits).map(|scan| scan.credential().is_some());
    assert_eq!(scan("s=123456"), Ok(true));
    assert_eq!(scan("s=1234567"), Err(CredentialError::TokenTooLarge));
    assert_eq!(scan("s.0=12; s.1=34; s.2=56"), Ok(true));
    assert_eq!(scan("s.0=123; s.1=45; s.2=67"), Err(CredentialError::TokenTooLarge));
    assert_eq!(scan("s.0=1;s.1=2;s.2=3;s.3=4"), Err(CredentialError::TooManyChunks));
    assert_eq!(scan("s=1;s.0=1;s.1=2;s.2=3;s.3=4"), Ok(true));
    assert_eq!(scan("a=1234567890123456789012345678"), Ok(false));
    assert_eq!(scan("a=12345678901234567890123456789"), Err(CredentialError::HeaderTooLarge));
}

/// What goes upstream when the credential, if any, is accepted.
fn kept(header: &str) -> Kept {
    let header = header.replace('S', SECURE);
    let (lines, names) = ([header.as_bytes()], names(&[SECURE]));
    let scan = scan(&lines, &names, &Limits::default()).unwrap();
    let kept = keep(&lines, &names, scan.credential());
    assert_eq!(kept != Kept::Unchanged, scan.has_strangers(), "{header}");
    kept
}

#[test]
fn only_the_accepted_credential_goes_upstream() {
    let cases = [
        ("a=1; b=2", None),
        ("", None),
        ("a=1; S=tok; b=2", None),
        ("a=1;;S = tok ;", None),
        ("S.1=b; S.0=a", None),
        ("S=tok; S.0=x; a=1", Some("S=tok; a=1")),
        ("SX=x; S=tok", Some("S=tok")),
        ("S=tok; S; a=1", Some("S=tok; a=1")),
        ("S=tok; authjs.session-token=x", Some("S=tok")),
        ("S=; S.0=tok", Some("S.0=tok")),
        ("a=1 ;b; SX=x", Some("a=1; b")),
        ("SX=x", Some("")),
        ("a=1 S=x; b=2", Some("b=2")),
    ];
    for (header, expected) in cases {
        let expected = match expected {
            None => Kept::Unchanged,
            Some("") => Kept::Removed,
            Some(text) => Kept::Replaced(text.replace('S', SECURE).into_bytes()),
        };
        assert_eq!(kept(header), expected, "{header}");
    }
}

#[test]
fn without_an_accepted_credential_no_session_cookie_goes_upstream() {
    let lines: [&[u8]; 2] = [b"a=1; authjs.session-token=x; authjs.session-token=y", b"authjs.session-token.0=z; b=2"];
    let names = names(&["authjs.session-token"]);
    assert_eq!(keep(&lines, &names, None), Kept::Replaced(b"a=1; b=2".to_vec()));
    assert_eq!(keep(&lines[..0], &names, None), Kept::Unchanged);
}

#[test]
fn hostile_headers_are_read_in_linear_time() {
    // Quadratic behaviour at these sizes would take minutes.
    let names = names(&[SECURE, "next-auth.session-token"]);
    let limits = Limits { header_bytes: usize::MAX, ..Limits::default() };
    for piece in
        ["a ", "%20 ", "%20", "=", "a\u{1}", ", ", "__Secure-", "__Secure-authjs.session-token.0=x;", ";", "\"a", "=a "]
    {
        let header = piece.repeat(1_000_000 / piece.len());
        let lines = [header.as_bytes()];
        let found = scan(&lines, &names, &limits);
        assert!(!found.is_ok_and(|scan| scan.credential().is_some()), "{piece:?}");
        let _ = keep(&lines, &names, None);
    }
}
