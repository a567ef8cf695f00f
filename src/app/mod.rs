//! Use cases and wiring: what the node does with the rules and the world.

#[cfg(feature = "node")]
pub mod check;
#[cfg(feature = "node")]
pub mod cli;
#[cfg(feature = "node")]
pub mod commands;
#[cfg(feature = "cli")]
pub mod config;
#[cfg(feature = "cli")]
pub mod datasets;
#[cfg(feature = "cli")]
pub mod init;
#[cfg(feature = "cli")]
pub mod plot;
#[cfg(feature = "cli")]
pub mod telemetry;

pub mod context;
mod coordinator;
mod driver;
mod monitor;
pub mod node;
pub mod parallel;
mod peers;
mod runner;
pub mod vectors;

pub use context::{Ports, Settings};
pub use node::Node;

#[cfg(feature = "node")]
mod attack;
#[cfg(feature = "node")]
mod demo;
#[cfg(feature = "node")]
pub mod wire;
