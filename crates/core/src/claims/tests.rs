//! What is a session and what is not, rule by rule.

use serde_json::json;

use super::*;

const NOW: u64 = 1_767_225_600;
const DAY: u64 = 24 * 3600;

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::from_seconds(seconds)
}

fn seconds(seconds: u64) -> f64 {
    at(seconds).seconds()
}

/// As the packages are: they know no limit of age, and `exp` may be missing.
fn lenient() -> Rules {
    Rules { max_session_age: None, require_exp: false, ..Rules::default() }
}

fn checked(claims: &Value, rules: &Rules) -> Result<Session, ClaimsError> {
    check(claims.to_string().as_bytes(), None, rules, at(NOW))
}

#[test]
fn a_session_says_what_the_token_says() {
    let claims = json!({"sub": "alice", "iat": NOW - 5, "exp": NOW + 60, "jti": "j", "sid": "s", "auth_time": NOW - 9});
    let session = checked(&claims, &Rules::default()).unwrap();
    assert_eq!(session.subject(), "alice");
    assert_eq!(session.jti(), Some("j"));
    assert_eq!(session.sid(), Some("s"));
    assert_eq!(session.iat(), Some(seconds(NOW - 5)));
    assert_eq!(session.exp(), Some(seconds(NOW + 60)));
    assert_eq!(session.auth_time(), Some(seconds(NOW - 9)));
    assert_eq!(Value::Object(session.claims().clone()), claims);
}

#[test]
fn what_lasts_as_long_as_the_session_may_stand_elsewhere() {
    let path = |names: &str| ClaimPath::dotted(names).unwrap();
    let lasting = Lasting { sid: path("internal.sid"), auth_time: path("signed_in") };
    let rules = Rules { lasting, ..lenient() };
    let claims = json!({"sub": "a", "sid": "x", "auth_time": 1, "internal": {"sid": "s"}, "signed_in": 7});
    let session = checked(&claims, &rules).unwrap();
    // And it stays when the other claims go.
    for session in [session.clone(), session.kept(0, &Keep { max_bytes: 2, ..Keep::default() }).unwrap()] {
        assert_eq!((session.sid(), session.auth_time()), (Some("s"), Some(7.0)));
    }
    let session = checked(&claims, &lenient()).unwrap();
    assert_eq!((session.sid(), session.auth_time()), (Some("x"), Some(1.0)));
}

#[test]
fn a_sid_under_which_no_session_could_be_ended_is_none() {
    for sid in [json!(""), json!(7), json!(null), json!("a\0b"), json!("x".repeat(1025))] {
        assert_eq!(checked(&json!({"sub": "a", "sid": sid}), &lenient()).unwrap().sid(), None, "{sid}");
    }
    let longest = "x".repeat(1024);
    assert_eq!(checked(&json!({"sub": "a", "sid": longest}), &lenient()).unwrap().sid(), Some(&*longest));
}

#[test]
fn times_are_judged_with_fifteen_seconds_of_tolerance() {
    let cases = [
        (json!({"exp": NOW - 14}), Ok(())),
        (json!({"exp": NOW - 15}), Err(ClaimsError::Expired)),
        (json!({"exp": seconds(NOW - 15) + 0.5}), Ok(())),
        (json!({"exp": 0}), Err(ClaimsError::Expired)),
        (json!({"exp": -1}), Err(ClaimsError::Expired)),
        (json!({"exp": NOW * 1000}), Ok(())),
        (json!({"exp": 1e300}), Ok(())),
        (json!({}), Ok(())),
        (json!({"nbf": NOW + 15}), Ok(())),
        (json!({"nbf": NOW + 16}), Err(ClaimsError::NotYetValid)),
        (json!({"iat": NOW + 1000}), Ok(())),
        (json!({"exp": null}), Err(ClaimsError::ClaimTypeInvalid)),
        (json!({"exp": "99999999999"}), Err(ClaimsError::ClaimTypeInvalid)),
        (json!({"nbf": true}), Err(ClaimsError::ClaimTypeInvalid)),
        (json!({"iat": {}}), Err(ClaimsError::ClaimTypeInvalid)),
    ];
    for (mut claims, expected) in cases {
        claims["sub"] = json!("alice");
        assert_eq!(checked(&claims, &lenient()).map(drop), expected, "{claims}");
    }
}

#[test]
fn a_limit_of_age_holds_for_what_the_token_promises_and_for_what_has_passed() {
    let rules = Rules { max_session_age: Some(Duration::from_secs(30 * DAY)), ..Rules::default() };
    let cases = [
        (json!({"iat": NOW, "exp": NOW + 30 * DAY}), Ok(())),
        // The issuer's clock ticked between `iat` and `exp`.
        (json!({"iat": NOW, "exp": NOW + 30 * DAY + 1}), Ok(())),
        (json!({"iat": NOW, "exp": NOW + 30 * DAY + 16}), Err(ClaimsError::SessionTooOld)),
        (json!({"iat": NOW - 31 * DAY, "exp": NOW + 60}), Err(ClaimsError::SessionTooOld)),
        (json!({"iat": NOW + 15, "exp": NOW + 60}), Ok(())),
        (json!({"iat": NOW + 16, "exp": NOW + 60}), Err(ClaimsError::IssuedInFuture)),
        (json!({"exp": NOW + 60}), Err(ClaimsError::MissingIat)),
        (json!({"iat": NOW}), Err(ClaimsError::MissingExp)),
        (json!({"iat": NOW, "exp": 1e300}), Err(ClaimsError::SessionTooOld)),
    ];
    for (mut claims, expected) in cases {
        claims["sub"] = json!("alice");
        assert_eq!(checked(&claims, &rules).map(drop), expected, "{claims}");
    }
}

#[test]
fn without_exp_the_age_still_ends_a_session() {
    let rules = Rules { require_exp: false, ..Rules::default() };
    let session = checked(&json!({"sub": "alice", "iat": NOW}), &rules).unwrap();
    assert_eq!(session.expires_at(), at(NOW + 30 * DAY + 15));
    let forever = checked(&json!({"sub": "alice"}), &lenient()).unwrap();
    assert_eq!(forever.expires_at(), UnixMillis(u64::MAX));
}

#[test]
fn expires_at_is_the_first_moment_at_which_check_refuses() {
    for exp in [json!(NOW + 60), json!(seconds(NOW) + 60.25), json!(seconds(NOW) + 60.0004)] {
        let payload = json!({"sub": "alice", "iat": NOW, "exp": exp}).to_string();
        for rules in [lenient(), Rules { max_session_age: Some(Duration::from_secs(61)), ..Rules::default() }] {
            let check = |now| check(payload.as_bytes(), None, &rules, now);
            let end = check(at(NOW)).unwrap().expires_at();
            assert!(check(UnixMillis(end.0 - 1)).is_ok(), "{payload}");
            assert!(check(end).is_err(), "{payload}");
        }
    }
}

#[test]
fn the_subject_is_a_string_with_something_in_it() {
    let cases = [
        (json!({"sub": " alice "}), Ok(" alice ")),
        (json!({"sub": "\u{0}"}), Ok("\u{0}")),
        (json!({}), Err(ClaimsError::MissingSub)),
        (json!({"sub": ""}), Err(ClaimsError::MissingSub)),
        (json!({"sub": 7}), Err(ClaimsError::ClaimTypeInvalid)),
        (json!({"sub": null}), Err(ClaimsError::ClaimTypeInvalid)),
        (json!({"sub": ["alice"]}), Err(ClaimsError::ClaimTypeInvalid)),
    ];
    for (claims, expected) in cases {
        let session = checked(&claims, &lenient());
        assert_eq!(session.as_ref().map(Session::subject).map_err(|error| *error), expected, "{claims}");
    }
}

#[test]
fn the_payload_is_a_json_object_in_utf8() {
    let refused: [&[u8]; 12] = [
        b"",
        b" ",
        b"null",
        b"true",
        b"\"alice\"",
        b"[{\"sub\":\"alice\"}]",
        b"{\"sub\":\"alice\"",
        b"{\"sub\":\"alice\"} x",
        b"{\"sub\":\"al\xffice\"}",
        b"{\"sub\":\"alice\",\"exp\":NaN}",
        b"{\"sub\":\"alice\",\"x\":01}",
        b"{\0\"\0s\0u\0b\0\"\0:\0\"\0a\0\"\0}\0",
    ];
    for payload in refused {
        let error = check(payload, None, &lenient(), at(NOW)).unwrap_err();
        assert_eq!(error, ClaimsError::PayloadNotJsonObject, "{}", payload.escape_ascii());
    }
    let accepted: [&[u8]; 3] =
        [b" {\"sub\" : \"alice\"}\n", b"\xef\xbb\xbf{\"sub\":\"alice\"}", br#"{"su\u0062":"alice"}"#];
    for payload in accepted {
        assert_eq!(check(payload, None, &lenient(), at(NOW)).unwrap().subject(), "alice", "{}", payload.escape_ascii());
    }
}

#[test]
fn of_a_claim_that_occurs_twice_the_last_counts() {
    let payload = br#"{"sub":"alice","sub":"bob","exp":1,"exp":99999999999}"#;
    assert_eq!(check(payload, None, &lenient(), at(NOW)).unwrap().subject(), "bob");
    let payload = br#"{"sub":"alice","exp":99999999999,"exp":1}"#;
    assert_eq!(check(payload, None, &lenient(), at(NOW)).unwrap_err(), ClaimsError::Expired);
}

#[test]
fn nesting_is_limited() {
    let nested = |depth| format!(r#"{{"sub":"deep","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(check(nested(100).as_bytes(), None, &lenient(), at(NOW)).is_ok());
    let error = check(nested(100_000).as_bytes(), None, &lenient(), at(NOW)).unwrap_err();
    assert_eq!(error, ClaimsError::PayloadNotJsonObject);
}

#[test]
fn a_claim_that_the_header_repeats_must_be_the_same() {
    let payload = br#"{"sub":"alice","aud":["a","b"]}"#;
    let check = |replicated| check(payload, Some(&replicated), &lenient(), at(NOW)).map(drop);
    assert_eq!(check(Replicated { sub: Some(json!("alice")), ..Replicated::default() }), Ok(()));
    assert_eq!(check(Replicated { aud: Some(json!(["a", "b"])), ..Replicated::default() }), Ok(()));
    for replicated in [
        Replicated { sub: Some(json!("bob")), ..Replicated::default() },
        Replicated { sub: Some(Value::Null), ..Replicated::default() },
        Replicated { aud: Some(json!(["b", "a"])), ..Replicated::default() },
        Replicated { iss: Some(json!("x")), ..Replicated::default() },
        Replicated { iss: Some(Value::Null), ..Replicated::default() },
    ] {
        assert_eq!(check(replicated), Err(ClaimsError::ClaimMismatch));
    }
}

#[test]
fn issuer_and_audience_are_checked_where_configured() {
    let rules = Rules { issuer: Some("i".into()), audience: Some("a".into()), ..lenient() };
    let cases = [
        (json!({"iss": "i", "aud": "a"}), Ok(())),
        (json!({"iss": "i", "aud": ["x", "a"]}), Ok(())),
        (json!({"iss": "j", "aud": "a"}), Err(ClaimsError::IssuerNotAllowed)),
        (json!({"aud": "a"}), Err(ClaimsError::IssuerNotAllowed)),
        (json!({"iss": "i", "aud": "ab"}), Err(ClaimsError::AudienceNotAllowed)),
        (json!({"iss": "i", "aud": [["a"]]}), Err(ClaimsError::AudienceNotAllowed)),
        (json!({"iss": "i"}), Err(ClaimsError::AudienceNotAllowed)),
    ];
    for (mut claims, expected) in cases {
        claims["sub"] = json!("alice");
        assert_eq!(checked(&claims, &rules).map(drop), expected, "{claims}");
    }
}

#[test]
fn claims_are_not_printed() {
    let session = checked(&json!({"sub": "alice", "email": "a@example.org"}), &lenient()).unwrap();
    let printed = format!("{session:?}");
    assert!(!printed.contains("alice") && !printed.contains("example"), "{printed}");
}
