//! The program `jwe-gate`, as an operator runs it.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod check;
mod common;
mod deploy;
mod documents;
mod explain;
mod identity_key;
mod inspect;
mod mint;
mod revoke;
mod schema;
mod version;
mod warm;
