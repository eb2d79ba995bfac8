//! The shipped `nginx/nginx.conf` as the nginx profile of the test host understands it: what scenarios run under is what
//! is shipped, line by line.

use std::fs;

use jwe_gate_test_host::{Isolation, Nginx};
use jwe_gate_test_parts::envoy::repository;

/// The text of the shipped configuration.
#[must_use]
pub fn shipped() -> String {
    fs::read_to_string(repository().join("nginx/nginx.conf")).expect("nginx/nginx.conf can be read")
}

/// The filter's configuration in it.
#[must_use]
pub fn filter(conf: &str) -> String {
    let filter = directives(conf).into_iter().find(|words| words[0] == "proxy_wasm").expect("a proxy_wasm directive");
    filter.get(2).expect("the filter has a configuration").clone()
}

/// What the configuration does to requests. Directives that do nothing of the kind are passed over.
pub fn profile(conf: &str) -> Nginx {
    let mut nginx = Nginx::bare();
    let mut decides = None;
    let mut filters = 0;
    for words in directives(conf) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        nginx = match words.as_slice() {
            ["set", name, value] => nginx.set(variable(name), value),
            ["shm_kv", name, size, rest @ ..] => nginx.shm_kv(name, bytes(size), rest.contains(&"eviction=slru")),
            ["proxy_set_header", name, ""] => nginx.proxy_drop_header(name),
            ["proxy_set_header", name, "$jwe_to_cache"] => nginx.proxy_override_header(name, "jwe_cache_control"),
            ["proxy_set_header", name, value] if value.starts_with("$jwe_") && *name != "Connection" => {
                nginx.proxy_set_header(name, variable(value))
            }
            ["proxy_wasm_isolation", "stream"] => nginx.isolation(Isolation::Stream),
            ["proxy_wasm_request_headers_in_access", "on"] => nginx.waits(),
            ["proxy_wasm", ..] => {
                filters += 1;
                if filters == 2 { nginx.waits() } else { nginx }
            }
            ["map", from, "$jwe_backend"] => {
                decides = Some(variable(from).to_owned());
                nginx
            }
            ["proxy_pass", "http://$jwe_backend"] => match &decides {
                Some(variable) => nginx.admitted_by(variable),
                None => nginx,
            },
            _ => nginx,
        };
    }
    nginx
}

/// The configuration without `ngx_wasm_module`'s lines, for an nginx that has no such module.
#[must_use]
pub fn without_module(conf: &str) -> String {
    let (before, rest) = conf.split_once("\nwasm {").expect("a block for the module");
    let (_, after) = rest.split_once("\n}\n").expect("its end");
    let mut text = format!("{before}\n{after}");
    while let Some(start) = text.find("\n            proxy_wasm") {
        // There is none within a filter's configuration, which is JSON.
        let length = text[start..].find(';').expect("the end of a directive");
        text.replace_range(start..=start + length, "");
    }
    text
}

/// The configuration with other words here and there, each of which it must have.
#[must_use]
pub fn replaced(conf: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(conf.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "nginx.conf has no {from}");
        text.replace(from, to)
    })
}

fn variable(name: &str) -> &str {
    name.strip_prefix('$').expect("a variable")
}

fn bytes(size: &str) -> usize {
    let megabytes = size.strip_suffix('m').expect("a size in megabytes");
    megabytes.parse::<usize>().expect("a number") << 20
}

/// Each directive as its words, the heads of blocks among them.
fn directives(conf: &str) -> Vec<Vec<String>> {
    let (mut directives, mut words) = (Vec::new(), Vec::new());
    let mut rest = conf;
    while let Some(first) = rest.trim_start().chars().next() {
        rest = rest.trim_start();
        match first {
            '#' => rest = rest.split_once('\n').map_or("", |(_, rest)| rest),
            ';' | '{' | '}' => {
                rest = &rest[1..];
                if !words.is_empty() {
                    directives.push(std::mem::take(&mut words));
                }
            }
            '"' | '\'' => {
                let (word, after) = rest[1..].split_once(first).expect("a quotation that ends");
                words.push(word.to_owned());
                rest = after;
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ';' | '{' | '}')).unwrap_or(rest.len());
                words.push(rest[..end].to_owned());
                rest = &rest[end..];
            }
        }
    }
    directives
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_as_nginx_reads_them() {
        let conf =
            "# no\nmap $a $b { default x; 1 'y z'; }\nserver { set $c \"\"; } # no\nwasm {\n module m \"a;b\";\n}";
        let expected = [
            vec!["map", "$a", "$b"],
            vec!["default", "x"],
            vec!["1", "y z"],
            vec!["server"],
            vec!["set", "$c", ""],
            vec!["wasm"],
            vec!["module", "m", "a;b"],
        ];
        assert_eq!(directives(conf), expected);
    }
}
