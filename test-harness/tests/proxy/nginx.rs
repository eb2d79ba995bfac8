//! What nginx does by itself under the shipped configuration, in a real nginx without `ngx_wasm_module`: which paths it
//! refuses, whom it lets pass, and what goes on. A client's header stands in for the filter's word.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use jwe_gate_test_harness::nginx_conf::{replaced, shipped, without_module};
use jwe_gate_test_parts::certificates::Certificates;
use jwe_gate_test_parts::http::{Connection, Reply, get};
use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::process::{Process, find_program};
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::upstream::{Received, Upstream};

const INSTALL: &str = "nginx is needed: apt-get install -y --no-install-recommends nginx";
const ADMITTED: (&str, &str) = ("test-ok", "1");

#[test]
fn a_path_that_the_filter_and_the_application_would_read_differently_is_refused() {
    let nginx = Nginx::start();
    let odd = [
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a%5Cb",
        r"/a\b",
        "/a//b",
        "//a",
        "/a//",
        "/a#b",
        "/a%23b",
        "/a%3fb",
        "/a%3Fb",
        "/a/./b",
        "/a/../b",
        "/.",
        "/..",
        "/a/.",
        "/a/..",
        "/a/..?b",
        "/a/%2e/b",
        "/a/%2e%2E/b",
        "/a/.%2e",
        "/healthz/.",
        "https://localhost//a",
        "https://localhost/a%2fb",
        "/a%00b",
        "/a%2",
        "*",
        "a",
    ];
    for path in odd {
        assert_eq!(nginx.send(path, &[ADMITTED]).status, 400, "{path}");
    }
    assert_eq!(nginx.app.requests(), 0);
    for path in ["/", "/a/b.c/..d/...", "/a?b=//../%2f#?", "/a%20b", "/a;b", "/a%252fb"] {
        let received = Received::from_reply(&nginx.send(path, &[ADMITTED])).unwrap();
        assert_eq!(received.line, format!("GET {path} HTTP/1.1"));
    }
}

#[test]
fn the_application_is_asked_only_on_the_filters_word_and_told_only_what_it_says() {
    let nginx = Nginx::start();
    for word in ["", "0", "yes", "11"] {
        assert_eq!(nginx.send("/", &[("test-ok", word)]).status, 502, "{word:?}");
    }
    assert_eq!(nginx.send("/", &[]).status, 502);
    assert_eq!(nginx.send("/healthz", &[]).text(), "ok\n");
    assert_eq!(nginx.app.requests(), 0);

    let forged = [
        ADMITTED,
        ("X-User-Id", "forged"),
        ("x-user-id", "forged"),
        ("X_User_Id", "forged"),
        ("X-User-Email", "forged"),
        ("X-Identity-Jwt", "forged"),
        ("X-Original-URL", "forged"),
        ("X-Jwe-Gate-Bypass", "forged"),
        ("X-Jwe-Gate-Status", "forged"),
        ("X-Bypass-Auth", "forged"),
        ("Cookie", "forged=1"),
        ("Cookie", "forged=2"),
        ("Authorization", "forged"),
    ];
    let stranger = Received::from_reply(&nginx.send("/", &forged)).unwrap();
    assert!(!stranger.headers.iter().any(|(_, value)| value.contains("forged")), "{stranger:?}");
    let said = [&forged[..], &[("test-user", "alice"), ("test-cookie", "a=1; b=2")]].concat();
    let user = Received::from_reply(&nginx.send("/", &said)).unwrap();
    assert_eq!((user.only("x-user-id"), user.only("cookie")), (Some("alice"), Some("a=1; b=2")));
    assert!(!user.headers.iter().any(|(_, value)| value.contains("forged")), "{user:?}");
}

/// The shipped configuration, but for the module, places, and who says what the filter would say.
struct Nginx {
    _process: Process,
    port: Port,
    app: Upstream,
    certificates: Certificates,
    _scratch: Scratch,
}

impl Nginx {
    fn start() -> Self {
        let (scratch, port, app) = (Scratch::new().unwrap(), Port::take().unwrap(), Upstream::start().unwrap());
        let certificates = Certificates::write(scratch.path()).unwrap();
        let folder = scratch.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
            .concat();
        let conf = replaced(
            &without_module(&shipped()),
            &[
                ("worker_processes auto;", "daemon off;\nworker_processes 1;"),
                ("http {\n", &format!("http {{\n{temporary}")),
                ("/var/log/nginx/error.log warn", "stderr info"),
                ("/var/log/nginx/access.log", &format!("{folder}/access.log")),
                ("/run/nginx.pid", &format!("{folder}/nginx.pid")),
                ("/etc/jwe-gate/tls", &folder.to_string()),
                ("127.0.0.1:8080", &app.address().to_string()),
                ("listen 8443 ssl", &format!("listen {} ssl", port.address())),
                ("set $jwe_ok 0;", "set $jwe_ok $http_test_ok;"),
                (r#"set $jwe_x_user_id "";"#, "set $jwe_x_user_id $http_test_user;"),
                (r#"set $jwe_cookie "";"#, "set $jwe_cookie $http_test_cookie;"),
            ],
        );
        let file = scratch.path().join("nginx.conf");
        std::fs::write(&file, conf).unwrap();
        let mut command = Command::new(find_program("nginx", &[PathBuf::from("/usr/sbin")]).expect(INSTALL));
        command.args(["-e", "stderr", "-p"]).arg(scratch.path()).arg("-c").arg(file);
        let mut process = Process::spawn("nginx", command, &scratch.path().join("output")).unwrap();
        let listens = |_: &Process| Connection::open(port.address()).is_ok();
        process.wait_until("it to listen", Duration::from_secs(10), listens).unwrap();
        Self { _process: process, port, app, certificates, _scratch: scratch }
    }

    fn send(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut connection = Connection::open_tls(self.port.address(), &self.certificates.authority).unwrap();
        connection.send(get(path, headers)).unwrap()
    }
}
