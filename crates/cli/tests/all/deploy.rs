//! `jwe-gate deploy` and `rollback` up to where an Envoy is needed: what is refused before anything is changed, what is
//! written where, and what an admin page that misbehaves leads to. With real Envoys they are tested in the harness.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::common::{Run, SECRET, TempFile, config, run};

const MODULE: &str = "\0asm, or so it says";
const SHA256: &str = "1a0b4a7f2b1f5c1c3f7d1b5e2f4d9d2a7a4d4b9b5ad1b6b1c4c7f9e1d2c3b4a5";

/// A directory to deploy to, removed when it goes out of scope.
struct Target(PathBuf);

impl Target {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("jwe-gate-deploy-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn deploy(&self, module: &str, config: &str, more: &[&str]) -> Run {
        let (module, config) = (TempFile::new(module), TempFile::new(config));
        let sums = TempFile::new(&format!("{}  {}\n", sha256(module.path()), module.path()));
        let mut arguments = vec!["deploy", "--directory", self.0.to_str().unwrap()];
        arguments.extend(["--module", module.path(), "--sha256", sums.path(), "--config", config.path()]);
        arguments.extend(more);
        run(&arguments, SECRET, b"")
    }

    fn rollback(&self, more: &[&str]) -> Run {
        run(&[&["rollback", "--directory", self.0.to_str().unwrap()], more].concat(), SECRET, b"")
    }

    fn document(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.0.join("jwe_gate.json")).unwrap()).unwrap()
    }

    fn files(&self, of: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.join(of)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sha256(file: &str) -> String {
    let output = std::process::Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

/// An admin page that says the same every time.
fn admin(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let reply =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{status}", status.len());
            let _ = stream.write_all(reply.as_bytes());
        }
    });
    url
}

#[test]
fn a_module_with_another_checksum_changes_nothing() {
    let (target, module, config) = (Target::new(), TempFile::new(MODULE), TempFile::new(&config("authjs", "s")));
    let arguments =
        ["deploy", "--directory", target.0.to_str().unwrap(), "--first", "--module", module.path(), "--sha256", SHA256];
    let run = run(&[&arguments[..], &["--config", config.path()]].concat(), SECRET, b"");
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.out.contains(SHA256) && run.out.ends_with("nothing has been changed\n"), "{}", run.out);
    assert!(!target.0.exists());
}

#[test]
fn a_configuration_that_check_refuses_changes_nothing() {
    let target = Target::new();
    let run = target.deploy(MODULE, r#"{"sessions": [{"profile": "authjs", "cookie": "a b"}]}"#, &["--first"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.out.contains("sessions[0].cookie") && run.out.ends_with("nothing has been changed\n"), "{}", run.out);
    assert!(!target.0.exists());
}

#[test]
fn a_list_of_checksums_without_the_module_is_status_two() {
    let (target, module, config) = (Target::new(), TempFile::new(MODULE), TempFile::new(&config("authjs", "s")));
    let sums = TempFile::new(&format!("{SHA256}  one.wasm\n{SHA256}  other.wasm\n"));
    let arguments = ["deploy", "--first", "--directory", target.0.to_str().unwrap(), "--sha256", sums.path()];
    let run = run(&[&arguments[..], &["--module", module.path(), "--config", config.path()]].concat(), SECRET, b"");
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.err.contains(sums.path()), "{}", run.err);
}

#[test]
fn the_first_document_is_the_filter_of_the_configuration_under_a_version() {
    let target = Target::new();
    let config = config("authjs", "s").replace("SECRET", "OWN_SECRET");
    let refused = target.deploy(MODULE, &config, &["--first"]);
    assert_eq!(refused.status, 1, "its variable is not set: {refused:?}");
    let config = config.replace("OWN_SECRET", "SECRET");
    let run = target.deploy(MODULE, &config, &["--first"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(!run.out.contains(SECRET) && !run.err.contains(SECRET));

    let document = target.document();
    let resource = &document["resources"][0];
    assert_eq!(resource["name"], "jwe_gate");
    let plugin = &resource["typed_config"]["config"];
    assert_eq!(plugin["configuration"]["value"], config.as_str());
    assert_eq!(plugin["vm_config"]["vm_id"], "jwe_gate");
    // The variables of the shipped file, and those that this configuration names.
    let names = plugin["vm_config"]["environment_variables"]["host_env_keys"].as_array().unwrap();
    assert!(names.contains(&json!("AUTH_SECRET")) && names.contains(&json!("SECRET")), "{names:?}");
    // Other variables, another VM: Envoy before 1.39 tells them apart by this alone.
    let told = plugin["vm_config"]["configuration"]["value"].as_str().unwrap();
    assert_eq!(told.split(' ').map(|name| json!(name)).collect::<Vec<_>>(), *names);
    let module = plugin["vm_config"]["code"]["local"]["filename"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(module).unwrap(), MODULE);
    assert!(module.ends_with(&format!("kept/jwe_gate-{}.wasm", sha256(module))), "{module}");
    let version = document["version_info"].as_str().unwrap();
    assert!(run.out.contains(version) && version.len() == 16, "{}", run.out);
    assert_eq!(target.files(""), ["jwe_gate.json", "kept"]);

    // Where something is in place, an Envoy may be reading it.
    let again = target.deploy("other", &config, &["--first"]);
    assert_eq!(again.status, 2, "{again:?}");
    assert_eq!(target.document(), document);
}

#[test]
fn an_envoy_that_does_not_answer_or_has_no_such_filter_is_status_two_and_changes_nothing() {
    let target = Target::new();
    let config = config("authjs", "s");
    assert_eq!(target.deploy(MODULE, &config, &["--first"]).status, 0);
    let document = target.document();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{nobody}"), admin("some.other.counter: 1\n"), "127.0.0.1:9901".to_owned()] {
        let run = target.deploy("other", &config, &["--admin", &url]);
        assert_eq!(run.status, 2, "{url}: {run:?}");
        assert!(run.err.contains(&url), "{}", run.err);
        assert_eq!(target.document(), document);
    }
}

#[test]
fn what_an_envoy_does_not_take_in_time_is_taken_back() {
    let target = Target::new();
    let config = config("authjs", "s");
    assert_eq!(target.deploy(MODULE, &config, &["--first"]).status, 0);
    let document = target.document();
    let url = admin("extension_config_discovery.http_filter.jwe_gate.version_text: \"before\"\n");
    let run = target.deploy("other", &config, &["--admin", &url, "--timeout", "1"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.out.contains("still has version \"before\"") && run.out.contains("not deployed"), "{}", run.out);
    assert_eq!(target.document(), document);
    // Its module is gone, too.
    assert_eq!(
        target.files("kept").iter().filter(|name| PathBuf::from(name).extension() == Some("wasm".as_ref())).count(),
        1
    );
}

#[test]
fn nothing_is_in_place_of_what_was_never_there() {
    let target = Target::new();
    let url = admin("extension_config_discovery.http_filter.jwe_gate.version_text: \"\"\n");
    let run = target.deploy(MODULE, &config("authjs", "s"), &["--admin", &url, "--timeout", "1"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.out.contains("UNSETTLED"), "{}", run.out);
    let run = target.rollback(&["--admin", &url]);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.err.contains("holds no such version"), "{}", run.err);
}

#[test]
fn a_name_that_is_no_file_name_is_refused() {
    let target = Target::new();
    for name in ["", "../jwe_gate", "a b", ".jwe_gate", "*"] {
        assert_eq!(target.deploy(MODULE, &config("authjs", "s"), &["--first", "--name", name]).status, 2, "{name}");
    }
    assert!(!target.0.exists());
}
