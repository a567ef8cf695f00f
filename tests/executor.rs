//! The executor adapter from outside: whole jobs in real workers, on every runtime of this machine.
//!
//! onnxruntime is used when a library is found (`pip install onnxruntime` into a virtual environment is enough, or `ORT_DYLIB_PATH`);
//! the suite prints which runtimes it ran on, and `DELTA_REQUIRE_ONNXRUNTIME=1` makes a missing library a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "executor/drivers.rs"]
mod drivers;
#[path = "executor/fixtures.rs"]
mod fixtures;
#[path = "executor/graph.rs"]
mod graph;
#[path = "executor/joins.rs"]
mod joins;
#[path = "executor/judging.rs"]
mod judging;
#[path = "executor/prepared.rs"]
mod prepared;
#[path = "executor/records.rs"]
mod records;
#[path = "executor/solve.rs"]
mod solve;
#[path = "executor/walls.rs"]
mod walls;
#[path = "executor/world.rs"]
mod world;
