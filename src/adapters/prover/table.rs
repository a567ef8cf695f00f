//! A table in whole numbers: what is committed to.

use delta_ports::certifier::{Bounds, Model, Rows, Schema};
use zeroize::Zeroize as _;

use crate::error::ProofError;
use crate::layout::{Layout, OFFSET, UNIT};

/// Rows rounded to their bounds. Wiped on drop.
pub(crate) struct Table {
    layout: Layout,
    rows: usize,
    /// Row after row, each between -`UNIT` and `UNIT`.
    features: Vec<i32>,
    /// One a row: 0 or 1, or as a feature.
    labels: Vec<i32>,
}

impl Drop for Table {
    fn drop(&mut self) {
        self.features.zeroize();
        self.labels.zeroize();
    }
}

impl Table {
    /// # Errors
    /// When a row does not fit, or there is no room for all of them.
    pub(crate) fn new(schema: &Schema, layout: Layout, rows: Rows<'_>) -> Result<Self, ProofError> {
        let width = schema.features.len();
        let count = rows.features.len() / width;
        if !rows.features.len().is_multiple_of(width) {
            let cells = rows.features.len();
            return Err(ProofError::new(format!(
                "{cells} cells are not whole rows of {width} features"
            )));
        }
        let labels = if schema.model == Model::Mean {
            0
        } else {
            count
        };
        if rows.labels.len() != labels {
            let got = rows.labels.len();
            return Err(ProofError::new(format!(
                "{got} labels where {labels} belong to {count} rows"
            )));
        }
        if count > layout.rows() {
            let room = layout.rows();
            return Err(ProofError::new(format!(
                "{count} rows where there is room for {room}: give a larger capacity"
            )));
        }
        let mut table = Self {
            layout,
            rows: count,
            features: Vec::with_capacity(rows.features.len()),
            labels: Vec::with_capacity(labels),
        };
        for (at, cell) in rows.features.iter().enumerate() {
            let (row, column) = (at / width, at % width);
            let place = || format!("row {row}, feature {column}");
            let cell = rounded(*cell, &schema.features[column]).ok_or_else(outside);
            table.features.push(cell.map_err(|e| e.of(place()))?);
        }
        for (row, label) in rows.labels.iter().enumerate() {
            let label = match &schema.label {
                Some(bounds) => rounded(*label, bounds).ok_or_else(outside),
                #[allow(clippy::float_cmp)]
                None if *label == 0.0 || *label == 1.0 => Ok(i32::from(*label == 1.0)),
                None => Err(ProofError::new(
                    "neither 0 nor 1: recode labels in preprocess",
                )),
            };
            table
                .labels
                .push(label.map_err(|e| e.of(format!("row {row}, label")))?);
        }
        Ok(table)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// A feature; that of a row that is not real has no bit set.
    pub(crate) fn feature(&self, row: usize, column: usize) -> i64 {
        let at = row * self.layout.features + column;
        self.features
            .get(at)
            .map_or(-OFFSET, |cell| i64::from(*cell))
    }

    /// A label, in the same way.
    pub(crate) fn label(&self, row: usize) -> i64 {
        let unset = if self.layout.model == Model::Linear {
            -OFFSET
        } else {
            0
        };
        self.labels
            .get(row)
            .map_or(unset, |label| i64::from(*label))
    }

    /// w.x, with the intercept: 2^22 * `UNIT` is 1.0. Below 2^57 on either side, by the limits of weights and features.
    pub(crate) fn prediction(&self, row: usize, weights: &[i64]) -> i64 {
        let (slopes, intercept) = weights.split_at(self.layout.features);
        let terms = slopes
            .iter()
            .enumerate()
            .map(|(j, w)| w * self.feature(row, j));
        terms.sum::<i64>() + intercept.iter().sum::<i64>() * UNIT
    }
}

fn outside() -> ProofError {
    ProofError::new("outside its bounds: widen them, or leave the row out in preprocess")
}

fn rounded(cell: f64, bounds: &Bounds) -> Option<i32> {
    if !(bounds.low <= cell && cell <= bounds.high) {
        return None;
    }
    let unit = f64::from(i32::try_from(UNIT).ok()?);
    // Within the unit but for rounding, so nothing is cut off.
    #[allow(clippy::cast_possible_truncation)]
    let cell = ((cell - bounds.middle()) / bounds.half() * unit)
        .round_ties_even()
        .clamp(-unit, unit) as i32;
    Some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema {
            model: Model::Logistic,
            features: vec![
                Bounds {
                    low: 0.0,
                    high: 1.0,
                },
                Bounds {
                    low: -10.0,
                    high: 30.0,
                },
            ],
            label: None,
        }
    }

    fn table(features: &[f64], labels: &[f64]) -> Result<Table, String> {
        let layout = Layout::new(&schema(), 4).unwrap();
        Table::new(&schema(), layout, Rows { features, labels }).map_err(|e| e.to_string())
    }

    #[test]
    fn bounds_are_the_ends_and_their_middle_is_zero() {
        let table = table(&[0.0, 30.0, 1.0, 10.0], &[0.0, 1.0]).unwrap();
        let cells: Vec<i64> = (0..4).map(|at| table.feature(at / 2, at % 2)).collect();
        assert_eq!(cells, [-UNIT, UNIT, UNIT, 0]);
        assert_eq!((table.label(0), table.label(1), table.label(2)), (0, 1, 0));
        assert_eq!(table.feature(2, 0), -OFFSET);
        assert_eq!(table.prediction(1, &[2, 5, 7]), 9 * UNIT);
    }

    #[test]
    fn rows_that_do_not_fit_are_refused_with_their_place() {
        for (features, labels, place) in [
            (&[0.5, 31.0][..], &[0.0][..], "row 0, feature 1: outside"),
            (&[f64::NAN, 0.0], &[0.0], "row 0, feature 0: outside"),
            (&[0.5, 0.0], &[0.5], "row 0, label: neither"),
            (&[0.5], &[0.0], "not whole rows"),
            (&[0.5, 0.0], &[], "0 labels"),
            (&[0.5; 34], &[0.0; 17], "17 rows where there is room for 16"),
        ] {
            let error = table(features, labels).err().unwrap();
            assert!(error.contains(place), "{error}");
        }
    }
}
