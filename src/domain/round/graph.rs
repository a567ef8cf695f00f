//! Who shares masks and shares with whom: everybody in small rounds, a k-regular graph in large ones.
//!
//! Source: Bell et al., CCS 2020. The graph is a ring of neighbours over an order drawn from public randomness that nobody chooses
//! alone: the digest of task, round, u1 and keys.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::Members;
use crate::domain::ids::{Address, Digest};

/// The neighbours of every member. Symmetric; nobody is their own neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourGraph {
    neighbours: BTreeMap<Address, BTreeSet<Address>>,
}

impl NeighbourGraph {
    /// The graph over `members`: complete, or with `wanted` neighbours each (rounded up to an even number), ordered by `randomness`.
    #[must_use]
    pub fn new(members: &Members, wanted: Option<u32>, randomness: &Digest) -> Self {
        let n = members.len();
        let half = wanted.map_or(n, |k| usize::try_from(k.div_ceil(2)).unwrap_or(n));
        if half.saturating_mul(2) >= n.saturating_sub(1) {
            return Self::complete(members);
        }
        let mut order: Vec<(&Address, [u8; 32])> = members
            .iter()
            .map(|a| {
                (
                    a,
                    Sha256::new()
                        .chain_update(randomness.0)
                        .chain_update(a.as_str())
                        .finalize()
                        .into(),
                )
            })
            .collect();
        order.sort_by_key(|(_, place)| *place);
        let mut neighbours: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
        for (i, (address, _)) in order.iter().enumerate() {
            for step in 1..=half {
                let other = order[(i + step) % n].0;
                neighbours
                    .entry((*address).clone())
                    .or_default()
                    .insert(other.clone());
                neighbours
                    .entry(other.clone())
                    .or_default()
                    .insert((*address).clone());
            }
        }
        Self { neighbours }
    }

    fn complete(members: &Members) -> Self {
        let neighbours = members
            .iter()
            .map(|a| {
                (
                    a.clone(),
                    members.iter().filter(|b| *b != a).cloned().collect(),
                )
            })
            .collect();
        Self { neighbours }
    }

    /// Those with whom `member` makes pairwise masks.
    pub fn neighbours(&self, member: &Address) -> impl Iterator<Item = &Address> {
        self.neighbours.get(member).into_iter().flatten()
    }

    /// Those who hold shares of `member`'s secrets: its neighbours and itself, in address order. Their position gives the share's x.
    #[must_use]
    pub fn holders(&self, member: &Address) -> Members {
        let mut holders: Members = self.neighbours(member).cloned().collect();
        if self.neighbours.contains_key(member) {
            holders.insert(member.clone());
        }
        holders
    }

    /// The x of the share of `member`'s secrets that `holder` holds: its place among the holders, from 1.
    #[must_use]
    pub fn place(&self, holder: &Address, member: &Address) -> Option<u16> {
        let at = self.holders(member).iter().position(|a| a == holder)?;
        u16::try_from(at + 1).ok()
    }

    /// Whether `holder` holds a share of `member`'s secrets.
    #[must_use]
    pub fn holds(&self, holder: &Address, member: &Address) -> bool {
        holder == member && self.neighbours.contains_key(member)
            || self
                .neighbours
                .get(member)
                .is_some_and(|n| n.contains(holder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(n: usize) -> Members {
        (0..n)
            .map(|i| format!("0x{i:040x}").parse().unwrap())
            .collect()
    }

    #[test]
    fn small_or_unrestricted_graphs_are_complete() {
        for wanted in [None, Some(4), Some(100)] {
            let m = members(5);
            let g = NeighbourGraph::new(&m, wanted, &Digest([1; 32]));
            assert!(
                m.iter()
                    .all(|a| g.neighbours(a).count() == 4 && g.holders(a) == m)
            );
        }
    }

    #[test]
    fn large_graphs_are_regular_and_symmetric() {
        let m = members(50);
        let g = NeighbourGraph::new(&m, Some(9), &Digest([7; 32]));
        for a in &m {
            assert_eq!(g.neighbours(a).count(), 10);
            assert!(
                g.neighbours(a)
                    .all(|b| b != a && g.holds(a, b) && g.holds(b, a))
            );
            assert_eq!(g.holders(a).len(), 11);
        }
        assert_ne!(g, NeighbourGraph::new(&m, Some(9), &Digest([8; 32])));
    }
}
