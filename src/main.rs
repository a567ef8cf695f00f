//! `delta-node`: the program. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    delta_node::cli::main()
}
