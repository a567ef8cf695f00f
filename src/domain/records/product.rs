//! Sums under noise of records whose numbers are partly products of two vectors, without the products of each record.
//!
//! The gradient of a layer's weights is such a product, and has many more numbers than the two vectors. A record's vector is here what
//! it always is, all its numbers one after the other, with the products written out; only that nobody writes them out. Its
//! length follows from the vectors' (the length of a product is the product of the lengths), and the sum over records of
//! products is one product of matrices.
//!
//! **What holds.** Let C be the bound on a record in steps of the precision, d the numbers of all products, and s the root of d,
//! rounded up. Each record becomes whole numbers whose length is at most C - s: numbers beside products in steps, products in fine
//! steps, 2^fine to one. Lengths are computed exactly or rounded up, and what is too long is scaled down with every number
//! rounded towards zero. These are summed exactly. At the end each sum of products is rounded from fine steps to steps. So between two datasets of
//! which one has a record more, the sums before the last rounding differ by a vector of length C - s at most, and rounding moves
//! each of the d numbers of that difference by at most 1, all together by s at most: what is released differs by whole numbers of a length of at most C, as
//! it does when products are written out. Cutting sums to 2^50 brings them no further apart.

use super::accumulate::{MAX_WIDTH, RecordsError};
use super::big::Big;
use super::exact::ProductSum;
use super::pair::{MAX_FINE, Pair};
use super::quantise::{MAX_MAGNITUDE, quantise};

/// What a sum is cut to, as in `stream.rs`.
const LARGEST_SUM: i128 = 1 << 50;
/// Bits of the bound in fine steps: of 64 records the sum is then below 2^53.
const BOUND_BITS: u32 = 47;

/// How records with products become sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductForm {
    /// Numbers of a record beside its products.
    pub plain: usize,
    /// Lengths of the left and the right vector of each product.
    pub products: Vec<(usize, usize)>,
    /// Decimal digits kept.
    pub precision: u8,
    /// The largest Euclidean norm of a record's numbers, in the ring's integers.
    pub l2: u64,
}

/// The sums over all records, in the ring's integers, each of at most 2^50 in magnitude.
#[derive(Debug, PartialEq, Eq)]
pub struct ProductTotals {
    /// Of the numbers beside products.
    pub plain: Vec<i64>,
    /// Of each product, row by row: the left vector's place, then the right one's.
    pub products: Vec<Vec<i64>>,
}

/// The smallest bound, in the ring's integers, for products of so many numbers in all: half of it is left when rounding has its part.
#[must_use]
pub fn least_product_bound(numbers: usize) -> u64 {
    root(numbers).saturating_mul(2)
}

/// The square root, rounded up.
fn root(numbers: usize) -> u64 {
    let floor = numbers.isqrt();
    u64::try_from(floor + usize::from(floor * floor < numbers)).unwrap_or(u64::MAX)
}

/// Sums the clipped vectors of records. Private to the node: it has no debug output.
pub struct ProductSums {
    form: ProductForm,
    scale: f64,
    /// The bound on a record's vector in fine steps.
    bound: u64,
    fine: u32,
    plain: Vec<i128>,
    products: Vec<ProductSum>,
    scratch: Vec<u64>,
}

impl ProductSums {
    /// Of records of this form.
    ///
    /// # Errors
    /// [`RecordsError::Width`]: there are no numbers, or too many. [`RecordsError::Coarse`]: the bound is below
    /// [`least_product_bound`], or 2^52 and more.
    pub fn new(form: ProductForm) -> Result<Self, RecordsError> {
        let size = |(p, q): &(usize, usize)| p.checked_mul(*q).filter(|n| *n > 0);
        let sizes: Option<Vec<usize>> = form.products.iter().map(size).collect();
        let numbers = sizes.and_then(|s| s.into_iter().try_fold(0_usize, usize::checked_add));
        let width = numbers.and_then(|n| n.checked_add(form.plain));
        let (numbers, width) = (numbers.unwrap_or(0), width.unwrap_or(0));
        if width == 0 || width > MAX_WIDTH {
            return Err(RecordsError::Width(width));
        }
        let least = least_product_bound(numbers).max(1);
        if !(least..=MAX_MAGNITUDE).contains(&form.l2) {
            return Err(RecordsError::Coarse { numbers, least });
        }
        let fine = BOUND_BITS.saturating_sub(u64::BITS - form.l2.leading_zeros());
        let fine = fine.min(MAX_FINE);
        // Above 0, and below 2^52.
        let bound = (form.l2 - root(numbers)) << fine;
        Ok(Self {
            scale: (0..form.precision).fold(1.0, |s, _| s * 10.0),
            plain: vec![0; form.plain],
            products: form
                .products
                .iter()
                .map(|shape| ProductSum::new(*shape, bound))
                .collect(),
            form,
            bound,
            fine,
            scratch: Vec::new(),
        })
    }

    /// Adds one record: its numbers beside products, and the two vectors of each product.
    ///
    /// A record of another form, or with a number that is no fixed-point number, adds nothing.
    pub fn push(&mut self, plain: &[f64], products: &[(&[f64], &[f64])]) {
        let shapes = products
            .iter()
            .map(|(left, right)| (left.len(), right.len()));
        let fits = plain.len() == self.form.plain
            && shapes.eq(self.products.iter().map(ProductSum::shape))
            && quantise(plain, self.form.precision, &mut self.scratch).is_ok();
        if !fits {
            return;
        }
        let whole = |(left, right): &(&[f64], &[f64])| Pair::of(left, right, self.scale, self.fine);
        let Some(mut pairs) = products.iter().map(whole).collect::<Option<Vec<Pair>>>() else {
            return;
        };
        let norm = self.above(&pairs);
        let (factor, half) = norm.map_or((None, None), |norm| {
            let (factor, half) = shrinking(self.bound, norm);
            (Some(factor), Some(half))
        });
        for (sum, word) in self.plain.iter_mut().zip(&self.scratch) {
            let x = i128::from(word.cast_signed());
            // Of magnitudes below 2^52 and 2^63; division rounds towards zero.
            *sum += factor.map_or(x, |factor| x * i128::from(factor) / (1 << 63));
        }
        for (sum, pair) in self.products.iter_mut().zip(&mut pairs) {
            if let Some(half) = half {
                pair.shrink(half);
            }
            sum.push(&pair.left, &pair.right);
        }
    }

    /// The norm of a record in fine steps, rounded up, if it is above the bound; the numbers beside products are in the scratch.
    fn above(&self, pairs: &[Pair]) -> Option<u128> {
        let square = |word: &u64| {
            let magnitude = u128::from(word.cast_signed().unsigned_abs());
            magnitude * magnitude
        };
        let plain: u128 = self.scratch.iter().map(square).sum();
        let squares: Vec<(u128, u128)> = pairs.iter().map(Pair::squares).collect();
        let bound = u128::from(self.bound) * u128::from(self.bound);
        let add =
            |sum: u128, (left, right): &(u128, u128)| sum.checked_add(left.checked_mul(*right)?);
        let short = plain.checked_mul(1 << (2 * self.fine));
        let short = short.and_then(|short| squares.iter().try_fold(short, add));
        match short {
            Some(square) if square <= bound => None,
            Some(square) => {
                let floor = square.isqrt();
                Some(floor + u128::from(floor * floor < square))
            }
            None => Some(self.large(plain, &squares)),
        }
    }

    /// The same of a square beyond 128 bits.
    fn large(&self, plain: u128, squares: &[(u128, u128)]) -> u128 {
        // Squares of 2^20 numbers below 2^52: they fit.
        let big = |x: u128| Big::from(i128::try_from(x).unwrap_or(i128::MAX));
        let plain = big(plain).up(usize::try_from(2 * self.fine).unwrap_or(0));
        let add =
            |sum: Big, (left, right): &(u128, u128)| sum.plus(&big(*left).times(&big(*right)));
        let root = squares.iter().fold(plain, add).root();
        root.wrapped().saturating_add(1)
    }

    /// The sums over all records.
    #[must_use]
    pub fn finish(self) -> ProductTotals {
        let cut = |sum: i128| sum.clamp(-LARGEST_SUM, LARGEST_SUM);
        // Always fits.
        let short = |sum: i128| i64::try_from(cut(sum)).unwrap_or_default();
        let half = (1_i128 << self.fine) >> 1;
        let steps = |fine: i128| short((fine + half) >> self.fine);
        let of = |sum: ProductSum| sum.finish().into_iter().map(steps).collect();
        ProductTotals {
            plain: self.plain.into_iter().map(short).collect(),
            products: self.products.into_iter().map(of).collect(),
        }
    }
}

/// What numbers, and what each vector of a product, are multiplied with, over 2^63, so that a vector of length `norm` has `bound` at most.
fn shrinking(bound: u64, norm: u128) -> (u64, u64) {
    // Below 2^63, since the norm is above the bound.
    let factor = (u128::from(bound) << 63) / norm.max(1);
    // Its square is at most the factor.
    let half = (factor << 63).isqrt();
    let short = |x: u128| u64::try_from(x).unwrap_or(0);
    (short(factor), short(half))
}

#[cfg(test)]
mod tests;
