//! Where browsers find the app and its sign-in page, and which pages are the app's own.

use super::Checked;
use super::error::{ConfigError, Fault};
use crate::headers::Field;
use crate::route::{Host, RequestLine, Rules, Unauthenticated};
use crate::sign_in::SignIn;

use super::Access;

/// Checks the addresses; `rules` must let browsers have the sign-in page, or they would be sent to it for ever.
pub(super) fn sign_in(public_url: Option<&str>, sign_in: Option<&str>, rules: &Rules) -> Checked<Option<SignIn>> {
    let origin = public_url.map(|url| origin("public_url", url)).transpose()?;
    let Some(page) = sign_in else {
        let redirects =
            rules.as_slice().iter().position(|rule| rule.treatment.unauthenticated == Unauthenticated::Redirect);
        return match redirects {
            Some(index) => Err(ConfigError::new(format!("routes[{index}].on_unauthenticated"), Fault::NoSignIn)),
            None => Ok(None),
        };
    };
    let Some(origin) = origin else { return Err(ConfigError::new("public_url", Fault::NoPublicUrl)) };
    if !page.bytes().all(in_urls) {
        return Err(ConfigError::new("sign_in", Fault::SignIn));
    }
    if page.starts_with('/') && !page.starts_with("//") {
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        let line = [b"GET".as_slice(), host.as_bytes(), page.as_bytes()].map(Field::Line);
        let [method, host, path] = line;
        if rules.treatment(&RequestLine::read(method, host, path, false)).access == Access::Required {
            return Err(ConfigError::new("sign_in", Fault::SignInLoop));
        }
        return Ok(Some(SignIn::new(&origin, &format!("{origin}{page}"))));
    }
    let rest = page.strip_prefix("https://").or_else(|| page.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if Host::read(host.as_bytes()) == Host::Ambiguous {
        return Err(ConfigError::new("sign_in", Fault::SignIn));
    }
    Ok(Some(SignIn::new(&origin, page)))
}

/// The origins whose pages are the app's own, besides the one that a request is for.
pub(super) fn allowed_origins(public_url: Option<&str>, raw: Option<Vec<String>>) -> Checked<Vec<String>> {
    let public = public_url.map(|url| origin("public_url", url)).transpose()?;
    let listed = raw.unwrap_or_default();
    let listed = listed.iter().enumerate().map(|(index, url)| origin(&format!("allowed_origins[{index}]"), url));
    public.map(Ok).into_iter().chain(listed).collect()
}

/// An origin (RFC 6454): scheme, host and port. A slash at the end is left out.
fn origin(path: &str, url: &str) -> Checked<String> {
    let fault = || ConfigError::new(path, Fault::Origin);
    let url = url.strip_suffix('/').unwrap_or(url).to_ascii_lowercase();
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).ok_or_else(fault)?;
    if Host::read(host.as_bytes()) == Host::Ambiguous || host.ends_with('.') || host.ends_with(':') {
        return Err(fault());
    }
    Ok(url)
}

/// What may stand in a URL (RFC 3986 section 2) and in a quoted text of HTML or JSON.
fn in_urls(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?@!$()*+,;=%&".contains(&byte)
}
