//! Vectors made anew for another time: the same header, secret and claims, with the times in them moved.
//!
//! What does not open cannot be made anew, and need not be: it is refused at any time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwe_gate_core::cookie::{self, Limits, Name};
use jwe_gate_core::jwe::seal::{HeaderForm, Recipe};
use jwe_gate_core::jwe::{Encryption, KeyRing, Profile};
use jwe_gate_core::secret::Secret;
use serde_json::Value;

use crate::cases::{Case, Lines};

/// The request of a case as it would be at the time `now`. The same, where there is nothing to make anew.
pub fn at(case: &Case, profile: Profile, now: u64) -> Lines {
    let mut lines = case.lines();
    let secrets: Vec<Secret> = case.secrets.iter().map(Secret::new).collect();
    let keys = KeyRing::derive(profile, case.salt.as_deref(), &case.cookie_name, &secrets).expect("usable secrets");
    let Some((pieces, token)) = credential(case, profile, &lines) else { return lines };
    let Some(new) = moved(&keys, profile, &token, now.cast_signed() - case.now.cast_signed()) else { return lines };
    assert_eq!(new.len(), token.len(), "{}: times of as many digits make tokens of the same length", case.id);
    let mut rest = new.as_slice();
    for piece in pieces {
        let spelt = spelt_like(&piece, &mut rest);
        for line in lines.cookies.iter_mut().chain(&mut lines.authorization) {
            *line = replaced(line, &piece, &spelt);
        }
    }
    assert!(rest.is_empty(), "{}: all of the new token is sent", case.id);
    lines
}

/// The pieces that a token came in, and the token.
fn credential(case: &Case, profile: Profile, lines: &Lines) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let names = [Name::new(&case.cookie_name).expect("a cookie name")];
    let cookies: Vec<&[u8]> = lines.cookies.iter().map(Vec::as_slice).collect();
    let authorization: Vec<&[u8]> = lines.authorization.iter().map(Vec::as_slice).collect();
    let limits = Limits::default();
    let scan = cookie::scan(&cookies, &names, &limits).ok()?;
    if let Some(found) = scan.credential() {
        return Some((found.pieces().map(<[u8]>::to_vec).collect(), found.token(profile).into_owned()));
    }
    let bearer = cookie::bearer(&authorization, &limits).ok()??.into_owned();
    Some((vec![bearer.clone()], bearer))
}

/// The token with its times moved by `seconds`, under the same header and secret; nothing where there is no time in it.
fn moved(keys: &KeyRing, profile: Profile, token: &[u8], seconds: i64) -> Option<Vec<u8>> {
    let opened = keys.open(token).ok()?;
    let payload = std::str::from_utf8(opened.plaintext()).ok()?;
    let payload = Some(shifted(payload, seconds)).filter(|shifted| shifted != payload)?;
    let header = URL_SAFE_NO_PAD.decode(token.split(|byte| *byte == b'.').next()?).ok()?;
    let header = String::from_utf8(header).ok()?;
    let encryption = Encryption::from_name(serde_json::from_str::<Value>(&header).ok()?["enc"].as_str()?)?;
    assert!(profile.encryptions().contains(&encryption));
    // The same as before would do no harm to a test; it is made of the payload, so that it differs anyway.
    let iv: Vec<u8> = payload.bytes().rev().cycle().take(encryption.iv_len()).collect();
    let recipe = Recipe { secret: opened.secret(), encryption, header: HeaderForm::Verbatim(&header), iv: &iv };
    Some(keys.seal(&recipe, payload.as_bytes()).expect("what was sealed once can be sealed again").into_bytes())
}

/// Moves the whole seconds of the three times, wherever they stand as numbers; all other text stays as it is.
fn shifted(payload: &str, seconds: i64) -> String {
    let mut text = payload.to_owned();
    for member in ["\"iat\":", "\"exp\":", "\"nbf\":"] {
        let mut from = 0;
        while let Some(found) = text[from..].find(member) {
            let start = from + found + member.len();
            let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
            // What begins with a zero is no number in JSON, and is to stay none.
            if let Ok(time @ 1..) = text[start..start + digits].parse::<i64>()
                && !text[start..].starts_with('0')
            {
                text.replace_range(start..start + digits, &(time + seconds).to_string());
            }
            from = start;
        }
    }
    text
}

/// As many bytes of `rest` as `piece` has, percent-encoded where it is, in quotes where it is.
fn spelt_like(mut piece: &[u8], rest: &mut &[u8]) -> Vec<u8> {
    let mut spelt = Vec::new();
    while let Some((first, after)) = piece.split_first() {
        if *first == b'"' {
            spelt.push(b'"');
            piece = after;
            continue;
        }
        let (byte, others) = rest.split_first().expect("a token of the same length");
        *rest = others;
        if *first == b'%' {
            spelt.extend(format!("%{byte:02X}").bytes());
            piece = &piece[3..];
        } else {
            spelt.push(*byte);
            piece = after;
        }
    }
    spelt
}

fn replaced(line: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    match line.windows(old.len().max(1)).position(|window| window == old) {
        Some(at) => [&line[..at], new, &line[at + old.len()..]].concat(),
        None => line.to_vec(),
    }
}
