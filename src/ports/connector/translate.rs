//! The [`Connector`] port over a [`RecordBackend`].
//!
//! What all adapters share is here, once: typed arguments become wire strings, wire strings become typed answers, and what does
//! not parse is refused (docs/protocol/connector.md). It is not an adapter and does no I/O.

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::values::{
    address, at, corrupt, event, new_task, node, number, or_absent, page_of, present, proof_of,
    same_length, secret, share, share_refused, status, task_of, text, texts, tx_of, written,
};
use super::{
    Connector, CreatedTask, EventStream, Joined, NewTask, NodePage, NodeRecord, RawPublicKeys,
    RawShareRecord, Receipt, RecordBackend, RoundKey, RoundRecord, ShareKind, TaskRecord,
    Verification, VerifierState, WalletView,
};
use crate::{PortError, PortErrorKind};
use delta_domain::connector_record::{Answer, Command, RejectionReason as Why, RoundRef, Step};
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId, TxHash};
use delta_domain::task::TaskKind;

/// Runs a command and takes the one kind of answer it can have.
macro_rules! ask {
    ($self:ident, $op:literal, $command:expr, $answer:pat => $value:expr) => {{
        let op = concat!("connector.", $op);
        let Receipt { tx_hash, answer } = $self.execute(op, $command).await?;
        match answer {
            $answer => {
                let _unused_by_reads = &tx_hash;
                let take = $value;
                take(op, tx_hash)
            }
            _ => Err(PortError::new(
                PortErrorKind::Internal,
                op,
                "the answer is of another call",
            )),
        }
    }};
}

/// Asks for what may be absent: that is none, for each of these reasons of a refusal, and where the one kind of answer says so.
macro_rules! look {
    ($self:ident, $op:literal, $absent:expr, $command:expr, $answer:pat => $value:expr) => {{
        let op = concat!("connector.", $op);
        match or_absent($self.execute(op, $command).await, $absent)?.map(|found| found.answer) {
            None => Ok(None),
            Some($answer) => {
                let take = $value;
                take(op)
            }
            Some(_) => Err(PortError::new(
                PortErrorKind::Internal,
                op,
                "the answer is of another call",
            )),
        }
    }};
}

/// Reasons for which there is no such round.
const NO_ROUND: &[Why] = &[Why::NoSuchRound, Why::NoSuchTask];

#[async_trait]
impl<B: RecordBackend> Connector for B {
    async fn join(&self, url: &str, name: &str) -> Result<Joined, PortError> {
        let command = Command::Join {
            url: url.to_owned(),
            name: name.to_owned(),
        };
        ask!(self, "join", command, Answer::Joined(a) => |op, tx| Ok(Joined { tx_hash: tx_of(op, tx)?, address: address(op, a)? }))
    }

    async fn update_url(&self, address: &Address, url: &str) -> Result<TxHash, PortError> {
        let command = Command::UpdateUrl {
            address: text(address),
            url: url.to_owned(),
        };
        ask!(self, "update_url", command, Answer::Done => tx_of)
    }

    async fn update_name(&self, address: &Address, name: &str) -> Result<TxHash, PortError> {
        let command = Command::UpdateName {
            address: text(address),
            name: name.to_owned(),
        };
        ask!(self, "update_name", command, Answer::Done => tx_of)
    }

    async fn leave(&self, address: &Address) -> Result<TxHash, PortError> {
        ask!(self, "leave", Command::Leave { address: text(address) }, Answer::Done => tx_of)
    }

    async fn node(&self, address: &Address) -> Result<Option<NodeRecord>, PortError> {
        let absent = &[Why::NoSuchNode, Why::NodeNotAlive];
        look!(self, "node", absent, Command::Node { address: text(address) }, Answer::Node(n) => |op| node(op, n).map(Some))
    }

    async fn nodes(&self, page: u32, page_size: u32) -> Result<NodePage, PortError> {
        let wire = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let command = Command::Nodes {
            page: wire(page),
            page_size: wire(page_size),
        };
        ask!(self, "nodes", command, Answer::Nodes(list, total) => |op, _| Ok(page_of(op, list, total)))
    }

    async fn register_data(
        &self,
        address: &Address,
        name: &str,
        index: i32,
        commitment: &str,
    ) -> Result<TxHash, PortError> {
        let command = Command::RegisterData {
            address: text(address),
            name: name.to_owned(),
            index,
            commitment: commitment.to_owned(),
        };
        ask!(self, "register_data", command, Answer::Done => tx_of)
    }

    async fn data_commitment(
        &self,
        address: &Address,
        name: &str,
        index: i32,
    ) -> Result<Option<String>, PortError> {
        let command = Command::DataCommitment {
            address: text(address),
            name: name.to_owned(),
            index,
        };
        look!(self, "data_commitment", &[Why::NoSuchData], command, Answer::Commitment(c) => |_| Ok(written(c)))
    }

    async fn create_task(&self, task: &NewTask) -> Result<CreatedTask, PortError> {
        let command = Command::CreateTask(new_task(task));
        ask!(self, "create_task", command, Answer::Created(id) => |op, tx| {
            let task = TaskId::try_from(id).map_err(|e| corrupt(op, "the new task's id is not valid", e))?;
            Ok(CreatedTask { tx_hash: tx_of(op, tx)?, task })
        })
    }

    async fn finish_task(
        &self,
        kind: TaskKind,
        owner: &Address,
        task: &TaskId,
    ) -> Result<TxHash, PortError> {
        let command = Command::FinishTask {
            kind,
            address: text(owner),
            task: task.to_string(),
        };
        ask!(self, "finish_task", command, Answer::Done => tx_of)
    }

    async fn task(&self, kind: TaskKind, task: &TaskId) -> Result<Option<TaskRecord>, PortError> {
        let command = Command::Task {
            kind,
            task: task.to_string(),
        };
        look!(self, "task", &[Why::NoSuchTask], command, Answer::Task(t) => |op| task_of(op, t).map(Some))
    }

    async fn start_round(
        &self,
        owner: &Address,
        key: &RoundKey,
        weights: Option<&Digest>,
    ) -> Result<TxHash, PortError> {
        let at = at("connector.start_round", key)?;
        let weight_commitment = match key.kind {
            // Contracts take 32 bytes and nothing less.
            TaskKind::Hlr => weights.copied().unwrap_or(Digest([0; 32])).to_string(),
            TaskKind::Horizontal => String::new(),
        };
        ask!(self, "start_round", Command::StartRound { at, address: text(owner), weight_commitment }, Answer::Done => tx_of)
    }

    async fn join_round(
        &self,
        member: &Address,
        key: &RoundKey,
        keys: &RawPublicKeys,
    ) -> Result<TxHash, PortError> {
        let at = at("connector.join_round", key)?;
        let command = Command::JoinRound {
            at,
            address: text(member),
            pk1: keys.pk1.clone(),
            pk2: keys.pk2.clone(),
        };
        ask!(self, "join_round", command, Answer::Done => tx_of)
    }

    async fn round(&self, key: &RoundKey) -> Result<Option<RoundRecord>, PortError> {
        let at = at("connector.round", key)?;
        look!(self, "round", NO_ROUND, Command::Round { at }, Answer::Round(r) => |_| Ok(Some(RoundRecord {
            status: status(r.status),
            joined: r.joined,
            finished: if key.kind == TaskKind::Hlr { r.finished } else { Vec::new() },
        })))
    }

    async fn select_candidates(
        &self,
        owner: &Address,
        key: &RoundKey,
        u1: &[Address],
    ) -> Result<TxHash, PortError> {
        let command = advance(
            Step::Select,
            at("connector.select_candidates", key)?,
            owner,
            u1,
        );
        ask!(self, "select_candidates", command, Answer::Done => tx_of)
    }

    async fn upload_share_commitments(
        &self,
        sender: &Address,
        key: &RoundKey,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<TxHash, PortError> {
        let at = at("connector.upload_share_commitments", key)?;
        let (receivers, commitments) = commitments
            .iter()
            .map(|(a, d)| (text(a), d.to_string()))
            .unzip();
        let command = Command::UploadCommitments {
            secret: secret(kind),
            at,
            address: text(sender),
            receivers,
            commitments,
        };
        ask!(self, "upload_share_commitments", command, Answer::Done => tx_of)
    }

    async fn public_keys(
        &self,
        key: &RoundKey,
        members: &[Address],
    ) -> Result<Vec<RawPublicKeys>, PortError> {
        let at = at("connector.public_keys", key)?;
        ask!(self, "public_keys", Command::PublicKeys { at, clients: texts(members) }, Answer::Keys(keys) => |op, _| {
            same_length(op, keys.len(), members.len())?;
            let text = |key: String| present(key).unwrap_or_default();
            let keys = keys.into_iter();
            Ok(keys.map(|(pk1, pk2)| RawPublicKeys { pk1: text(pk1), pk2: text(pk2) }).collect())
        })
    }

    async fn start_calculation(
        &self,
        owner: &Address,
        key: &RoundKey,
        u2: &[Address],
    ) -> Result<TxHash, PortError> {
        let command = advance(
            Step::Calculate,
            at("connector.start_calculation", key)?,
            owner,
            u2,
        );
        ask!(self, "start_calculation", command, Answer::Done => tx_of)
    }

    async fn upload_result_commitment(
        &self,
        member: &Address,
        key: &RoundKey,
        commitment: &Digest,
    ) -> Result<TxHash, PortError> {
        let at = at("connector.upload_result_commitment", key)?;
        let command = Command::UploadResult {
            at,
            address: text(member),
            commitment: commitment.to_string(),
        };
        ask!(self, "upload_result_commitment", command, Answer::Done => tx_of)
    }

    async fn result_commitment(
        &self,
        key: &RoundKey,
        member: &Address,
    ) -> Result<Option<String>, PortError> {
        let at = at("connector.result_commitment", key)?;
        let command = Command::ResultCommitment {
            at,
            client: text(member),
        };
        let absent = &[
            Why::ResultMissing,
            Why::NoSuchMember,
            Why::NoSuchRound,
            Why::NoSuchTask,
        ];
        look!(self, "result_commitment", absent, command, Answer::Commitment(c) => |_| Ok(present(c)))
    }

    async fn start_aggregation(
        &self,
        owner: &Address,
        key: &RoundKey,
        u3: &[Address],
    ) -> Result<TxHash, PortError> {
        let command = advance(
            Step::Aggregate,
            at("connector.start_aggregation", key)?,
            owner,
            u3,
        );
        ask!(self, "start_aggregation", command, Answer::Done => tx_of)
    }

    async fn reveal_shares(
        &self,
        receiver: &Address,
        key: &RoundKey,
        kind: ShareKind,
        shares: &[(Address, String)],
    ) -> Result<TxHash, PortError> {
        let at = at("connector.reveal_shares", key)?;
        let (senders, shares) = shares.iter().map(|(a, s)| (text(a), s.clone())).unzip();
        let command = Command::UploadShares {
            secret: secret(kind),
            at,
            address: text(receiver),
            senders,
            shares,
        };
        ask!(self, "reveal_shares", command, Answer::Done => tx_of)
    }

    async fn share_records(
        &self,
        key: &RoundKey,
        senders: &[Address],
        receiver: &Address,
    ) -> Result<Vec<RawShareRecord>, PortError> {
        match shares_of(self, key, senders, receiver).await {
            Err(e) if e.reason().is_some_and(|why| NO_ROUND.contains(&why)) => {
                return Ok(vec![RawShareRecord::default(); senders.len()]);
            }
            Err(e) if e.reason().is_some() => {}
            known => return known,
        }
        // Some connectors refuse the whole list for one pair: each is asked about alone.
        let mut records = Vec::with_capacity(senders.len());
        for sender in senders {
            let alone = shares_of(self, key, std::slice::from_ref(sender), receiver).await;
            records.extend(alone.or_else(|e| share_refused(e).map(|record| vec![record]))?);
        }
        Ok(records)
    }

    async fn end_round(&self, owner: &Address, key: &RoundKey) -> Result<TxHash, PortError> {
        let at = at("connector.end_round", key)?;
        ask!(self, "end_round", Command::EndRound { at, address: text(owner) }, Answer::Done => tx_of)
    }

    async fn weight_commitment(
        &self,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<Option<String>, PortError> {
        let round = number("connector.weight_commitment", round)?;
        let command = Command::WeightCommitment {
            task: task.to_string(),
            round,
        };
        look!(self, "weight_commitment", NO_ROUND, command, Answer::Commitment(c) => |_| Ok(written(c)))
    }

    async fn verify(
        &self,
        member: &Address,
        task: &TaskId,
        proof: &Verification,
    ) -> Result<(TxHash, bool), PortError> {
        let command = Command::Verify(proof_of(member, task, proof));
        ask!(self, "verify", command, Answer::Verified(valid) => |op, tx| Ok((tx_of(op, tx)?, valid)))
    }

    async fn verifier_state(&self, task: &TaskId) -> Result<VerifierState, PortError> {
        let command = Command::VerifierState {
            task: task.to_string(),
        };
        ask!(self, "verifier_state", command, Answer::Verifier { unfinished, invalid, valid } => |_, _| {
            Ok(VerifierState { unfinished, invalid, valid })
        })
    }

    async fn confirm_verification(
        &self,
        owner: &Address,
        task: &TaskId,
    ) -> Result<TxHash, PortError> {
        let command = Command::Confirm {
            address: text(owner),
            task: task.to_string(),
        };
        ask!(self, "confirm_verification", command, Answer::Done => tx_of)
    }

    fn wallet(&self) -> WalletView {
        RecordBackend::wallet(self)
    }

    async fn subscribe(&self, address: &Address) -> Result<EventStream, PortError> {
        let events = self.open("connector.subscribe", address.as_str()).await?;
        Ok(events
            .filter_map(|item| std::future::ready(event(item)))
            .boxed())
    }
}

/// What is on record between all of `senders` and `receiver`, where the connector shows it.
async fn shares_of(
    backend: &impl RecordBackend,
    key: &RoundKey,
    senders: &[Address],
    receiver: &Address,
) -> Result<Vec<RawShareRecord>, PortError> {
    let command = Command::ShareRecords {
        at: at("connector.share_records", key)?,
        senders: texts(senders),
        receiver: text(receiver),
    };
    ask!(backend, "share_records", command, Answer::Shares(list) => |op, _| {
        same_length(op, list.len(), senders.len())?;
        Ok(list.into_iter().map(share).collect())
    })
}

fn advance(step: Step, at: RoundRef, owner: &Address, members: &[Address]) -> Command {
    let (address, clients) = (text(owner), texts(members));
    Command::Advance {
        step,
        at,
        address,
        clients,
    }
}
