//! Use cases and wiring: what the node does with the rules and the world.

#[cfg(feature = "cli")]
pub mod config;
