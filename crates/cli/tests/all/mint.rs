//! `jwe-gate mint`: tokens as the packages make them.

use crate::common::{NOW, SECRET, TempFile, config, inspect, mint, run};

const PLAIN: &str = "authjs.session-token";

#[test]
fn a_long_token_is_cut_where_the_package_cuts_it() {
    let long = format!("pad=\"{}\"", "x".repeat(8000));
    let header = mint("authjs", &["--chunk", "--claim", &long]);
    let sizes: Vec<usize> = header.split("; ").map(|cookie| cookie.split_once('=').unwrap().1.len()).collect();
    assert_eq!(sizes.len(), 3);
    assert_eq!(sizes[..2], [3936, 3936]);
    assert!(header.contains("; authjs.session-token.2="));
    assert_eq!(inspect(&config("authjs", PLAIN), header.as_bytes(), &[]).status, 0);
}

#[test]
fn no_token_is_made_twice() {
    assert_ne!(mint("authjs", &[]), mint("authjs", &[]));
}

#[test]
fn the_header_is_the_packages_unless_told_otherwise() {
    let header = |profile: &str, more: &[&str]| mint(profile, more).split('.').next().unwrap().to_owned();
    let gcm = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0";
    assert_eq!(header("next-auth", &[]), gcm);
    assert_eq!(header("authjs", &["--enc", "A256GCM"]), gcm);
    assert_eq!(header("authjs", &["--no-kid"]), "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIn0");
    assert!(header("authjs", &[]).starts_with("eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIiwia2lkIjoi"));
    assert!(header("authjs", &["--enc", "A256GCM", "--kid"]).len() > gcm.len());
}

#[test]
fn a_secret_in_a_file_is_the_same_secret() {
    for end in ["", "\n", "\r\n"] {
        let file = TempFile::new(&format!("{SECRET}{end}"));
        let iat = NOW.to_string();
        let minted = run(
            &["mint", "--profile", "authjs", "--secret-file", file.path(), "--sub", "bob", "--iat", &iat, "--chunk"],
            "",
            b"",
        );
        let inspected = inspect(&config("authjs", PLAIN), minted.out.as_bytes(), &[]);
        assert_eq!(inspected.json()["sub"], "bob", "{end:?}");
    }
}

#[test]
fn what_cannot_be_minted_is_status_two() {
    let cases: [(&[&str], &str); 5] = [
        (&["--profile", "next-auth", "--enc", "A256CBC-HS512"], "does not use this algorithm"),
        (&["--profile", "authjs", "--cookie", "a b"], "is not a cookie name"),
        (&["--profile", "authjs", "--claim", "name"], "name=value"),
        (&["--profile", "authjs", "--claim", "name=Alice"], "in JSON"),
        (&["--profile", "authjs", "--kid", "--no-kid"], "cannot be used with"),
    ];
    for (more, message) in cases {
        let run = run(&[&["mint", "--secret-env", "SECRET", "--sub", "a"], more].concat(), SECRET, b"");
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{more:?}");
        assert!(run.err.contains(message), "{more:?}: {}", run.err);
    }
    let run = run(&["mint", "--profile", "authjs", "--secret-env", "NOT_SET", "--sub", "a"], SECRET, b"");
    assert_eq!(run.status, 2);
    assert!(run.err.contains("NOT_SET"), "{}", run.err);
}

#[test]
fn an_empty_secret_makes_no_token() {
    let run = run(&["mint", "--profile", "authjs", "--secret-env", "SECRET", "--sub", "a"], "", b"");
    assert_eq!(run.status, 2);
    assert!(run.err.contains("empty"), "{}", run.err);
}
