//! Whatever a client asks for: if some application would take it for the protected path, the gate does, too.

use proptest::prelude::*;

use super::*;
use crate::config::Access;
use crate::headers::Field;

/// How frameworks, servers and proxies read paths. They are applied one after the other, in any order; some decode twice.
const READERS: [fn(&str) -> String; 10] = [
    |path| unescape(path),
    |path| unescape(path),
    |path| path.replace('\\', "/"),
    |path| path.to_ascii_lowercase(),
    |path| collapse(path),
    |path| without_dots(path),
    |path| path.split('/').map(|part| part.split(';').next().unwrap_or("")).collect::<Vec<_>>().join("/"),
    |path| path.split('/').map(|part| part.trim_end_matches(['.', ' '])).collect::<Vec<_>>().join("/"),
    |path| path.split(['?', '#', '\0']).next().unwrap_or("").to_owned(),
    |path| path.replace(['\u{ff0f}', '\u{2215}'], "/").replace(['\u{ff0e}', '\u{2024}'], ".").replace('\u{200b}', ""),
];

fn unescape(path: &str) -> String {
    let bytes = path.as_bytes();
    let (mut read, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let escaped = path.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let escaped = escaped.filter(|_| bytes[at] == b'%');
        read.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&read).into_owned()
}

fn collapse(path: &str) -> String {
    let mut read = path.to_owned();
    while read.contains("//") {
        read = read.replace("//", "/");
    }
    read
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

/// A segment and the slash before it, each in one of the spellings that have fooled somebody.
fn piece() -> impl Strategy<Value = String> {
    const SLASHES: &[&str] =
        &["/", "/", "/", "//", "\\", "%2f", "%5C", "%252f", "\u{ff0f}", "%ef%bc%8f", "%e2%88%95", "/./", ""];
    const SEGMENTS: &[&str] = &[
        "admin",
        "admin",
        "admin",
        "ADMIN",
        "%61dmin",
        "adm%69n",
        "admin.",
        "admin%20",
        "admin;a=b",
        "admin%3b",
        "admin%00",
        "ad%e2%80%8bmin",
        "..",
        "..",
        "%2e%2E",
        ".%2e",
        "%252e%252e",
        "%ef%bc%8e.",
        "%e2%80%a4.",
        "..;",
        ".",
        "public",
        "x",
        "?",
        "%3f",
        "#",
        "%23",
        "%25",
        "%",
    ];
    let slash = proptest::sample::select(SLASHES);
    let segment = prop_oneof![8 => proptest::sample::select(SEGMENTS).prop_map(str::to_owned), 1 => "[ -~]{0,2}"];
    (slash, segment).prop_map(|(slash, segment)| format!("{slash}{segment}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn no_reading_leads_around_a_rule(
        start in prop_oneof![Just("/public"), Just("")],
        pieces in proptest::collection::vec(piece(), 1..4),
        readers in Just(READERS).prop_shuffle(),
        applied in 0..=READERS.len(),
    ) {
        let path = format!("{start}{}", pieces.concat());
        let public = Rule { paths: vec![Pattern::prefix("/public").unwrap()], treatment: Treatment { access: Access::Open, ..Treatment::default() }, ..Rule::default() };
        let admin = Rule { paths: vec![Pattern::prefix("/admin").unwrap()], treatment: Treatment { conditions: 1, ..Treatment::default() }, ..Rule::default() };
        let rest = Rule { treatment: Treatment { access: Access::Optional, ..Treatment::default() }, ..Rule::default() };
        let treatment = Rules::new(vec![public, admin, rest]).treatment(&RequestLine::read(Field::Line(b"GET"), Field::Line(b"a.test"), Field::Line(path.as_bytes()), false));

        let bare = path.split('?').next().unwrap_or("").to_owned();
        let read = readers[..applied].iter().fold(bare, |path, reader| reader(&path));
        if read == "/admin" || read.starts_with("/admin/") {
            prop_assert_eq!((treatment.access, treatment.conditions), (Access::Required, 1), "{} is read as {}", path, read);
        }
    }
}
