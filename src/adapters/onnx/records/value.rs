//! What is known of a value in a graph: how long its axes are, which of them counts records, and which columns have reached it.
//!
//! The one invariant: a value that depends on any record has an axis whose length is [`Dim::Rows`], and block i along it depends on
//! record i alone. A value without such an axis depends on no record, nor on how many there are in a batch.

use std::collections::BTreeSet;
use std::rc::Rc;

use delta_domain::tensor::DType;

/// A length, or a whole number that may become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dim {
    /// This number, whatever the inputs are.
    Known(i64),
    /// The number of records in the batch.
    Rows,
    /// Some number that depends neither on records nor on how many there are.
    Other,
}

impl Dim {
    /// The number, when it is known.
    pub(super) fn known(self) -> Option<i64> {
        match self {
            Self::Known(n) => Some(n),
            Self::Rows | Self::Other => None,
        }
    }
}

/// How a value depends on the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Not at all.
    Fixed,
    /// Block i along this axis depends on record i alone.
    Rows(usize),
    /// Whole numbers, among them how many records there are: for shapes only.
    Length,
}

/// What is known of a value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Value {
    /// Lengths of its axes; `None` for an unknown rank, which no value with records has.
    pub(super) dims: Option<Vec<Dim>>,
    /// Its elements, when they are few whole numbers that are known.
    pub(super) whole: Option<Vec<Dim>>,
    pub(super) dtype: Option<DType>,
    /// Columns that have reached it.
    pub(super) taint: Taint,
    /// For `[rows, columns]` straight from a table: which column stands where on the last axis.
    pub(super) labels: Option<Rc<[usize]>>,
}

impl Value {
    /// A value of which only the shape is known.
    pub(super) fn shaped(dims: Vec<Dim>) -> Self {
        Self {
            dims: Some(dims),
            ..Self::default()
        }
    }

    /// How it depends on the records.
    pub(super) fn flow(&self) -> Flow {
        if self.whole.as_ref().is_some_and(|w| w.contains(&Dim::Rows)) {
            return Flow::Length;
        }
        let dims = self.dims.as_deref().unwrap_or_default();
        let axis = dims.iter().position(|d| *d == Dim::Rows);
        axis.map_or(Flow::Fixed, Flow::Rows)
    }

    /// Whether it depends neither on records nor on how many there are.
    pub(super) fn is_fixed(&self) -> bool {
        self.flow() == Flow::Fixed
    }

    /// The axis that counts records.
    pub(super) fn rows(&self) -> Option<usize> {
        match self.flow() {
            Flow::Rows(axis) => Some(axis),
            Flow::Fixed | Flow::Length => None,
        }
    }

    /// Its shape, which must be known as far as its rank.
    pub(super) fn shape(&self) -> Result<&[Dim], String> {
        let dims = self.dims.as_deref();
        dims.ok_or_else(|| "the shape of an input is not known".to_owned())
    }

    /// Its elements, all of them known numbers.
    pub(super) fn numbers(&self, what: &str) -> Result<Vec<i64>, String> {
        let all = self.whole.as_ref();
        let all = all.and_then(|w| w.iter().map(|d| d.known()).collect::<Option<Vec<_>>>());
        all.ok_or_else(|| format!("{what} is not a constant"))
    }
}

/// Numbers of the columns that reach a value; see [`super::sources::Sources`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taint(Vec<u64>);

impl Taint {
    /// These columns.
    pub(super) fn of(columns: &[usize]) -> Self {
        let mut taint = Self::default();
        for column in columns {
            let (word, bit) = (column / 64, column % 64);
            if taint.0.len() <= word {
                taint.0.resize(word + 1, 0);
            }
            if let Some(w) = taint.0.get_mut(word) {
                *w |= 1 << bit;
            }
        }
        taint
    }

    /// Adds those of another value.
    pub(super) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    /// The columns' numbers.
    pub(super) fn columns(&self) -> BTreeSet<usize> {
        let words = self.0.iter().enumerate();
        let all = words.flat_map(|(i, w)| {
            (0..64)
                .filter(move |b| w >> b & 1 == 1)
                .map(move |b| i * 64 + b)
        });
        all.collect()
    }
}

/// The product of known lengths, each at least 1; `None` when one is not known.
pub(super) fn product(dims: &[Dim]) -> Option<i64> {
    dims.iter()
        .try_fold(1_i64, |n, d| n.checked_mul(d.known().filter(|k| *k >= 1)?))
}

/// A shape in which at most one axis counts records. `None` when there would be more: a value of every record with every other.
pub(super) fn one_rows(dims: Vec<Dim>) -> Option<Vec<Dim>> {
    let rows = dims.iter().filter(|d| **d == Dim::Rows).count();
    (rows <= 1).then_some(dims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back_from_a_taint() {
        let mut taint = Taint::of(&[0, 63, 64, 200]);
        taint.add(&Taint::of(&[5]));
        assert_eq!(taint.columns(), BTreeSet::from([0, 5, 63, 64, 200]));
        assert!(Taint::default().columns().is_empty());
    }

    #[test]
    fn a_value_flows_as_its_axes_and_numbers_say() {
        let rows = Value::shaped(vec![Dim::Known(3), Dim::Rows]);
        assert_eq!(rows.flow(), Flow::Rows(1));
        assert!(Value::shaped(vec![Dim::Other]).is_fixed());
        assert!(Value::default().is_fixed());
        let length = Value {
            whole: Some(vec![Dim::Rows, Dim::Known(2)]),
            ..Value::shaped(vec![Dim::Known(2)])
        };
        assert_eq!((length.flow(), length.rows()), (Flow::Length, None));
        assert_eq!(product(&[Dim::Known(2), Dim::Known(3)]), Some(6));
        assert_eq!(product(&[Dim::Known(2), Dim::Known(0)]), None);
    }
}
