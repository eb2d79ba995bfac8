//! The HTTP contract between the filter and the lookup service.
//!
//! One question is `POST`ed to [`LOOKUP_PATH`] as JSON, alone or in a list; each answer repeats what was asked. Both
//! bodies are authenticated by an HMAC under a shared secret, in the header [`MAC_HEADER`]. An answer counts by its
//! content and never by its status: a wrong backend, a cache in between or an HTML page must admit nobody.
//!
//! What ends sessions early travels by [`REVOCATIONS_PATH`]: `POST`ed by proxies, read by them as a feed. The module
//! [`revocation`] says which sessions a revocation ends.
#![forbid(unsafe_code)]

mod field;
mod key;
mod mac;
mod message;
pub mod revocation;

pub use field::{MAX_FIELD_BYTES, MAX_FIELDS, MAX_FIELDS_BYTES, is_field_name};
pub use key::{NotAPublicKey, PublicKey};
pub use mac::{LookupSecret, Message, WeakSecret};
pub use message::{Answer, Cause, Kind, Limits, LookupAnswer, LookupQuestion, Outcome, Question, Reason};
pub use revocation::{
    Bounds, Entry, Fact, FeedAnswer, FeedQuestion, Receipt, RevocationRequest, Shown, Tag, TagKind, Target,
};

/// Where the lookup service listens for questions. Ids never travel in paths.
pub const LOOKUP_PATH: &str = "/v1/lookup";

/// Where revocations are written (`POST`) and followed (`GET`).
pub const REVOCATIONS_PATH: &str = "/v1/revocations";

/// The header that carries the lower-case hex HMAC-SHA256 of a message: of its body, or of the request target where a
/// request has no body.
pub const MAC_HEADER: &str = "x-jwe-gate-mac";

/// The version of the message format. A message with another version is not understood.
pub const VERSION: u32 = 1;

/// The most questions that one message may hold.
pub const MAX_QUESTIONS: usize = 256;

/// The largest message body, in bytes, that either side reads.
pub const MAX_BODY_BYTES: usize = 1 << 20;
