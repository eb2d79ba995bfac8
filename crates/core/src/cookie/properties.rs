//! Whatever a browser or an attacker sends: no parser finds a session cookie upstream that was not accepted.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 2] = ["__Secure-authjs.session-token", "authjs.session-token"];

/// The `cookie` package: split at `;`, first `=`, spaces and tabs trimmed, the first of a name counts.
fn as_node(header: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut cookies = BTreeMap::new();
    for piece in header.split(|byte| *byte == b';') {
        let text: String = piece.iter().copied().map(char::from).collect();
        if let Some((name, value)) = text.split_once('=') {
            let bytes = |text: &str| text.trim_matches([' ', '\t']).chars().map(|c| c as u8).collect::<Vec<u8>>();
            cookies.entry(bytes(name)).or_insert_with(|| bytes(value));
        }
    }
    cookies
}

/// Next.js: split at `; *`, names not trimmed, a piece without `=` is a cookie too, the last of a name counts.
fn as_next_js(header: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let text: String = header.iter().copied().map(char::from).collect();
    let bytes = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
    let pieces = text.split(';').map(|piece| piece.trim_start_matches(' '));
    pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "true"))).map(|(n, v)| (bytes(n), bytes(v))).collect()
}

/// The most credulous parser there could be: splits at anything, decodes names, and knows PHP's substitutions.
fn as_credulous(header: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let separates = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b',' | b';' | b'"');
    let mut cookies = BTreeMap::new();
    for piece in header.split(separates) {
        let text: String = piece.iter().copied().map(char::from).collect();
        if let Some((name, value)) = text.trim_start_matches('=').split_once('=') {
            let name = super::percent::decoded(name.as_bytes()).into_owned();
            let name =
                name.trim_ascii().iter().map(|byte| if *byte == b'_' { b'.' } else { byte.to_ascii_lowercase() });
            cookies.insert(name.collect(), value.bytes().collect());
        }
    }
    cookies
}

fn is_session(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', ".");
    let text = text.trim_start_matches(|c: char| !c.is_ascii_graphic());
    let bare = ["..secure-", "..host-"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    bare.starts_with("authjs.session-token")
}

/// Pieces of headers that are, resemble, or hide session cookies.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "__Secure-authjs.session-token",
        "authjs.session-token",
        "__Host-authjs.session-token",
        "AUTHJS.session-token",
        "authjs_session-token",
        "%61uthjs.session-token",
        "authjs%2Esession-token",
        "authjs.csrf-token",
        "a",
        "theme",
        "=",
        "=",
        "=",
        ";",
        ";",
        "; ",
        ";\t",
        " ",
        "\t",
        ",",
        "\"",
        "%20",
        "%3D",
        "%00",
        "\0",
        "\u{b}",
        ".0",
        ".1",
        ".2",
        ".01",
        ".9",
        "X",
        "-foo",
        "GOOD",
        "BAD",
        "1",
    ]);
    prop_oneof![9 => known.prop_map(|text| text.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 1..4)]
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    let cookie = (prop::sample::select(NAMES.to_vec()), prop::sample::select(vec!["", ".0", ".1", "X"]), 0..3_u8);
    let cookie = cookie.prop_map(|(name, suffix, value)| format!("{name}{suffix}=v{value};").into_bytes());
    let piece = prop_oneof![6 => fragment(), 1 => cookie];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// What goes upstream, as one header.
fn upstream(lines: &[&[u8]], names: &[Name], accepted: Option<&Credential<'_>>) -> Vec<u8> {
    match keep(lines, names, accepted) {
        Kept::Unchanged => lines.join(b"; ".as_slice()),
        Kept::Replaced(header) => header,
        Kept::Removed => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_parser_finds_a_session_when_nothing_was_accepted(lines in prop::collection::vec(header(), 1..4)) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let names = NAMES.map(|name| Name::new(name).unwrap());
        let header = upstream(&lines, &names, None);
        for cookies in [as_node(&header), as_next_js(&header), as_credulous(&header)] {
            let found: Vec<_> = cookies.keys().filter(|name| is_session(name)).collect();
            prop_assert!(found.is_empty(), "{found:?} in {}", header.escape_ascii());
        }
    }

    #[test]
    fn whatever_node_finds_belongs_to_the_accepted_credential(lines in prop::collection::vec(header(), 1..4)) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let names = NAMES.map(|name| Name::new(name).unwrap());
        let Ok(scan) = scan(&lines, &names, &Limits::default()) else { return Ok(()) };
        let Some(credential) = scan.credential() else { return Ok(()) };
        let header = upstream(&lines, &names, Some(credential));
        let name = NAMES[credential.name()];
        for (found, value) in as_node(&header).into_iter().filter(|(found, _)| is_session(found)) {
            let expected = match credential.chunks() {
                0 => vec![name.to_owned()],
                chunks => (0..chunks).map(|index| format!("{name}.{index}")).collect(),
            };
            let found = String::from_utf8(found).unwrap();
            prop_assert!(expected.contains(&found), "{found} in {}", header.escape_ascii());
            let token = credential.token(crate::jwe::Profile::AuthJs);
            let value = super::percent::decoded(&value).into_owned();
            prop_assert!(value.is_empty() || token.windows(value.len()).any(|part| part == value));
        }
    }

    #[test]
    fn strangers_are_told_before_the_header_is_written(lines in prop::collection::vec(header(), 0..4)) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let names = NAMES.map(|name| Name::new(name).unwrap());
        if let Ok(scan) = scan(&lines, &names, &Limits::default()) {
            let kept = keep(&lines, &names, scan.credential());
            prop_assert_eq!(scan.has_strangers(), kept != Kept::Unchanged);
        }
    }

    #[test]
    fn other_cookies_are_all_kept(
        cookies in prop::collection::vec(("[a-z]{1,6}", "[A-Za-z0-9%._-]{0,8}"), 0..8),
        stranger in 0..9_usize,
    ) {
        let mut pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = pairs.join("; ");
        pairs.insert(stranger.min(pairs.len()), "authjs.session-tokenX=x".to_owned());
        let header = pairs.join("; ");
        let names = NAMES.map(|name| Name::new(name).unwrap());
        prop_assert_eq!(upstream(&[header.as_bytes()], &names, None), expected.into_bytes());
    }
}
