//! Which bits a row has, how rows are gathered into commitments, and how large everything is.
//!
//! A row of the data matrix: 19 bits a feature, the label (one bit, or 19), and whether the row is real. Logistic regression has a second
//! matrix, made when the weights are known, with what the sigmoid of a row needs: [`aux`]. Its last column is a number, all others are bits.

use delta_ports::certifier::{Model, Schema};

use crate::error::ProofError;

/// Bits of a feature.
pub(crate) const FEATURE_BITS: usize = 19;
/// 1.0 as a feature: the half width of its bounds.
pub(crate) const UNIT: i64 = (1 << 18) - 1;
/// What is added to a feature before its bits are taken.
pub(crate) const OFFSET: i64 = 1 << 18;
/// Fractional bits of a weight.
pub(crate) const WEIGHT_BITS: u32 = 22;
/// Features of a table at most.
pub(crate) const MAX_FEATURES: usize = 64;
/// The least room for rows: three variables are bound before anything is unfolded, and one is left for hiding.
pub(crate) const MIN_LOG_ROWS: usize = 4;
/// The largest room for rows of one member: 131,072.
pub(crate) const MAX_LOG_ROWS: usize = 17;
/// Members of a certificate at most.
pub(crate) const MAX_MEMBERS: usize = 1_000;

/// Columns of the second matrix, in order.
pub(crate) mod aux {
    /// Whether u is negative.
    pub(crate) const NEGATIVE: usize = 0;
    /// Whether |u| is 16 or more.
    pub(crate) const SATURATED: usize = 1;
    /// What is above 16 then, in steps of 2: 2^41, which is what segments of no group leave.
    pub(crate) const EXCESS: usize = 2;
    /// Its bits.
    pub(crate) const EXCESS_BITS: usize = 16;
    /// Which of eight groups of segments: one bit each, none when saturated.
    pub(crate) const GROUP: usize = EXCESS + EXCESS_BITS;
    /// Groups.
    pub(crate) const GROUPS: usize = 8;
    /// Which of a group's sixteen segments: one bit each.
    pub(crate) const SEGMENT: usize = GROUP + GROUPS;
    /// Segments of a group.
    pub(crate) const SEGMENTS: usize = 16;
    /// Where in the segment.
    pub(crate) const LOW: usize = SEGMENT + SEGMENTS;
    /// Its bits: a segment is 2^37 of the 2^40 that are 1.0.
    pub(crate) const LOW_BITS: usize = 37;
    /// The highest of them, by which is interpolated.
    pub(crate) const STEP_BITS: usize = 14;
    /// All bits.
    pub(crate) const BITS: usize = LOW + LOW_BITS;
    /// |sigmoid(u) - 1/2|, the one number.
    pub(crate) const HEIGHT: usize = BITS;
    /// All columns.
    pub(crate) const COLUMNS: usize = BITS + 1;
}

/// Sizes of one member's proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) model: Model,
    pub(crate) features: usize,
    /// log2 of the room for rows.
    pub(crate) log_rows: usize,
    /// log2 of how many rows one commitment covers.
    pub(crate) log_block: usize,
}

impl Layout {
    /// # Errors
    /// When the schema or the room is outside the limits.
    pub(crate) fn new(schema: &Schema, log_rows: usize) -> Result<Self, ProofError> {
        check_schema(schema)?;
        if !(MIN_LOG_ROWS..=MAX_LOG_ROWS).contains(&log_rows) {
            return Err(ProofError::new(format!(
                "room for 2^{log_rows} rows is outside 2^{MIN_LOG_ROWS} to 2^{MAX_LOG_ROWS}"
            )));
        }
        let mut layout = Self {
            model: schema.model,
            features: schema.features.len(),
            log_rows,
            log_block: 0,
        };
        // A commitment costs the verifier about twice what one more entry of the opened row does.
        let cost = |m: usize| (2 << (log_rows - m)) + (layout.data_columns() << m);
        layout.log_block = (0..log_rows).min_by_key(|m| cost(*m)).unwrap_or(0);
        Ok(layout)
    }

    pub(crate) fn rows(&self) -> usize {
        1 << self.log_rows
    }

    /// Rows that one commitment covers.
    pub(crate) fn block(&self) -> usize {
        1 << self.log_block
    }

    /// Commitments of one matrix.
    pub(crate) fn commitments(&self) -> usize {
        1 << (self.log_rows - self.log_block)
    }

    /// Bits of a label.
    pub(crate) fn label_bits(&self) -> usize {
        match self.model {
            Model::Logistic => 1,
            Model::Linear => FEATURE_BITS,
            Model::Mean => 0,
        }
    }

    /// The first column of the label.
    pub(crate) fn label(&self) -> usize {
        self.features * FEATURE_BITS
    }

    /// The column that says whether a row is real.
    pub(crate) fn real(&self) -> usize {
        self.label() + self.label_bits()
    }

    pub(crate) fn data_columns(&self) -> usize {
        self.real() + 1
    }

    pub(crate) fn aux_columns(&self) -> usize {
        if self.has_aux() { aux::COLUMNS } else { 0 }
    }

    pub(crate) fn has_aux(&self) -> bool {
        self.model == Model::Logistic
    }

    /// Columns of both matrices.
    pub(crate) fn columns(&self) -> usize {
        self.data_columns() + self.aux_columns()
    }

    /// Columns that hold bits: all but the last of logistic regression.
    pub(crate) fn bit_columns(&self) -> usize {
        self.columns() - usize::from(self.has_aux())
    }

    pub(crate) fn weights(&self) -> usize {
        self.features + usize::from(self.model != Model::Mean)
    }

    /// Masked sums: one a weight, and the number of rows.
    pub(crate) fn signals(&self) -> usize {
        self.weights() + 1
    }

    /// The degree of a round's polynomial: of every round but the last, and of the last.
    pub(crate) fn degrees(&self) -> (usize, usize) {
        match self.model {
            Model::Logistic => (5, 9),
            Model::Linear => (3, 6),
            Model::Mean => (3, 5),
        }
    }

    pub(crate) fn degree(&self, round: usize) -> usize {
        let (inner, last) = self.degrees();
        if round + 1 == self.log_rows {
            last
        } else {
            inner
        }
    }

    /// Scalars of all rounds' messages: a polynomial's coefficients but the linear one.
    pub(crate) fn pads(&self) -> usize {
        (0..self.log_rows).map(|round| self.degree(round)).sum()
    }

    /// Generators that commitments of this size need.
    pub(crate) fn generators(&self) -> usize {
        (self.data_columns() << self.log_block)
            .max(self.aux_columns() << self.log_block)
            .max(self.pads())
            .max(self.signals())
    }
}

fn check_schema(schema: &Schema) -> Result<(), ProofError> {
    let features = schema.features.len();
    if !(1..=MAX_FEATURES).contains(&features) {
        return Err(ProofError::new(format!(
            "{features} features where 1 to {MAX_FEATURES} can be certified"
        )));
    }
    if schema.label.is_some() != (schema.model == Model::Linear) {
        return Err(ProofError::new(
            "bounds of labels belong to linear regression, and only there",
        ));
    }
    for (at, bounds) in schema.features.iter().chain(&schema.label).enumerate() {
        if !bounds.are_usable() {
            return Err(ProofError::new(format!(
                "bounds of column {at} are not two numbers, the lower one first"
            )));
        }
    }
    Ok(())
}
