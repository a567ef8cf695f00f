//! A member's phases: each one holds exactly what it needs, and no secret outlives its use.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{RunnerContext, RunnerEffect, RunnerOutcome};
use crate::ids::{Address, Digest};
use crate::round::graph::CachedGraph;
use crate::round::message::SignedRequest;
use crate::round::transcript::transcript_digest;
use crate::round::{
    Acquaintances, Directory, Members, NeighbourGraph, Neighbourhood, Rejection, RoundFailure,
};
use crate::secagg::keys::KeyPair;
use crate::secagg::seal::{SealContext, SealKey};
use crate::secagg::sealing::SealingPair;
use crate::secret::{Secret, SecretBytes};

/// A member's phases, in the paper's words.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Joined, or about to; waiting for u1.
    AdvertiseKeys { cipher: SealingPair, mask: KeyPair },
    /// In u1; reading the members' keys.
    ReadKeys {
        cipher: SealingPair,
        mask: KeyPair,
        u1: Members,
        /// u2, where it came before the keys: in a round in which members prove nothing lies between.
        #[serde(default)]
        early: Option<Members>,
    },
    /// Shares are made; publishing and posting them; waiting for u2.
    ShareKeys {
        sharing: Sharing,
        self_mask: Secret<32>,
        /// The signed shares, until their commitments are on record.
        post: Option<SignedRequest>,
    },
    /// In u2; fetching the others' shares.
    CollectShares {
        sharing: Sharing,
        self_mask: Secret<32>,
        u2: Members,
    },
    /// Computing, masking, uploading; waiting for u3.
    MaskedInput(MaskedInput),
    /// In u3, and said so; waiting for neighbours that say the same.
    Confirming { input: MaskedInput, u3: Members },
    /// In u3; shares are revealed; waiting for the end.
    Unmasking {
        u1: Members,
        u2: Members,
        u3: Members,
    },
    /// Nothing more will happen.
    Done(RunnerOutcome),
}

/// What both the sharing and the masking need.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sharing {
    pub(super) cipher: SealingPair,
    pub(super) mask: KeyPair,
    pub(super) u1: Members,
    pub(super) directory: Directory,
    /// What all members must see alike.
    pub(super) transcript: Digest,
    /// Whom this member knows for longer than the round.
    pub(super) others: Acquaintances,
    pub(super) neighbourhood: Neighbourhood,
    /// What the graph's ring is drawn from.
    pub(super) randomness: Digest,
    #[serde(skip)]
    pub(super) graph: CachedGraph,
}

/// The state of the masked-input phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MaskedInput {
    pub(super) sharing: Sharing,
    pub(super) u2: Members,
    pub(super) held: BTreeMap<Address, HeldShares>,
    /// Commitment of the one vector that may leave under these masks.
    pub(super) upload: Option<Digest>,
    /// What is in it, where no other cohort may get it.
    #[serde(default)]
    pub(super) point: Option<Digest>,
}

/// Another member's two shares, opened and checked, in wire encoding.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HeldShares {
    pub(super) seed: SecretBytes,
    pub(super) key: SecretBytes,
}

impl Sharing {
    pub(super) fn prepare(
        context: &RunnerContext,
        cipher: SealingPair,
        mask: KeyPair,
        u1: Members,
        directory: Directory,
        others: Acquaintances,
    ) -> Self {
        Self {
            neighbourhood: Neighbourhood::of(&context.strategy, directory.members().len()),
            randomness: NeighbourGraph::randomness(context.task(), context.round(), &directory),
            graph: CachedGraph::new(),
            transcript: transcript_digest(&context.announcement, &context.bundle, &directory),
            others,
            cipher,
            mask,
            u1,
            directory,
        }
    }

    /// What seals and opens shares between this member and `other`: one key agreement for both directions and all rounds of the task.
    pub(super) fn seal_key(&self, other: &Address) -> Result<Arc<SealKey>, String> {
        let keys = self
            .directory
            .keys(other)
            .ok_or_else(|| format!("{other} has no keys"))?;
        self.cipher
            .seal_key(&keys.cipher, self.others.common(other))
            .map_err(|e| format!("no key with {other}: {e}"))
    }

    /// Where what `sender` says to `receiver` is good.
    pub(super) fn place<'a>(
        &'a self,
        sender: &'a Address,
        receiver: &'a Address,
    ) -> SealContext<'a> {
        SealContext {
            transcript: &self.transcript,
            sender,
            receiver,
        }
    }

    /// Shares that rebuild one of a member's secrets.
    pub(super) fn threshold(&self) -> usize {
        self.neighbourhood.threshold
    }

    /// The graph over the usable members of u1.
    pub(super) fn graph(&self) -> &NeighbourGraph {
        self.graph.get_or_init(|| {
            let members: Members = self.directory.members().keys().cloned().collect();
            let degree = self.neighbourhood.degree;
            Arc::new(NeighbourGraph::new(&members, degree, &self.randomness))
        })
    }

    /// Members of u2 who gave `receiver` a share, in address order.
    pub(super) fn senders_to(&self, receiver: &Address, u2: &Members) -> Vec<Address> {
        self.graph()
            .holders_in_order(receiver)
            .filter(|a| u2.contains(*a))
            .cloned()
            .collect()
    }
}

impl Phase {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::AdvertiseKeys { .. } => "AdvertiseKeys",
            Self::ReadKeys { .. } | Self::ShareKeys { .. } => "ShareKeys",
            Self::CollectShares { .. } | Self::MaskedInput(_) => "MaskedInput",
            Self::Confirming { .. } | Self::Unmasking { .. } => "Unmasking",
            Self::Done(_) => "Done",
        }
    }

    pub(super) fn cipher(&mut self) -> Option<&mut SealingPair> {
        match self {
            Self::AdvertiseKeys { cipher, .. } | Self::ReadKeys { cipher, .. } => Some(cipher),
            Self::ShareKeys { sharing, .. } | Self::CollectShares { sharing, .. } => {
                Some(&mut sharing.cipher)
            }
            Self::MaskedInput(m) | Self::Confirming { input: m, .. } => Some(&mut m.sharing.cipher),
            Self::Unmasking { .. } | Self::Done(_) => None,
        }
    }

    pub(super) fn u1(&self) -> Option<&Members> {
        match self {
            Self::AdvertiseKeys { .. } | Self::Done(_) => None,
            Self::ReadKeys { u1, .. } | Self::Unmasking { u1, .. } => Some(u1),
            Self::ShareKeys { sharing, .. } | Self::CollectShares { sharing, .. } => {
                Some(&sharing.u1)
            }
            Self::MaskedInput(m) | Self::Confirming { input: m, .. } => Some(&m.sharing.u1),
        }
    }

    pub(super) fn u2(&self) -> Option<&Members> {
        match self {
            Self::CollectShares { u2, .. } | Self::Unmasking { u2, .. } => Some(u2),
            Self::MaskedInput(m) | Self::Confirming { input: m, .. } => Some(&m.u2),
            _ => None,
        }
    }

    pub(super) fn u3(&self) -> Option<&Members> {
        match self {
            Self::Confirming { u3, .. } | Self::Unmasking { u3, .. } => Some(u3),
            _ => None,
        }
    }

    /// How a round ends that fails in this phase: what is revealed stays revealed.
    pub(super) fn failed(&self, failure: RoundFailure) -> RunnerOutcome {
        match self {
            Self::Unmasking { .. } => RunnerOutcome::Revealed(failure),
            _ => RunnerOutcome::Failed(failure),
        }
    }

    /// A list that comes again: nothing happens when it is the same, and it is a rejection when it is not.
    pub(super) fn repeat_of(
        &self,
        what: &'static str,
        same: impl Fn(&Self) -> bool,
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        if same(self) {
            Ok(Vec::new())
        } else {
            Err(Rejection::Conflict { sender: None, what })
        }
    }
}
