//! A known and an unknown user of each adapter's tables, through Envoy, the lookup service, Redis and Postgres.

use jwe_gate_test_harness::chain::Plan;

#[test]
fn users_of_the_pg_adapter_are_found_by_number() {
    check("pg-adapter", "INSERT INTO users (id) VALUES (42)", "42", &["43", "042", "42 ", "4294967338", "alice"]);
}

#[test]
fn users_of_prisma_are_found_by_text() {
    let users = r#"INSERT INTO "User" (id, email, "updatedAt") VALUES ('cm4k2x', 'a@example.org', now())"#;
    check("prisma", users, "cm4k2x", &["CM4K2X", "cm4k2", "cm4k2x "]);
}

#[test]
fn users_of_drizzle_are_found_by_text() {
    let users = r#"INSERT INTO "user" (id) VALUES ('0f8b3c52-9d3e-4c47-a3a5-0f3f6a1d2e77')"#;
    let known = "0f8b3c52-9d3e-4c47-a3a5-0f3f6a1d2e77";
    check("drizzle", users, known, &["0F8B3C52-9D3E-4C47-A3A5-0F3F6A1D2E77", "0f8b3c52"]);
}

#[test]
fn users_of_better_auth_are_found_by_text() {
    let users =
        r#"INSERT INTO "user" (id, name, email, "emailVerified") VALUES ('Qx7', 'Alice', 'a@example.org', true)"#;
    check("better-auth", users, "Qx7", &["qx7", "Qx77"]);
}

fn check(preset: &'static str, users: &str, known: &str, unknown: &[&str]) {
    let chain = Plan::new(env!("CARGO_BIN_EXE_lookup-service"), preset, users).start();
    // The second time from the gate's own records.
    for _ in 0..2 {
        let seen = chain.visit(known);
        assert!(seen.is_admitted(), "{seen:?}\n{}", chain.service.log());
        for unknown in unknown {
            let seen = chain.visit(unknown);
            assert_eq!((seen.status, seen.is_kept_out()), (403, true), "{seen:?}\n{}", chain.service.log());
        }
    }
    assert_eq!(chain.app_requests(), 2);
}
