//! The connector: where nodes meet and keep their public record (docs/protocol/connector.md).
//!
//! Lists keep the order in which they were asked. Strings that another node wrote (keys, commitments, shares) are handed over
//! unparsed: the connector stores garbage as readily as anything else, and only the domain may judge it.
//!
//! [`Connector`] is what the app calls. Adapters implement the smaller [`RecordBackend`], which carries it: every call is one raw
//! command there, so that what is typed here is translated in one place (`translate.rs`).

mod backend;
mod translate;
mod types;
mod values;

use std::collections::BTreeSet;
use std::pin::Pin;

use async_trait::async_trait;
use futures_core::Stream;

use crate::PortError;
use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId, TxHash};
use delta_domain::task::TaskKind;

pub use backend::{Receipt, RecordBackend, RecordEvents, rejected};
pub use delta_domain::connector_record::RejectionReason;
pub use types::{
    CreatedTask, Joined, NewTask, NodePage, NodeRecord, RawPublicKeys, RawShareRecord, RoundKey,
    RoundRecord, RoundStatus, ShareKind, TaskRecord, Verification, VerifierState, WalletView,
};
pub use values::UNTOLD;

/// Nodes that are asked for in one call, and the most calls that a list of all takes.
const NODES_A_PAGE: u32 = 500;
const MOST_PAGES: u32 = 100;

/// A live subscription. Yields events in publication order; an `Err` item is the last one.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<NetworkEvent, PortError>> + Send>>;

/// The connector.
///
/// Obligations on implementers:
/// - A call that the connector answers with an application error fails with [`crate::PortErrorKind::Rejected`], the reason in
///   [`PortError::reason`] and the connector's text in [`PortError::message`]; a call that did not reach it, or whose answer was
///   lost, fails with `Unavailable` or `Timeout`.
/// - No call is retried inside: only the caller knows what is safe to repeat (docs/protocol/connector.md, What may be repeated).
/// - Every call has a deadline of its own; none waits for ever.
/// - What is not on record is a value, `None`, however a connector puts it: as a refusal, as an empty text, as zeros. Absent is also what is
///   on its way there. Only an answer whose record would be another's fails (a task whose owner is not registered, say).
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
    /// One living node; `None` when nobody is registered under the address now.
    async fn node(&self, address: &Address) -> Result<Option<NodeRecord>, PortError>;
    /// One page of living nodes; `page` from 1. What a `page_size` of 0 means is the connector's: all of them on one, none on a blockchain.
    async fn nodes(&self, page: u32, page_size: u32) -> Result<NodePage, PortError>;
    /// All living nodes, each once, whatever the connector makes of pages.
    async fn all_nodes(&self) -> Result<Vec<NodeRecord>, PortError> {
        let mut found: Vec<NodeRecord> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut read = 0_u64;
        for page in 1..=MOST_PAGES {
            let NodePage { nodes, total } = self.nodes(page, NODES_A_PAGE).await?;
            read += nodes.len() as u64;
            let end = nodes.is_empty() || read >= total;
            // A node that left and joined again is listed twice on a blockchain.
            let new = |n: &NodeRecord| seen.insert(n.address.as_str().to_ascii_lowercase());
            found.extend(nodes.into_iter().filter(new));
            if end {
                break;
            }
        }
        Ok(found)
    }

    /// Puts the commitment of a data block on record.
    async fn register_data(
        &self,
        address: &Address,
        name: &str,
        index: i32,
        commitment: &str,
    ) -> Result<TxHash, PortError>;
    /// The commitment of a data block, unparsed; `None` when nobody has registered it.
    async fn data_commitment(
        &self,
        address: &Address,
        name: &str,
        index: i32,
    ) -> Result<Option<String>, PortError>;

    /// Creates a task.
    async fn create_task(&self, task: &NewTask) -> Result<CreatedTask, PortError>;
    /// Declares a task finished.
    async fn finish_task(
        &self,
        kind: TaskKind,
        owner: &Address,
        task: &TaskId,
    ) -> Result<TxHash, PortError>;
    /// Reads a task; `None` when this service knows no such task.
    async fn task(&self, kind: TaskKind, task: &TaskId) -> Result<Option<TaskRecord>, PortError>;

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
    /// Reads a round; `None` when it has not been started.
    async fn round(&self, key: &RoundKey) -> Result<Option<RoundRecord>, PortError>;
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
    /// Keys of selected members. For whom is unknown or not selected some connectors refuse the list, others answer with empty texts.
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
    /// The commitment of a member's masked result, unparsed; `None` when there is none.
    async fn result_commitment(
        &self,
        key: &RoundKey,
        member: &Address,
    ) -> Result<Option<String>, PortError>;
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
    /// What is on record between each of `senders` and `receiver`, in their order; what is missing is `None`, and so is all that a node has
    /// which is no member. A connector that shows nothing of a pair before both its commitments are there, and says which one is
    /// missing, has [`UNTOLD`] in the place of the other.
    async fn share_records(
        &self,
        key: &RoundKey,
        senders: &[Address],
        receiver: &Address,
    ) -> Result<Vec<RawShareRecord>, PortError>;
    /// Ends a round that is aggregating.
    async fn end_round(&self, owner: &Address, key: &RoundKey) -> Result<TxHash, PortError>;

    /// `hlr`: the commitment of a round's weights, unparsed; `None` when the round has none, or has not been started.
    async fn weight_commitment(
        &self,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<Option<String>, PortError>;
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

    /// How the calls of this node's wallet are getting on; that of a record which answers at once has nothing to say.
    fn wallet(&self) -> WalletView;

    /// Opens one subscription. Events before it are lost; the stream ends with `Err` when the connection is lost or silent for
    /// twice the heartbeat. Reconnecting is the caller's job, because what was missed must be read again. Heartbeats are not yielded.
    async fn subscribe(&self, address: &Address) -> Result<EventStream, PortError>;
}
