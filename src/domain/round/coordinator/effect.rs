//! What a coordinator's round asks the world to do.

use serde::{Deserialize, Serialize};

use crate::ids::{Address, RoundNumber, TaskId};
use crate::round::runner::MaskStream;
use crate::secagg::keys::{KeyError, KeyPair, PublicKey};
use crate::secagg::mask::Sign;
use crate::secagg::pairwise::pairwise_seed;

/// A member that shared masks with others and then dropped out: its rebuilt mask key, and those who added masks made with it.
///
/// Making the streams costs a Diffie-Hellman each, so it is left to the caller, who may do it on several cores.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DroppedMember {
    /// The rebuilt `pk2` pair; its public half is the published one.
    pub key: KeyPair,
    /// Mask keys of its neighbours in u3, each with the sign under which the stream must be added to vanish.
    pub peers: Vec<(PublicKey, Sign)>,
}

impl DroppedMember {
    /// The stream shared with one of its peers.
    ///
    /// # Errors
    /// [`KeyError::CurveMismatch`]: not among keys of one round.
    pub fn stream(
        &self,
        (theirs, sign): &(PublicKey, Sign),
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<MaskStream, KeyError> {
        Ok(MaskStream {
            seed: pairwise_seed(&self.key, theirs, task, round)?,
            sign: *sign,
        })
    }
}

/// What a coordinator's round asks the world to do. Each is safe to repeat after a crash, given a look at the record first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoordinatorEffect {
    /// Start the round on the connector → `Started`.
    StartRound,
    /// Read who has joined, and which nodes there are → `Joins`.
    ReadJoins,
    /// Publish u1 → `Published(Selection)`.
    SelectCandidates {
        /// The selected members, in address order.
        u1: Vec<Address>,
    },
    /// Read the keys of u1 → `PublicKeys`.
    ReadKeys {
        /// u1; the keys come in this order.
        members: Vec<Address>,
    },
    /// Check that share commitments are on record: for each receiver, those of the senders → `CommitmentsChecked`.
    CheckCommitments {
        /// `(receiver, senders)`: each receiver with the members that have a share for it.
        pairs: Vec<(Address, Vec<Address>)>,
    },
    /// Publish u2 → `Published(Calculation)`.
    StartCalculation {
        /// The members whose shares arrived and are committed to.
        u2: Vec<Address>,
    },
    /// Read the commitment of a member's result → `ResultCommitment`.
    ReadResultCommitment {
        /// Who has uploaded.
        member: Address,
    },
    /// Publish u3 → `Published(Aggregation)`.
    StartAggregation {
        /// The members whose masked input arrived as committed to.
        u3: Vec<Address>,
    },
    /// Read what a member has revealed → `Reveals`.
    ReadReveals {
        /// The member that reveals: it holds the shares.
        receiver: Address,
        /// Whose shares, in this order.
        senders: Vec<Address>,
    },
    /// Add up the masked results of `members`, take the masks away, keep the sum → `Unmasked`.
    Unmask {
        /// u3: whose results are added.
        members: Vec<Address>,
        /// The self masks that are in the sum, each with the sign under which it must be added to vanish.
        masks: Vec<MaskStream>,
        /// The members whose pairwise masks are in the sum alone.
        dropped: Vec<DroppedMember>,
    },
    /// End the round on the connector → `Published(End)`.
    EndRound,
}

impl CoordinatorEffect {
    /// Stable name: log field, metric label.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::StartRound => "start_round",
            Self::ReadJoins => "read_joins",
            Self::SelectCandidates { .. } => "select_candidates",
            Self::ReadKeys { .. } => "read_keys",
            Self::CheckCommitments { .. } => "check_commitments",
            Self::StartCalculation { .. } => "start_calculation",
            Self::ReadResultCommitment { .. } => "read_result_commitment",
            Self::StartAggregation { .. } => "start_aggregation",
            Self::ReadReveals { .. } => "read_reveals",
            Self::Unmask { .. } => "unmask",
            Self::EndRound => "end_round",
        }
    }
}
