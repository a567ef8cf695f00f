//! Whom a member knows for longer than one round, and what that is good for in it (docs/protocol/secagg.md, Identities).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Members, PrivacyFloor};
use crate::ids::Address;
use crate::secret::Secret;

/// What a member knows of the others of its round, before it shares anything with them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Acquaintances {
    /// By address; who is not here has proved nothing, and is whoever put its keys on record.
    pub known: BTreeMap<Address, Acquaintance>,
    /// Addresses that proved another key than before.
    pub changed: Members,
    /// Whether this node has a roster or pins: then only those for whom these vouch count towards its floor, and all others as colluding.
    pub anchored: bool,
}

/// Another member that has proved its identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Acquaintance {
    /// What the two identity keys agree on ([`NodeKey::common`](crate::identity::NodeKey::common)).
    pub common: Secret<32>,
    /// Whether roster or pins vouch for its key. True of at most one address for each key, and of none for this node's own.
    pub vouched: bool,
}

impl Acquaintances {
    /// What this member and `other` share for longer than the round.
    #[must_use]
    pub fn common(&self, other: &Address) -> Option<&Secret<32>> {
        self.known.get(other).map(|a| &a.common)
    }

    /// How many of `list` count towards the floor of the member `me`, itself included.
    #[must_use]
    pub fn counted(&self, me: &Address, list: &Members) -> usize {
        if !self.anchored {
            return list.len();
        }
        let vouched = |a: &&Address| self.known.get(*a).is_some_and(|a| a.vouched);
        let others = list.iter().filter(|a| *a != me).filter(vouched);
        others.count() + usize::from(list.contains(me))
    }

    /// The protection that the owner insists on in a round of these members: those that do not count are taken to collude, beside as many
    /// of those that do as the owner assumes. Strangers cost nothing, so they must not stand in for the assumed ones.
    #[must_use]
    pub fn floor(&self, me: &Address, list: &Members, floor: PrivacyFloor) -> PrivacyFloor {
        let counted = self.counted(me, list);
        let strangers = list.len() - counted;
        if strangers == 0 {
            return floor;
        }
        let colluders = floor.colluders_among(counted).saturating_add(strangers);
        PrivacyFloor {
            colluders: Some(u32::try_from(colluders).unwrap_or(u32::MAX)),
            ..floor
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: usize) -> Address {
        format!("0x{n:040x}").parse().unwrap()
    }

    fn list(numbers: std::ops::Range<usize>) -> Members {
        numbers.map(node).collect()
    }

    /// Node 0 knows nodes 1 to `known`, of whom `vouched` are on its roster.
    fn of(known: usize, vouched: usize, anchored: bool) -> Acquaintances {
        let one = |n| Acquaintance {
            common: Secret::new([1; 32]),
            vouched: n <= vouched,
        };
        Acquaintances {
            known: (1..=known).map(|n| (node(n), one(n))).collect(),
            changed: Members::new(),
            anchored,
        }
    }

    #[test]
    fn sybils_count_towards_no_floor_and_as_colluding() {
        let me = node(0);
        // Two of the roster, and twenty that came by themselves.
        let others = of(22, 2, true);
        let everybody = list(0..23);
        assert_eq!(others.counted(&me, &everybody), 3);
        let floor = others.floor(&me, &everybody, PrivacyFloor::default());
        assert_eq!(floor.colluders, Some(20));
        assert_eq!(others.counted(&me, &list(1..23)), 2);
    }

    #[test]
    fn strangers_collude_beside_those_that_the_owner_assumes() {
        use crate::round::Neighbourhood;
        use crate::strategy::Strategy;
        let me = node(0);
        // Of so many members, this node and so many others are of the roster.
        for (members, vouched, assumed, colluders, threshold) in [
            (4, 2, Some(1), 2, 4),
            (4, 2, None, 1, 3),
            (6, 4, None, 2, 5),
            (6, 4, Some(2), 3, 5),
            (10, 8, None, 4, 8),
        ] {
            let others = of(members - 1, vouched, true);
            let everybody = list(0..members);
            let floor = PrivacyFloor {
                colluders: assumed,
                ..PrivacyFloor::default()
            };
            let judged = others.floor(&me, &everybody, floor);
            assert_eq!(judged.colluders, Some(colluders), "{members} {vouched}");
            for t in 1..=members {
                let neighbourhood = Neighbourhood {
                    degree: None,
                    threshold: t,
                };
                let refused = neighbourhood.objection(members, &judged).is_some();
                assert_eq!(refused, t < threshold, "{t} of {members}");
            }
        }
        // Six by default: a threshold of 4 withstands one of the roster or one stranger, not both.
        let default = Neighbourhood::of(&Strategy::default(), 6);
        let judged = of(5, 4, true).floor(&me, &list(0..6), PrivacyFloor::default());
        assert!(default.objection(6, &judged).is_some());
    }

    #[test]
    fn strangers_collude_beside_the_assumed_ones_in_a_ring_too() {
        use crate::round::Neighbourhood;
        use crate::strategy::Strategy;
        // A third of a hundred are strangers: a ring for a third of colluders has no room for others.
        let others = of(99, 66, true);
        let floor = others.floor(&node(0), &list(0..100), PrivacyFloor::default());
        assert_eq!(floor.colluders, Some(22 + 33));
        let ring = Neighbourhood::of(&Strategy::default(), 100);
        assert!(ring.degree.is_some());
        assert!(ring.objection(100, &floor).is_some());
        let known = of(99, 99, true).floor(&node(0), &list(0..100), PrivacyFloor::default());
        assert_eq!(ring.objection(100, &known), None);
    }

    #[test]
    fn without_roster_and_pins_everybody_counts() {
        let (me, everybody) = (node(0), list(0..5));
        for others in [of(0, 0, false), of(4, 4, true)] {
            assert_eq!(others.counted(&me, &everybody), 5);
            let floor = others.floor(&me, &everybody, PrivacyFloor::default());
            assert_eq!(floor.colluders, None);
        }
    }
}
