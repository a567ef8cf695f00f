//! The executor's worker alone: what `delta-node __worker` does, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    delta_node::bootstrap::worker_main()
}
