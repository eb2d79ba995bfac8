//! Runs the real binary, with files in a directory of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

pub(crate) const NOW: u64 = 1_767_225_600;
pub(crate) const SECRET: &str = "the secret of the tests, long enough";

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// All hints in one text.
    pub(crate) fn hints(&self) -> String {
        let json = self.json();
        let hints = json["hints"].as_array().cloned().unwrap_or_default();
        hints.iter().map(|hint| hint.as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

/// Runs `jwe-gate` with nothing in its environment but `SECRET`.
pub(crate) fn run(arguments: &[&str], secret: &str, input: &[u8]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jwe-gate"));
    command.args(arguments).env_clear().env("SECRET", secret);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Run {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A file that is removed when it goes out of scope.
pub(crate) struct TempFile(PathBuf);

impl TempFile {
    pub(crate) fn new(content: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("jwe-gate-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Mints with `SECRET`, issued at `NOW`.
pub(crate) fn mint(profile: &str, more: &[&str]) -> String {
    mint_with(SECRET, profile, more)
}

pub(crate) fn mint_with(secret: &str, profile: &str, more: &[&str]) -> String {
    let iat = NOW.to_string();
    let mut arguments = vec!["mint", "--profile", profile, "--secret-env", "SECRET", "--sub", "alice"];
    arguments.extend(more);
    if !more.contains(&"--iat") {
        arguments.extend(["--iat", &iat]);
    }
    let run = run(&arguments, secret, b"");
    assert_eq!(run.status, 0, "{run:?}");
    run.out.trim_end().to_owned()
}

/// A configuration of one session, with the secret from the environment.
pub(crate) fn config(profile: &str, cookie: &str) -> String {
    format!(r#"{{"sessions": [{{"profile": "{profile}", "cookie": "{cookie}", "secrets": [{{"env": "SECRET"}}]}}]}}"#)
}

/// Inspects a Cookie header at `NOW`.
pub(crate) fn inspect(config: &str, header: &[u8], more: &[&str]) -> Run {
    inspect_with(SECRET, config, header, more)
}

pub(crate) fn inspect_with(secret: &str, config: &str, header: &[u8], more: &[&str]) -> Run {
    let file = TempFile::new(config);
    let now = NOW.to_string();
    let mut arguments = vec!["inspect", "--config", file.path()];
    if !more.contains(&"--now") {
        arguments.extend(["--now", &now]);
    }
    arguments.extend(more);
    let run = run(&arguments, secret, header);
    assert!(!run.out.contains(secret) && !run.err.contains(secret), "the secret is printed");
    run
}
