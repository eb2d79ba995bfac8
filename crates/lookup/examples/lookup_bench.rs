//! How long one lookup by key takes in a million users: the database's part, without caches.
//!
//! Prints one line for each database.

use std::time::{Duration, Instant};

use jwe_gate_lookup::schema::Preset;
use jwe_gate_lookup::store::{PostgresPool, PostgresStore, SqliteStore, StoreError, UserStore};
use jwe_gate_test_parts::postgres::Postgres;
use jwe_gate_test_parts::scratch::Scratch;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    in_postgres().await?;
    in_sqlite().await
}

async fn in_postgres() -> Result<(), AnyError> {
    let postgres = Postgres::start()?;
    let database = postgres.database()?;
    let rows = format!(
        "CREATE TABLE users (id SERIAL PRIMARY KEY, name text); \
         INSERT INTO users (name) SELECT 'user ' || n FROM generate_series(1, {USERS}) n"
    );
    postgres.run_sql(&database, &rows)?;
    // Not in the transaction of the statements before.
    postgres.run_sql(&database, "VACUUM ANALYZE users")?;
    let server = PostgresPool::from_url(&database.url()).map_err(|_| "no URL")?;
    let store = PostgresStore::new(server, 1, Preset::PgAdapter.schema(), Duration::from_secs(5));
    report("postgres", &measure(&store).await?);
    Ok(())
}

async fn in_sqlite() -> Result<(), AnyError> {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("users.sqlite");
    let store = SqliteStore::open(&path).await?;
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await?;
    let rows = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000000) \
                INSERT INTO users SELECT CAST(n AS TEXT) FROM n";
    sqlx::raw_sql(rows).execute(&pool).await?;
    report("sqlite", &measure(&store).await?);
    Ok(())
}

async fn measure(store: &dyn UserStore) -> Result<Vec<Duration>, StoreError> {
    store.prepare().await?;
    let mut times = Vec::with_capacity(LOOKUPS);
    for number in 0..LOOKUPS as u64 {
        // A step that is prime to the number of users visits them all over the table.
        let subject = [(1 + number * 48_271 % USERS).to_string()];
        let start = Instant::now();
        store.users(&subject).await?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

fn report(database: &str, times: &[Duration]) {
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    println!("lookup {database}: {USERS} users, {LOOKUPS} lookups by key, p50 {:?}, p99 {:?}", at(50), at(99));
}

const USERS: u64 = 1_000_000;
const LOOKUPS: usize = 20_000;
