//! `jwe-gate`: looks into session tokens, mints them, checks and describes configurations, swaps the filter of running Envoys,
//! ends sessions, and warms caches.
//!
//! Exit status: 0 for a good answer, 1 for a bad one, 2 when the question could not be asked, 3 when a swap left Envoys
//! that differ from each other or from what they were. No command prints a secret but the one that makes one, and none
//! takes one as an argument, where every user of the machine could read it.

mod agent;
mod arguments;
mod check;
mod deploy;
mod explain;
mod failure;
mod hints;
mod identity_key;
mod inspect;
mod mint;
mod revoke;
mod schema;
mod version;
mod warm;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

/// Does what the arguments say, and returns the exit status.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Deploy(arguments) => deploy::deploy(&arguments),
        Command::IdentityKey => identity_key::run(),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Mint(arguments) => mint::run(&arguments),
        Command::Revoke(arguments) => revoke::run(&arguments),
        Command::Rollback(arguments) => deploy::rollback(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Version(arguments) => version::run(&arguments),
        Command::Warm(arguments) => warm::run(&arguments),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("jwe-gate: {failure}");
        ExitCode::from(2)
    })
}
