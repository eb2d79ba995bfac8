//! The gate itself, without I/O: tokens, sessions, verdicts and what to do with a request.

#![forbid(unsafe_code)]

pub mod capabilities;
pub mod claims;
pub mod config;
pub mod cookie;
pub mod failures;
pub mod fields;
pub mod gate;
pub mod headers;
pub mod identity;
pub mod jwe;
pub mod jws;
pub mod l0;
pub mod l1;
pub mod leads;
mod lifetime;
pub mod mac;
pub mod metrics;
mod nonce;
pub mod policy;
pub mod queues;
pub mod record;
pub mod revocation;
pub mod roster;
pub mod route;
pub mod secret;
pub mod shared;
pub mod sign_in;
pub mod template;
pub mod time;
pub mod verdict;
