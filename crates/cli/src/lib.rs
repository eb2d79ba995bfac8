//! `jwe-gate`: looks into session tokens, mints them, and checks configurations.
//!
//! Exit status: 0 for a good answer, 1 for a bad one, 2 when the question could not be asked. No command prints a
//! secret, and none takes one as an argument, where every user of the machine could read it.

mod arguments;
mod check;
mod failure;
mod hints;
mod inspect;
mod mint;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Mint(arguments) => mint::run(&arguments),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("jwe-gate: {failure}");
        ExitCode::from(2)
    })
}
