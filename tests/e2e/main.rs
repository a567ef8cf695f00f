//! The program as real processes: networks of nodes that are killed, frozen, restarted and fed garbage.
//!
//! Every process is `delta-node` itself, with files, sockets and signals as in earnest; only the addresses are loopback. What one layer
//! alone can show is tested there; what stands here needs several processes (issue 2, items 8 and 9).

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(
    clippy::print_stderr,
    reason = "a failed test shows the logs of its processes"
)]

mod cases;
mod http;
mod process;
mod task;
mod world;
