//! What the connector's calls take and give.

use std::time::Duration;

use crate::ChainTrouble;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId, TxHash};
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;

/// What other members put on record, unparsed.
pub use delta_domain::round::record::{RawPublicKeys, RawShareRecord};

/// Which of a member's two secrets a share belongs to.
pub use delta_domain::secagg::seal::ShareKind;

/// Answer to [`super::Connector::join`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Transaction of the join.
    pub tx_hash: TxHash,
    /// The address under which this node is known from now on.
    pub address: Address,
}

/// One node of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its address.
    pub address: Address,
    /// Where its HTTP API is said to be. Hostile until checked.
    pub url: String,
    /// Its display name. Hostile until escaped.
    pub name: String,
}

/// One page of the node list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePage {
    /// The nodes of this page, in join order.
    pub nodes: Vec<NodeRecord>,
    /// How many nodes there are on all pages.
    pub total: u64,
}

/// What a coordinator puts on record about a new task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// The coordinator.
    pub owner: Address,
    /// Dataset names, joined by `,`.
    pub dataset: String,
    /// SHA-256 of the bundle.
    pub commitment: Digest,
    /// Which service keeps it.
    pub kind: TaskKind,
    /// `hlr` only: whether results are proved.
    pub enable_verify: bool,
    /// `hlr` only: number of decimal digits proved.
    pub tolerance: i32,
}

/// Answer to [`super::Connector::create_task`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTask {
    /// Transaction of the creation.
    pub tx_hash: TxHash,
    /// The task's id on the network.
    pub task: TaskId,
}

/// A task on record. The id is the one asked for: the reference connector leaves the field empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRecord {
    /// The coordinator.
    pub owner: Address,
    /// The coordinator's current url.
    pub url: String,
    /// Dataset names, joined by `,`.
    pub dataset: String,
    /// The commitment as written by the coordinator, unparsed.
    pub commitment: String,
    /// The kind as written by the coordinator, unparsed.
    pub task_type: String,
    /// Whether the coordinator declared it finished.
    pub finished: bool,
    /// `hlr` only.
    pub enable_verify: bool,
    /// `hlr` only.
    pub tolerance: i32,
}

/// Where a round stands on the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoundStatus {
    /// Joins are taken.
    Started,
    /// Candidates are selected; share commitments are taken.
    Running,
    /// Result commitments are taken.
    Calculating,
    /// Shares are revealed.
    Aggregating,
    /// Over.
    Finished,
}

/// A round on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRecord {
    /// Where it stands.
    pub status: RoundStatus,
    /// Everybody who ever joined, in join order, duplicates as the connector lists them.
    pub joined: Vec<String>,
    /// `hlr` only: the members that reached aggregation.
    pub finished: Vec<String>,
}

/// One round of one task: the key of most calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundKey {
    /// Which service keeps it.
    pub kind: TaskKind,
    /// The task.
    pub task: TaskId,
    /// The round's number on the connector.
    pub round: RoundNumber,
}

/// Proof of one member's last gradient (`hlr`).
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// Number of weights.
    pub weight_size: i32,
    /// PLONK proof, snarkjs JSON.
    pub proof: String,
    /// Public signals, decimal strings.
    pub pub_signals: Vec<String>,
    /// Index of the data block.
    pub block_index: i32,
    /// Number of samples in it.
    pub samples: i32,
}

/// Answer to [`super::Connector::verifier_state`] (`hlr`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierState {
    /// Members without a record.
    pub unfinished: Vec<String>,
    /// Members whose proof failed.
    pub invalid: Vec<String>,
    /// Whether no proof failed.
    pub valid: bool,
}

/// How the calls of a wallet are getting on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WalletView {
    /// About how long the record takes to take a call; zero where it does so at once.
    pub block: Duration,
    /// Calls that wait or are under way.
    pub waiting: usize,
    /// What is wrong with the chain behind the connector, and since when.
    pub trouble: Option<(ChainTrouble, Timestamp)>,
}
