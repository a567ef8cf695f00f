//! `delta_node_start`: the same program under the original's name, so that scripts and service files keep working.

use std::process::ExitCode;

fn main() -> ExitCode {
    delta_node::cli::main()
}
