//! Settings of revocations: what works, and what each mistake is told.

use clap::Parser;
use jwe_gate_lookup::settings::{Flags, RevocationSettings, Settings};
use std::time::Duration;

use super::ADMIN;

fn read(given: &[(&str, &str)]) -> Result<Option<RevocationSettings>, String> {
    let base = [("JWE_GATE_LOOKUP_SECRET", "0123456789abcdef"), ("DATABASE_URL", "postgres://u:p@db/app")];
    let find = |name: &str| given.iter().chain(&base).find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
    let flags = Flags::try_parse_from(["jwe-gate-lookup"]).unwrap();
    Settings::read(flags, &find).map(|settings| settings.revocations).map_err(|error| error.to_string())
}

#[test]
fn revocations_are_off_unless_they_are_asked_for() {
    assert!(read(&[]).unwrap().is_none());
    assert!(read(&[("REVOCATIONS", "false"), ("MAX_SESSION_AGE", "60")]).unwrap().is_none());
    let settings = read(&[("REVOCATIONS", "true")]).unwrap().unwrap();
    assert!(settings.admin.is_none());
    let rules = settings.rules;
    assert_eq!((rules.delay, rules.skew), (Duration::from_secs(2), Duration::from_secs(5)));
    assert_eq!((rules.poll, rules.max_session_age), (Duration::from_millis(200), Duration::from_hours(30 * 24)));
}

#[test]
fn all_of_it_can_be_set_and_the_secret_is_not_printed() {
    let settings = read(&[
        ("REVOCATIONS", "true"),
        ("REVOCATION_ADMIN_TOKEN", ADMIN),
        ("REVOCATION_DELAY", "1500"),
        ("REVOCATION_SKEW", "1000"),
        ("REVOCATION_POLL", "500"),
        ("MAX_SESSION_AGE", "86400"),
    ]);
    let settings = settings.unwrap().unwrap();
    assert!(settings.admin.is_some() && !format!("{settings:?}").contains(ADMIN));
    let rules = settings.rules;
    assert_eq!((rules.delay, rules.skew), (Duration::from_millis(1_500), Duration::from_secs(1)));
    assert_eq!((rules.poll, rules.max_session_age), (Duration::from_millis(500), Duration::from_hours(24)));
}

#[test]
fn each_mistake_names_the_variable_and_the_reason() {
    for (variable, value, expected) in [
        ("REVOCATIONS", "yes", "\"yes\" is not true or false"),
        ("REVOCATION_ADMIN_TOKEN", "hunter2", "not long enough: at least 32 bytes are needed"),
        ("REVOCATION_DELAY", "300", "\"300\" is not at least three times REVOCATION_POLL"),
        ("REVOCATION_SKEW", "5s", "\"5s\" is not a number of milliseconds from 1 to 60000"),
        ("REVOCATION_POLL", "0", "\"0\" is not a number of milliseconds from 1 to 60000"),
        ("MAX_SESSION_AGE", "30d", "\"30d\" is not a number of seconds from 60 to 31622400"),
    ] {
        let error = read(&[(variable, value), ("REVOCATIONS", "true")]).err();
        assert_eq!(error, Some(format!("{variable}: {expected}")));
    }
    for variable in ["REVOCATION_ADMIN_TOKEN", "REVOCATION_DELAY", "REVOCATION_SKEW", "REVOCATION_POLL"] {
        let error = read(&[(variable, ADMIN)]).err();
        assert_eq!(error, Some(format!("{variable}: given without REVOCATIONS=true")));
    }
}
