//! What a round costs where the record is on a blockchain, in gas.
//!
//! Two figures are measured on the deployed contracts: 52,300 for the commitment to one share, 100,000 for a share that is revealed. The
//! others follow from what `HFLContract` and `IdentityContract` store: 21,000 for a transaction, 22,100 for a word that was empty, 5,000
//! for one that was not, 2,100 for one that is only read. They are for the warning before a round and for docs/chain.md, not for paying.

/// The most that the transactions of one block may take together.
pub const BLOCK_GAS: u64 = 30_000_000;

/// One commitment to a share: its length, its 32 bytes, its place in the call, and the event that tells of it.
const COMMITMENT: u64 = 52_300;
/// One revealed share: a number below 2^521 takes three words.
const SHARE: u64 = 100_000;
/// A transaction that changes one word.
const CALL: u64 = 30_000;
/// Two keys of up to 64 bytes, and the member's place in the list.
const JOIN_ROUND: u64 = 210_000;
/// The commitment to a masked result.
const RESULT: u64 = 75_000;
/// A new round.
const START_ROUND: u64 = 105_000;
/// A member in a list that is checked: one read, its place in the call and in the event.
const LISTED: u64 = 3_500;
/// Entries of commitments or shares in one call, at most, unless somebody says otherwise: what half a block takes of the dearer, so that
/// two members' calls fit into one.
pub const MAX_LIST: u32 = 140;

/// What one round costs, by who pays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundGas {
    /// Members of u1.
    pub members: u64,
    /// A member's join.
    pub join: u64,
    /// A member's commitments, of both kinds.
    pub commitments: u64,
    /// A member's commitment to its result.
    pub result: u64,
    /// What a member reveals.
    pub reveals: u64,
    /// The dearest call of the owner: a list of all members.
    pub list: u64,
    /// All calls of the owner.
    pub owner: u64,
}

impl RoundGas {
    /// Of a round of `members`, each of whose shares are held by `holders`, itself among them.
    #[must_use]
    pub fn of(members: usize, holders: usize) -> Self {
        let (members, holders) = (members as u64, holders.min(members) as u64);
        let list = CALL.saturating_add(LISTED.saturating_mul(members));
        Self {
            members,
            join: JOIN_ROUND,
            commitments: 2 * CALL + 2 * COMMITMENT.saturating_mul(holders),
            result: RESULT,
            reveals: 2 * CALL + SHARE.saturating_mul(holders),
            list,
            // Start, selection, calculation, aggregation, end.
            owner: START_ROUND + CALL + list.saturating_mul(3),
        }
    }

    /// Of the whole round, everybody's together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let of_a_member = self.join + self.commitments + self.result + self.reveals;
        self.members
            .saturating_mul(of_a_member)
            .saturating_add(self.owner)
    }

    /// Blocks that its dearest phase fills, if nobody else is on the chain.
    #[must_use]
    pub fn blocks_of_a_phase(&self) -> u64 {
        let dearest = self
            .join
            .max(self.commitments)
            .max(self.result)
            .max(self.reveals);
        self.members.saturating_mul(dearest).div_ceil(BLOCK_GAS)
    }

    /// Why such a round is slow on a chain, or not possible there, in a sentence; `None` when each phase fits into one block.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let Self { members, list, .. } = self;
        if *list > BLOCK_GAS {
            return Some(format!(
                "a list of {members} members takes {list} gas, and a block of the connector's chain {BLOCK_GAS} at most: such a round cannot be held there"
            ));
        }
        let blocks = self.blocks_of_a_phase();
        (blocks > 1).then(|| {
            format!(
                "a round of {members} members takes up to {} gas on the connector's chain, and its dearest phase fills {blocks} blocks of {BLOCK_GAS}: fewer members or neighbours are faster",
                self.total()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::round::Neighbourhood;
    use crate::strategy::Strategy;

    #[test]
    fn lists_in_parts_fit_into_half_a_block() {
        let part = u64::from(MAX_LIST);
        assert!(CALL + SHARE * part <= BLOCK_GAS / 2);
        assert!(CALL + COMMITMENT * part <= BLOCK_GAS / 2);
        // About 570 pairs were found to fit into a block.
        assert_eq!((BLOCK_GAS - CALL) / COMMITMENT, 573);
    }

    #[test]
    fn a_warning_names_what_does_not_fit() {
        assert_eq!(RoundGas::of(3, 3).warning(), None);
        assert_eq!(RoundGas::of(16, 16).blocks_of_a_phase(), 1);
        let slow = RoundGas::of(100, 50);
        assert_eq!(slow.blocks_of_a_phase(), 18);
        assert!(slow.warning().unwrap().contains("18 blocks"));
        let never = RoundGas::of(9_000, 3);
        assert!(never.warning().unwrap().contains("cannot be held"));
        // Nobody has more holders than there are members.
        assert_eq!(RoundGas::of(3, 100), RoundGas::of(3, 3));
    }

    /// The table of docs/chain.md.
    #[test]
    fn the_table_in_the_documents_is_this_one() {
        let table: String = [3, 10, 30, 100, 300, 1_000]
            .into_iter()
            .map(|members: usize| {
                let strategy = Strategy {
                    min_clients: 2,
                    max_clients: u32::try_from(members).unwrap(),
                    ..Strategy::default()
                };
                let degree = Neighbourhood::of(&strategy, members).degree;
                let holders = degree.map_or(members, |degree| degree + 1);
                let gas = RoundGas::of(members, holders);
                let of_a_member = gas.join + gas.commitments + gas.result + gas.reveals;
                let (total, blocks) = (gas.total(), gas.blocks_of_a_phase());
                let row = [
                    members as u64,
                    holders as u64,
                    of_a_member,
                    gas.owner,
                    total,
                    blocks,
                ];
                format!("| {} |\n", row.map(grouped).join(" | "))
            })
            .collect();
        let document = include_str!("../../docs/chain.md");
        assert!(document.contains(&table), "docs/chain.md lacks\n{table}");
    }

    fn grouped(number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }
}
