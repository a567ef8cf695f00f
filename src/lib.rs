//! The node of the Delta privacy-computing network.
//!
//! Layers, from the inside out: [`domain`] (pure rules), [`ports`] (what the rules need from the world),
//! [`adapters`] (the world), [`app`] (use cases). Each is a crate of its own; around them, here, is the program:
//! [`config`], [`cli`], [`bootstrap`], `testbed` (demo and attack) and `testing`. `ARCHITECTURE.md` has the map.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

pub mod adapters;
mod assets;
pub mod bootstrap;
pub mod cli;
pub mod config;
mod testbed;

pub use delta_app as app;
pub use delta_domain as domain;
pub use delta_ports as ports;
