//! The attacks, by who attacks. Each file has a list `ATTACKS`.

pub(super) mod between;
pub(super) mod connectors;
pub(super) mod controls;
pub(super) mod coordinators;
pub(super) mod crowds;
pub(super) mod disclosures;
pub(super) mod doors;
pub(super) mod floods;
pub(super) mod identities;
pub(super) mod keys;
pub(super) mod leaks;
pub(super) mod members;
pub(super) mod order;
pub(super) mod probes;
pub(super) mod results;
pub(super) mod reveals;
pub(super) mod rewriting;
pub(super) mod sharing;
pub(super) mod strangers;
pub(super) mod thresholds;
pub(super) mod urls;
