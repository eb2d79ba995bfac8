//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Answers a proxy's questions about who is known.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "jwe-gate-lookup", version, about, after_help = VARIABLES)]
pub struct Flags {
    /// Keep users in a file, made where absent; no database server is needed.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "jwe-gate-users.sqlite")]
    pub embedded: Option<PathBuf>,

    /// Add a user with this id to the file before serving; may be given more than once.
    #[arg(long, value_name = "ID", requires = "embedded")]
    pub seed: Vec<String>,

    /// The tables: pg-adapter, prisma, drizzle or better-auth [variable: SCHEMA]
    #[arg(long, value_name = "PRESET")]
    pub schema: Option<String>,

    /// Where to listen [variable: LISTEN] [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
}

const VARIABLES: &str = "\
Variables:
  JWE_GATE_LOOKUP_SECRET   shared with the filter, at least 16 bytes; required
  JWE_GATE_REALM           the realm that is served [default: default]
  DATABASE_URL             postgres://user:password@host:port/database?sslmode=...
  POSTGRES_HOST, _PORT, _DB, _USER, _PASSWORD   the same in parts
  POSTGRES_TIMEOUT         milliseconds for one query [default: 500]
  POSTGRES_POOL            connections, at most [default: 10]
  PGSSLMODE, PGSSLROOTCERT TLS to Postgres; with a root certificate the default is verify-full
  SCHEMA                   pg-adapter, prisma, drizzle or better-auth
  USER_TABLE, USER_ID_FIELD   a table and column of one's own [default: users, id]
  USER_FIELDS              columns of it for the filter, as email,customer=customer_id [default: none]
  USER_QUERY               a query for ids $1 instead, with a column id; the others are fields
  USER_BANNED_FIELD        the column of users who are barred, a boolean or a time
  REDIS_URL                redis://:password@host:port or rediss://...; without Redis there is no shared cache
  REDIS_HOST, _PORT        the same in parts
  REDIS_CLUSTER_NODES      host:port,... of a Redis Cluster
  REDIS_SENTINELS          host:port,... of sentinels, with the name that they know in REDIS_SENTINEL_MASTER
  REDIS_SENTINEL_USERNAME, _PASSWORD   towards the sentinels
  REDIS_USERNAME, _PASSWORD   towards Redis, unless there is a URL
  REDIS_TLS                true: TLS, unless there is a URL [default: false]
  REDIS_TIMEOUT            milliseconds for one request [default: 1000]
  REDIS_TLS_CA             a PEM file with the authority to trust
  REDIS_KEY_PREFIX         [default: auth:]
  REDIS_CACHE_TTL          seconds that a known user is fresh [default: 600]
  NEGATIVE_CACHE_TTL       seconds that an unknown one is [default: 10]
  CACHE_STALE_SECONDS      used that much longer while being asked again [default: 60]
  CACHE_HARD_SECONDS       used that much longer while asking fails [default: 3600]
  REVOCATIONS              true: sessions can be ended early; needs two tables, see docs/OPERATIONS.md [default: false]
  REVOCATION_ADMIN_TOKEN   what administrators show to end sessions, at least 32 bytes
  REVOCATION_DELAY         milliseconds in which every proxy has heard of a revocation [default: 2000]
  REVOCATION_SKEW          milliseconds that the app's clock and the database's may be apart [default: 5000]
  REVOCATION_POLL          milliseconds between readings that nobody asked for [default: 200]
  MAX_SESSION_AGE          seconds that the longest session lasts on any proxy [default: 2592000]
  MAX_QUESTIONS            worked on at once; those beyond fail at once [default: 20000]
  IDENTITY_PUBLIC_KEYS     keys,... that verify signed identities, at /.well-known/jwks.json [default: none]
  LOG                      error, warn, info or debug [default: info]";
