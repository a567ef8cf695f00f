//! The node of the Delta privacy-computing network.
//!
//! Layers, from the inside out: [`domain`] (pure rules), [`ports`] (what the rules need from the world),
//! `adapters` (the world), `app` (use cases and wiring). `ARCHITECTURE.md` has the map.

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
#[cfg(feature = "app")]
pub mod app;
pub mod domain;
#[cfg(feature = "ports")]
pub mod ports;
