//! The connector: where nodes meet and keep their public record (CONNECTOR.md).
//!
//! Lists keep the order in which they were asked. Strings that another node wrote (keys, commitments, shares) are handed over
//! unparsed: the connector stores garbage as readily as anything else, and only the domain may judge it.

mod record;

use std::pin::Pin;

use async_trait::async_trait;
use futures_core::Stream;

use crate::PortError;
use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId, TxHash};
use delta_domain::task::TaskKind;

pub use record::{Receipt, RecordBackend};

/// Answer to [`Connector::join`].
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

/// Answer to [`Connector::create_task`].
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

/// What other members put on record, unparsed.
pub use delta_domain::round::record::{RawPublicKeys, RawShareRecord};

/// Which of a member's two secrets a share belongs to.
pub use delta_domain::secagg::seal::ShareKind;

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

/// Answer to [`Connector::verifier_state`] (`hlr`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierState {
    /// Members without a record.
    pub unfinished: Vec<String>,
    /// Members whose proof failed.
    pub invalid: Vec<String>,
    /// Whether no proof failed.
    pub valid: bool,
}

/// A live subscription. Yields events in publication order; an `Err` item is the last one.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<NetworkEvent, PortError>> + Send>>;

/// The connector.
///
/// Obligations on implementers:
/// - A call that the connector answers with an application error fails with [`crate::PortErrorKind::Refused`] and the connector's text
///   in [`PortError::message`]; a call that did not reach it, or whose answer was lost, fails with `Unavailable` or `Timeout`.
/// - No call is retried inside: only the caller knows what is safe to repeat (CONNECTOR.md 13.3).
/// - Every call has a deadline of its own; none waits for ever.
/// - Dropping a future cancels the wait, not the effect.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Registers this node, or prolongs its life of 120 s. Idempotent by url.
    async fn join(&self, url: &str, name: &str) -> Result<Joined, PortError>;
    /// Changes the url on record.
    async fn update_url(&self, address: &Address, url: &str) -> Result<TxHash, PortError>;
    /// Changes the name on record.
    async fn update_name(&self, address: &Address, name: &str) -> Result<TxHash, PortError>;
    /// Takes this node off the list.
    async fn leave(&self, address: &Address) -> Result<TxHash, PortError>;
    /// One living node.
    async fn node(&self, address: &Address) -> Result<NodeRecord, PortError>;
    /// One page of living nodes; `page` from 1; `page_size` 0 means all.
    async fn nodes(&self, page: u32, page_size: u32) -> Result<NodePage, PortError>;

    /// Puts the commitment of a data block on record.
    async fn register_data(
        &self,
        address: &Address,
        name: &str,
        index: i32,
        commitment: &Digest,
    ) -> Result<TxHash, PortError>;
    /// The commitment of a data block, unparsed.
    async fn data_commitment(
        &self,
        address: &Address,
        name: &str,
        index: i32,
    ) -> Result<String, PortError>;

    /// Creates a task.
    async fn create_task(&self, task: &NewTask) -> Result<CreatedTask, PortError>;
    /// Declares a task finished.
    async fn finish_task(
        &self,
        kind: TaskKind,
        owner: &Address,
        task: &TaskId,
    ) -> Result<TxHash, PortError>;
    /// Reads a task.
    async fn task(&self, kind: TaskKind, task: &TaskId) -> Result<TaskRecord, PortError>;

    /// Starts a round. `weight_commitment` is for `hlr` only.
    async fn start_round(
        &self,
        owner: &Address,
        key: &RoundKey,
        weight_commitment: Option<&Digest>,
    ) -> Result<TxHash, PortError>;
    /// Joins a round with both public keys in wire form. Not idempotent at the reference: read [`Connector::round`] before a retry.
    async fn join_round(
        &self,
        member: &Address,
        key: &RoundKey,
        keys: &RawPublicKeys,
    ) -> Result<TxHash, PortError>;
    /// Reads a round.
    async fn round(&self, key: &RoundKey) -> Result<RoundRecord, PortError>;
    /// Publishes u1.
    async fn select_candidates(
        &self,
        owner: &Address,
        key: &RoundKey,
        u1: &[Address],
    ) -> Result<TxHash, PortError>;
    /// Puts the commitments of the shares for `receivers` on record. Not idempotent at the reference: read before a retry.
    async fn upload_share_commitments(
        &self,
        sender: &Address,
        key: &RoundKey,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<TxHash, PortError>;
    /// Keys of selected members. `Refused` if any of them is unknown or not selected.
    async fn public_keys(
        &self,
        key: &RoundKey,
        members: &[Address],
    ) -> Result<Vec<RawPublicKeys>, PortError>;
    /// Publishes u2.
    async fn start_calculation(
        &self,
        owner: &Address,
        key: &RoundKey,
        u2: &[Address],
    ) -> Result<TxHash, PortError>;
    /// Puts the commitment of a masked result on record; once.
    async fn upload_result_commitment(
        &self,
        member: &Address,
        key: &RoundKey,
        commitment: &Digest,
    ) -> Result<TxHash, PortError>;
    /// The commitment of a member's masked result, unparsed. `Refused` when there is none.
    async fn result_commitment(
        &self,
        key: &RoundKey,
        member: &Address,
    ) -> Result<String, PortError>;
    /// Publishes u3.
    async fn start_aggregation(
        &self,
        owner: &Address,
        key: &RoundKey,
        u3: &[Address],
    ) -> Result<TxHash, PortError>;
    /// Reveals shares that `receiver` holds: `(sender, share in wire form)`. Safe to repeat with the same content.
    async fn reveal_shares(
        &self,
        receiver: &Address,
        key: &RoundKey,
        kind: ShareKind,
        shares: &[(Address, String)],
    ) -> Result<TxHash, PortError>;
    /// What is on record between `senders` and `receiver`. `Refused` when a commitment is missing.
    async fn share_records(
        &self,
        key: &RoundKey,
        senders: &[Address],
        receiver: &Address,
    ) -> Result<Vec<RawShareRecord>, PortError>;
    /// Ends a round that is aggregating.
    async fn end_round(&self, owner: &Address, key: &RoundKey) -> Result<TxHash, PortError>;

    /// `hlr`: the commitment of a round's weights, unparsed.
    async fn weight_commitment(
        &self,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<String, PortError>;
    /// `hlr`: hands in a proof; answers whether it holds.
    async fn verify(
        &self,
        member: &Address,
        task: &TaskId,
        proof: &Verification,
    ) -> Result<(TxHash, bool), PortError>;
    /// `hlr`: who has proved and who has not.
    async fn verifier_state(&self, task: &TaskId) -> Result<VerifierState, PortError>;
    /// `hlr`: confirms a verified task.
    async fn confirm_verification(
        &self,
        owner: &Address,
        task: &TaskId,
    ) -> Result<TxHash, PortError>;

    /// Opens one subscription. Events before it are lost; the stream ends with `Err` when the connection is lost or silent for
    /// twice the heartbeat. Reconnecting is the caller's job, because what was missed must be read again. Heartbeats are not yielded.
    async fn subscribe(&self, address: &Address) -> Result<EventStream, PortError>;
}
