//! Tables of certified tasks in the worker: committed to, proven, and certificates checked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::failure::{Failure, FailureKind};
use super::frame::{Blob, Blobs};
use super::job::{Proving, Reply, TableOwner};
use delta_domain::ids::{Address, Digest, Name};
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::PortError;
use delta_ports::certificates::{CertifiedRows, capacity_for, certified};
use delta_ports::certifier::{Certifier, Claim, Owner, Rows, Schema, Witness};

type Answer = (Reply, Blobs);

/// Rows that were made by another worker, and what they are for.
pub(super) struct Made<'m> {
    pub(super) certifier: Option<&'m dyn Certifier>,
    pub(super) schema: &'m Schema,
    pub(super) owner: &'m TableOwner,
    pub(super) rows: CertifiedRows,
}

impl Made<'_> {
    fn rows(&self) -> Rows<'_> {
        Rows {
            features: &self.rows.features,
            labels: &self.rows.labels,
        }
    }

    /// The commitment with room for so many rows.
    fn committed(&self, capacity: u32) -> Result<Digest, Failure> {
        let owner = Owner {
            task: self.owner.task.clone(),
            member: self.owner.member.clone(),
        };
        let salt = &self.owner.salt;
        let made = here(self.certifier)?.commit(self.schema, &owner, self.rows(), capacity, salt);
        // The rows are this node's, and what does not fit of them is nobody's to learn.
        made.map_err(|e| Failure::corrupt(e.message()))
    }

    pub(super) fn commit(&self) -> Result<Answer, Failure> {
        let count = self.rows.labels.len();
        if count == 0 {
            return Err(Failure::corrupt("no row of the table counts"));
        }
        let capacity = capacity_for(count);
        let reply = Reply::Committed {
            commitment: self.committed(capacity)?,
            capacity,
            rows: u64::try_from(count).unwrap_or(u64::MAX),
        };
        Ok((reply, Blobs::new()))
    }

    /// Proves, if the rows are still those that were committed to.
    pub(super) fn prove(&self, proving: &Proving) -> Result<Answer, Failure> {
        if self.committed(proving.capacity)? != proving.commitment {
            return Err(Failure::corrupt(
                "the table is not the one that was committed to before the first round: its data have changed since",
            ));
        }
        let witness = Witness {
            member: &self.owner.member,
            rows: self.rows(),
            capacity: proving.capacity,
            salt: &self.owner.salt,
            peers: &proving.peers,
        };
        let mut rng = ChaCha20Rng::from_seed(*proving.seed.expose());
        let message = here(self.certifier)?.prove(&proving.claim, &witness, &mut rng);
        let message = message.map_err(failure)?;
        Ok((Reply::ProvedTable, vec![Blob::Bytes(Cow::Owned(message))]))
    }
}

/// Rows as they cross the pipes, one list after the other.
pub(super) fn column(numbers: Vec<f64>) -> Result<Blob<'static>, Failure> {
    let tensor = Tensor::new(vec![numbers.len()], TensorData::F64(numbers));
    let tensor = tensor.map_err(|e| Failure::internal(e.to_string()))?;
    Ok(Blob::Tensor(Cow::Owned(tensor)))
}

/// The rows that came as variables: features and labels, in the order of their names.
pub(super) fn rows(variables: BTreeMap<Name, Tensor>) -> Result<CertifiedRows, Failure> {
    let mut lists = variables.into_values().map(Tensor::into_data);
    let mut next = || match lists.next() {
        Some(TensorData::F64(numbers)) => Ok(numbers),
        _ => Err(Failure::internal("no rows came")),
    };
    Ok(CertifiedRows {
        features: next()?,
        labels: next()?,
    })
}

/// Puts proofs together, and checks what comes of it. `members` have handed them in, in this order.
pub(super) fn assemble(
    certifier: Option<&dyn Certifier>,
    claim: &Claim,
    tolerance: f64,
    members: &[Address],
    messages: &[Vec<u8>],
) -> Result<Answer, Failure> {
    let certifier = here(certifier)?;
    let made = certified(certifier, claim, tolerance, members, messages);
    let (certificate, verdict) = made.map_err(failure)?;
    let reply = Reply::Judged {
        verdict: Box::new(verdict),
    };
    Ok((reply, vec![Blob::Bytes(Cow::Owned(certificate))]))
}

/// Checks a certificate.
pub(super) fn judge(
    certifier: Option<&dyn Certifier>,
    certificate: &[u8],
) -> Result<Answer, Failure> {
    let verdict = here(certifier)?.judge(certificate).map_err(failure)?;
    let reply = Reply::Judged {
        verdict: Box::new(verdict),
    };
    Ok((reply, Blobs::new()))
}

fn here(certifier: Option<&dyn Certifier>) -> Result<&dyn Certifier, Failure> {
    certifier.ok_or_else(|| {
        Failure::new(
            FailureKind::Unavailable,
            "this program was built without certificates: build it with the feature `prover`",
        )
    })
}

fn failure(error: PortError) -> Failure {
    let kind = match error.kind() {
        delta_ports::PortErrorKind::Corrupt => FailureKind::Corrupt,
        _ => FailureKind::Rejected,
    };
    Failure::new(kind, error.message())
}
