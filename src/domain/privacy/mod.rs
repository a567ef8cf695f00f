//! Differential privacy: noise that is exact, and what it costs.
//!
//! Formulas and claims in words: `docs/privacy.md`.
//!
//! Not here: who may ask (policy), what is clipped and how (the `records` driver), where the ledger is stored.

pub mod cost;
pub mod discrete_gaussian;
pub mod noise;
pub mod rdp;
