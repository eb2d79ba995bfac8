//! Where changed headers do not reach the upstream: the proxy makes headers of variables, and these are told what they
//! are to be. Each is set for every request, so that none keeps a value of before.

use jwe_gate_core::gate::{Edits, HeaderEdit};

use crate::host::{self, LogLevel};

/// The last to be set. Without it no request goes on, so whatever fails before leaves a request that is refused.
const ADMITTED: &str = "jwe_ok";

/// The headers that the gate may set, and their variables.
const MARKS: [(&str, &str); 3] =
    [("cache-control", "jwe_cache_control"), ("x-jwe-gate-bypass", "jwe_bypass"), ("x-jwe-gate-status", "jwe_status")];

/// Tells the proxy what goes on; whether it has taken all of it.
pub(crate) fn tell(edits: &Edits) -> bool {
    let identity = edits.identity.iter().flat_map(|identity| &identity.headers);
    // Of two words about one header the latter counts.
    let proof = edits.proof.iter().map(|(header, token)| (header, token.as_bytes()));
    let identity = identity.map(|(header, value)| (header, value.as_bytes())).chain(proof);
    let identity: Vec<_> = identity.map(|(header, value)| (variable(header), value)).collect();
    let identity = identity.iter().map(|(name, value)| (name.as_str(), *value));
    let variables = [("jwe_cookie", line(&edits.cookie)), ("jwe_authorization", line(&edits.authorization))];
    let marks = MARKS.iter().map(|(header, variable)| (*variable, mark(edits, header)));
    // What has no variable cannot be told, and is not left out either.
    let is_known = |name: &&'static str| MARKS.iter().any(|(header, _)| header == name);
    if !edits.set.iter().all(|(name, _)| is_known(name)) {
        return false;
    }
    let all = identity.chain(variables).chain(marks).chain([(ADMITTED, &b"1"[..])]);
    let refused = all.into_iter().find(|(name, value)| !host::set_variable(name, value));
    if let Some((name, _)) = refused {
        host::log(LogLevel::Error, &format!("jwe-gate: no request passes, as the server does not `set ${name} \"\";`"));
    }
    refused.is_none()
}

/// The variable of a header: `$jwe_x_user_id` for `x-user-id`.
fn variable(header: &str) -> String {
    format!("jwe_{}", header.replace('-', "_"))
}

/// What the app is told of a request besides its user.
fn mark<'a>(edits: &'a Edits, header: &str) -> &'a [u8] {
    let mark = edits.set.iter().find(|(name, _)| *name == header);
    mark.map_or(b"", |(_, value)| value.as_bytes())
}

/// The one line of a header. The gate spells out what stays as it is; what it has not spelt out does not go on.
fn line(edit: &HeaderEdit) -> &[u8] {
    match edit {
        HeaderEdit::Replace(line) => line,
        HeaderEdit::Keep | HeaderEdit::Remove => b"",
    }
}
