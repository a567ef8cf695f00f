//! Certified answers: a member proves, about a table that it committed to before training, what the answer of a task leaves open on it,
//! and shows it only under masks that cancel over the members.
//!
//! For a logistic or linear regression what is shown is the gradient at the published weights: where its sum over members is zero, these
//! weights are the optimum for exactly the tables that were committed to. For means it is the sum of deviations from them.
//! What is proven, and the bytes, are in `docs/protocol/certificate.md`.
//!
//! It is not [`super::prover`], the client of the original's PLONK service.

use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::manifest::usable_bounds;
use delta_domain::secret::Secret;
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};

use super::{PortError, PortErrorKind};

/// 1.0 as a weight of a [`Claim`].
pub const WEIGHT_UNIT: f64 = 4_194_304.0;
/// No weight of a claim is further from zero: 1,024.0.
pub const MAX_WEIGHT: i64 = 1 << 32;

/// What kind of answer is certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Model {
    /// Logistic regression with an intercept; labels are 0 and 1.
    Logistic,
    /// Least squares with an intercept; labels have bounds as features do.
    Linear,
    /// The mean of every column; no labels, no intercept.
    Mean,
}

/// Between which numbers the cells of a column lie, both included. A row outside is refused, never clipped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The smallest number.
    pub low: f64,
    /// The largest number, above `low`.
    pub high: f64,
}

impl Bounds {
    /// Whether cells can be told apart between them: two numbers, the lower one first, and half their width neither without bound nor too
    /// small to divide by.
    #[must_use]
    pub fn are_usable(&self) -> bool {
        usable_bounds(self.low, self.high)
    }

    /// Half their width.
    #[must_use]
    pub fn half(&self) -> f64 {
        self.high / 2.0 - self.low / 2.0
    }

    /// Their middle.
    #[must_use]
    pub fn middle(&self) -> f64 {
        self.high / 2.0 + self.low / 2.0
    }
}

/// What a table holds, known before training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The kind of answer.
    pub model: Model,
    /// Bounds of each feature, in order; 1 to 64.
    pub features: Vec<Bounds>,
    /// Bounds of the labels; for [`Model::Linear`] and only there.
    pub label: Option<Bounds>,
}

impl Schema {
    /// How many weights its answer has: one a feature and, but for means, the intercept behind them.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.features.len() + usize::from(self.model != Model::Mean)
    }

    /// Weights of a [`Claim`] from coefficients in the columns' own units: one a feature, and the intercept last; for means, the means.
    ///
    /// Inside a claim every column runs from -1 to 1 over its bounds, and weights are whole numbers of 1 / [`WEIGHT_UNIT`].
    ///
    /// # Errors
    /// `Rejected` when the number of coefficients is wrong, or one is too large for a claim.
    pub fn scaled(&self, coefficients: &[f64]) -> Result<Vec<i64>, PortError> {
        let fail = |text: String| PortError::new(PortErrorKind::Rejected, "certifier.scaled", text);
        if coefficients.len() != self.weights() {
            let (got, want) = (coefficients.len(), self.weights());
            return Err(fail(format!(
                "{got} coefficients where the answer has {want}"
            )));
        }
        let (slopes, intercept) = coefficients.split_at(self.features.len());
        let columns = || slopes.iter().zip(&self.features);
        let mut scaled: Vec<f64> = match self.model {
            Model::Mean => columns()
                .map(|(mean, b)| (mean - b.middle()) / b.half())
                .collect(),
            Model::Logistic | Model::Linear => {
                let constant: f64 = columns().map(|(slope, b)| slope * b.middle()).sum();
                let constant = constant + intercept.iter().sum::<f64>();
                columns()
                    .map(|(slope, b)| slope * b.half())
                    .chain([constant])
                    .collect()
            }
        };
        if let Some(label) = &self.label {
            if let Some(constant) = scaled.last_mut() {
                *constant -= label.middle();
            }
            scaled.iter_mut().for_each(|weight| *weight /= label.half());
        }
        let whole = |(at, weight): (usize, f64)| {
            let weight = (weight * WEIGHT_UNIT).round_ties_even();
            // In range, so nothing is cut off; NaN is not in range.
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
            if weight.abs() <= MAX_WEIGHT as f64 {
                Ok(weight as i64)
            } else {
                Err(fail(format!(
                    "coefficient {at} is more than 1,024 where its column runs from -1 to 1: widen no bounds that far, or scale the column"
                )))
            }
        };
        scaled.into_iter().enumerate().map(whole).collect()
    }
}

/// Rows of a table as they were preprocessed.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Row after row, one number a feature.
    pub features: &'a [f64],
    /// One a row; none for means.
    pub labels: &'a [f64],
}

/// Whose table, in which task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The task.
    pub task: TaskId,
    /// The member.
    pub member: Address,
}

/// What all members of one attempt prove alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// What the tables hold.
    pub schema: Schema,
    /// The task.
    pub task: TaskId,
    /// The task's bundle.
    pub bundle: Digest,
    /// The round of this attempt; another attempt has another one.
    pub round: RoundNumber,
    /// The answer, as [`Schema::scaled`] gives it.
    pub weights: Vec<i64>,
}

impl Claim {
    /// The answer in the columns' own units: the inverse of [`Schema::scaled`].
    #[must_use]
    pub fn coefficients(&self) -> Vec<f64> {
        // Below 2^33.
        #[allow(clippy::cast_precision_loss)]
        let weights = self
            .weights
            .iter()
            .map(|weight| *weight as f64 / WEIGHT_UNIT);
        let weights: Vec<f64> = weights.collect();
        let columns = || weights.iter().zip(&self.schema.features);
        if self.schema.model == Model::Mean {
            return columns().map(|(w, b)| b.middle() + w * b.half()).collect();
        }
        let (half, middle) = self
            .schema
            .label
            .map_or((1.0, 0.0), |b| (b.half(), b.middle()));
        let mut out: Vec<f64> = columns().map(|(w, b)| w / b.half() * half).collect();
        let moved: f64 = out
            .iter()
            .zip(&self.schema.features)
            .map(|(slope, b)| slope * b.middle())
            .sum();
        let intercept = weights.get(out.len()).copied().unwrap_or_default();
        out.push(intercept * half + middle - moved);
        out
    }
}

/// A member with which masks are shared, and the key of this pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub address: Address,
    /// Known to the two and to nobody else; fresh in every round.
    pub key: Secret<32>,
}

/// What a member proves from.
#[derive(Debug, Clone, Copy)]
pub struct Witness<'a> {
    /// Its address.
    pub member: &'a Address,
    /// The table as it was committed to.
    pub rows: Rows<'a>,
    /// Room for this many rows, as it was committed to.
    pub capacity: u32,
    /// The salt as it was committed with.
    pub salt: &'a Secret<32>,
    /// At least one, each once.
    pub peers: &'a [Peer],
}

/// A member's proof, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// The member.
    pub member: Address,
    /// The commitment that its table was proven to have.
    pub commitment: Digest,
}

/// A certificate, each of its proofs checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was proven.
    pub claim: Claim,
    /// The members in the order of the certificate.
    pub members: Vec<Proven>,
    /// Rows of all members together.
    pub rows: u64,
    /// What remains: the largest of |sum over rows| / rows over the weights, columns running from -1 to 1.
    pub norm: f64,
    /// What the author allows to remain.
    pub tolerance: f64,
}

impl Verdict {
    /// Whether the answer is certified: what remains is within the tolerance.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.norm <= self.tolerance
    }
}

/// Makes and checks certificates. Calls compute for up to seconds and wait for nothing: they belong on `Compute`.
///
/// Obligations on implementers: whatever bytes they are given, [`Certifier::verify`] and [`Certifier::judge`] end without a panic and with
/// memory of the order of these bytes; nothing that is returned tells more of a table than that it fits, its capacity and its masked sums;
/// secrets are wiped.
pub trait Certifier: Send + Sync + 'static {
    /// The commitment to a table that is registered before training. `capacity` is the room for rows that others see, a power of two.
    ///
    /// # Errors
    /// `Rejected` when a row does not fit the schema or there is no room, with its place.
    fn commit(
        &self,
        schema: &Schema,
        owner: &Owner,
        rows: Rows<'_>,
        capacity: u32,
        salt: &Secret<32>,
    ) -> Result<Digest, PortError>;

    /// A member's message: its masked sums and the proof.
    ///
    /// # Errors
    /// `Rejected` when claim, rows or peers do not fit each other.
    fn prove(
        &self,
        claim: &Claim,
        witness: &Witness<'_>,
        rng: &mut ChaCha20Rng,
    ) -> Result<Vec<u8>, PortError>;

    /// Checks one member's message.
    ///
    /// # Errors
    /// `Corrupt` when it is no valid proof of this claim.
    fn verify(&self, claim: &Claim, message: &[u8]) -> Result<Proven, PortError>;

    /// Puts members' messages together; they are not checked here.
    ///
    /// # Errors
    /// `Rejected` when there are too few, too many, or too large ones.
    fn assemble(
        &self,
        claim: &Claim,
        tolerance: f64,
        messages: &[Vec<u8>],
    ) -> Result<Vec<u8>, PortError>;

    /// Checks a certificate from its bytes alone: every proof, that pairs published alike, and how much remains.
    /// Whether the commitments are the registered ones is for the caller to compare.
    ///
    /// # Errors
    /// `Corrupt` when it is no certificate or a part of it does not hold, with the member's address where one can be named.
    fn judge(&self, certificate: &[u8]) -> Result<Verdict, PortError>;
}
