//! What a revocation becomes.

use axum::body::Body;
use axum::http::{Request, header};
use futures_util::future::join_all;
use jwe_gate_contract::{Fact, LookupSecret, Shown, TagKind, Target};

use super::{Cursor, RULES, Replica, TOLD_ONLY, bearer, id, now_ms, shown};
use crate::support::{SECRET, postgres, users_with_id};

fn tag(kind: TagKind, text: &str) -> jwe_gate_contract::Tag {
    LookupSecret::new(SECRET).unwrap().tag("default", kind, text)
}

#[tokio::test]
async fn a_session_that_a_proxy_shows_ends_by_its_sid_or_else_by_its_subject() {
    let postgres = postgres();
    let replica = Replica::start(&users_with_id(&postgres, "int4", &["7"]), RULES);
    replica.is_ready().await;
    let before = now_ms();
    let first = replica.show(&id(), shown("7", Some("a sid"))).await;
    let second = replica.show(&id(), shown("7", None)).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
    let (first, second) = (first.receipt(), second.receipt());
    assert!(first.seq < second.seq && first.at_ms >= before - 1 && second.at_ms < before + 60_000);
    assert_eq!(first.promised_delay_ms, 2_000);

    let mut cursor = Cursor::default();
    while cursor.after < second.seq {
        replica.follow(&mut cursor, 5_000).await;
    }
    let answer = replica.follow(&mut Cursor::default(), 0).await;
    let facts: Vec<_> = answer.entries.iter().map(|entry| entry.fact).collect();
    let Fact::Subject { tag: subject, bounds } = facts[1] else { panic!("{facts:?}") };
    assert_eq!(facts[0], Fact::Session { tag: tag(TagKind::Session, "a sid") });
    assert_eq!(subject, tag(TagKind::Subject, "7"));
    assert_eq!(bounds.signed_in_before_ms, second.at_ms + 5_000);
    assert_eq!(bounds.issued_before_ms, second.at_ms + 7_000);
    for (entry, receipt) in answer.entries.iter().zip([&first, &second]) {
        // No token that could be about it is accepted any more by then.
        let last_token_ends = receipt.at_ms + 7_000 + 30 * 24 * 3_600_000 + 15_000;
        assert!(entry.until_ms > last_token_ends && entry.until_ms < last_token_ends + 120_000);
    }
    assert_eq!((answer.promised_delay_ms, answer.max_session_age_ms), (2_000, 30 * 24 * 3_600_000));
}

#[tokio::test]
async fn the_session_that_is_shown_ends_even_if_the_app_s_clock_is_ahead() {
    let postgres = postgres();
    let replica = Replica::start(&users_with_id(&postgres, "int4", &["7"]), RULES);
    replica.is_ready().await;
    let ahead = now_ms() + 40_000;
    let ahead = Shown { auth_time_ms: Some(ahead), issued_at_ms: ahead, ..shown("7", None) };
    assert!(replica.show(&id(), ahead.clone()).await.status.is_success());
    // An app that writes milliseconds where seconds are due locks nobody out for ever.
    let wrong = Shown { auth_time_ms: Some(now_ms() * 1000), ..shown("8", None) };
    assert!(replica.show(&id(), wrong).await.status.is_success());

    let mut cursor = Cursor::default();
    let mut entries = replica.follow(&mut cursor, 0).await.entries;
    while entries.len() < 2 {
        entries.extend(replica.follow(&mut cursor, 5_000).await.entries);
    }
    let bounds: Vec<_> = entries
        .iter()
        .map(|entry| match entry.fact {
            Fact::Subject { bounds, .. } => bounds,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(bounds[0].end(ahead.auth_time_ms, Some(ahead.issued_at_ms)));
    assert!(bounds[1].signed_in_before_ms < now_ms() + 10_000);
}

#[tokio::test]
async fn an_administrator_ends_a_session_or_all_of_a_subject_s() {
    let postgres = postgres();
    let replica = Replica::start(&users_with_id(&postgres, "int4", &["7"]), RULES);
    replica.is_ready().await;
    assert_eq!(replica.name(&id(), Target::Session { sid: "s".into() }).await.status.as_u16(), 201);
    assert_eq!(replica.name(&id(), Target::Subject { sub: "7".into() }).await.status.as_u16(), 201);
    for (path, _) in IN_PATHS {
        let delete = Request::delete(format!("/v1/subjects/{path}/sessions"));
        let delete = delete.header(header::AUTHORIZATION, bearer()).body(Body::empty()).unwrap();
        assert_eq!(replica.send(delete).await.receipt().promised_delay_ms, 2_000, "{path}");
    }
    let mut cursor = Cursor::default();
    let mut tags = Vec::new();
    while tags.len() < 2 + IN_PATHS.len() {
        tags.extend(replica.follow(&mut cursor, 5_000).await.entries.iter().map(|entry| match entry.fact {
            Fact::Session { tag } | Fact::Subject { tag, .. } | Fact::Changed { tag, .. } => tag,
        }));
    }
    let subjects = ["7"].into_iter().chain(IN_PATHS.iter().map(|(_, sub)| *sub));
    let expected: Vec<_> =
        [tag(TagKind::Session, "s")].into_iter().chain(subjects.map(|sub| tag(TagKind::Subject, sub))).collect();
    assert_eq!(tags, expected);
}

/// As they are written in a path, and as they are.
const IN_PATHS: &[(&str, &str)] = &[
    ("7", "7"),
    ("auth0%7C5f7c8ec7", "auth0|5f7c8ec7"),
    ("a%2Fb", "a/b"),
    ("100%25", "100%"),
    ("%20x+y%20", " x+y "),
    ("m%C3%BCller@example.org", "müller@example.org"),
    ("%2e%2e", ".."),
];

#[tokio::test]
async fn a_request_that_comes_again_is_written_once() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replicas = [Replica::start(&database, TOLD_ONLY), Replica::start(&database, TOLD_ONLY)];
    let mut cursor = Cursor::default();
    for replica in &replicas {
        replica.is_ready().await;
        replica.follow(&mut cursor, 0).await;
    }
    let (id, session) = (id(), shown("7", Some("s")));
    let sent = (0..20).map(|number| replicas[number % 2].show(&id, session.clone()));
    let receipts: Vec<_> = join_all(sent).await.iter().map(|answered| (answered.status, answered.receipt())).collect();
    assert_eq!(receipts.iter().filter(|(status, _)| status.as_u16() == 201).count(), 1);
    assert!(receipts.iter().all(|(_, receipt)| *receipt == receipts[0].1), "{receipts:?}");
    assert_eq!(replicas[0].follow(&mut cursor, 5_000).await.entries.len(), 1);

    let other = replicas[0].show(&id, shown("8", Some("another"))).await;
    assert_eq!(other.error(), (409, "conflict".into()));
    let count = postgres.run_sql(&database, "SELECT count(*) FROM jwe_gate_revocations").unwrap();
    assert_eq!(count, "1");
}
