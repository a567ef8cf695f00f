//! Whole networks on this machine, for people who want to see one: `demo` and `attack`.

pub(crate) mod attack;
pub(crate) mod demo;
mod log;
mod network;
mod recorder;
mod tables;
