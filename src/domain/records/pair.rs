//! One record's product of two vectors in whole numbers: a scale for each vector, so that the product has the unit of sums.
//!
//! A product left · right' stands for numbers in steps of the precision, and is kept in fine steps: 2^fine of them are one. Each vector
//! is multiplied and rounded by itself: left by a power of two, right by 10^precision and the power of two that is left over. The
//! powers follow from the largest magnitudes alone, so that every program makes the same integers, and both vectors get about as
//! many digits. Nothing here is a bound: that is what `product.rs` does with the integers.

/// The numbers of a vector are below 2^36 in magnitude: half of the bits of a product below 2^(52 + 16), rounded up, and one more.
pub(super) const MAX_FINE: u32 = 16;
/// A product that could have a number of 2^52 steps is none that could be summed.
const MAX_EXPONENT: i32 = 52;
/// 1.5 * 2^52: adding it to a small double and taking it away rounds to the even neighbour.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// Two vectors of whole numbers below 2^36.
pub(super) struct Pair {
    pub(super) left: Vec<f64>,
    pub(super) right: Vec<f64>,
}

impl Pair {
    /// Of a record's vectors; `scale` is 10^precision. `None`: a number is none, or a number of the product may not be below 2^52 steps.
    pub(super) fn of(left: &[f64], right: &[f64], scale: f64, fine: u32) -> Option<Self> {
        let right: Vec<f64> = right.iter().map(|x| x * scale).collect();
        let (a, b) = (largest(left)?, largest(&right)?);
        if a == 0.0 || b == 0.0 {
            return Some(Self {
                left: vec![0.0; left.len()],
                right: vec![0.0; right.len()],
            });
        }
        let (a, b) = (exponent(a), exponent(b));
        if a + b > MAX_EXPONENT {
            return None;
        }
        let fine = i32::try_from(fine.min(MAX_FINE)).ok()?;
        let up = (b + fine - a).div_euclid(2);
        Some(Self {
            left: rounded(left, up),
            right: rounded(&right, fine - up),
        })
    }

    /// The exact sums of squares of both vectors.
    pub(super) fn squares(&self) -> (u128, u128) {
        (squares(&self.left), squares(&self.right))
    }

    /// Both vectors times `factor` / 2^63, towards zero.
    pub(super) fn shrink(&mut self, factor: u64) {
        for x in self.left.iter_mut().chain(&mut self.right) {
            *x = shrunk(*x, factor);
        }
    }
}

/// The largest magnitude; `None` where a number is none.
fn largest(values: &[f64]) -> Option<f64> {
    let finite = values.iter().all(|x| x.is_finite());
    finite.then(|| values.iter().fold(0.0, |most: f64, x| most.max(x.abs())))
}

/// n for which x, above 0, is from 2^(n - 1) to below 2^n.
fn exponent(x: f64) -> i32 {
    let biased = |x: f64| i32::try_from(x.to_bits() >> 52).unwrap_or(0);
    match biased(x) {
        // 2^64 makes every such number a normal one.
        0 => biased(x * 18_446_744_073_709_551_616.0) - 64 - 1022,
        biased => biased - 1022,
    }
}

/// Each value times 2^n, rounded half to even.
fn rounded(values: &[f64], n: i32) -> Vec<f64> {
    // In two steps: n may be beyond the exponents of doubles. A first product that has lost digits is far below 1/2 after the second.
    let (first, second) = (
        power_of_two(n.div_euclid(2)),
        power_of_two(n - n.div_euclid(2)),
    );
    let whole = |x: &f64| (x * first * second + MAGIC) - MAGIC;
    values.iter().map(whole).collect()
}

/// 2^n for n from -1022 to 1023.
fn power_of_two(n: i32) -> f64 {
    let biased = u64::try_from(n.clamp(-1022, 1023) + 1023).unwrap_or(0);
    f64::from_bits(biased << 52)
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers below 2^36")]
fn squares(values: &[f64]) -> u128 {
    let square = |x: &f64| {
        let whole = (*x as i64).unsigned_abs();
        u128::from(whole) * u128::from(whole)
    };
    values.iter().map(square).sum()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "whole numbers below 2^36"
)]
fn shrunk(x: f64, factor: u64) -> f64 {
    let product = (u128::from((x as i64).unsigned_abs()) * u128::from(factor)) >> 63;
    (product as f64).copysign(x)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exponents_and_powers() {
        for (x, n) in [
            (1.0, 1),
            (0.75, 0),
            (0.5, 0),
            (0.49, -1),
            (f64::MAX, 1024),
            (f64::MIN_POSITIVE, -1021),
            (5e-324, -1073),
        ] {
            assert_eq!(exponent(x), n, "{x}");
        }
        assert_eq!(power_of_two(-3), 0.125);
        assert_eq!(rounded(&[0.5, 1.5, -2.5, 0.0], 0), [0.0, 2.0, -2.0, 0.0]);
        assert_eq!(rounded(&[5e-324], 1074), [1.0]);
        assert_eq!(rounded(&[f64::MAX], -1020), [16.0]);
    }

    #[test]
    fn what_is_no_number_or_too_large_is_no_product() {
        for (left, right) in [
            ([f64::NAN], [0.0]),
            ([0.0], [f64::INFINITY]),
            ([1.0], [f64::MAX]),
            ([1e300], [1.0]),
            ([1e200], [1e-100]),
        ] {
            assert!(
                Pair::of(&left, &right, 1e8, 16).is_none(),
                "{left:?} {right:?}"
            );
        }
        let far = Pair::of(&[1e200, 0.0], &[1e-200], 1e8, 16).unwrap();
        let product = far.left[0] * far.right[0] / 65536e8;
        assert!((product - 1.0).abs() < 1e-5, "{product}");
        assert_eq!(Pair::of(&[0.0], &[1e300], 1e8, 16).unwrap().left, [0.0]);
        assert_eq!(Pair::of(&[5e-324], &[5e-324], 1.0, 16).unwrap().left, [0.0]);
    }

    proptest! {
        /// The products are those of the numbers, up to the rounding of each vector.
        #[test]
        fn a_product_is_what_it_stands_for(
            left in prop::collection::vec(-1.0..1.0_f64, 1..6),
            right in prop::collection::vec(-1.0..1.0_f64, 1..6),
            (a, b) in (-20_i32..20, -20_i32..20),
            precision in 0_i32..9,
        ) {
            let up = |v: &[f64], n: i32| v.iter().map(|x| x * 2_f64.powi(n)).collect::<Vec<_>>();
            let (left, right) = (up(&left, a), up(&right, b));
            let scale = 10_f64.powi(precision);
            let Some(made) = Pair::of(&left, &right, scale, 16) else {
                return Ok(());
            };
            let most = left.iter().fold(0.0, |m: f64, x| m.max(x.abs())) * right.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            let most = most * scale * 65536.0;
            for (x, i) in left.iter().zip(&made.left) {
                prop_assert!(i.fract() == 0.0 && i.abs() < 68_719_476_736.0);
                for (y, j) in right.iter().zip(&made.right) {
                    let off = (x * y * scale * 65536.0 - i * j).abs();
                    prop_assert!(off <= 4.0 * most.sqrt() + 1.0, "{} {} {}", off, most, i * j);
                }
            }
        }

        #[test]
        fn any_numbers_make_bounded_integers(
            left in prop::collection::vec(any::<f64>(), 1..5),
            right in prop::collection::vec(any::<f64>(), 1..5),
            fine in 0_u32..=16,
        ) {
            if let Some(mut made) = Pair::of(&left, &right, 1e8, fine) {
                let all: Vec<f64> = made.left.iter().chain(&made.right).copied().collect();
                prop_assert!(all.iter().all(|x| x.fract() == 0.0 && x.abs() < 68_719_476_736.0), "{:?}", all);
                made.shrink((1 << 63) / 3);
                for (after, before) in made.left.iter().chain(&made.right).zip(&all) {
                    prop_assert!(after.abs() * 3.0 <= before.abs() && after * before >= 0.0);
                    prop_assert!(after.abs() * 3.0 > before.abs() - 3.5);
                }
            }
        }
    }
}
