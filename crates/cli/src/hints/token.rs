//! Tokens of the wrong form: what are they then?

use jwe_gate_core::jwe::JweError;

/// Says what a token is that is no token of ours.
pub(super) fn form(token: &[u8], error: JweError, hints: &mut Vec<String>) {
    if error == JweError::EncNotAllowed {
        hints.push(
            "the token's content encryption is not one of this profile. Auth.js v5 went from A256GCM with a 32-byte key \
             to A256CBC-HS512 with a 64-byte key, so that an upgrade of the app needs \"profile\": \"authjs\" here"
                .to_owned(),
        );
    }
    if !matches!(error, JweError::MalformedToken | JweError::HeaderInvalid) {
        return;
    }
    let parts = token.split(|byte| *byte == b'.').count();
    let told = if is_opaque(token) {
        "the cookie is a database session's id and no token: the app uses \"strategy\": \"database\", where only the \
         database knows the user. Use \"strategy\": \"jwt\" in the app"
    } else if parts == 3 {
        "the token has three parts, so it is signed and not encrypted: the app has an \"encode\" of its own, or it is the \
         token of another library"
    } else if token.contains(&b'"') {
        "there are quotes around the token; what sets the cookie must not put them there"
    } else if token.contains(&b'%') {
        "the token holds a percent sign: it was encoded twice, or cut within an escape"
    } else if token.iter().any(|byte| matches!(byte, b'+' | b'/' | b'=')) {
        "the token is in the alphabet of plain base64; something between the app and here has changed it"
    } else if parts < 5 {
        "the token ends early: a cookie has 4096 bytes at most, and a longer one is cut by browsers and proxies"
    } else {
        return;
    };
    hints.push(told.to_owned());
}

/// A UUID (Auth.js, `NextAuth`), or 64 hexadecimal digits (`NextAuth`).
fn is_opaque(token: &[u8]) -> bool {
    let hex = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
    let parts: Vec<&[u8]> = token.split(|byte| *byte == b'-').collect();
    let lens: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    (lens == [8, 4, 4, 4, 12] || lens == [64]) && parts.into_iter().all(hex)
}

/// What is left to say when nothing that was tried explains it.
pub(super) const fn in_general(error: JweError) -> &'static str {
    match error {
        JweError::KeyNotFound => {
            "the token names a key that none of the secrets gives (\"no matching decryption secret\"). The app's secret has \
             been changed, or is another one: put the old one after the new one in \"secrets\", or let users sign in again"
        }
        JweError::DecryptFailed => {
            "no key fits (\"JWEDecryptionFailed\"): the secret or the salt is not the app's, or the token was changed on its \
             way. Compare the app's AUTH_SECRET or NEXTAUTH_SECRET, byte for byte"
        }
        JweError::AlgNotAllowed | JweError::EncNotAllowed | JweError::CritNotSupported | JweError::ZipNotSupported => {
            "no issuer that is configured writes such a header; the token was not made by the app's package"
        }
        JweError::HeaderInvalid | JweError::MalformedToken => "this is not a token of the app's package",
    }
}
