//! The node's database in one SQLite file.
//!
//! One connection writes, a few read; the write-ahead log lets them work at the same time. Every change of [`Storage`](delta_ports::storage::Storage) is one
//! `BEGIN IMMEDIATE` transaction with `synchronous = FULL`: what `Ok` says is on the disk, because the node sends nothing that is not
//! (ARCHITECTURE.md, invariant 3). The file is readable by its owner only. Deleted content is overwritten (`secure_delete`), and the log is
//! emptied after each commit that deletes a machine, so that the secrets of a finished round are in neither file.
//!
//! Not here: what snapshots and effects mean, and how they are sealed. They are bytes.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod database_url;
mod error;
mod file;
mod find;
pub mod maintenance;
mod queries;
mod rows;
mod storage;
mod write;

pub use storage::SqliteStorage;
