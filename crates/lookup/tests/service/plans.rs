//! How Postgres runs the lookups: by an index, in all four schemas.

use jwe_gate_lookup::store::UserStore;

use crate::support::{database, postgres, schema, store};

const ROWS: &[(&str, &str)] = &[
    (
        "pg-adapter",
        r#"INSERT INTO users (id) SELECT n FROM generate_series(1, 10000) n;
        INSERT INTO sessions ("userId", expires, "sessionToken") SELECT n, now() + interval '1 day', 't' || n
        FROM generate_series(1, 10000) n"#,
    ),
    (
        "prisma",
        r#"INSERT INTO "User" (id, email, "updatedAt") SELECT 'u' || n, n, now() FROM generate_series(1, 10000) n;
        INSERT INTO "Session" ("sessionToken", "userId", expires, "updatedAt") SELECT 't' || n, 'u' || n,
        now() + interval '1 day', now() FROM generate_series(1, 10000) n"#,
    ),
    (
        "drizzle",
        r#"INSERT INTO "user" (id) SELECT 'u' || n FROM generate_series(1, 10000) n;
        INSERT INTO "session" SELECT 't' || n, 'u' || n, now() + interval '1 day' FROM generate_series(1, 10000) n"#,
    ),
    (
        "better-auth",
        r#"INSERT INTO "user" (id, name, email, "emailVerified") SELECT 'u' || n, n, n, true
        FROM generate_series(1, 10000) n; INSERT INTO "session" (id, token, "userId", "expiresAt", "updatedAt")
        SELECT n, 't' || n, 'u' || n, now() + interval '1 day', now() FROM generate_series(1, 10000) n"#,
    ),
];

#[tokio::test]
async fn every_lookup_in_every_schema_uses_an_index() {
    let postgres = postgres();
    for (preset, rows) in ROWS {
        let database = database(&postgres, preset);
        postgres.run_sql(&database, &format!("{rows}; ANALYZE")).unwrap();
        let store = store(&database, schema(preset));
        store.prepare().await.unwrap();
        let (users, sessions) = store.statements().unwrap();
        let (user_keys, session_keys) =
            if *preset == "pg-adapter" { ("'{5,77}'", "'{t5}'") } else { ("'{u5,u77}'", "'{t5}'") };
        for (statement, keys) in [(users, user_keys), (sessions.unwrap(), session_keys)] {
            for mode in ["force_custom_plan", "force_generic_plan"] {
                let plan =
                    format!("SET plan_cache_mode = {mode}; PREPARE it AS {statement}; EXPLAIN EXECUTE it ({keys})");
                let plan = postgres.run_sql(&database, &plan).unwrap();
                assert!(!plan.contains("Seq Scan"), "{preset}, {mode}:\n{plan}");
                assert!(plan.contains("Index"), "{preset}, {mode}:\n{plan}");
            }
        }
    }
}

#[tokio::test]
async fn every_supported_id_type_uses_its_index() {
    let postgres = postgres();
    let types = [
        ("int2", "(n % 32000)::int2", "{5}"),
        ("int4", "n", "{5}"),
        ("int8", "n", "{5}"),
        ("uuid", "md5(n::text)::uuid", "{67e55044-10b1-426f-9247-bb680e5fe0c8}"),
        ("text", "n::text", "{5}"),
        ("varchar(20)", "n::text", "{5}"),
        ("char(10)", "n::text", "{5}"),
    ];
    for (id_type, value, key) in types {
        let database = postgres.schema().unwrap();
        let tables = format!(
            "CREATE TABLE users (id {id_type} PRIMARY KEY); \
             INSERT INTO users SELECT {value} FROM generate_series(1, 10000) n; ANALYZE users"
        );
        postgres.run_sql(&database, &tables).unwrap();
        let store = store(&database, schema("pg-adapter"));
        store.prepare().await.unwrap();
        let (users, _) = store.statements().unwrap();
        let plan =
            postgres.run_sql(&database, &format!("PREPARE it AS {users}; EXPLAIN EXECUTE it ('{key}')")).unwrap();
        assert!(plan.contains("Index") && !plan.contains("Seq Scan"), "{id_type}:\n{plan}");
    }
}
