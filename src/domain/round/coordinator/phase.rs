//! A coordinator's phases: each one holds exactly what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::CoordinatorOutcome;
use super::unmask::Reveals;
use crate::ids::{Address, Digest};
use crate::round::graph::CachedGraph;
use crate::round::message::SealedShares;
use crate::round::transcript::view_digest;
use crate::round::{Directory, Members, NeighbourGraph, Neighbourhood};
use crate::secagg::seal::TAG_BYTES;
use crate::time::Timestamp;

/// A coordinator's phases, in the paper's words.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// The round is being put on record.
    Starting,
    /// Members join; the deadline for it runs.
    AdvertiseKeys(Joining),
    /// u1 is being published and its keys read.
    Selecting { u1: Members, published: bool },
    /// Members share their secrets.
    ShareKeys(Sharing),
    /// Nobody is waited for any more; the commitments of those who shared are being checked.
    CheckingCommitments(Sharing),
    /// u2 is being published.
    StartingCalculation { sharing: Sharing, u2: Members },
    /// Members compute, mask and upload.
    MaskedInput(MaskedInput),
    /// u3 is being published.
    StartingAggregation { input: MaskedInput, u3: Members },
    /// Members reveal shares.
    Unmasking(Unmasking),
    /// Enough is revealed; the sum is being made.
    Summing(Closing),
    /// The sum is there; the end is being put on record.
    Ending(Closing),
    /// Nothing more will happen.
    Done(CoordinatorOutcome),
}

/// The joining phase.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Joining {
    /// Joined once.
    pub(super) joined: Members,
    /// Joined more than once: one of the joins is forged, so none counts.
    pub(super) doubled: Members,
    /// Will not take part, and why.
    pub(super) declined: BTreeMap<Address, String>,
    /// Those among them that have proven who they are, and refuse for good.
    #[serde(default)]
    pub(super) refused: Members,
    /// When the first of them said so: others may say it, too, before the round ends for it.
    #[serde(default)]
    pub(super) refused_at: Option<Timestamp>,
    /// Ask their owner first; whoever is allowed to joins after all.
    #[serde(default)]
    pub(super) asking: Members,
    /// When the phase began; `None` in a state of an earlier release.
    #[serde(default)]
    pub(super) begun: Option<Timestamp>,
    /// When members of earlier rounds were last waited for: who is back has the phase's time from then on.
    #[serde(default)]
    pub(super) missed_at: Option<Timestamp>,
    /// Every node of the network when last looked.
    pub(super) known: Members,
    /// Gave notice that they joined: each is worth one look.
    pub(super) noticed: Members,
    /// The connector is being read, and whether somebody gave notice since: many notices cost one more look, not one each.
    #[serde(default)]
    pub(super) reading: bool,
    #[serde(default)]
    pub(super) again: bool,
}

impl Joining {
    /// Whether this node has said that it does not join, or not yet.
    pub(super) fn has_answered(&self, node: &Address) -> bool {
        self.declined.contains_key(node) || self.asking.contains(node)
    }
}

/// What members must see, once it is known, so that a request does not cost a look at the whole cohort; not part of a snapshot.
#[derive(Debug, Clone, Default)]
pub(super) struct CachedViews {
    before: OnceLock<Digest>,
    with_u2: OnceLock<Digest>,
}

/// The share-keys phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sharing {
    pub(super) u1: Members,
    pub(super) directory: Directory,
    pub(super) neighbourhood: Neighbourhood,
    /// What all members must see alike.
    pub(super) transcript: Digest,
    /// What the graph's ring is drawn from.
    pub(super) randomness: Digest,
    #[serde(skip)]
    pub(super) graph: CachedGraph,
    #[serde(skip)]
    pub(super) views: CachedViews,
    /// Complete sets of shares, by sender.
    pub(super) shares: BTreeMap<Address, Arc<Vec<SealedShares>>>,
    pub(super) declined: BTreeMap<Address, String>,
}

/// The masked-input phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MaskedInput {
    pub(super) sharing: Sharing,
    pub(super) u2: Members,
    /// Uploaded: digest of what arrived.
    pub(super) uploads: BTreeMap<Address, Digest>,
    /// Uploaded, and the commitment on record is the same.
    pub(super) accepted: Members,
}

/// The unmasking phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Unmasking {
    pub(super) sharing: Sharing,
    pub(super) u2: Members,
    pub(super) u3: Members,
    /// For members that repeat an upload whose answer was lost.
    pub(super) uploads: BTreeMap<Address, Digest>,
    pub(super) reveals: Reveals,
    /// Members of u2 whose secret has not enough shares yet.
    pub(super) lacking: usize,
    /// What members of u3 say about it: a tag for each holder of their shares, in address order.
    pub(super) confirmations: BTreeMap<Address, Vec<u8>>,
    /// Gave notice that they revealed: each is worth one look.
    pub(super) noticed: Members,
    /// Members whose reveal is complete, or of no use.
    pub(super) answered: BTreeSet<Address>,
    /// When the phase began; `None` in a state of an earlier release.
    #[serde(default)]
    pub(super) begun: Option<Timestamp>,
    /// Who is not there now, or was not heard of since this node's process began.
    #[serde(default)]
    pub(super) away: Members,
}

impl Unmasking {
    /// What `holder` says about u3 to `member`, if it has said anything.
    pub(super) fn word_of(&self, holder: &Address, member: &Address) -> Option<Vec<u8>> {
        let tags = self.confirmations.get(holder)?;
        let mut told = self.sharing.graph().holders_in_order(holder);
        let place = told.position(|other| other == member)?;
        tags.chunks_exact(TAG_BYTES).nth(place).map(<[u8]>::to_vec)
    }

    /// Members that have not answered.
    pub(super) fn silent(&self) -> impl Iterator<Item = &Address> {
        self.u3.iter().filter(|a| !self.answered.contains(*a))
    }

    /// Whether every secret would have its threshold of shares if those answered who have not: because they are away, and others wait for
    /// signatures of theirs; or because what they reveal is on its way to the record, as what some have revealed is there.
    pub(super) fn may_be_complete(&self) -> bool {
        let graph = self.sharing.graph();
        let silent = |owner: &Address| {
            let holders = graph.holders_in_order(owner);
            holders.filter(|a| self.may_answer(a)).count()
        };
        let some_may = !self.answered.is_empty() || self.silent().any(|a| self.away.contains(a));
        some_may
            && self
                .owners_lacking_shares()
                .iter()
                .all(|(owner, have, need)| have + silent(owner) >= *need)
    }

    /// Whether `member` may still reveal something that counts.
    pub(super) fn may_answer(&self, member: &Address) -> bool {
        self.u3.contains(member) && !self.answered.contains(member)
    }
}

/// What is left to know when the sum is being made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Closing {
    pub(super) u1: Members,
    pub(super) u2: Members,
    pub(super) u3: Members,
}

impl Phase {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Starting | Self::AdvertiseKeys(_) => "AdvertiseKeys",
            Self::Selecting { .. } | Self::ShareKeys(_) | Self::CheckingCommitments(_) => {
                "ShareKeys"
            }
            Self::StartingCalculation { .. } | Self::MaskedInput(_) => "MaskedInput",
            Self::StartingAggregation { .. }
            | Self::Unmasking(_)
            | Self::Summing(_)
            | Self::Ending(_) => "Unmasking",
            Self::Done(_) => "Done",
        }
    }

    /// When the phase began, where others than this node decide how long it lasts.
    pub(super) fn begun(&mut self) -> Option<&mut Timestamp> {
        match self {
            Self::AdvertiseKeys(joining) => joining.begun.as_mut(),
            Self::Unmasking(unmasking) => unmasking.begun.as_mut(),
            _ => None,
        }
    }
}

impl Sharing {
    pub(super) fn usable(&self) -> Members {
        self.directory.members().keys().cloned().collect()
    }

    pub(super) fn graph(&self) -> &NeighbourGraph {
        self.graph.get_or_init(|| {
            let degree = self.neighbourhood.degree;
            Arc::new(NeighbourGraph::new(
                &self.usable(),
                degree,
                &self.randomness,
            ))
        })
    }

    /// Members of `set` who gave `receiver` a share, in address order.
    pub(super) fn senders_to<'a>(
        &'a self,
        receiver: &Address,
        set: &'a Members,
    ) -> impl Iterator<Item = &'a Address> {
        self.graph()
            .holders_in_order(receiver)
            .filter(|a| set.contains(*a))
    }

    /// What members see before u2 is known.
    pub(super) fn view(&self) -> Digest {
        let digest = || view_digest(&self.transcript, None);
        *self.views.before.get_or_init(digest)
    }

    /// What members see once u2 is known, which never changes then.
    pub(super) fn view_with(&self, u2: &Members) -> Digest {
        let digest = || view_digest(&self.transcript, Some(u2));
        *self.views.with_u2.get_or_init(digest)
    }

    /// Shares that rebuild one of a member's secrets.
    pub(super) fn threshold(&self) -> usize {
        self.neighbourhood.threshold
    }

    /// Whether [`Self::silent`] has anybody. Most requests are answered by the first comparison.
    pub(super) fn anybody_silent(&self) -> bool {
        self.shares.len() + self.declined.len() < self.directory.members().len()
            || self.silent().next().is_some()
    }

    /// Usable members who have neither shared nor declined.
    pub(super) fn silent(&self) -> impl Iterator<Item = &Address> {
        self.directory
            .members()
            .keys()
            .filter(|a| !self.shares.contains_key(*a) && !self.declined.contains_key(*a))
    }
}

impl MaskedInput {
    /// Whether [`Self::silent`] has anybody. Most requests are answered by the first comparison.
    pub(super) fn anybody_silent(&self) -> bool {
        self.accepted.len() + self.sharing.declined.len() < self.u2.len()
            || self.silent().next().is_some()
    }

    /// Members of u2 whose result is neither accepted nor declined.
    pub(super) fn silent(&self) -> impl Iterator<Item = &Address> {
        self.u2
            .iter()
            .filter(|a| !self.accepted.contains(*a) && !self.sharing.declined.contains_key(*a))
    }
}
