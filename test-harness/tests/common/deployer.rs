//! Runs `jwe-gate deploy` as an operator would.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jwe_gate_test_parts::envoy::Envoy;
use jwe_gate_test_parts::scratch::Scratch;
use serde_json::Value;

/// A directory that Envoys watch, and the environment that the configuration is checked with.
pub struct Deployer {
    scratch: Scratch,
    environment: Vec<(&'static str, &'static str)>,
}

/// What the program said.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub said: String,
}

impl Deployer {
    pub fn new(environment: &[(&'static str, &'static str)]) -> Self {
        Self { scratch: Scratch::new().expect("a folder of one's own"), environment: environment.to_vec() }
    }

    /// What Envoy watches.
    pub fn directory(&self) -> PathBuf {
        self.scratch.path().join("filter")
    }

    /// Puts module and configuration in place for Envoys that do not run yet.
    pub fn first(&self, module: &[u8], configuration: &str) {
        let run = self.run_deploy(module, configuration, &["--first"]);
        assert_eq!(run.status, 0, "{run:?}");
    }

    /// Swaps module and configuration of running Envoys.
    pub fn deploy(&self, module: &[u8], configuration: &str, envoys: &[&Envoy]) -> Run {
        self.run_deploy(module, configuration, &strings(&admins(envoys)))
    }

    /// Goes back to the version before.
    pub fn rollback(&self, envoys: &[&Envoy]) -> Run {
        self.run("rollback", &strings(&admins(envoys)))
    }

    /// What is in place.
    pub fn document(&self) -> Value {
        let text = std::fs::read(self.directory().join("jwe_gate.json")).expect("something is in place");
        serde_json::from_slice(&text).expect("a document is JSON")
    }

    fn run_deploy(&self, module: &[u8], configuration: &str, more: &[&str]) -> Run {
        let file = |name: &str, content: &[u8]| {
            let file = self.scratch.path().join(name);
            std::fs::write(&file, content).expect("a folder of one's own");
            file.display().to_string()
        };
        let (wasm, config) = (file("new.wasm", module), file("new.json", configuration.as_bytes()));
        let sum = Command::new("sha256sum").arg(&wasm).output().expect("sha256sum is there").stdout;
        let sums = file("new.wasm.sha256", &sum);
        self.run("deploy", &[&["--module", &wasm, "--sha256", &sums, "--config", &config], more].concat())
    }

    fn run(&self, what: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new(program());
        command.arg(what).arg("--directory").arg(self.directory()).args(arguments).env_clear();
        let output = command.envs(self.environment.iter().copied()).output().expect("the program can be run");
        let mut said = String::from_utf8(output.stdout).expect("text");
        let _ = said.write_str(&String::from_utf8_lossy(&output.stderr));
        for (name, value) in &self.environment {
            assert!(!said.contains(value), "the value of {name} is printed");
        }
        Run { status: output.status.code().expect("it ends by itself"), said }
    }
}

fn admins(envoys: &[&Envoy]) -> Vec<String> {
    envoys.iter().flat_map(|envoy| ["--admin".to_owned(), format!("http://{}", envoy.admin_address())]).collect()
}

fn strings(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_command-line"))
}

/// The same module in another build: a section more, which nothing reads.
pub fn rebuilt(module: &[u8], build: u8) -> Vec<u8> {
    // A custom section: its number, its length, the length of its name, its name, its content.
    [module, &[0, 7, 5], b"build", &[build]].concat()
}
