//! The command line: from what is typed to the function that does it, and to the exit code.
//!
//! `args` is what may be typed, `dispatch` chooses the function, the others are the commands themselves.
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

mod args;
mod check;
mod client;
mod commands;
mod datasets;
mod dispatch;
mod health;
mod init;
#[cfg(feature = "pages")]
pub mod pages;
mod signals;
mod supervisor;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

use args::Cli;

/// Parses the process's arguments, does what they say, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => dispatch::run(cli),
        Err(error) => {
            let printed = error.print();
            match u8::try_from(error.exit_code()) {
                Ok(code) if printed.is_ok() => ExitCode::from(code),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
