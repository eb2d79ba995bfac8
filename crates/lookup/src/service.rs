//! Puts the parts together and serves them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::cache::{MemoryCache, RedisCache, SharedCache};
use crate::clock::Clock;
use crate::http::{KeySet, Readiness, Revoking, Service, router};
use crate::key::Namespace;
use crate::lookup::{Load, Lookup, Parts};
use crate::metrics::Metrics;
use crate::revocation::{self, Revocations};
use crate::selection::Selection;
use crate::settings::{RevocationSettings, Settings, Users};
use crate::store::journal::{Journal, PostgresJournal, SqliteJournal};
use crate::store::{PostgresStore, SqliteStore, StoreError, UserStore};

/// Opens what the settings name. Servers need not be up yet; a file must be writable.
///
/// # Errors
/// When the `SQLite` file cannot be used, or does not have what is to be read of users.
pub async fn assemble(settings: Settings) -> Result<Service, StoreError> {
    let (clock, metrics) = (Clock::default(), Arc::new(Metrics::new()));
    let journal = match &settings.revocations {
        Some(how) => Some((how.clone(), journal(&settings).await?)),
        None => None,
    };
    let (users, sessions) = settings.schema.record_labels();
    let namespace = Namespace::new(&settings.prefix, &settings.realm, &users, &sessions);
    let shared = settings.redis.map(|redis| -> Arc<dyn SharedCache> {
        let claim = settings.users.timeout().saturating_add(AFTER_A_QUERY);
        Arc::new(RedisCache::new(redis.server, namespace, redis.timeout, claim, clock.clone()))
    });
    let load = Load { questions: settings.questions, queries: settings.users.queries() };
    let store: Arc<dyn UserStore> = match settings.users {
        Users::Embedded { path, seeds } => Arc::new(embedded(&path, &seeds, settings.schema.selection).await?),
        Users::Postgres(it) => Arc::new(PostgresStore::new(it.server, it.size, settings.schema, it.timeout)),
    };
    let memory = MemoryCache::new(MEMORY_RECORDS);
    let freshness = settings.freshness;
    let parts = Parts { store, shared, memory, freshness, load, metrics: Arc::clone(&metrics), clock: clock.clone() };
    let (secret, realm, lookup): (_, Arc<str>, _) = (settings.secret, settings.realm.into(), Lookup::new(parts));
    let revoking = journal.map(|(RevocationSettings { admin, rules }, journal)| {
        let (secret, realm, lookup, metrics) = (secret.clone(), realm.clone(), lookup.clone(), Arc::clone(&metrics));
        let parts = revocation::Parts { journal, lookup, secret, realm, rules, metrics, clock };
        Revoking { revocations: Revocations::new(parts), admin }
    });
    let keys = KeySet::new(&settings.identity_keys);
    Ok(Service { secret, realm, lookup, metrics, keys, readiness: Readiness::default(), revoking })
}

async fn journal(settings: &Settings) -> Result<Arc<dyn Journal>, StoreError> {
    Ok(match &settings.users {
        Users::Embedded { path, .. } => Arc::new(SqliteJournal::open(path, &settings.realm).await?),
        Users::Postgres(it) => Arc::new(PostgresJournal::new(it.server.clone(), &settings.realm, it.timeout)),
    })
}

async fn embedded(path: &Path, seeds: &[String], selection: Selection) -> Result<SqliteStore, StoreError> {
    let store = SqliteStore::open(path).await?.selecting(selection);
    // A file is there at once, so that what does not fit it is told at once.
    store.prepare().await?;
    for seed in seeds {
        store.add_user(seed).await?;
    }
    Ok(store)
}

/// Serves HTTP/1 and HTTP/2 on one port until `shutdown`, then lets requests under way finish.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let revocations = service.revoking.as_ref().map(|revoking| revoking.revocations.clone());
    let preparing = tokio::spawn(become_ready(service.lookup.clone(), revocations.clone(), service.readiness.clone()));
    let following = revocations.clone().map(|revocations| tokio::spawn(revocations.run()));
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move {
        shutdown.await;
        // Those who wait for news would keep us from ending.
        if let Some(revocations) = revocations {
            revocations.stop();
        }
        // Nobody listens any more when serving failed.
        let _ = stop.send(());
    };
    let serving = axum::serve(listener, router(service)).with_graceful_shutdown(shutdown);
    let drained_too_long = async {
        if stopping.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LONGEST_DRAIN).await;
    };
    let result = tokio::select! {
        result = serving => result,
        () = drained_too_long => Ok(()),
    };
    preparing.abort();
    if let Some(following) = following {
        following.abort();
    }
    result
}

/// Reads the database's tables as soon as that is possible, and waits until it is known what is revoked.
async fn become_ready(lookup: Lookup, revocations: Option<Revocations>, readiness: Readiness) {
    let mut told = None;
    while let Err(error) = lookup.prepare().await {
        if told.as_ref() != Some(&error) {
            tracing::warn!(%error, "not ready: the users cannot be looked up yet");
            told = Some(error);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    if let Some(revocations) = revocations {
        revocations.first_read().await;
    }
    readiness.set();
    tracing::info!("ready");
}

/// How long a claim on a lookup outlasts the query, for what it finds to be written.
const AFTER_A_QUERY: Duration = Duration::from_millis(250);
const MEMORY_RECORDS: u64 = 50_000;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);
const LONGEST_DRAIN: Duration = Duration::from_secs(10);
