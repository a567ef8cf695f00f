//! The machine that the node runs on: its clock, its randomness, its processors, its disk, and the node's key on it.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod blobs;
mod clock;
mod compute;
mod entropy;
mod files;
mod journal;
mod node_key;
mod process;
mod tokens;

pub use blobs::FileBlobs;
pub use clock::SystemClock;
pub use compute::BlockingThreads;
pub use entropy::SystemEntropy;
pub use journal::FileJournal;
pub use node_key::{load_or_create_identity_key, load_or_create_node_key};
pub use process::{allow_open_files, free_bytes, harden_process, make_private_file};
pub use tokens::{FileTokens, load_or_create_own_token, read_token};
