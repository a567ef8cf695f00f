//! What a coordinator's round is told, and how it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::CoordinatorRound;
use crate::ids::{Address, Digest};
use crate::round::blocks::Pacing;
use crate::round::message::SignedRequest;
use crate::round::record::{RawPublicKeys, RawShareRecord};
use crate::round::{DeclineCode, FailureCode, Members, RoundFailure};

/// Which publication succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Publication {
    /// Of u1.
    Selection,
    /// Of u2.
    Calculation,
    /// Of u3.
    Aggregation,
    /// Of the round's end.
    End,
}

/// What a coordinator is told: by members, by its own effects, by its clock.
///
/// A round is a function of what it is told and when: told the same again from the same state, it is the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum CoordinatorInput {
    /// A member says that it has joined or declines, sends its shares, or tells what it confirms or has revealed.
    ///
    /// What members ask for is answered without a change: [`CoordinatorRound::deliver`], [`CoordinatorRound::confirmations`],
    /// [`CoordinatorRound::authorise_variable`], [`CoordinatorRound::authorise_result`].
    Request(SignedRequest),
    /// The round is on record.
    Started,
    /// Who has joined (as listed, duplicates included) and which nodes there are.
    Joins {
        /// As listed by the connector.
        joined: Vec<Address>,
        /// The nodes that are registered now.
        known: Vec<Address>,
        /// What their tables are committed to on the data hub; of certified tasks alone.
        #[serde(default)]
        tables: BTreeMap<Address, Digest>,
    },
    /// A list, or the end, is on record.
    Published(Publication),
    /// The keys of u1, in the order asked.
    PublicKeys(Vec<RawPublicKeys>),
    /// Senders whose commitments are missing or malformed for at least one receiver.
    CommitmentsChecked {
        /// Those senders; empty when every commitment is there.
        missing: Vec<Address>,
    },
    /// A result is completely uploaded and kept; the request was authenticated by [`CoordinatorRound::authorise_result`].
    ResultUploaded {
        /// Who has uploaded it.
        member: Address,
        /// SHA-256 of what arrived.
        digest: Digest,
    },
    /// The commitment of a member's result as on record; `None` when there is none yet.
    ResultCommitment {
        /// Who has uploaded.
        member: Address,
        /// As that member wrote it, unparsed.
        commitment: Option<String>,
    },
    /// What a member has revealed, in the order of the senders asked for.
    Reveals {
        /// The member that reveals: it holds the shares.
        receiver: Address,
        /// One entry a sender.
        records: Vec<RawShareRecord>,
    },
    /// The sum is kept.
    Unmasked,
    /// An effect could not be carried out.
    EffectFailed {
        /// What kind of failure this makes of the round.
        code: FailureCode,
        /// One sentence that names the effect.
        reason: String,
    },
    /// The connector could not be reached for so long: what could not be done then has as much more time.
    Postponed {
        /// How long.
        by: Duration,
    },
    /// How long calls take: deadlines allow for it from now on, where that is longer than what they allowed for.
    Paced(Pacing),
    /// This node's process was away: the phase has its whole time again.
    TakenUp,
    /// Members, of this round or of earlier ones, that are not there any more, as far as their coordinator can tell: all of them.
    Lost {
        /// Who.
        members: Vec<Address>,
    },
    /// A node has said, under the key that it is known by, that it takes no part in this task, for a reason that stays.
    Refused {
        /// Who.
        member: Address,
        /// Why.
        reason: DeclineCode,
    },
    /// Time has passed.
    Tick,
}

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoordinatorOutcome {
    /// The sum is kept.
    Aggregated {
        /// Members whose contributions are in it.
        u3: Members,
        /// Members of u1 that are not.
        dropped: Members,
    },
    /// There is no sum.
    Failed(RoundFailure),
}
