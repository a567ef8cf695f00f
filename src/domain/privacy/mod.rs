//! Differential privacy: noise that is exact, and what it costs.
//!
//! Each file is one idea: [`discrete_gaussian`] draws noise, [`noise`] says how much of it is each member's share, [`rdp`] says what
//! a release costs, [`accountant`] keeps the ledger of a dataset, [`report`] shows it, and [`plan`] says what would be. Formulas and claims in words: `docs/privacy.md`.
//!
//! Not here: who may ask (policy), what is clipped and how (the `records` driver), where the ledger is stored.

pub mod accountant;
pub mod cost;
pub mod discrete_gaussian;
pub mod noise;
pub mod plan;
pub mod rdp;
pub mod report;
