//! Without any server.

use std::sync::Arc;

use futures_util::future::join_all;
use jwe_gate_lookup::store::journal::{Journal, SqliteJournal};
use jwe_gate_test_parts::scratch::Scratch;

use super::{Cursor, Replica, TOLD_ONLY, id, shown};
use crate::support::{postgres, users_with_id};

#[tokio::test]
async fn revocations_in_a_file_are_numbered_followed_and_outlive_the_process() {
    let (scratch, postgres) = (Scratch::new().unwrap(), postgres());
    let (path, users) = (scratch.path().join("users.sqlite"), users_with_id(&postgres, "int4", &["7"]));
    let start = async || {
        let journal = SqliteJournal::open(&path, "default").await.unwrap();
        let replica = Replica::on(Arc::new(journal), &users, TOLD_ONLY);
        replica.is_ready().await;
        replica
    };
    let replica = start().await;
    let mut cursor = Cursor::default();
    replica.follow(&mut cursor, 0).await;
    let names: Vec<_> = (0..20).map(|number| format!("sid {number}")).collect();
    let mut numbers = join_all(names.iter().map(|sid| replica.end(sid))).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    let (id, session) = (id(), shown("7", None));
    let first = replica.show(&id, session.clone()).await.receipt();
    let mut found = Vec::new();
    while cursor.after < 21 {
        found.extend(replica.follow(&mut cursor, 20_000).await.entries.iter().map(|entry| entry.seq));
    }
    assert_eq!(found, (1..=21).collect::<Vec<_>>());

    drop(replica);
    let replica = start().await;
    let again = replica.show(&id, session).await;
    assert_eq!((again.status.as_u16(), again.receipt()), (200, first));
    let answer = replica.follow(&mut cursor, 0).await;
    assert_eq!((answer.snapshot, answer.entries.len(), answer.upto), (false, 0, 21));
}

#[tokio::test]
async fn what_is_over_is_deleted_from_the_file() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.path().join("users.sqlite");
    let journal = SqliteJournal::open(&path, "default").await.unwrap();
    journal.prepare().await.unwrap();
    let file = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    for (seq, until_ms) in [(1, 1_i64), (2, 9_700_000_000_000)] {
        let row = "INSERT INTO jwe_gate_revocations VALUES ('default', ?1, ?1, 'session', 's', 'admin', 0, 0, 0, ?2)";
        sqlx::query(row).bind(seq).bind(until_ms).execute(&file).await.unwrap();
    }
    assert_eq!(journal.read(0, 10).await.unwrap().rows.len(), 1);
    assert_eq!(journal.prune(10).await.unwrap(), 1);
}
