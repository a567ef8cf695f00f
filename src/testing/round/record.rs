//! A small model of the connector's record of one round: docs/protocol/connector.md, Rounds, with the checks that honest nodes rely on.
//!
//! It also keeps the books for the one invariant that matters most: who has revealed which kind of share of whose secrets.

use std::collections::{BTreeMap, BTreeSet};

use delta_domain::ids::{Address, Digest, encode_hex};
use delta_domain::round::record::{RawPublicKeys, RawShareRecord};
use delta_domain::secret::SecretBytes;

/// Status of a round, and of a member in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nobody has started it.
    Absent,
    /// Members may join.
    Started,
    /// u1 is on record.
    Running,
    /// u2 is on record.
    Calculating,
    /// u3 is on record.
    Aggregating,
    /// It has ended.
    Finished,
}

/// `(sender, receiver)`: whose secret, who holds the share.
pub type Pair = (Address, Address);

/// The record of one round.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where the round stands.
    pub status: Status,
    /// Who has joined, in order, with which keys.
    pub joins: Vec<(Address, RawPublicKeys)>,
    /// How far each member has come.
    pub members: BTreeMap<Address, Status>,
    /// The selected, once published.
    pub u1: Option<Vec<Address>>,
    /// Those who calculate, once published.
    pub u2: Option<Vec<Address>>,
    /// Those who are summed, once published.
    pub u3: Option<Vec<Address>>,
    /// Commitments to shares of seeds of self masks.
    pub seed_commitments: BTreeMap<Pair, String>,
    /// Commitments to shares of mask keys.
    pub key_commitments: BTreeMap<Pair, String>,
    /// Commitments to masked results.
    pub results: BTreeMap<Address, String>,
    /// Revealed shares of seeds of self masks.
    pub seeds: BTreeMap<Pair, String>,
    /// Revealed shares of mask keys.
    pub keys: BTreeMap<Pair, String>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            status: Status::Absent,
            joins: Vec::new(),
            members: BTreeMap::new(),
            u1: None,
            u2: None,
            u3: None,
            seed_commitments: BTreeMap::new(),
            key_commitments: BTreeMap::new(),
            results: BTreeMap::new(),
            seeds: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }
}

impl Record {
    /// Members may join from now on.
    pub fn start(&mut self) {
        self.status = self.status.max(Status::Started);
    }

    /// Whether this address is among the joins.
    pub fn has_joined(&self, who: &Address) -> bool {
        self.joins.iter().any(|(a, _)| a == who)
    }

    /// As the connector does it: a second join is not refused.
    pub fn join(&mut self, who: &Address, keys: RawPublicKeys) -> bool {
        if self.status != Status::Started {
            return false;
        }
        self.joins.push((who.clone(), keys));
        self.members.insert(who.clone(), Status::Started);
        true
    }

    /// Publishes u1, u2 or u3. A repetition must be of the same list; a list must be within the one before, without duplicates.
    pub fn publish(&mut self, to: Status, list: &[Address]) -> bool {
        let (known, from) = match to {
            Status::Running => (&mut self.u1, Status::Started),
            Status::Calculating => (&mut self.u2, Status::Running),
            Status::Aggregating => (&mut self.u3, Status::Calculating),
            _ => panic!("not a list"),
        };
        if let Some(before) = known {
            assert_eq!(before, list, "a list was published twice, differently");
            return false;
        }
        assert_eq!(self.status, from, "{to:?} published in the wrong order");
        let set: BTreeSet<&Address> = list.iter().collect();
        assert_eq!(set.len(), list.len(), "a published list has duplicates");
        assert!(
            list.iter().all(|a| self.members.get(a) == Some(&from)),
            "the list for {to:?} is not within the one before"
        );
        *known = Some(list.to_vec());
        self.status = to;
        for a in list {
            self.members.insert(a.clone(), to);
        }
        true
    }

    /// The round is over; answers whether it was not before.
    pub fn end(&mut self) -> bool {
        let first = self.status == Status::Aggregating;
        assert!(
            first || self.status == Status::Finished,
            "ended from {:?}",
            self.status
        );
        self.status = Status::Finished;
        first
    }

    /// The keys of those among `members` who have joined, in this order.
    pub fn public_keys(&self, members: &[Address]) -> Vec<RawPublicKeys> {
        members
            .iter()
            .filter_map(|m| self.joins.iter().find(|(a, _)| a == m))
            .map(|(_, keys)| keys.clone())
            .collect()
    }

    /// Commitments of one sender, of both kinds; answers whether the round still takes them.
    pub fn commit_shares(
        &mut self,
        sender: &Address,
        seed: &[(Address, Digest)],
        key: &[(Address, Digest)],
    ) -> bool {
        if self.members.get(sender) != Some(&Status::Running) {
            return false;
        }
        for (table, list) in [
            (&mut self.seed_commitments, seed),
            (&mut self.key_commitments, key),
        ] {
            for (receiver, digest) in list {
                table.insert((sender.clone(), receiver.clone()), digest.to_string());
            }
        }
        true
    }

    /// The commitment to a masked result; answers whether it is on record now. Two different ones are a broken law.
    pub fn commit_result(&mut self, member: &Address, digest: Digest) -> bool {
        if let Some(before) = self.results.get(member) {
            assert_eq!(
                *before,
                digest.to_string(),
                "{member} committed to two results"
            );
            return true;
        }
        if self.status != Status::Calculating
            || self.members.get(member) != Some(&Status::Calculating)
        {
            return false;
        }
        self.results.insert(member.clone(), digest.to_string());
        true
    }

    /// What `receiver` reveals. Panics when the two kinds ever meet for one sender: no honest node does that.
    pub fn reveal(
        &mut self,
        receiver: &Address,
        seeds: &[(Address, SecretBytes)],
        keys: &[(Address, SecretBytes)],
    ) {
        for (kind, list) in [("seed", seeds), ("key", keys)] {
            for (sender, share) in list {
                let pair = (sender.clone(), receiver.clone());
                let (own, other) = if kind == "seed" {
                    (&mut self.seeds, &self.keys)
                } else {
                    (&mut self.keys, &self.seeds)
                };
                assert!(
                    !other.contains_key(&pair),
                    "{receiver} revealed both shares of {sender}"
                );
                let text = encode_hex(share.expose());
                if let Some(before) = own.insert(pair, text.clone()) {
                    assert_eq!(
                        before, text,
                        "{receiver} revealed two {kind} shares of {sender}"
                    );
                }
            }
        }
    }

    /// What is on record of each sender's shares for one receiver.
    pub fn share_records(&self, senders: &[Address], receiver: &Address) -> Vec<RawShareRecord> {
        senders
            .iter()
            .map(|sender| {
                let pair = (sender.clone(), receiver.clone());
                RawShareRecord {
                    seed: self.seeds.get(&pair).cloned(),
                    seed_commitment: self.seed_commitments.get(&pair).cloned(),
                    secret_key: self.keys.get(&pair).cloned(),
                    secret_key_commitment: self.key_commitments.get(&pair).cloned(),
                }
            })
            .collect()
    }

    /// Whether `receiver` has revealed anything.
    pub fn has_revealed(&self, receiver: &Address) -> bool {
        let mut out = self.seeds.keys().chain(self.keys.keys());
        out.any(|(_, holder)| holder == receiver)
    }

    /// `(seed shares, key shares)` of `sender` that anybody can read.
    pub fn revealed_of(&self, sender: &Address) -> (usize, usize) {
        let count = |t: &BTreeMap<Pair, String>| t.keys().filter(|(s, _)| s == sender).count();
        (count(&self.seeds), count(&self.keys))
    }
}
