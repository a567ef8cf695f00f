//! Who shares masks and shares with whom: everybody in small rounds, a k-regular graph in large ones.
//!
//! Source: Bell et al., CCS 2020: a ring in random order (a Harary graph), everybody a neighbour of the k/2 nearest on either side.
//! The order is drawn from public randomness that nobody chooses alone: the digest of task, round, u1 and all keys. Every member
//! derives it for itself, and the signed transcripts see to it that all derive it from the same record.
//! Not here: how large k must be (`neighbourhood`).

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};

use super::message::Encoder;
use super::{Directory, Members};
use crate::ids::{Address, Digest, RoundNumber, TaskId};

/// The graph of a round, made when it is first needed and not part of a snapshot.
pub(super) type CachedGraph = OnceLock<Arc<NeighbourGraph>>;

/// The neighbours of every member. Symmetric; nobody is their own neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourGraph {
    /// In address order; the numbers below are places in it.
    members: Vec<Address>,
    /// Members in the order of the ring, and the place in the ring of each member.
    ring: Vec<usize>,
    at: Vec<usize>,
    /// Neighbours on either side; all others when there is no ring.
    half: Option<usize>,
}

impl NeighbourGraph {
    /// The randomness of a round's ring: nobody knows it before u1 and the keys of all members are on record.
    #[must_use]
    pub fn randomness(task: &TaskId, round: RoundNumber, directory: &Directory) -> Digest {
        let mut e = Encoder::new("delta graph 1");
        e.text(task.as_str());
        e.number(u64::from(round.0));
        e.bytes(&directory.digest().0);
        e.digest()
    }

    /// The graph over `members`: complete, or a ring with `degree` neighbours each (rounded up to an even number).
    #[must_use]
    pub fn new(members: &Members, degree: Option<usize>, randomness: &Digest) -> Self {
        let n = members.len();
        let half = degree
            .map(|k| k.div_ceil(2))
            .filter(|half| half.saturating_mul(2) < n.saturating_sub(1));
        let members: Vec<Address> = members.iter().cloned().collect();
        let (mut ring, mut at) = (Vec::new(), Vec::new());
        if half.is_some() {
            let mut order: Vec<([u8; 32], usize)> = members
                .iter()
                .enumerate()
                .map(|(i, a)| {
                    let place = Sha256::new()
                        .chain_update(randomness.0)
                        .chain_update(a.as_str())
                        .finalize();
                    (place.into(), i)
                })
                .collect();
            order.sort_unstable();
            ring = order.into_iter().map(|(_, i)| i).collect();
            at = vec![0; n];
            for (place, member) in ring.iter().enumerate() {
                at[*member] = place;
            }
        }
        Self {
            members,
            ring,
            at,
            half,
        }
    }

    /// Neighbours of each member.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.half
            .map_or(self.members.len().saturating_sub(1), |half| 2 * half)
    }

    /// Those with whom `member` makes pairwise masks, in address order.
    pub fn neighbours(&self, member: &Address) -> impl Iterator<Item = &Address> {
        let me = self.index(member);
        self.around(me)
            .into_iter()
            .filter(move |i| Some(*i) != me)
            .map(|i| &self.members[i])
    }

    /// Those who hold shares of `member`'s secrets: its neighbours and itself, in address order. Their position gives the share's x.
    #[must_use]
    pub fn holders(&self, member: &Address) -> Members {
        self.holders_in_order(member)
            .cloned()
            .collect::<BTreeSet<_>>()
    }

    /// [`Self::holders`] without the copy.
    pub fn holders_in_order(&self, member: &Address) -> impl Iterator<Item = &Address> {
        self.around(self.index(member))
            .into_iter()
            .map(|i| &self.members[i])
    }

    /// The x of the share of `member`'s secrets that `holder` holds: its place among the holders, from 1.
    #[must_use]
    pub fn place(&self, holder: &Address, member: &Address) -> Option<u16> {
        let (holder, member) = (self.index(holder)?, self.index(member)?);
        if !self.near(holder, member) {
            return None;
        }
        let before = match self.half {
            None => holder,
            Some(half) => self.window(member, half).filter(|i| *i < holder).count(),
        };
        u16::try_from(before + 1).ok()
    }

    /// Whether `holder` holds a share of `member`'s secrets.
    #[must_use]
    pub fn holds(&self, holder: &Address, member: &Address) -> bool {
        match (self.index(holder), self.index(member)) {
            (Some(holder), Some(member)) => self.near(holder, member),
            _ => false,
        }
    }

    fn index(&self, member: &Address) -> Option<usize> {
        self.members.binary_search(member).ok()
    }

    /// A member and its neighbours, in address order; nobody for a stranger.
    fn around(&self, member: Option<usize>) -> Vec<usize> {
        match (member, self.half) {
            (None, _) => Vec::new(),
            (Some(_), None) => (0..self.members.len()).collect(),
            (Some(member), Some(half)) => {
                let mut all: Vec<usize> = self.window(member, half).collect();
                all.sort_unstable();
                all
            }
        }
    }

    /// A member and its neighbours, in the order of the ring. There are fewer of them than members.
    fn window(&self, member: usize, half: usize) -> impl Iterator<Item = usize> {
        let n = self.ring.len();
        let first = self.at[member] + n - half;
        (first..=first + 2 * half).map(move |place| self.ring[place % n])
    }

    fn near(&self, a: usize, b: usize) -> bool {
        self.half.is_none_or(|half| {
            let apart = self.at[a].abs_diff(self.at[b]);
            apart.min(self.ring.len() - apart) <= half
        })
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

    #[test]
    fn the_place_of_a_holder_is_its_position_in_address_order() {
        for (n, degree) in [(7, None), (7, Some(2)), (40, Some(10)), (41, Some(38))] {
            let m = members(n);
            let g = NeighbourGraph::new(&m, degree, &Digest([3; 32]));
            for a in &m {
                let holders = g.holders(a);
                assert_eq!(holders.len(), g.degree() + 1);
                assert!(g.holders_in_order(a).eq(&holders));
                for b in &m {
                    let place = holders.iter().position(|h| h == b);
                    let place = place.map(|p| u16::try_from(p + 1).unwrap());
                    assert_eq!(g.place(b, a), place);
                    assert_eq!(g.holds(b, a), place.is_some());
                }
            }
        }
    }

    #[test]
    fn strangers_hold_nothing_and_have_nobody() {
        let m = members(40);
        let stranger: Address = format!("0x{}", "ee".repeat(20)).parse().unwrap();
        for degree in [None, Some(6)] {
            let g = NeighbourGraph::new(&m, degree, &Digest([3; 32]));
            let a = m.first().unwrap();
            assert!(g.neighbours(&stranger).next().is_none() && g.holders(&stranger).is_empty());
            assert!(!g.holds(&stranger, a) && !g.holds(a, &stranger));
            assert_eq!(g.place(&stranger, a), None);
        }
    }

    #[test]
    fn the_ring_depends_on_task_round_and_keys() {
        let list: Vec<Address> = members(3).into_iter().collect();
        let directory =
            |n: usize| Directory::judge(crate::secagg::keys::Curve::Secp256k1, &list[..n], &[]);
        let task = |c: &str| -> TaskId { format!("0x{}", c.repeat(64)).parse().unwrap() };
        let all = [
            NeighbourGraph::randomness(&task("a"), RoundNumber(1), &directory(3)),
            NeighbourGraph::randomness(&task("b"), RoundNumber(1), &directory(3)),
            NeighbourGraph::randomness(&task("a"), RoundNumber(2), &directory(3)),
            NeighbourGraph::randomness(&task("a"), RoundNumber(1), &directory(2)),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
