//! The shipped Envoy configuration with its filter in a file: nothing is served without the filter, and `jwe-gate deploy`
//! puts there what `envoy/envoy.yaml` would have.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;

use jwe_gate_test_harness::artefact;
use jwe_gate_test_harness::chain::{AUTH_SECRET, LOOKUP_SECRET};
use jwe_gate_test_parts::certificates::Certificates;
use jwe_gate_test_parts::envoy::{Envoy, Launch, repository};
use jwe_gate_test_parts::envoy_config::Shipped;
use jwe_gate_test_parts::http::{Connection, get};
use jwe_gate_test_parts::process;
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::upstream::Upstream;
use serde_json::Value;

use crate::deployer::{Deployer, rebuilt};

const ENVIRONMENT: [(&str, &str); 2] = [("AUTH_SECRET", AUTH_SECRET), ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)];
/// A variable that not every Envoy has.
const MORE: (&str, &str) = ("MORE", "another secret, which not every Envoy has");
/// Nobody is looked up.
const NOWHERE: &[SocketAddr] = &[SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1))];

#[test]
fn without_its_file_envoy_does_not_start() {
    let site = Site::new();
    std::fs::create_dir(site.deployer.directory()).unwrap();
    let log = Envoy::refusal(&site.launch()).unwrap();
    assert!(log.contains("jwe_gate.json' does not exist"), "{log}");
}

#[test]
fn while_no_good_filter_has_come_every_request_is_refused_and_the_app_is_not_asked() {
    let site = Site::new();
    site.deployer.first(&artefact::bytes()[..1000], &configuration());
    let envoy = site.start();
    for path in ["/", "/login", "/x?y=z"] {
        assert_eq!(site.status(&envoy, path), 500, "{path}");
    }
    assert_eq!(site.app.requests(), 0);
    // The way out is the same as ever. There is no version to go back to, so a second bad one leaves it as it is.
    let run = site.deployer.deploy(&artefact::bytes()[..2000], &configuration(), &[&envoy]);
    assert_eq!(run.status, 1, "{run:?}");
    let run = site.deployer.deploy(&artefact::bytes(), &configuration(), &[&envoy]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(site.status(&envoy, "/"), 401);
    assert_eq!(site.status(&envoy, "/healthz"), 200);
    assert_eq!(site.app.requests(), 0);
}

#[test]
fn what_is_deployed_is_the_filter_of_the_shipped_file() {
    let site = Site::new();
    site.deployer.first(&artefact::bytes(), &configuration());
    let (swappable, shipped) = (site.start(), Envoy::start(&launch(site.shipped().configuration().unwrap())).unwrap());
    let discovered = dump(&swappable, "/configs/0/ecds_filter/typed_config", "/config_dump?resource=ecds_filters");
    let written = dump(&shipped, "", "/config_dump?resource=static_listeners");
    let written = find(&written, "jwe_gate").expect("a filter of this name");
    assert_eq!(without_place(discovered), without_place(written["typed_config"].clone()));
}

#[test]
fn a_swap_reaches_every_envoy_or_none_and_a_rollback_takes_it_back() {
    let site = Site::new();
    let module = artefact::bytes();
    site.deployer.first(&module, &configuration());
    let (able, unable) = (Envoy::start(&site.launch().env(MORE.0, MORE.1)).unwrap(), site.start());
    let versions = || [&able, &unable].map(version);

    let run = site.deployer.deploy(&rebuilt(&module, 1), &configuration(), &[&able, &unable]);
    assert_eq!(run.status, 0, "{run:?}");
    let before = site.deployer.document();
    assert_eq!(versions(), [before["version_info"].clone(), before["version_info"].clone()]);

    // One of them has a variable that the configuration names, the other has not.
    let newer = configuration().replace("[{ \"profile\"", "[{ \"secrets\": [{ \"env\": \"MORE\" }], \"profile\"");
    let run = site.deployer.deploy(&module, &newer, &[&able, &unable]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.said.contains(&unable.admin_address().to_string()), "{run:?}");
    assert_eq!(site.deployer.document(), before);
    assert_eq!(versions(), [before["version_info"].clone(), before["version_info"].clone()]);
    for envoy in [&able, &unable] {
        assert_eq!(site.status(envoy, "/"), 401);
    }

    // Nothing but the variables is another one for the VM, and before 1.39 Envoy would take the old one.
    let run = site.deployer.deploy(&rebuilt(&module, 1), &newer, &[&able]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(version(&able), site.deployer.document()["version_info"]);
    let run = site.deployer.rollback(&[&able]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!((version(&able), site.deployer.document()), (before["version_info"].clone(), before));
}

/// What the configuration needs, without a lookup service.
struct Site {
    deployer: Deployer,
    app: Upstream,
    certificates: Certificates,
    wasm: std::path::PathBuf,
    _scratch: Scratch,
}

impl Site {
    fn new() -> Self {
        let scratch = Scratch::new().expect("a folder of one's own");
        Self {
            deployer: Deployer::new(&[ENVIRONMENT[0], ENVIRONMENT[1], MORE]),
            app: Upstream::start().expect("the app starts"),
            certificates: Certificates::write(scratch.path()).expect("a folder of one's own"),
            wasm: artefact::path(),
            _scratch: scratch,
        }
    }

    fn shipped(&self) -> Shipped<'_> {
        let any = ([127, 0, 0, 1], 0).into();
        let (wasm, certificates) = (&self.wasm, &self.certificates);
        Shipped { wasm, certificates, app: self.app.address(), lookup: NOWHERE, listen: any, admin: any }
    }

    fn launch(&self) -> Launch {
        launch(self.shipped().swappable(&self.deployer.directory()).expect("the shipped file is as expected"))
    }

    fn start(&self) -> Envoy {
        Envoy::start(&self.launch()).expect("Envoy starts")
    }

    /// What a request without a session gets.
    fn status(&self, envoy: &Envoy, path: &str) -> u16 {
        let mut connection =
            Connection::open_tls(envoy.address("https"), &self.certificates.authority).expect("Envoy listens");
        connection.send(get(path, &[])).expect("Envoy answers").status
    }
}

fn launch(configuration: String) -> Launch {
    ENVIRONMENT.into_iter().fold(Launch::new(configuration), |launch, (name, value)| launch.env(name, value))
}

/// The configuration in `envoy/envoy.yaml`.
fn configuration() -> String {
    let mut apply = Command::new(repository().join("envoy/hot-swap/apply"));
    apply.arg("--configuration").arg(repository().join("envoy/envoy.yaml"));
    process::run(apply).expect("the script runs")
}

fn version(envoy: &Envoy) -> Value {
    dump(envoy, "/configs/0/version_info", "/config_dump?resource=ecds_filters")
}

fn dump(envoy: &Envoy, pointer: &str, page: &str) -> Value {
    let page: Value = serde_json::from_str(&envoy.admin(page).expect("the admin page answers")).expect("JSON");
    page.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {page:#}")).clone()
}

/// The object of this name that has a configuration.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(object) if value["name"] == name && object.contains_key("typed_config") => Some(value),
        Value::Object(object) => object.values().find_map(|value| find(value, name)),
        Value::Array(list) => list.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

/// A filter without what is meant to differ: where the module lies, and what tells VMs apart. The order of names and of
/// white space says nothing.
fn without_place(mut filter: Value) -> Value {
    let config = &mut filter["config"];
    assert!(config["vm_config"]["code"]["local"]["filename"].take().is_string(), "{config:#}");
    config["vm_config"].as_object_mut().expect("an object").remove("configuration");
    let names = config["vm_config"]["environment_variables"]["host_env_keys"].as_array_mut().expect("names");
    names.sort_by_key(ToString::to_string);
    let text = config["configuration"]["value"].as_str().expect("text");
    config["configuration"]["value"] = serde_json::from_str(text).expect("the filter's configuration is JSON");
    filter
}
