//! Configurations for Envoy: the shipped file with a test's addresses in it, and small ones made from parts.
//!
//! The shipped file is patched as text, by what it marks with REPLACE, so that what is tested is what is shipped.
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::certificates::Certificates;
use crate::envoy::{repository, version};
use crate::process::run;

/// What the shipped configuration needs from a run.
#[derive(Clone, Debug)]
pub struct Shipped<'a> {
    /// The filter.
    pub wasm: &'a Path,
    /// For the TLS listener, which is named `https`.
    pub certificates: &'a Certificates,
    /// The application.
    pub app: SocketAddr,
    /// The lookup service: its replicas.
    pub lookup: &'a [SocketAddr],
    /// Where to listen; port 0 for any free one.
    pub listen: SocketAddr,
    /// Where the admin page listens; port 0 for any free one.
    pub admin: SocketAddr,
}

impl Shipped<'_> {
    /// `envoy/envoy.yaml` with these values in it.
    ///
    /// # Errors
    /// When the file is not as expected: what is to be replaced must be there, once.
    pub fn configuration(&self) -> Result<String> {
        self.configuration_of("envoy/envoy.yaml")
    }

    /// Another shipped configuration of this repository with these values in it.
    ///
    /// # Errors
    /// As [`configuration`](Self::configuration).
    pub fn configuration_of(&self, file: &str) -> Result<String> {
        let text = fs::read_to_string(repository().join(file)).with_context(|| format!("cannot read {file}"))?;
        let wasm = ("/etc/jwe-gate/jwe_gate.wasm".to_owned(), self.wasm.display().to_string());
        fitted(replace(text, self.replacements().into_iter().chain([wasm]))?)
    }

    /// The same with its filter in a file in `folder`, where it can be swapped.
    ///
    /// # Errors
    /// As [`configuration`](Self::configuration), and when the script that makes it fails.
    pub fn swappable(&self, folder: &Path) -> Result<String> {
        let mut apply = Command::new(repository().join("envoy/hot-swap/apply"));
        apply.arg(shipped_file());
        let folder = folder.display();
        let places = [
            ("path: /etc/jwe-gate/filter/jwe_gate.json".to_owned(), format!("path: {folder}/jwe_gate.json")),
            ("path: /etc/jwe-gate/filter }".to_owned(), format!("path: {folder} }}")),
        ];
        fitted(replace(run(apply)?, self.replacements().into_iter().chain(places))?)
    }

    fn replacements(&self) -> Vec<(String, String)> {
        let file = |path: &Path| path.display().to_string();
        vec![
            ("address: 127.0.0.1, port_value: 9901".to_owned(), place(self.admin)),
            ("address: 0.0.0.0, port_value: 8443".to_owned(), place(self.listen)),
            ("address: 127.0.0.1, port_value: 8080".to_owned(), place(self.app)),
            self.replicas(),
            ("/etc/jwe-gate/tls/server.pem".to_owned(), file(&self.certificates.certificate)),
            ("/etc/jwe-gate/tls/server.key".to_owned(), file(&self.certificates.key)),
        ]
    }

    /// One endpoint for each replica in place of the one that is shipped.
    fn replicas(&self) -> (String, String) {
        let endpoint = |place: &str| format!("- endpoint: {{ address: {{ socket_address: {{ {place} }} }} }}");
        let replicas: Vec<_> = self.lookup.iter().map(|replica| endpoint(&place(*replica))).collect();
        (endpoint("address: 127.0.0.1, port_value: 9090"), replicas.join(NEXT_ENDPOINT))
    }
}

fn place(address: SocketAddr) -> String {
    format!("address: {}, port_value: {}", address.ip(), address.port())
}

/// Without what an older Envoy refuses, as `docs/INSTALL.md` tells its users: how lookups are tried again.
fn fitted(mut text: String) -> Result<String> {
    if version()? < (1, 37) {
        let start = text.find("          retry_policy:\n            retry_on").context("a retry policy of lookups")?;
        let length = text[start..].find("\n      common_lb_config").context("its end")?;
        text.replace_range(start..start + length, "");
    }
    Ok(text)
}

/// Between two endpoints, as deep as they stand in the shipped file.
const NEXT_ENDPOINT: &str = "\n              ";

fn shipped_file() -> PathBuf {
    repository().join("envoy/envoy.yaml")
}

fn replace(mut text: String, replacements: impl IntoIterator<Item = (String, String)>) -> Result<String> {
    for (from, to) in replacements {
        ensure!(text.matches(&from).count() == 1, "{from:?} should be there once");
        text = text.replace(&from, &to);
    }
    Ok(text)
}

/// A configuration made from parts: plain HTTP listeners on free ports, and clusters.
#[derive(Clone, Debug, Default)]
pub struct Config {
    listeners: Vec<Value>,
    clusters: Vec<Value>,
}

impl Config {
    /// Nothing but the admin page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a listener.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener.into_json());
        self
    }

    /// Adds a cluster of one HTTP/1.1 host.
    #[must_use]
    pub fn cluster(self, name: &str, host: SocketAddr) -> Self {
        self.cluster_speaking(name, host, &json!({ "http_protocol_options": {} }))
    }

    /// Adds a cluster of one host that speaks HTTP/2 without TLS.
    #[must_use]
    pub fn http2_cluster(self, name: &str, host: SocketAddr) -> Self {
        self.cluster_speaking(name, host, &json!({ "http2_protocol_options": {} }))
    }

    /// Adds a cluster of one host with these `explicit_http_config`.
    #[must_use]
    pub fn cluster_speaking(mut self, name: &str, host: SocketAddr, protocol: &Value) -> Self {
        self.clusters.push(json!({
            "name": name,
            "type": "STATIC",
            "connect_timeout": "0.2s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(host) } }] }],
            },
            "typed_extension_protocol_options": { HTTP_OPTIONS: {
                "@type": format!("type.googleapis.com/{HTTP_OPTIONS}"),
                "explicit_http_config": protocol,
            } },
        }));
        self
    }

    /// The configuration as text.
    #[must_use]
    pub fn build(self) -> String {
        json!({
            // Extension discovery refuses to work without.
            "node": { "id": "test", "cluster": "test" },
            "admin": { "address": address(([127, 0, 0, 1], 0).into()) },
            "static_resources": { "listeners": self.listeners, "clusters": self.clusters },
        })
        .to_string()
    }
}

/// A listener with filters and one route.
#[derive(Clone, Debug)]
pub struct Listener {
    name: String,
    filters: Vec<Value>,
    route: Value,
    options: Value,
}

impl Listener {
    /// Sends every request on to `cluster`.
    #[must_use]
    pub fn to_cluster(name: &str, cluster: &str) -> Self {
        Self::with_route(name, json!({ "route": { "cluster": cluster, "timeout": "0s" } }))
    }

    /// Answers every request itself.
    #[must_use]
    pub fn answering(name: &str, body: &str) -> Self {
        Self::with_route(name, json!({ "direct_response": { "status": 200, "body": { "inline_string": body } } }))
    }

    fn with_route(name: &str, route: Value) -> Self {
        Self { name: name.to_owned(), filters: Vec::new(), route, options: json!({}) }
    }

    /// Adds a filter; the first one added sees a request first.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter.into_json());
        self
    }

    /// Adds a filter of another kind, as it stands in Envoy's configuration.
    #[must_use]
    pub fn other_filter(mut self, filter: Value) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds a filter that Envoy reads from the file `name`.json in `folder`, now and whenever a file is moved there.
    /// [`Filter::into_discovery`] makes its text.
    #[must_use]
    pub fn discovered_filter(mut self, name: &str, folder: &Path) -> Self {
        let file = folder.join(format!("{name}.json"));
        let source = json!({ "path": file.display().to_string(), "watched_directory": { "path": folder.display().to_string() } });
        self.filters.push(json!({
            "name": name,
            "config_discovery": { "config_source": { "path_config_source": source }, "type_urls": [WASM] },
        }));
        self
    }

    /// Sets a field of the connection manager.
    #[must_use]
    pub fn option(mut self, field: &str, value: Value) -> Self {
        if let Some(options) = self.options.as_object_mut() {
            options.insert(field.to_owned(), value);
        }
        self
    }

    fn into_json(self) -> Value {
        let mut filters = self.filters;
        filters.push(json!({ "name": "router", "typed_config": { "@type": ROUTER } }));
        let mut manager = json!({
            "@type": CONNECTION_MANAGER,
            "stat_prefix": self.name,
            "request_timeout": "20s",
            "http_filters": filters,
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route(self.route)] }] },
        });
        if let (Some(manager), Value::Object(options)) = (manager.as_object_mut(), self.options) {
            manager.extend(options);
        }
        json!({
            "name": self.name,
            "address": address(([127, 0, 0, 1], 0).into()),
            "per_connection_buffer_limit_bytes": 32768,
            "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
        })
    }
}

/// A wasm filter.
#[derive(Clone, Debug)]
pub struct Filter {
    name: String,
    vm_id: String,
    wasm: String,
    configuration: Value,
    environment: Vec<String>,
    variables: BTreeMap<String, String>,
}

impl Filter {
    /// The module in the file `wasm` with `configuration` as its text.
    #[must_use]
    pub fn new(wasm: &Path, configuration: &str) -> Self {
        Self {
            name: "jwe_gate".to_owned(),
            vm_id: "jwe_gate".to_owned(),
            wasm: wasm.display().to_string(),
            configuration: json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration }),
            environment: Vec::new(),
            variables: BTreeMap::new(),
        }
    }

    /// Passes the configuration as a `google.protobuf.Struct`, which Envoy hands on as protobuf bytes.
    #[must_use]
    pub fn structured(mut self, configuration: &Value) -> Self {
        self.configuration = json!({ "@type": "type.googleapis.com/google.protobuf.Struct", "value": configuration });
        self
    }

    /// Names the filter; the name stands in Envoy's messages.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Filters with the same id, module and environment share one VM in each worker.
    #[must_use]
    pub fn vm_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.vm_id);
        self
    }

    /// Lets the filter see these variables of Envoy's environment.
    #[must_use]
    pub fn environment(mut self, names: &[&str]) -> Self {
        self.environment.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Gives the filter a variable that Envoy itself need not have.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The filter as the resource of a discovery file, for [`Listener::discovered_filter`].
    #[must_use]
    pub fn into_discovery(self) -> String {
        let name = self.name.clone();
        let config = self.plugin();
        json!({ "resources": [{
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": name,
            "typed_config": config,
        }] })
        .to_string()
    }

    fn into_json(self) -> Value {
        let name = self.name.clone();
        json!({ "name": name, "typed_config": self.plugin() })
    }

    fn plugin(self) -> Value {
        let environment = json!({ "host_env_keys": self.environment, "key_values": self.variables });
        json!({
            "@type": WASM,
            "config": {
                "name": self.name,
                "failure_policy": "FAIL_RELOAD",
                "configuration": self.configuration,
                "vm_config": {
                    "vm_id": self.vm_id,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": self.wasm } },
                    // The filter does not read it. Before 1.39, other variables alone did not make another VM.
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": environment.to_string(),
                    },
                    "environment_variables": environment,
                },
            },
        })
    }
}

fn route(action: Value) -> Value {
    let mut route = json!({ "match": { "prefix": "/" } });
    if let (Some(route), Value::Object(action)) = (route.as_object_mut(), action) {
        route.extend(action);
    }
    route
}

fn address(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

const CONNECTION_MANAGER: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::{Envoy, Launch};
    use crate::http;
    use crate::upstream::{Received, Upstream};

    #[test]
    fn a_real_envoy_forwards_answers_and_counts() {
        let upstream = Upstream::start().unwrap();
        let config = Config::new()
            .cluster("app", upstream.address())
            .listener(Listener::to_cluster("forward", "app"))
            .listener(Listener::answering("answer", "hello").option("max_request_headers_kb", json!(1)));
        let mut envoy = Envoy::start(&Launch::new(config.build())).unwrap();

        let reply = http::send(envoy.address("forward"), http::get("/x", &[("x-a", "1")])).unwrap();
        assert_eq!(Received::from_reply(&reply).unwrap().only("x-a"), Some("1"));
        let reply = http::send(envoy.address("answer"), http::get("/", &[])).unwrap();
        assert_eq!(reply.text(), "hello");
        let too_large = http::get("/", &[("x-a", &"x".repeat(2000))]);
        assert_eq!(http::send(envoy.address("answer"), too_large).unwrap().status, 431);

        envoy.wait_until("the requests to be counted", |stats| stats["http.answer.downstream_rq_total"] >= 1).unwrap();
        assert!(envoy.rss_kib().unwrap() > 1000);
        assert!(envoy.cpu_time().unwrap() > std::time::Duration::ZERO);
    }

    #[test]
    fn a_refused_configuration_is_told_from_an_accepted_one() {
        let module = Filter::new(Path::new("/nowhere.wasm"), "{}");
        let config = Config::new().listener(Listener::answering("a", "").filter(module));
        assert!(Envoy::refusal(&Launch::new(config.build())).unwrap().contains("Invalid path: /nowhere.wasm"));
        let accepted = Config::new().listener(Listener::answering("a", ""));
        let error = Envoy::refusal(&Launch::new(accepted.build())).unwrap_err();
        assert!(error.to_string().contains("Envoy accepted"), "{error}");
    }
}
