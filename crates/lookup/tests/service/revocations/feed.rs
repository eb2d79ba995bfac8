//! What proxies that follow the feed get to know, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use jwe_gate_lookup::revocation::Rules;
use jwe_gate_lookup::store::StoreError;
use jwe_gate_lookup::store::journal::{Ears, Journal, NewRow, Page, PostgresJournal, Written};

use super::{Cursor, RULES, Replica, TOLD_ONLY, journal};
use crate::support::{eventually, postgres, users_with_id};

/// A journal whose bell never rings: every wake-up is lost.
struct Deaf(PostgresJournal);

#[async_trait]
impl Journal for Deaf {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.0.prepare().await
    }

    async fn write(&self, row: &NewRow) -> Result<Written, StoreError> {
        self.0.write(row).await
    }

    async fn read(&self, after: u64, limit: u32) -> Result<Page, StoreError> {
        self.0.read(after, limit).await
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        self.0.prune(limit).await
    }

    async fn listen(&self, _ears: &Ears) -> StoreError {
        std::future::pending().await
    }
}

#[tokio::test]
async fn whoever_waits_is_told_by_another_service_at_once() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let (writer, follower) = (Replica::start(&database, TOLD_ONLY), Replica::start(&database, TOLD_ONLY));
    for replica in [&writer, &follower] {
        replica.is_ready().await;
    }
    let mut cursor = Cursor::default();
    follower.follow(&mut cursor, 0).await;
    let mut times = Vec::new();
    for _ in 0..100 {
        let ((answer, told), (seq, acknowledged)) =
            tokio::join!(async { (follower.follow(&mut cursor, 20_000).await, Instant::now()) }, async {
                eventually("it to wait", || follower.revocations.state().waiting == 1).await;
                (writer.end("s").await, Instant::now())
            });
        assert_eq!(answer.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [seq]);
        assert_eq!((answer.snapshot, answer.complete, answer.upto), (false, true, seq));
        times.push(told.saturating_duration_since(acknowledged));
    }
    times.sort_unstable();
    println!("told so long after the acknowledgement: p50 {:?}, p99 {:?}, last {:?}", times[49], times[98], times[99]);
}

#[tokio::test]
async fn a_lost_wake_up_is_made_good_by_polling() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let writer = Replica::start(&database, TOLD_ONLY);
    writer.is_ready().await;
    let follower = Replica::on(Arc::new(Deaf(journal(&database))), &database, RULES);
    follower.is_ready().await;
    let mut cursor = Cursor::default();
    follower.follow(&mut cursor, 0).await;
    let (answer, seq) = tokio::join!(follower.follow(&mut cursor, 20_000), writer.end("s"));
    assert_eq!(answer.upto, seq);
}

#[tokio::test]
async fn an_answer_without_news_comes_when_the_asker_wants_it() {
    let postgres = postgres();
    let replica = Replica::start(&users_with_id(&postgres, "int4", &["7"]), RULES);
    replica.is_ready().await;
    let mut cursor = Cursor::default();
    replica.follow(&mut cursor, 0).await;
    let answer = replica.follow(&mut cursor, 50).await;
    assert_eq!((answer.entries.len(), answer.snapshot, answer.complete), (0, false, true));
}

#[tokio::test]
async fn everybody_who_waits_is_answered_when_the_service_ends() {
    let postgres = postgres();
    let replica = Replica::start(&users_with_id(&postgres, "int4", &["7"]), RULES);
    replica.is_ready().await;
    let mut cursor = Cursor::default();
    replica.follow(&mut cursor, 0).await;
    let waiting = (0..20).map(|_| {
        let mut cursor = cursor.clone();
        let replica = &replica;
        async move { replica.follow(&mut cursor, 25_000).await }
    });
    let start = Instant::now();
    let (answers, ()) = tokio::join!(join_all(waiting), async {
        eventually("all to wait", || replica.revocations.state().waiting == 20).await;
        replica.revocations.stop();
    });
    assert!(answers.iter().all(|answer| answer.complete && answer.entries.is_empty()));
    assert!(start.elapsed() < Duration::from_secs(20), "they waited to the end");
}

#[tokio::test]
async fn a_service_that_is_behind_reads_on_before_it_answers_a_cursor_from_another_one() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let ahead = Replica::start(&database, RULES);
    ahead.is_ready().await;
    let never = Rules { poll: Duration::from_hours(1), ..RULES };
    let behind = Replica::on(Arc::new(Deaf(journal(&database))), &database, never);
    behind.is_ready().await;
    let seq = ahead.end("s").await;
    let mut cursor = Cursor::default();
    while cursor.after < seq {
        ahead.follow(&mut cursor, 5_000).await;
    }
    let answer = behind.follow(&mut cursor.clone(), 0).await;
    assert_eq!((answer.snapshot, answer.entries.len(), answer.upto), (false, 0, seq));

    // A number that nobody has given is another matter.
    let mut future = Cursor { after: seq + 1, ..cursor };
    let answer = behind.follow(&mut future, 0).await;
    assert_eq!((answer.snapshot, answer.complete, answer.entries.len(), answer.upto), (true, true, 1, seq));
}

#[tokio::test]
async fn another_epoch_begins_with_a_snapshot_and_a_restart_of_the_service_is_none() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.end("s").await;
    let mut cursor = Cursor::default();
    while cursor.after < 1 {
        replica.follow(&mut cursor, 5_000).await;
    }
    drop(replica);
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    assert!(!replica.follow(&mut cursor.clone(), 0).await.snapshot);

    // What an operator does who has restored a dump.
    postgres.run_sql(&database, "UPDATE jwe_gate_feed SET epoch = gen_random_uuid()::text").unwrap();
    let waiting = replica.follow(&mut cursor.clone(), 20_000).await;
    assert!(waiting.snapshot);
    assert_ne!(Some(&waiting.epoch), cursor.epoch.as_ref());
    assert_eq!(waiting.entries.len(), 1);
}

#[tokio::test]
async fn a_hundred_thousand_revocations_are_read_in_pages_and_followed_on() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    journal(&database).prepare().await.unwrap();
    let rows = "INSERT INTO jwe_gate_revocations SELECT 'default', n, 'request ' || n, 'subject', n::text, 'admin', \
                0, 1700000000000, 1700000002000, 9700000000000 FROM generate_series(1, 100000) n; \
                UPDATE jwe_gate_feed SET seq = 100000";
    postgres.run_sql(&database, rows).unwrap();
    let start = Instant::now();
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    let loaded = start.elapsed();
    let (mut cursor, start) = (Cursor::default(), Instant::now());
    let pages = replica.catch_up(&mut cursor).await;
    println!("100,000 revocations: loaded in {loaded:?}, read in {} pages in {:?}", pages.len(), start.elapsed());
    assert_eq!(pages.iter().map(|page| page.snapshot).filter(|snapshot| *snapshot).count(), 1);
    let numbers: Vec<_> = pages.iter().flat_map(|page| page.entries.iter().map(|entry| entry.seq)).collect();
    assert_eq!(numbers, (1..=100_000).collect::<Vec<_>>());
    assert_eq!(replica.end("s").await, 100_001);
    assert_eq!(replica.follow(&mut cursor, 20_000).await.upto, 100_001);
}

#[tokio::test]
async fn what_is_over_is_neither_told_nor_kept() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let journal = journal(&database);
    journal.prepare().await.unwrap();
    let rows = "INSERT INTO jwe_gate_revocations SELECT 'default', n, 'request ' || n, 'session', n::text, 'admin', \
                0, 0, 0, CASE WHEN n < 3 THEN 1 ELSE 9700000000000 END FROM generate_series(1, 4) n; \
                UPDATE jwe_gate_feed SET seq = 5";
    postgres.run_sql(&database, rows).unwrap();
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    let answer = replica.follow(&mut Cursor::default(), 0).await;
    assert_eq!(answer.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(answer.upto, 5);
    for deleted in [1, 1, 0] {
        assert_eq!(journal.prune(1).await.unwrap(), deleted);
    }
    assert_eq!(postgres.run_sql(&database, "SELECT count(*) FROM jwe_gate_revocations").unwrap(), "2");
}

#[tokio::test]
async fn metrics_tell_how_it_stands() {
    let postgres = postgres();
    let replica = Replica::start(&users_with_id(&postgres, "int4", &["7"]), RULES);
    replica.end("s").await;
    let mut cursor = Cursor::default();
    while cursor.after < 1 {
        replica.follow(&mut cursor, 5_000).await;
    }
    let request = axum::http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
    let text = String::from_utf8(replica.send(request).await.body).unwrap();
    for line in [
        "jwe_gate_lookup_revocations_in_force 1",
        "jwe_gate_lookup_feed_waiting 0",
        "jwe_gate_lookup_revocations_total{by=\"admin\",result=\"ok\"} 1",
        "jwe_gate_lookup_feed_answers_total{kind=\"snapshot\"} 1",
        "jwe_gate_lookup_feed_age_seconds 0",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} is missing: {text}");
    }
}
