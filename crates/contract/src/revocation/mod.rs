//! Revocations: facts that end sessions before their tokens expire, and how they travel.
//!
//! The app issues its token again at every refresh, with another `iat` and `jti`, so neither names a session. What
//! refresh does not change is `sid` and `auth_time`, where the app sets them. A revocation therefore ends one `sid`, or
//! all of a subject's sessions from before a moment; [`Bounds`] is the one rule for the latter. Nothing here is keyed by
//! a token's bytes: base64url has more than one spelling.
//!
//! The lookup service keeps revocations and numbers them in the order in which they become visible. A proxy follows
//! them with [`FeedQuestion`] and asks for new ones with [`RevocationRequest`].

mod bounds;
mod feed;
mod tag;
mod write;

pub use bounds::Bounds;
pub use feed::{Entry, Fact, FeedAnswer, FeedQuestion, MAX_ENTRIES, MAX_WAIT_MS};
pub use tag::{Tag, TagKind};
pub use write::{MAX_NAME_BYTES, Receipt, RevocationRequest, Shown, Target};
