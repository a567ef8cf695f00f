//! Rounds.

pub mod message;
