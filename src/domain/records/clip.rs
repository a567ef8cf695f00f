//! The bound on what one unit can change: clipping of its integers, a function of its vector alone.
//!
//! First each number is brought within `linf`, then the vector within the Euclidean norm `l2`, by one factor for all numbers and
//! rounded towards zero. Everything is computed in integers, so the bounds hold exactly, as the noise's sensitivity needs them.

use serde::{Deserialize, Serialize};

use super::quantise::MAX_MAGNITUDE;

/// Bounds on the vector of one unit, in the ring's integers (value * 10^precision). `None`: no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Clip {
    linf: Option<u64>,
    l2: Option<u64>,
}

/// A bound that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a clipping bound must be from 1 to 2^52 - 1 in the last place of the precision, and is {0}"
)]
pub struct ClipError(u64);

impl Clip {
    /// `linf`: the largest magnitude of a number; `l2`: the largest Euclidean norm. Both from 1 to [`MAX_MAGNITUDE`].
    ///
    /// # Errors
    /// [`ClipError`] for a bound outside of that.
    pub fn new(linf: Option<u64>, l2: Option<u64>) -> Result<Self, ClipError> {
        match [linf, l2]
            .into_iter()
            .flatten()
            .find(|bound| !(1..=MAX_MAGNITUDE).contains(bound))
        {
            Some(bound) => Err(ClipError(bound)),
            None => Ok(Self { linf, l2 }),
        }
    }

    /// The largest Euclidean norm of a clipped vector, in the ring's integers.
    #[must_use]
    pub const fn l2(&self) -> Option<u64> {
        self.l2
    }

    /// The largest magnitude of a clipped number, in the ring's integers.
    #[must_use]
    pub const fn linf(&self) -> Option<u64> {
        self.linf
    }

    /// Clips one vector in place. Without a bound on the norm, numbers of any size may come; with one, those left by `linf` must be at
    /// most [`MAX_MAGNITUDE`], at most 2^20 of them.
    pub(super) fn apply(&self, vector: &mut [i64]) {
        if let Some(bound) = self.linf {
            let bound = bound.cast_signed();
            for x in vector.iter_mut() {
                *x = (*x).clamp(-bound, bound);
            }
        }
        let Some(bound) = self.l2 else {
            return;
        };
        let norm = squared_norm(vector);
        if norm <= u128::from(bound) * u128::from(bound) {
            return;
        }
        // Rounded up, so that bound / root never makes the vector longer than the bound.
        let floor = norm.isqrt();
        let root = floor + u128::from(floor * floor < norm);
        for x in vector {
            *x = scaled(*x, bound, root);
        }
    }
}

/// x * bound / root, towards zero; at most |x| since root > bound.
fn scaled(x: i64, bound: u64, root: u128) -> i64 {
    let magnitude = match (x.unsigned_abs().checked_mul(bound), u64::try_from(root)) {
        (Some(product), Ok(root)) => product / root,
        // The quotient is at most |x|, so the other arm is never taken.
        _ => u64::try_from(u128::from(x.unsigned_abs()) * u128::from(bound) / root).unwrap_or(0),
    };
    match x < 0 {
        true => -magnitude.cast_signed(),
        false => magnitude.cast_signed(),
    }
}

/// The exact square of the Euclidean norm.
fn squared_norm(vector: &[i64]) -> u128 {
    let square = |x: &i64| u128::from(x.unsigned_abs()) * u128::from(x.unsigned_abs());
    vector.iter().map(square).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_that_cannot_be() {
        assert!(Clip::new(Some(0), None).is_err());
        assert!(Clip::new(None, Some(MAX_MAGNITUDE + 1)).is_err());
        assert!(Clip::new(Some(1), Some(MAX_MAGNITUDE)).is_ok());
    }

    #[test]
    fn a_vector_keeps_its_direction() {
        let clip = Clip::new(None, Some(500)).unwrap();
        let mut vector = [-3000, 0, 4000];
        clip.apply(&mut vector);
        assert_eq!(vector, [-300, 0, 400]);
        let clip = Clip::new(Some(2000), None).unwrap();
        let mut vector = [-3000, 5, 4000];
        clip.apply(&mut vector);
        assert_eq!(vector, [-2000, 5, 2000]);
    }

    proptest! {
        #[test]
        fn the_norm_holds_exactly(
            mut vector in prop::collection::vec(-(MAX_MAGNITUDE.cast_signed())..=MAX_MAGNITUDE.cast_signed(), 0..40),
            shift in 0_u32..52,
            low in 1_u64..=MAX_MAGNITUDE,
            linf in prop::option::of(1_u64..=MAX_MAGNITUDE),
        ) {
            let bound = (low >> shift).max(1);
            let before = vector.clone();
            Clip::new(linf, Some(bound)).unwrap().apply(&mut vector);
            prop_assert!(squared_norm(&vector) <= u128::from(bound) * u128::from(bound));
            for (after, before) in vector.iter().zip(&before) {
                prop_assert!(after.unsigned_abs() <= before.unsigned_abs().min(linf.unwrap_or(u64::MAX)));
                prop_assert!(after.signum() * before.signum() >= 0);
            }
            // Clipping again changes nothing: a clipped vector is within the bound.
            let once = vector.clone();
            Clip::new(linf, Some(bound)).unwrap().apply(&mut vector);
            prop_assert_eq!(once, vector);
        }

        #[test]
        fn no_more_is_lost_than_rounding(vector in prop::collection::vec(-1_000_000_i64..1_000_000, 1..8), bound in 1000_u64..2_000_000) {
            let mut clipped = vector.clone();
            Clip::new(None, Some(bound)).unwrap().apply(&mut clipped);
            let norm = (squared_norm(&vector) as f64).sqrt();
            let factor = (bound as f64 / norm).min(1.0);
            for (after, before) in clipped.iter().zip(&vector) {
                prop_assert!((*after as f64 - *before as f64 * factor).abs() < 2.1);
            }
        }
    }
}
