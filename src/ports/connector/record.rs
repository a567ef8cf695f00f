//! The [`Connector`] port over anything that executes the connector's calls as raw [`Command`]s.
//!
//! Three adapters do: the gRPC client, the embedded connector, the in-memory one. What they share is here, once: typed arguments
//! become wire strings, wire strings become typed answers, and what does not parse is refused (CONNECTOR.md 13.5, 13.6).
//! It is not an adapter and does no I/O.

use async_trait::async_trait;

use crate::connector::{
    Connector, CreatedTask, EventStream, Joined, NewTask, NodePage, NodeRecord, RawPublicKeys,
    RawShareRecord, RoundKey, RoundRecord, RoundStatus, ShareKind, TaskRecord, Verification,
    VerifierState,
};
use crate::{PortError, PortErrorKind};
use delta_domain::connector_record::{
    Answer, Command, NewTaskEntry, NodeView, ProofEntry, RoundRef, SecretKind, ShareView, Status,
    Step,
};
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId, TxHash};
use delta_domain::task::TaskKind;

/// A call's answer with its receipt, which is empty for reads.
#[derive(Debug)]
pub struct Receipt {
    /// Hash of the transaction; empty for reads.
    pub tx_hash: String,
    /// What the call answers.
    pub answer: Answer,
}

/// Executes the connector's calls.
///
/// Obligations on implementers: those of [`Connector`], which this trait carries.
#[async_trait]
pub trait RecordBackend: Send + Sync + 'static {
    /// Executes one call. `op` names it in errors.
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError>;

    /// Opens a subscription.
    async fn open(&self, op: &'static str, address: &Address) -> Result<EventStream, PortError>;
}

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

    async fn node(&self, address: &Address) -> Result<NodeRecord, PortError> {
        ask!(self, "node", Command::Node { address: text(address) }, Answer::Node(n) => |op, _| node(op, n))
    }

    async fn nodes(&self, page: u32, page_size: u32) -> Result<NodePage, PortError> {
        let wire = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let command = Command::Nodes {
            page: wire(page),
            page_size: wire(page_size),
        };
        ask!(self, "nodes", command, Answer::Nodes(list, total) => |op, _| {
            let readable = |view| node(op, view).inspect_err(|e| tracing::warn!(error = %e, "a node of the list is left out")).ok();
            Ok(NodePage { nodes: list.into_iter().filter_map(readable).collect(), total: u64::try_from(total).unwrap_or(0) })
        })
    }

    async fn register_data(
        &self,
        address: &Address,
        name: &str,
        index: i32,
        commitment: &Digest,
    ) -> Result<TxHash, PortError> {
        let (address, commitment) = (text(address), commitment.to_string());
        let command = Command::RegisterData {
            address,
            name: name.to_owned(),
            index,
            commitment,
        };
        ask!(self, "register_data", command, Answer::Done => tx_of)
    }

    async fn data_commitment(
        &self,
        address: &Address,
        name: &str,
        index: i32,
    ) -> Result<String, PortError> {
        let command = Command::DataCommitment {
            address: text(address),
            name: name.to_owned(),
            index,
        };
        ask!(self, "data_commitment", command, Answer::Commitment(c) => |_, _| Ok(c))
    }

    async fn create_task(&self, task: &NewTask) -> Result<CreatedTask, PortError> {
        let hlr = task.kind == TaskKind::Hlr;
        let command = Command::CreateTask(NewTaskEntry {
            kind: task.kind,
            address: text(&task.owner),
            dataset: task.dataset.clone(),
            commitment: task.commitment.to_string(),
            task_type: task.kind.as_str().to_owned(),
            enable_verify: hlr && task.enable_verify,
            tolerance: if hlr { task.tolerance } else { 0 },
        });
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

    async fn task(&self, kind: TaskKind, task: &TaskId) -> Result<TaskRecord, PortError> {
        let command = Command::Task {
            kind,
            task: task.to_string(),
        };
        ask!(self, "task", command, Answer::Task(t) => |op, _| Ok(TaskRecord {
            owner: address(op, t.address)?,
            url: t.url,
            dataset: t.dataset,
            commitment: t.commitment,
            task_type: t.task_type,
            finished: t.finished,
            enable_verify: t.enable_verify,
            tolerance: t.tolerance,
        }))
    }

    async fn start_round(
        &self,
        owner: &Address,
        key: &RoundKey,
        weights: Option<&Digest>,
    ) -> Result<TxHash, PortError> {
        let at = at("connector.start_round", key)?;
        let weight_commitment = match key.kind {
            TaskKind::Hlr => weights.map(Digest::to_string).unwrap_or_default(),
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

    async fn round(&self, key: &RoundKey) -> Result<RoundRecord, PortError> {
        let at = at("connector.round", key)?;
        ask!(self, "round", Command::Round { at }, Answer::Round(r) => |_, _| Ok(RoundRecord {
            status: status(r.status),
            joined: r.joined,
            finished: if key.kind == TaskKind::Hlr { r.finished } else { Vec::new() },
        }))
    }

    async fn select_candidates(
        &self,
        owner: &Address,
        key: &RoundKey,
        u1: &[Address],
    ) -> Result<TxHash, PortError> {
        let at = at("connector.select_candidates", key)?;
        let command = Command::Advance {
            step: Step::Select,
            at,
            address: text(owner),
            clients: texts(u1),
        };
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
            Ok(keys.into_iter().map(|(pk1, pk2)| RawPublicKeys { pk1, pk2 }).collect())
        })
    }

    async fn start_calculation(
        &self,
        owner: &Address,
        key: &RoundKey,
        u2: &[Address],
    ) -> Result<TxHash, PortError> {
        let at = at("connector.start_calculation", key)?;
        let command = Command::Advance {
            step: Step::Calculate,
            at,
            address: text(owner),
            clients: texts(u2),
        };
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
    ) -> Result<String, PortError> {
        let at = at("connector.result_commitment", key)?;
        let command = Command::ResultCommitment {
            at,
            client: text(member),
        };
        ask!(self, "result_commitment", command, Answer::Commitment(c) => |_, _| Ok(c))
    }

    async fn start_aggregation(
        &self,
        owner: &Address,
        key: &RoundKey,
        u3: &[Address],
    ) -> Result<TxHash, PortError> {
        let at = at("connector.start_aggregation", key)?;
        let command = Command::Advance {
            step: Step::Aggregate,
            at,
            address: text(owner),
            clients: texts(u3),
        };
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
        let at = at("connector.share_records", key)?;
        let command = Command::ShareRecords {
            at,
            senders: texts(senders),
            receiver: text(receiver),
        };
        ask!(self, "share_records", command, Answer::Shares(list) => |op, _| {
            same_length(op, list.len(), senders.len())?;
            Ok(list.into_iter().map(share).collect())
        })
    }

    async fn end_round(&self, owner: &Address, key: &RoundKey) -> Result<TxHash, PortError> {
        let at = at("connector.end_round", key)?;
        ask!(self, "end_round", Command::EndRound { at, address: text(owner) }, Answer::Done => tx_of)
    }

    async fn weight_commitment(
        &self,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<String, PortError> {
        let round = number("connector.weight_commitment", round)?;
        let command = Command::WeightCommitment {
            task: task.to_string(),
            round,
        };
        ask!(self, "weight_commitment", command, Answer::Commitment(c) => |_, _| Ok(c))
    }

    async fn verify(
        &self,
        member: &Address,
        task: &TaskId,
        proof: &Verification,
    ) -> Result<(TxHash, bool), PortError> {
        let command = Command::Verify(ProofEntry {
            address: text(member),
            task: task.to_string(),
            weight_size: proof.weight_size,
            proof: proof.proof.clone(),
            pub_signals: proof.pub_signals.clone(),
            block_index: proof.block_index,
            samples: proof.samples,
            verdict: None,
        });
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

    async fn subscribe(&self, address: &Address) -> Result<EventStream, PortError> {
        self.open("connector.subscribe", address).await
    }
}

fn text(address: &Address) -> String {
    address.as_str().to_owned()
}

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(text).collect()
}

fn at(op: &'static str, key: &RoundKey) -> Result<RoundRef, PortError> {
    Ok(RoundRef {
        kind: key.kind,
        task: key.task.to_string(),
        round: number(op, key.round)?,
    })
}

fn number(op: &'static str, round: RoundNumber) -> Result<i32, PortError> {
    i32::try_from(round.0).map_err(|e| {
        PortError::new(
            PortErrorKind::Internal,
            op,
            "the round number does not fit the wire",
        )
        .with_source(e)
    })
}

fn secret(kind: ShareKind) -> SecretKind {
    match kind {
        ShareKind::SelfMaskSeed => SecretKind::Seed,
        ShareKind::MaskKey => SecretKind::SecretKey,
    }
}

fn status(status: Status) -> RoundStatus {
    match status {
        Status::Started => RoundStatus::Started,
        Status::Running => RoundStatus::Running,
        Status::Calculating => RoundStatus::Calculating,
        Status::Aggregating => RoundStatus::Aggregating,
        Status::Finished => RoundStatus::Finished,
    }
}

fn share(view: ShareView) -> RawShareRecord {
    let present = |text: Option<String>| text.filter(|t| !matches!(t.as_str(), "" | "0x"));
    RawShareRecord {
        seed: present(view.seed),
        seed_commitment: present(view.seed_commitment),
        secret_key: present(view.secret_key),
        secret_key_commitment: present(view.secret_key_commitment),
    }
}

fn node(op: &'static str, view: NodeView) -> Result<NodeRecord, PortError> {
    Ok(NodeRecord {
        address: address(op, view.address)?,
        url: view.url,
        name: view.name,
    })
}

fn address(op: &'static str, value: String) -> Result<Address, PortError> {
    Address::try_from(value)
        .map_err(|e| corrupt(op, "the connector answered with an invalid address", e))
}

fn tx_of(op: &'static str, value: String) -> Result<TxHash, PortError> {
    TxHash::try_from(value).map_err(|e| {
        corrupt(
            op,
            "the connector answered with an invalid transaction hash",
            e,
        )
    })
}

fn same_length(op: &'static str, got: usize, asked: usize) -> Result<(), PortError> {
    if got == asked {
        return Ok(());
    }
    Err(PortError::new(
        PortErrorKind::Corrupt,
        op,
        format!("the connector answered {got} entries for {asked}"),
    ))
}

fn corrupt(
    op: &'static str,
    what: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> PortError {
    PortError::new(PortErrorKind::Corrupt, op, what).with_source(source)
}
