//! The rules of the network, as pure values and functions.
//!
//! Nothing here does I/O, reads a clock, draws randomness of its own or is `async`:
//! time and randomness are arguments, and what must happen in the world is returned as data.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod access;
pub mod attendance;
pub mod bundle;
pub mod calendar;
pub mod catalogue;
pub mod chain_cost;
pub mod connector_record;
pub mod dialect;
pub mod event;
pub mod hash;
pub mod identity;
pub mod ids;
pub mod manifest;
mod named_rules;
pub mod npy;
pub mod policy;
pub mod privacy;
pub mod query;
pub mod records;
pub mod registration;
pub mod round;
pub mod secagg;
pub mod secret;
pub mod strategy;
pub mod task;
pub mod tensor;
pub mod time;
pub mod vault;
pub mod wallet;
