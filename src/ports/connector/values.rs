//! Single values on their way: typed to wire form, and wire form to typed or refused.

use super::{
    NewTask, NodePage, NodeRecord, RawShareRecord, RoundKey, RoundStatus, ShareKind, TaskRecord,
    Verification,
};
use crate::{PortError, PortErrorKind};
use delta_domain::connector_record::{
    NewTaskEntry, NodeEntry, ProofEntry, RecordEvent, RejectionReason as Why, RoundRef, SecretKind,
    ShareEntry, Status, TaskEntry,
};
use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, RoundNumber, TaskId, TxHash};
use delta_domain::task::TaskKind;

pub(super) fn text(address: &Address) -> String {
    address.as_str().to_owned()
}

pub(super) fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(text).collect()
}

pub(super) fn at(op: &'static str, key: &RoundKey) -> Result<RoundRef, PortError> {
    Ok(RoundRef {
        kind: key.kind,
        task: key.task.to_string(),
        round: number(op, key.round)?,
    })
}

pub(super) fn number(op: &'static str, round: RoundNumber) -> Result<i32, PortError> {
    i32::try_from(round.0).map_err(|e| {
        PortError::new(
            PortErrorKind::Internal,
            op,
            "the round number does not fit the wire",
        )
        .with_source(e)
    })
}

pub(super) fn secret(kind: ShareKind) -> SecretKind {
    match kind {
        ShareKind::SelfMaskSeed => SecretKind::Seed,
        ShareKind::MaskKey => SecretKind::SecretKey,
    }
}

pub(super) fn status(status: Status) -> RoundStatus {
    match status {
        Status::Started => RoundStatus::Started,
        Status::Running => RoundStatus::Running,
        Status::Calculating => RoundStatus::Calculating,
        Status::Aggregating => RoundStatus::Aggregating,
        Status::Finished => RoundStatus::Finished,
    }
}

/// What stands for a commitment that is on record, by a connector's word, and that it does not show. It is no commitment's text.
pub const UNTOLD: &str = "on record, not shown";

/// A text, unless it is how an absent one reads at some connectors: `""`, `0x`.
pub(super) fn present(text: String) -> Option<String> {
    (!matches!(text.as_str(), "" | "0x")).then_some(text)
}

/// The same of 32 bytes: zeros are what nobody has written.
pub(super) fn written(text: String) -> Option<String> {
    let zeros = |text: &String| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        digits.len() == 64 && digits.bytes().all(|b| b == b'0')
    };
    present(text).filter(|text| !zeros(text))
}

pub(super) fn share(entry: ShareEntry) -> RawShareRecord {
    let present = |text: Option<String>| text.and_then(present);
    RawShareRecord {
        seed: present(entry.seed),
        seed_commitment: present(entry.seed_commitment),
        secret_key: present(entry.secret_key),
        secret_key_commitment: present(entry.secret_key_commitment),
    }
}

/// What a refusal says of the shares between one sender and a receiver; the error itself where it says nothing of them.
pub(super) fn share_refused(error: PortError) -> Result<RawShareRecord, PortError> {
    match error.reason() {
        // Commitments to seeds are looked for first.
        Some(Why::KeyCommitmentMissing) => Ok(RawShareRecord {
            seed_commitment: Some(UNTOLD.to_owned()),
            ..RawShareRecord::default()
        }),
        Some(
            Why::SeedCommitmentMissing | Why::NoSuchMember | Why::NoSuchRound | Why::NoSuchTask,
        ) => Ok(RawShareRecord::default()),
        _ => Err(error),
    }
}

/// An answer, or none where the refusal's reason says that there is nothing.
pub(super) fn or_absent<T>(
    answer: Result<T, PortError>,
    absent: &[Why],
) -> Result<Option<T>, PortError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(e) if e.reason().is_some_and(|why| absent.contains(&why)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// An event as the node sees it; none if it cannot be read.
pub(super) fn event(
    item: Result<RecordEvent, PortError>,
) -> Option<Result<NetworkEvent, PortError>> {
    match item.map(RecordEvent::parse) {
        Ok(Ok(event)) => Some(Ok(event)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "an unreadable event is skipped");
            None
        }
        Err(error) => Some(Err(error)),
    }
}

pub(super) fn node(op: &'static str, entry: NodeEntry) -> Result<NodeRecord, PortError> {
    Ok(NodeRecord {
        address: address(op, entry.address)?,
        url: entry.url,
        name: entry.name,
    })
}

/// A node that cannot be read is left out of the page, so that it hides no other one.
pub(super) fn page_of(op: &'static str, list: Vec<NodeEntry>, total: i32) -> NodePage {
    let readable = |entry| {
        node(op, entry)
            .inspect_err(|e| tracing::warn!(error = %e, "a node of the list is left out"))
            .ok()
    };
    NodePage {
        nodes: list.into_iter().filter_map(readable).collect(),
        total: u64::try_from(total).unwrap_or(0),
    }
}

/// What only `hlr` knows is not sent to the other service.
pub(super) fn new_task(task: &NewTask) -> NewTaskEntry {
    let hlr = task.kind == TaskKind::Hlr;
    NewTaskEntry {
        kind: task.kind,
        address: text(&task.owner),
        dataset: task.dataset.clone(),
        commitment: task.commitment.to_string(),
        task_type: task.kind.as_str().to_owned(),
        enable_verify: hlr && task.enable_verify,
        tolerance: if hlr { task.tolerance } else { 0 },
    }
}

pub(super) fn task_of(op: &'static str, entry: TaskEntry) -> Result<TaskRecord, PortError> {
    Ok(TaskRecord {
        owner: address(op, entry.address)?,
        url: entry.url,
        dataset: entry.dataset,
        commitment: entry.commitment,
        task_type: entry.task_type,
        finished: entry.finished,
        enable_verify: entry.enable_verify,
        tolerance: entry.tolerance,
    })
}

pub(super) fn proof_of(member: &Address, task: &TaskId, proof: &Verification) -> ProofEntry {
    ProofEntry {
        address: text(member),
        task: task.to_string(),
        weight_size: proof.weight_size,
        proof: proof.proof.clone(),
        pub_signals: proof.pub_signals.clone(),
        block_index: proof.block_index,
        samples: proof.samples,
        verdict: None,
    }
}

pub(super) fn address(op: &'static str, value: String) -> Result<Address, PortError> {
    Address::try_from(value)
        .map_err(|e| corrupt(op, "the connector answered with an invalid address", e))
}

pub(super) fn tx_of(op: &'static str, value: String) -> Result<TxHash, PortError> {
    TxHash::try_from(value).map_err(|e| {
        corrupt(
            op,
            "the connector answered with an invalid transaction hash",
            e,
        )
    })
}

pub(super) fn same_length(op: &'static str, got: usize, asked: usize) -> Result<(), PortError> {
    if got == asked {
        return Ok(());
    }
    Err(PortError::new(
        PortErrorKind::Corrupt,
        op,
        format!("the connector answered {got} entries for {asked}"),
    ))
}

pub(super) fn corrupt(
    op: &'static str,
    what: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> PortError {
    PortError::new(PortErrorKind::Corrupt, op, what).with_source(source)
}
