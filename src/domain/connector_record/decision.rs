//! What comes of a call that is accepted: an answer with its consequences.

use rand_core::CryptoRng;

use super::change::Change;
use super::command::Command;
use super::event::RecordEvent;
use super::limits;
use super::rejection::{Rejection, RejectionReason, refuse};
use super::state::Record;
use super::status::Status;
use crate::ids::encode_hex;

/// A node as the record shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its url.
    pub url: String,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
}

/// A task as the record shows it.
#[expect(
    missing_docs,
    reason = "fields are those of the wire message, named alike"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEntry {
    pub address: String,
    pub url: String,
    pub task: String,
    pub dataset: String,
    pub commitment: String,
    pub task_type: String,
    pub finished: bool,
    pub enable_verify: bool,
    pub tolerance: i32,
}

/// A round as the record shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundEntry {
    /// Its number.
    pub round: i32,
    /// Where it stands.
    pub status: Status,
    /// All members in join order.
    pub joined: Vec<String>,
    /// Members that reached aggregation.
    pub finished: Vec<String>,
}

/// What one sender gave one receiver. `None` is absent on the wire; `Some("")` is present and empty.
#[expect(
    missing_docs,
    reason = "fields are those of the wire message, named alike"
)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShareEntry {
    pub seed: Option<String>,
    pub seed_commitment: Option<String>,
    pub secret_key: Option<String>,
    pub secret_key_commitment: Option<String>,
}

/// What a call answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done; there is nothing to say but the receipt.
    Done,
    /// The address of the node that joined.
    Joined(String),
    /// The id of the new task.
    Created(String),
    /// A commitment.
    Commitment(String),
    /// A node.
    Node(NodeEntry),
    /// One page of nodes and the number on all pages.
    Nodes(Vec<NodeEntry>, i32),
    /// A task.
    Task(TaskEntry),
    /// A round.
    Round(RoundEntry),
    /// `(pk1, pk2)` in the order asked.
    Keys(Vec<(String, String)>),
    /// Shares in the order asked.
    Shares(Vec<ShareEntry>),
    /// Whether the proof holds.
    Verified(bool),
    /// Where the verification of a task stands.
    Verifier {
        /// Members without a judged proof.
        unfinished: Vec<String>,
        /// Members whose proof failed.
        invalid: Vec<String>,
        /// Whether none failed.
        valid: bool,
    },
}

/// An accepted call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// For the caller.
    pub answer: Answer,
    /// To be stored and applied, all or none.
    pub changes: Vec<Change>,
    /// To be published afterwards.
    pub event: Option<RecordEvent>,
}

impl Decision {
    pub(super) fn read(answer: Answer) -> Self {
        Self {
            answer,
            changes: Vec::new(),
            event: None,
        }
    }

    /// An identical repeat: nothing changes, nothing is published.
    pub(super) fn repeated() -> Self {
        Self::read(Answer::Done)
    }

    pub(super) fn done(change: Change) -> Self {
        Self {
            answer: Answer::Done,
            changes: vec![change],
            event: None,
        }
    }

    pub(super) fn and_publish(mut self, event: RecordEvent) -> Self {
        self.event = Some(event);
        self
    }
}

/// `0x` and 64 random hex digits: a task id or a transaction hash.
pub fn fresh_hex(rng: &mut impl CryptoRng) -> String {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    encode_hex(&bytes)
}

impl Record {
    /// Decides a call. `now` is in unix seconds; `rng` draws the id of a new task.
    ///
    /// # Errors
    /// [`Rejection`]. The record is not changed in any case: applying the changes is the caller's act.
    pub fn decide(
        &self,
        now: u64,
        rng: &mut impl CryptoRng,
        command: &Command,
    ) -> Result<Decision, Rejection> {
        let mut decision = self.decide_alone(now, rng, command)?;
        // Those calls make rows; with each, a few old ones go.
        if matches!(command, Command::Join { .. } | Command::CreateTask(_)) {
            let mut gone = self.outlived(now, &decision.changes);
            gone.append(&mut decision.changes);
            decision.changes = gone;
        }
        Ok(decision)
    }

    fn decide_alone(
        &self,
        now: u64,
        rng: &mut impl CryptoRng,
        command: &Command,
    ) -> Result<Decision, Rejection> {
        if command.holds_nul() {
            return refuse(
                RejectionReason::Other,
                "a string of the request holds U+0000",
            );
        }
        limits::check(command)?;
        match command {
            Command::Join { url, name } => self.join(now, url, name),
            Command::JoinAs { address, url, name } => self.join_as(now, address, url, name),
            Command::UpdateUrl { address, url } => self.update(now, address, Some(url), None),
            Command::UpdateName { address, name } => self.update(now, address, None, Some(name)),
            Command::Leave { address } => self.leave(now, address),
            Command::Node { address } => self.node(now, address),
            Command::Nodes { page, page_size } => Ok(self.nodes(now, *page, *page_size)),
            Command::RegisterData {
                address,
                name,
                index,
                commitment,
            } => self.register_data(now, address, name, *index, commitment),
            Command::DataCommitment {
                address,
                name,
                index,
            } => self
                .data_commitment(address, name, *index)
                .map(|c| Decision::read(Answer::Commitment(c.to_owned()))),
            Command::CreateTask(entry) => self.create_task(now, rng, entry),
            Command::FinishTask {
                kind,
                address,
                task,
            } => self.finish_task(now, *kind, address, task),
            Command::Task { kind, task } => self.task(now, *kind, task),
            Command::StartRound {
                at,
                address,
                weight_commitment,
            } => self.start_round(now, at, address, weight_commitment),
            Command::JoinRound {
                at,
                address,
                pk1,
                pk2,
            } => self.join_round(now, at, address, pk1, pk2),
            Command::Round { at } => self.round(at),
            Command::Advance {
                step,
                at,
                address,
                clients,
            } => self.advance(now, *step, at, address, clients),
            Command::UploadCommitments {
                secret,
                at,
                address,
                receivers,
                commitments,
            } => self.upload_commitments(*secret, at, address, receivers, commitments),
            Command::PublicKeys { at, clients } => self.public_keys(at, clients),
            Command::UploadResult {
                at,
                address,
                commitment,
            } => self.upload_result(at, address, commitment),
            Command::ResultCommitment { at, client } => self.result_commitment(at, client),
            Command::UploadShares {
                secret,
                at,
                address,
                senders,
                shares,
            } => self.upload_shares(*secret, at, address, senders, shares),
            Command::ShareRecords {
                at,
                senders,
                receiver,
            } => self.share_records(at, senders, receiver),
            Command::EndRound { at, address } => self.end_round(at, address),
            Command::WeightCommitment { task, round } => self.weight_commitment(task, *round),
            Command::Verify(entry) => self.verify(entry),
            Command::VerifierState { task } => self.verifier_state(task),
            Command::Confirm { address, task } => self.confirm(address, task),
        }
    }
}
