//! The HTTP contract between the filter and the lookup service.
//!
//! One question is `POST`ed to [`LOOKUP_PATH`] as JSON, alone or in a list; each answer repeats what was asked. Both
//! bodies are authenticated by an HMAC under a shared secret, in the header [`MAC_HEADER`]. An answer counts by its
//! content and never by its status: a wrong backend, a cache in between or an HTML page must admit nobody.
#![forbid(unsafe_code)]

mod mac;
mod message;

pub use mac::{LookupSecret, WeakSecret};
pub use message::{Answer, Cause, Kind, Limits, LookupAnswer, LookupQuestion, Outcome, Question, Reason};

/// Where the lookup service listens for questions. Ids never travel in paths.
pub const LOOKUP_PATH: &str = "/v1/lookup";

/// The header that carries the lower-case hex HMAC-SHA256 of the body, on questions and on answers.
pub const MAC_HEADER: &str = "x-jwe-gate-mac";

/// The version of the message format. A message with another version is not understood.
pub const VERSION: u32 = 1;

/// The most questions that one message may hold.
pub const MAX_QUESTIONS: usize = 256;

/// The largest message body, in bytes, that either side reads.
pub const MAX_BODY_BYTES: usize = 1 << 20;
