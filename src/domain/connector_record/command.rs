//! Every call that the connector's five services take, as one raw value (docs/protocol/connector.md, Services).

use crate::task::TaskKind;

/// One round of one task, as the caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRef {
    /// Which service keeps it: the two have separate namespaces.
    pub kind: TaskKind,
    /// The task's id.
    pub task: String,
    /// The round's number; the record takes any.
    pub round: i32,
}

/// Which of a member's two secrets a commitment or a share belongs to, in the words of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// The seed of the self-mask.
    Seed,
    /// The key of the pairwise masks.
    SecretKey,
}

/// The owner's three steps that publish a list of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `SelectCandidates`: STARTED to RUNNING.
    Select,
    /// `StartCalculation`: RUNNING to CALCULATING.
    Calculate,
    /// `StartAggregation`: CALCULATING to AGGREGATING.
    Aggregate,
}

/// A task to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTaskEntry {
    /// Which service keeps it.
    pub kind: TaskKind,
    /// The coordinator.
    pub address: String,
    /// Dataset names.
    pub dataset: String,
    /// Commitment of the bundle.
    pub commitment: String,
    /// `horizontal`: whatever the caller says. `hlr`: always `hlr`.
    pub task_type: String,
    /// `hlr` only.
    pub enable_verify: bool,
    /// `hlr` only.
    pub tolerance: i32,
}

/// A proof handed in (`hlr`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofEntry {
    /// The member.
    pub address: String,
    /// The task.
    pub task: String,
    /// Number of weights.
    pub weight_size: i32,
    /// PLONK proof, snarkjs JSON.
    pub proof: String,
    /// Public signals: gradient and precision in turn, then weight commitment and data commitment, decimal.
    pub pub_signals: Vec<String>,
    /// Index of the data block.
    pub block_index: i32,
    /// Number of samples in it.
    pub samples: i32,
    /// Whether the proof itself holds, when somebody checked it. The record does no cryptography.
    pub verdict: Option<bool>,
}

/// A call.
#[expect(
    missing_docs,
    reason = "fields are those of the wire messages, named alike"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `identity.Join`
    Join { url: String, name: String },
    /// `identity.Join`, signed: the address is the hash of the caller's key. On the wire it is a `Join` with a signature.
    JoinAs {
        address: String,
        url: String,
        name: String,
    },
    /// `identity.UpdateUrl`
    UpdateUrl { address: String, url: String },
    /// `identity.UpdateName`
    UpdateName { address: String, name: String },
    /// `identity.Leave`
    Leave { address: String },
    /// `identity.GetNodeInfo`
    Node { address: String },
    /// `identity.GetNodes`
    Nodes { page: i32, page_size: i32 },
    /// `datahub.Register`
    RegisterData {
        address: String,
        name: String,
        index: i32,
        commitment: String,
    },
    /// `datahub.GetDataCommitment`
    DataCommitment {
        address: String,
        name: String,
        index: i32,
    },
    /// `CreateTask`
    CreateTask(NewTaskEntry),
    /// `FinishTask`
    FinishTask {
        kind: TaskKind,
        address: String,
        task: String,
    },
    /// `GetTask`
    Task { kind: TaskKind, task: String },
    /// `StartRound`; the weight commitment is empty for `horizontal`
    StartRound {
        at: RoundRef,
        address: String,
        weight_commitment: String,
    },
    /// `JoinRound`
    JoinRound {
        at: RoundRef,
        address: String,
        pk1: String,
        pk2: String,
    },
    /// `GetTaskRound`
    Round { at: RoundRef },
    /// `SelectCandidates`, `StartCalculation`, `StartAggregation`
    Advance {
        step: Step,
        at: RoundRef,
        address: String,
        clients: Vec<String>,
    },
    /// `UploadSeedCommitment`, `UploadSecretKeyCommitment`
    UploadCommitments {
        secret: SecretKind,
        at: RoundRef,
        address: String,
        receivers: Vec<String>,
        commitments: Vec<String>,
    },
    /// `GetClientPublickKeys`
    PublicKeys { at: RoundRef, clients: Vec<String> },
    /// `UploadResultCommitment`
    UploadResult {
        at: RoundRef,
        address: String,
        commitment: String,
    },
    /// `GetResultCommitment`
    ResultCommitment { at: RoundRef, client: String },
    /// `UploadSeed`, `UploadSecretKey`
    UploadShares {
        secret: SecretKind,
        at: RoundRef,
        address: String,
        senders: Vec<String>,
        shares: Vec<String>,
    },
    /// `GetSecretShareDatas`
    ShareRecords {
        at: RoundRef,
        senders: Vec<String>,
        receiver: String,
    },
    /// `EndRound`
    EndRound { at: RoundRef, address: String },
    /// `hlr.GetWeightCommitment`
    WeightCommitment { task: String, round: i32 },
    /// `hlr.Verify`
    Verify(ProofEntry),
    /// `hlr.GetVerifierState`
    VerifierState { task: String },
    /// `hlr.ConfirmVerification`
    Confirm { address: String, task: String },
}

impl Command {
    /// Whether the call only reads: such a call has no receipt.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Node { .. }
                | Self::Nodes { .. }
                | Self::DataCommitment { .. }
                | Self::Task { .. }
                | Self::Round { .. }
                | Self::PublicKeys { .. }
                | Self::ResultCommitment { .. }
                | Self::ShareRecords { .. }
                | Self::WeightCommitment { .. }
                | Self::VerifierState { .. }
        )
    }

    /// The round that the call names, if it does.
    #[must_use]
    pub fn round_ref(&self) -> Option<&RoundRef> {
        match self {
            Self::StartRound { at, .. }
            | Self::JoinRound { at, .. }
            | Self::Round { at }
            | Self::Advance { at, .. }
            | Self::UploadCommitments { at, .. }
            | Self::PublicKeys { at, .. }
            | Self::UploadResult { at, .. }
            | Self::ResultCommitment { at, .. }
            | Self::UploadShares { at, .. }
            | Self::ShareRecords { at, .. }
            | Self::EndRound { at, .. } => Some(at),
            Self::Join { .. }
            | Self::JoinAs { .. }
            | Self::UpdateUrl { .. }
            | Self::UpdateName { .. }
            | Self::Leave { .. }
            | Self::Node { .. }
            | Self::Nodes { .. }
            | Self::RegisterData { .. }
            | Self::DataCommitment { .. }
            | Self::CreateTask(_)
            | Self::FinishTask { .. }
            | Self::Task { .. }
            | Self::WeightCommitment { .. }
            | Self::Verify(_)
            | Self::VerifierState { .. }
            | Self::Confirm { .. } => None,
        }
    }

    /// The address that the call acts for; `None` for reads, and for a `Join`, which has none yet.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        match self {
            Self::JoinAs { address, .. }
            | Self::UpdateUrl { address, .. }
            | Self::UpdateName { address, .. }
            | Self::Leave { address }
            | Self::RegisterData { address, .. }
            | Self::FinishTask { address, .. }
            | Self::StartRound { address, .. }
            | Self::JoinRound { address, .. }
            | Self::Advance { address, .. }
            | Self::UploadCommitments { address, .. }
            | Self::UploadResult { address, .. }
            | Self::UploadShares { address, .. }
            | Self::EndRound { address, .. }
            | Self::Confirm { address, .. } => Some(address),
            Self::CreateTask(task) => Some(&task.address),
            Self::Verify(proof) => Some(&proof.address),
            Self::Join { .. }
            | Self::Node { .. }
            | Self::Nodes { .. }
            | Self::DataCommitment { .. }
            | Self::Task { .. }
            | Self::Round { .. }
            | Self::PublicKeys { .. }
            | Self::ResultCommitment { .. }
            | Self::ShareRecords { .. }
            | Self::WeightCommitment { .. }
            | Self::VerifierState { .. } => None,
        }
    }

    /// Whether some string of the call holds U+0000, which the record refuses as the reference does.
    #[must_use]
    pub fn holds_nul(&self) -> bool {
        let any = |texts: &[&str]| texts.iter().any(|t| t.contains('\0'));
        let list = |texts: &[String]| texts.iter().any(|t| t.contains('\0'));
        match self {
            Self::Join { url, name } => any(&[url, name]),
            Self::JoinAs { address, url, name } => any(&[address, url, name]),
            Self::UpdateUrl { address, url: text }
            | Self::UpdateName {
                address,
                name: text,
            } => any(&[address, text]),
            Self::Leave { address } | Self::Node { address } => any(&[address]),
            Self::Nodes { .. } => false,
            Self::RegisterData {
                address,
                name,
                commitment,
                ..
            } => any(&[address, name, commitment]),
            Self::DataCommitment { address, name, .. } => any(&[address, name]),
            Self::CreateTask(t) => any(&[&t.address, &t.dataset, &t.commitment, &t.task_type]),
            Self::FinishTask { address, task, .. } | Self::Confirm { address, task } => {
                any(&[address, task])
            }
            Self::Task { task, .. }
            | Self::WeightCommitment { task, .. }
            | Self::VerifierState { task } => any(&[task]),
            Self::StartRound {
                at,
                address,
                weight_commitment,
            } => any(&[&at.task, address, weight_commitment]),
            Self::JoinRound {
                at,
                address,
                pk1,
                pk2,
            } => any(&[&at.task, address, pk1, pk2]),
            Self::Round { at } => any(&[&at.task]),
            Self::Advance {
                at,
                address,
                clients,
                ..
            } => any(&[&at.task, address]) || list(clients),
            Self::UploadCommitments {
                at,
                address,
                receivers: a,
                commitments: b,
                ..
            }
            | Self::UploadShares {
                at,
                address,
                senders: a,
                shares: b,
                ..
            } => any(&[&at.task, address]) || list(a) || list(b),
            Self::PublicKeys { at, clients } => any(&[&at.task]) || list(clients),
            Self::UploadResult {
                at,
                address,
                commitment,
            } => any(&[&at.task, address, commitment]),
            Self::ResultCommitment { at, client } => any(&[&at.task, client]),
            Self::ShareRecords {
                at,
                senders,
                receiver,
            } => any(&[&at.task, receiver]) || list(senders),
            Self::EndRound { at, address } => any(&[&at.task, address]),
            Self::Verify(p) => any(&[&p.address, &p.task, &p.proof]) || list(&p.pub_signals),
        }
    }
}
