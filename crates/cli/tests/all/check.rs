//! `jwe-gate check`: is a configuration accepted, and if not, which field is wrong?

use crate::common::{Run, SECRET, TempFile, config, run};

fn check(content: &str) -> Run {
    let file = TempFile::new(content);
    run(&["check", file.path()], SECRET, b"")
}

#[test]
fn a_good_configuration_is_accepted() {
    let run = check(&config("authjs", "authjs.session-token"));
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.out.ends_with(": accepted\n") && !run.out.contains("warning"), "{}", run.out);
}

#[test]
fn a_secret_in_the_file_is_a_warning_and_is_not_printed() {
    let run = check(r#"{"sessions": [{"profile": "authjs", "cookie": "s", "secrets": ["hunter2-hunter2-hunter2"]}]}"#);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.out.contains("warning: sessions[0].secrets[0]"), "{}", run.out);
    assert!(!run.out.contains("hunter2"), "{}", run.out);
}

#[test]
fn a_bad_configuration_is_refused_with_the_path_of_the_field() {
    let cases = [
        ("[]", "."),
        (
            r#"{"sessions": [{"profile": "authjs", "cookie": "a b", "secrets": [{"env": "SECRET"}]}]}"#,
            "sessions[0].cookie",
        ),
        (r#"{"sessions": [{"profile": "v6", "cookie": "s", "secrets": [{"env": "SECRET"}]}]}"#, "sessions[0].profile"),
        (r#"{"sessions": [{"profile": "authjs", "cookie": "s", "secrets": []}]}"#, "sessions[0].secrets"),
        (
            r#"{"sessions": [{"profile": "authjs", "cookie": "s", "secrets": [{"env": "NOT_SET"}]}]}"#,
            "sessions[0].secrets[0]",
        ),
        (
            r#"{"sessions": [{"profile": "authjs", "cookie": "s", "secrets": ["your_secret"]}]}"#,
            "sessions[0].secrets[0]",
        ),
    ];
    for (content, path) in cases {
        let run = check(content);
        assert_eq!(run.status, 1, "{content}: {run:?}");
        assert!(run.out.contains(&format!(": {path}")), "{content}: {}", run.out);
    }
}

#[test]
fn a_configuration_for_another_proxy_is_refused() {
    let file = TempFile::new(
        r#"{"host": "nginx", "sessions": [{"profile": "authjs", "cookie": "s", "secrets": [{"env": "SECRET"}]}]}"#,
    );
    for (host, status) in [("nginx", 0), ("envoy", 1)] {
        let run = run(&["check", file.path(), "--proxy", host], SECRET, b"");
        assert_eq!(run.status, status, "{run:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_status_two() {
    let run = run(&["check", "/does/not/exist"], SECRET, b"");
    assert_eq!((run.status, run.out.as_str()), (2, ""));
    assert!(run.err.contains("/does/not/exist"), "{}", run.err);
}
