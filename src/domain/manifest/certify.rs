//! The last round of a task whose answer is certified: what its rows are, and what is proven of them (docs/protocol/certificate.md).

use serde::{Deserialize, Serialize};

use crate::ids::Name;

/// Most columns of a certified answer.
pub const MAX_CERTIFIED_COLUMNS: usize = 64;
/// Most rows of one member's table in a certified task.
pub const MAX_CERTIFIED_ROWS: usize = 1 << 17;
/// Most members of a certified task.
pub const MAX_CERTIFIED_MEMBERS: u32 = 1000;
/// The least that may be allowed to remain: about as much as roundings leave open.
pub const MIN_TOLERANCE: f64 = 1e-5;
/// The most: beyond it a certificate would say next to nothing.
pub const MAX_TOLERANCE: f64 = 0.1;
/// Cells that a member proves in a second, and that fit a MiB; and what it needs beside them.
const CELLS_A_SECOND: u64 = 1_500_000;
const CELLS_A_MEBIBYTE: u64 = 100_000;
const PROVER_MEBIBYTES: u64 = 16;
/// Name of the sum whose records are the columns, in the order of [`Certify::columns`].
pub const CERTIFIED_X: &str = "x";
/// Name of the sum whose records are the labels.
pub const CERTIFIED_Y: &str = "y";
/// Name of the sum whose records say whether a row counts, 1 or 0.
pub const CERTIFIED_KEPT: &str = "kept";

/// What a round proves instead of summing. Only a task's last round has it.
///
/// Its map is one step under the driver `records` that makes `x`, `y` and `kept` of each record; nothing of it is contributed. Members
/// commit to these rows before the first round, and prove in this one what the answer leaves open on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Certify {
    /// The kind of answer.
    pub model: CertifiedModel,
    /// The columns of `x`, in order; 1 to 64.
    pub columns: Vec<CertifiedColumn>,
    /// What `y` is, of [`CertifiedModel::Linear`] and only there: labels of the other are 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<CertifiedColumn>,
    /// The server variable that is the answer: one number a column and the intercept, `f64`.
    pub answer: Name,
    /// At which place of the answer the intercept stands, from 0; the columns' coefficients have the other places, in order.
    pub intercept: usize,
    /// What may remain: the largest component of the gradient, divided by the rows, with each column running from -1 to 1. From
    /// 1e-5 to 0.1.
    pub tolerance: f64,
}

/// The kind of a certified answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CertifiedModel {
    /// Logistic regression with an intercept; labels are 0 and 1.
    Logistic,
    /// Linear regression with an intercept, by least squares; labels lie within their bounds.
    Linear,
}

/// One column of a certified answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CertifiedColumn {
    /// What it is called, for people.
    pub name: String,
    /// The smallest number that a cell may be. A member with another cell takes no part.
    pub low: f64,
    /// The largest one.
    pub high: f64,
}

/// Whether cells can be told apart between two bounds: finite, the lower one first, half their width a normal number.
#[must_use]
pub fn usable_bounds(low: f64, high: f64) -> bool {
    low < high && low.is_finite() && high.is_finite() && (high / 2.0 - low / 2.0).is_normal()
}

/// What a proof takes, with the commitment to its rows: an estimate on the high side of what benches/certificate.rs measures
/// (docs/performance.md, Certificates).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Seconds of one processor.
    pub seconds: u64,
    /// Memory in MiB.
    pub mebibytes: u64,
}

impl Effort {
    /// Of so many cells of both matrices.
    fn of(cells: u64) -> Self {
        Self {
            seconds: cells.div_ceil(CELLS_A_SECOND).saturating_add(1),
            mebibytes: PROVER_MEBIBYTES.saturating_add(cells.div_ceil(CELLS_A_MEBIBYTE)),
        }
    }
}

impl CertifiedModel {
    /// In words: `logistic regression`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Logistic => "logistic regression",
            Self::Linear => "linear regression",
        }
    }
}

impl Certify {
    /// What it takes a member to prove so many rows.
    #[must_use]
    pub fn effort(&self, rows: u64) -> Effort {
        let most = u64::try_from(MAX_CERTIFIED_ROWS).unwrap_or(u64::MAX);
        let capacity = rows.clamp(16, most).next_power_of_two();
        let columns = u64::try_from(self.columns.len()).unwrap_or(u64::MAX);
        let bits = columns.saturating_mul(19).saturating_add(match self.model {
            CertifiedModel::Logistic => 82,
            CertifiedModel::Linear => 20,
        });
        Effort::of(capacity.saturating_mul(bits))
    }

    /// All columns with bounds: those of `x`, and `y` where it has bounds of its own.
    pub fn bounded(&self) -> impl Iterator<Item = &CertifiedColumn> {
        self.columns.iter().chain(&self.label)
    }

    /// Coefficients in the order of the columns, and the intercept last; `None` where the answer has another length.
    #[must_use]
    pub fn ordered(&self, answer: &[f64]) -> Option<Vec<f64>> {
        if answer.len() != self.columns.len().checked_add(1)? {
            return None;
        }
        let mut ordered = answer.to_vec();
        if self.intercept >= ordered.len() {
            return None;
        }
        let intercept = ordered.remove(self.intercept);
        ordered.push(intercept);
        Some(ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows, columns, seconds of commitment and proof together, and MiB: the table of docs/performance.md.
    const MEASURED: [(u64, usize, f64, u64); 5] = [
        (100, 3, 0.056, 1),
        (1_000, 10, 0.344, 3),
        (1_000, 20, 0.328, 5),
        (10_000, 10, 2.684, 43),
        (100_000, 10, 18.496, 335),
    ];

    #[test]
    fn what_a_proof_takes_is_told_on_the_high_side() {
        for (rows, columns, seconds, mebibytes) in MEASURED {
            let column = |n: usize| CertifiedColumn {
                name: format!("x{n}"),
                low: 0.0,
                high: 1.0,
            };
            let certify = Certify {
                model: CertifiedModel::Logistic,
                columns: (0..columns).map(column).collect(),
                label: None,
                answer: "w".parse().unwrap(),
                intercept: 0,
                tolerance: 1e-4,
            };
            let told = certify.effort(rows);
            let shown = u32::try_from(told.seconds).unwrap();
            assert!(f64::from(shown) >= seconds, "{rows}: {told:?}");
            assert!(f64::from(shown) <= 1.5 * seconds + 2.0, "{rows}: {told:?}");
            let fits = mebibytes..=mebibytes * 3 / 2 + 32;
            assert!(fits.contains(&told.mebibytes), "{rows}: {told:?}");
        }
    }
}
