//! Settings: what works, and what each mistake is told.

use clap::Parser;
use jwe_gate_lookup::record::Freshness;
use jwe_gate_lookup::settings::{Flags, Settings, Users};
use jwe_gate_test_parts::scratch::Scratch;

/// What every case starts from.
const BASE: &[(&str, &str)] =
    &[("JWE_GATE_LOOKUP_SECRET", "0123456789abcdef"), ("DATABASE_URL", "postgres://u:hunter2@db/app")];

fn read(flags: &[&str], changes: &[(&str, &str)]) -> Result<Settings, String> {
    let flags = Flags::try_parse_from([&["jwe-gate-lookup"], flags].concat()).unwrap();
    let find = |name: &str| {
        let value = changes.iter().chain(BASE).find(|(variable, _)| *variable == name);
        value.map(|(_, value)| (*value).to_owned())
    };
    Settings::read(flags, &find).map_err(|error| error.to_string())
}

#[test]
fn each_mistake_names_the_variable_and_the_reason() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (
            &[("JWE_GATE_LOOKUP_SECRET", "")],
            "JWE_GATE_LOOKUP_SECRET: not given; make one with `openssl rand -base64 32` and give the filter the same",
        ),
        (
            &[("JWE_GATE_LOOKUP_SECRET", "your_secret")],
            "JWE_GATE_LOOKUP_SECRET: not long enough: at least 16 bytes are needed",
        ),
        (
            &[("DATABASE_URL", "")],
            "DATABASE_URL: not given; give it or POSTGRES_HOST, POSTGRES_DB and POSTGRES_USER, or start with --embedded \
             for SQLite",
        ),
        (&[("DATABASE_URL", "mysql://u:hunter2@db/app")], "DATABASE_URL: not a postgres:// URL"),
        (&[("DATABASE_URL", "postgres://u:hunter2@db:port/app")], "DATABASE_URL: not a postgres:// URL"),
        (&[("POSTGRES_HOST", "other")], "DATABASE_URL: given together with POSTGRES_HOST; give one of them"),
        (
            &[("DATABASE_URL", ""), ("POSTGRES_HOST", "db"), ("POSTGRES_USER", "u")],
            "POSTGRES_DB: not given; name the database",
        ),
        (&[("DATABASE_URL", ""), ("POSTGRES_DB", "app")], "POSTGRES_USER: not given; name the user"),
        (
            &[("DATABASE_URL", ""), ("POSTGRES_DB", "a"), ("POSTGRES_USER", "u"), ("POSTGRES_PORT", "54321x")],
            "POSTGRES_PORT: \"54321x\" is not a port number",
        ),
        (&[("POSTGRES_TIMEOUT", "0")], "POSTGRES_TIMEOUT: \"0\" is not a number of milliseconds from 1 to 60000"),
        (&[("POSTGRES_POOL", "-1")], "POSTGRES_POOL: \"-1\" is not a number from 1 to 1000"),
        (
            &[("PGSSLMODE", "strict")],
            "PGSSLMODE: \"strict\" is not one of disable, allow, prefer, require, verify-ca, verify-full",
        ),
        (
            &[("PGSSLROOTCERT", "/nowhere.pem")],
            "PGSSLROOTCERT: cannot read \"/nowhere.pem\": No such file or directory (os error 2)",
        ),
        (&[("MAX_QUESTIONS", "100")], "MAX_QUESTIONS: \"100\" is not a number from 256 to 1000000"),
        (&[("REDIS_CACHE_TTL", "10m")], "REDIS_CACHE_TTL: \"10m\" is not a number of seconds, at most 30 days"),
        (
            &[("NEGATIVE_CACHE_TTL", "2592001")],
            "NEGATIVE_CACHE_TTL: \"2592001\" is not a number of seconds, at most 30 days",
        ),
        (&[("CACHE_HARD_SECONDS", "30")], "CACHE_HARD_SECONDS: \"30\" is not at least CACHE_STALE_SECONDS"),
        (&[("SCHEMA", "mongo")], "SCHEMA: \"mongo\" is not one of pg-adapter, prisma, drizzle, better-auth"),
        (
            &[("USER_TABLE", "users; DROP TABLE users")],
            "USER_TABLE: \"users; DROP TABLE users\" is not a table name: letters, digits and _, or schema.table",
        ),
        (&[("USER_ID_FIELD", "id\"")], "USER_ID_FIELD: \"id\\\"\" is not a column name: letters, digits and _"),
        (
            &[("USER_FIELDS", "email,email")],
            "USER_FIELDS: \"email,email\" is not a list of up to 32 names such as email,customer=customer_id, none of them \
             `id` or twice",
        ),
        (
            &[("USER_FIELDS", "email"), ("USER_QUERY", "SELECT 1")],
            "USER_FIELDS: given together with USER_QUERY; give one of them",
        ),
        (&[("USER_BANNED_FIELD", "a.b")], "USER_BANNED_FIELD: \"a.b\" is not a column name: letters, digits and _"),
        (
            &[("IDENTITY_PUBLIC_KEYS", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo,hunter2")],
            "IDENTITY_PUBLIC_KEYS: not a list of public keys as `jwe-gate identity-key` makes them, each once",
        ),
        (&[("JWE_GATE_REALM", "a:b")], "JWE_GATE_REALM: \"a:b\" is not 1 to 64 letters, digits, `-`, `_` or `.`"),
        (&[("LOG", "loud")], "LOG: \"loud\" is not one of error, warn, info, debug"),
        (&[("LISTEN", "9090")], "LISTEN: \"9090\" is not an IP address and port, such as 127.0.0.1:9090"),
    ];
    assert_refused(table);
}

fn assert_refused(table: &[(&[(&str, &str)], &str)]) {
    for (changes, expected) in table {
        let message = read(&[], changes).err().unwrap_or_else(|| panic!("accepted: {changes:?}"));
        assert_eq!(message, *expected);
        assert!(!message.contains("hunter2"));
    }
}

#[test]
fn each_mistake_about_redis_names_the_variable_and_the_reason() {
    assert_refused(&[
        (&[("REDIS_URL", "http://:hunter2@cache")], "REDIS_URL: not a redis:// or rediss:// URL"),
        (
            &[("REDIS_URL", "redis://cache"), ("REDIS_PASSWORD", "hunter2")],
            "REDIS_URL: given together with REDIS_PASSWORD; give one of them",
        ),
        (&[("REDIS_HOST", "cache"), ("REDIS_PORT", "0")], "REDIS_PORT: \"0\" is not a port number"),
        (
            &[("REDIS_URL", "redis://cache"), ("REDIS_TIMEOUT", "soon")],
            "REDIS_TIMEOUT: \"soon\" is not a number of milliseconds from 1 to 60000",
        ),
        (&[("REDIS_TLS_CA", "/ca.pem")], "REDIS_TLS_CA: given without REDIS_URL"),
        (
            &[("REDIS_URL", "redis://cache"), ("REDIS_TLS_CA", "/ca.pem")],
            "REDIS_TLS_CA: given without a rediss:// REDIS_URL",
        ),
        (
            &[("REDIS_URL", "rediss://cache"), ("REDIS_TLS_CA", "/nowhere.pem")],
            "REDIS_TLS_CA: cannot read \"/nowhere.pem\": No such file or directory (os error 2)",
        ),
        (&[("REDIS_HOST", "cache"), ("REDIS_TLS_CA", "/ca.pem")], "REDIS_TLS_CA: given without REDIS_TLS=true"),
        (&[("REDIS_HOST", "cache"), ("REDIS_TLS", "yes")], "REDIS_TLS: \"yes\" is not true or false"),
        (
            &[("REDIS_URL", "rediss://cache"), ("REDIS_TLS", "true")],
            "REDIS_URL: given together with REDIS_TLS; give one of them",
        ),
        (&[("REDIS_CLUSTER_NODES", "a:1,b")], "REDIS_CLUSTER_NODES: \"b\" is not host:port"),
        (
            &[("REDIS_CLUSTER_NODES", "a:1"), ("REDIS_HOST", "a")],
            "REDIS_CLUSTER_NODES: given together with REDIS_HOST; give one of them",
        ),
        (
            &[("REDIS_CLUSTER_NODES", "a:1"), ("REDIS_URL", "redis://a")],
            "REDIS_URL: given together with REDIS_CLUSTER_NODES; give one of them",
        ),
        (
            &[("REDIS_CLUSTER_NODES", "a:1"), ("REDIS_SENTINELS", "a:2")],
            "REDIS_CLUSTER_NODES: given together with REDIS_SENTINELS; give one of them",
        ),
        (
            &[("REDIS_SENTINELS", "a:26379")],
            "REDIS_SENTINEL_MASTER: not given; give the name by which the sentinels know the master",
        ),
        (&[("REDIS_SENTINELS", "a:0"), ("REDIS_SENTINEL_MASTER", "m")], "REDIS_SENTINELS: \"a:0\" is not host:port"),
        (&[("REDIS_SENTINEL_MASTER", "m")], "REDIS_SENTINEL_MASTER: given without REDIS_SENTINELS"),
        (&[("REDIS_KEY_PREFIX", "{auth}:")], "REDIS_KEY_PREFIX: \"{auth}:\" is not free of { and }"),
    ]);
}

#[test]
fn the_old_variables_are_enough() {
    let old = [
        ("DATABASE_URL", ""),
        ("POSTGRES_HOST", "db"),
        ("POSTGRES_PORT", "5433"),
        ("POSTGRES_DB", "app"),
        ("POSTGRES_USER", "u"),
        ("POSTGRES_PASSWORD", "p@:/ w"),
        ("REDIS_HOST", "cache"),
        ("REDIS_PORT", "6380"),
        ("REDIS_PASSWORD", "p@:/ w"),
        ("REDIS_TIMEOUT", "250"),
        ("REDIS_CACHE_TTL", "300"),
        ("REDIS_KEY_PREFIX", "site:"),
        ("USER_TABLE", "Account"),
        ("USER_ID_FIELD", "accountId"),
    ];
    let settings = read(&[], &old).unwrap();
    assert_eq!(settings.redis.unwrap().timeout.as_millis(), 250);
    assert_eq!((settings.freshness.positive.as_secs(), settings.prefix.as_str()), (300, "site:"));
    assert_eq!(settings.schema.user_label(), "Account.accountId");
}

#[test]
fn a_cluster_and_sentinels_are_accepted_with_passwords_and_tls() {
    let accepted: [&[(&str, &str)]; 3] = [
        &[("REDIS_CLUSTER_NODES", "a:7000, b:7001,[::1]:7002"), ("REDIS_PASSWORD", "hunter2"), ("REDIS_TLS", "true")],
        &[("REDIS_SENTINELS", "a:1,b:2"), ("REDIS_SENTINEL_MASTER", "m"), ("REDIS_SENTINEL_PASSWORD", "hunter2")],
        &[("REDIS_HOST", "a"), ("REDIS_USERNAME", "gate"), ("REDIS_PASSWORD", "hunter2"), ("REDIS_TLS", "1")],
    ];
    for variables in accepted {
        assert!(read(&[], variables).unwrap().redis.is_some());
    }
}

#[test]
fn redis_that_is_not_mentioned_is_not_used_and_defaults_are_as_documented() {
    let settings = read(&[], &[]).unwrap();
    assert!(settings.redis.is_none());
    assert_eq!(settings.listen.to_string(), "127.0.0.1:9090");
    assert_eq!((settings.realm.as_str(), settings.prefix.as_str()), ("default", "auth:"));
    assert_eq!(settings.schema.user_label(), "users.id");
    assert_eq!(settings.freshness, Freshness { spread: 10, ..crate::support::FRESHNESS });
    assert_eq!(settings.questions, 20_000);
}

#[test]
fn a_flag_wins_over_its_variable_and_embedded_needs_no_server() {
    let flags = ["--listen", "127.0.0.1:1", "--schema", "prisma", "--embedded", "/tmp/x", "--seed", "7", "--seed", "8"];
    let settings = read(&flags, &[("DATABASE_URL", ""), ("LISTEN", "nonsense"), ("SCHEMA", "nonsense")]).unwrap();
    assert_eq!((settings.listen.port(), settings.schema.user_label().as_str()), (1, "User.id"));
    let Users::Embedded { path, seeds } = settings.users else { panic!() };
    assert_eq!((path.to_str().unwrap(), seeds), ("/tmp/x", vec!["7".to_owned(), "8".to_owned()]));
}

#[test]
fn a_seed_without_embedded_is_refused() {
    assert!(Flags::try_parse_from(["jwe-gate-lookup", "--seed", "7"]).is_err());
}

#[test]
fn an_authority_file_that_holds_none_is_refused() {
    let scratch = Scratch::new().unwrap();
    let file = scratch.path().join("ca.pem");
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let path = file.to_str().unwrap();
    let message = read(&[], &[("REDIS_URL", "rediss://cache"), ("REDIS_TLS_CA", path)]).err().unwrap();
    assert_eq!(message, format!("REDIS_TLS_CA: {path:?} is not a PEM file with certificates"));
}
