//! Sums of products of whole vectors, exactly: many records in one product of matrices of doubles.
//!
//! Every number of every product is a whole one, and no sum of their magnitudes within one matrix reaches 2^53, whatever the order in
//! which a kernel adds them up, so doubles hold each of them. Before that could end, the matrix goes over into wide integers.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Records that are multiplied at once, at most; fewer of long vectors.
const TOGETHER: usize = 64;
/// Numbers of vectors that are held until they are multiplied, about.
const HELD: usize = 1 << 21;
/// Up to here every whole number is a double.
const WHOLE: u64 = 1 << 53;

/// The sum over records of the product of two vectors.
pub(super) struct ProductSum {
    shape: (usize, usize),
    left: Vec<f64>,
    right: Vec<f64>,
    held: usize,
    together: usize,
    /// Of how many records `sum` may be.
    most: usize,
    summed: usize,
    sum: Vec<f64>,
    total: Vec<i128>,
}

impl ProductSum {
    /// Of vectors of these lengths, the product of whose Euclidean norms is never above `bound`, which is from 1 to 2^52.
    pub(super) fn new(shape: (usize, usize), bound: u64) -> Self {
        let numbers = shape.0 * shape.1;
        let most = usize::try_from(WHOLE / bound.max(1)).unwrap_or(1).max(1);
        let together = HELD / (shape.0 + shape.1).max(1);
        Self {
            shape,
            left: Vec::new(),
            right: Vec::new(),
            held: 0,
            together: together.clamp(1, TOGETHER.min(most)),
            most,
            summed: 0,
            sum: vec![0.0; numbers],
            total: vec![0; numbers],
        }
    }

    /// Lengths of the two vectors.
    pub(super) const fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// Adds the product of a record's vectors.
    pub(super) fn push(&mut self, left: &[f64], right: &[f64]) {
        self.left.extend_from_slice(left);
        self.right.extend_from_slice(right);
        self.held += 1;
        if self.held == self.together {
            self.multiply();
        }
    }

    fn multiply(&mut self) {
        if self.summed + self.held > self.most {
            self.carry();
        }
        let (p, q) = self.shape;
        let left = ArrayView2::from_shape((self.held, p), &self.left);
        let right = ArrayView2::from_shape((self.held, q), &self.right);
        let sum = ArrayViewMut2::from_shape((p, q), &mut self.sum);
        // The lengths are these by what was pushed.
        if let (Ok(left), Ok(right), Ok(mut sum)) = (left, right, sum) {
            general_mat_mul(1.0, &left.t(), &right, 1.0, &mut sum);
        }
        self.summed += self.held;
        self.held = 0;
        self.left.clear();
        self.right.clear();
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole numbers of at most 2^53"
    )]
    fn carry(&mut self) {
        for (total, sum) in self.total.iter_mut().zip(&mut self.sum) {
            *total += i128::from(*sum as i64);
            *sum = 0.0;
        }
        self.summed = 0;
    }

    /// The sums, row by row.
    pub(super) fn finish(mut self) -> Vec<i128> {
        self.multiply();
        self.carry();
        self.total
    }
}
