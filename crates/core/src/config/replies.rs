//! What the operator wrote of replies.

use serde::Deserialize;

use super::Checked;
use super::error::{ConfigError, Fault};
use crate::gate::{Body, Replies};
use crate::template::Template;

/// Bodies instead of the gate's own.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawReplies {
    /// For 400.
    bad_request: Option<RawReply>,
    /// For 403.
    forbidden: Option<RawReply>,
    /// For 429.
    too_many_requests: Option<RawReply>,
    /// For 401.
    unauthenticated: Option<RawReply>,
    /// For 503.
    unavailable: Option<RawReply>,
}

/// A body.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawReply {
    /// Its `Content-Type`, in printable ASCII.
    #[cfg_attr(feature = "schema", schemars(pattern("^[ -~]+$")))]
    content_type: String,
    /// Its text, in which `{{status}}`, `{{error}}` and `{{sign_in}}` are filled in; at most 16384 bytes.
    body: String,
}

/// The longest body, in bytes.
const MAX_BYTES: usize = 16 * 1024;

pub(super) fn replies(raw: RawReplies, sign_in: Option<&str>) -> Checked<Replies> {
    Ok(Replies {
        bad_request: body("bad_request", raw.bad_request)?,
        forbidden: body("forbidden", raw.forbidden)?,
        limited: body("too_many_requests", raw.too_many_requests)?,
        unauthenticated: body("unauthenticated", raw.unauthenticated)?,
        unavailable: body("unavailable", raw.unavailable)?,
        sign_in: sign_in.unwrap_or_default().to_owned(),
    })
}

fn body(name: &str, raw: Option<RawReply>) -> Checked<Option<Body>> {
    let Some(RawReply { content_type, body }) = raw else { return Ok(None) };
    let path = |field: &str| format!("replies.{name}.{field}");
    let plain = |byte: u8| matches!(byte, b' '..=b'~');
    if content_type.is_empty() || !content_type.bytes().all(plain) {
        return Err(ConfigError::new(path("content_type"), Fault::ContentType));
    }
    if body.len() > MAX_BYTES {
        return Err(ConfigError::new(path("body"), Fault::TooLarge { max: MAX_BYTES }));
    }
    match Template::new(&body) {
        Ok(template) => Ok(Some(Body { content_type, template })),
        Err(name) => Err(ConfigError::new(path("body"), Fault::Place(name))),
    }
}
