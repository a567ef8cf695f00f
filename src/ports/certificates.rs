//! Certificates made and checked where a task's bytes cannot harm the node: beside its executor.
//!
//! What a certificate is, and how it is made, says [`super::certifier`]; here is who reads the rows, and whose process computes.

use std::sync::Arc;

use async_trait::async_trait;
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Digest, TaskId};
use delta_domain::manifest::{CertifiedColumn, CertifiedModel, Certify};
use delta_domain::records::{ReleaseRules, ReleasedRows};
use delta_domain::secret::Secret;
use serde::{Deserialize, Serialize};

use super::certifier::{Bounds, Certifier, Claim, Model, Peer, Schema, Verdict};
use super::{PortError, PortErrorKind};

/// The most bytes of one member's proof.
pub const MAX_PROOF_BYTES: u64 = 4 << 20;
/// The most bytes of a certificate, so that it can be checked in one worker's memory.
pub const MAX_CERTIFICATE_BYTES: u64 = 512 << 20;
/// The least room for rows that a commitment shows.
pub const MIN_CAPACITY: u32 = 16;

/// A member's table in a certified task: which rows, and what hides them.
#[derive(Debug, Clone)]
pub struct TableJob {
    /// The task's bundle; its last round says how rows are made.
    pub bundle: Arc<Bundle>,
    /// The task.
    pub task: TaskId,
    /// The member.
    pub member: Address,
    /// What nobody else knows of the commitment.
    pub salt: Secret<32>,
    /// What must hold of the rows' sums before anything of them leaves; `None` where the owner has allowed this very task.
    pub rules: Option<ReleaseRules>,
}

/// A table that was committed to.
#[derive(Debug, Clone)]
pub struct CommittedTable {
    /// What is published.
    pub commitment: Digest,
    /// Room for rows that others see, a power of two.
    pub capacity: u32,
    /// Its rows, for the log of this node only.
    pub rows: u64,
}

/// A proof to make.
#[derive(Debug, Clone)]
pub struct ProveJob {
    /// The table, as it was committed to.
    pub table: TableJob,
    /// Its commitment. Other rows are not proven.
    pub commitment: Digest,
    /// The room as it was committed to.
    pub capacity: u32,
    /// What is proven.
    pub claim: Claim,
    /// All other members.
    pub peers: Vec<Peer>,
    /// What the proof's randomness is drawn from; of this proof alone.
    pub seed: Secret<32>,
}

/// A proof that was made.
#[derive(Debug, Clone)]
pub struct Proof {
    /// What the coordinator gets.
    pub message: Vec<u8>,
    /// Which records are in its sums, where there are rules for such sums. For this node only.
    pub released: Vec<ReleasedRows>,
}

/// Makes and checks certificates, contained.
///
/// Obligations on implementers, beside those of [`Executor`](super::executor::Executor): whatever bytes come, a check ends within limits on
/// memory and time, and cannot end this node's process. Rows that do not fit are `Corrupt` with their place, a table that is not the one
/// that was committed to as well; a proof or certificate that does not hold is `Corrupt`, with the member's address where one can be named.
#[async_trait]
pub trait Certificates: Send + Sync {
    /// Makes the rows of a member's table and commits to them.
    async fn commit(&self, job: TableJob) -> Result<CommittedTable, PortError>;

    /// Makes them again, and proves what an answer leaves open on them.
    async fn prove(&self, job: ProveJob) -> Result<Proof, PortError>;

    /// Puts proofs together, and checks what comes of it. Each comes with who has handed it in: that one is named where it does not hold, and
    /// where it is somebody else's.
    async fn assemble(
        &self,
        claim: &Claim,
        tolerance: f64,
        messages: Vec<(Address, Vec<u8>)>,
    ) -> Result<(Vec<u8>, Verdict), PortError>;

    /// Checks a certificate.
    async fn judge(&self, certificate: Vec<u8>) -> Result<Verdict, PortError>;
}

/// Puts proofs together and checks what comes of it; `members` have handed them in, in this order.
///
/// # Errors
/// `Corrupt` with who has handed a proof in that does not hold, or is of somebody else, whatever address is inside; or that proofs do not fit
/// together. `Rejected` when there are too few or too many.
pub fn certified(
    certifier: &dyn Certifier,
    claim: &Claim,
    tolerance: f64,
    members: &[Address],
    messages: &[Vec<u8>],
) -> Result<(Vec<u8>, Verdict), PortError> {
    let corrupt = |text: String| PortError::new(PortErrorKind::Corrupt, "certificates.of", text);
    let together = match certifier.assemble(claim, tolerance, messages) {
        Ok(certificate) => match certifier.judge(&certificate) {
            Ok(verdict) => return Ok((certificate, verdict)),
            Err(e) => e,
        },
        Err(e) => e,
    };
    // Each by itself: so a wrong one is named, whatever the others are.
    for (member, message) in members.iter().zip(messages) {
        match certifier.verify(claim, message) {
            Ok(proven) if proven.member == *member => {}
            Ok(proven) => {
                let text = format!("{member}: it has handed in the proof of {}", proven.member);
                return Err(corrupt(text));
            }
            Err(e) => return Err(corrupt(format!("{member}: {}", e.message()))),
        }
    }
    if together.kind() == PortErrorKind::Rejected {
        return Err(together);
    }
    Err(corrupt(format!(
        "each proof holds alone, and not with the others: {}",
        together.message()
    )))
}

/// The least room for so many rows.
#[must_use]
pub fn capacity_for(rows: usize) -> u32 {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX).max(MIN_CAPACITY);
    rows.checked_next_power_of_two().unwrap_or(u32::MAX)
}

/// What the table of a certified task holds.
#[must_use]
pub fn schema_of(certify: &Certify) -> Schema {
    let bounds = |column: &CertifiedColumn| Bounds {
        low: column.low,
        high: column.high,
    };
    Schema {
        model: match certify.model {
            CertifiedModel::Logistic => Model::Logistic,
            CertifiedModel::Linear => Model::Linear,
        },
        features: certify.columns.iter().map(bounds).collect(),
        label: certify.label.as_ref().map(bounds),
    }
}

/// Rows of a certified task as a map makes them: those that count, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CertifiedRows {
    /// Row after row, one number a column.
    pub features: Vec<f64>,
    /// One a row.
    pub labels: Vec<f64>,
}
