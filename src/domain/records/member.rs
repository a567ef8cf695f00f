//! The contribution of a whole member within a bound: what noise for members needs, whatever made the numbers.

use super::clip::{Clip, ClipError};
use super::quantise::quantise;

/// What is larger, in the ring's integers, is cut to it before the norm is taken: 2^28 squares of it fit 128 bits.
const LARGEST: f64 = (1_u64 << 49) as f64;

/// Bounds all numbers of a member together, in the ring's integers, and gives them back as numbers that are these integers exactly.
///
/// A number that is none is 0, one of more than `LARGEST` is cut to it first; then all, 2^28 at most, are scaled down by one factor
/// where their Euclidean norm is above `l2`, an integer of at most 2^39. So no data make an error here: that would be an answer without
/// noise.
///
/// # Errors
/// [`ClipError`]: a bound of 0.
pub fn bound_member(
    contributions: &mut [Vec<f64>],
    precision: u8,
    l2: u64,
) -> Result<(), ClipError> {
    let clip = Clip::new(None, Some(l2))?;
    let scale = (0..precision).fold(1.0_f64, |s, _| s * 10.0);
    let most = LARGEST / scale;
    let mut all: Vec<i64> = Vec::with_capacity(contributions.iter().map(Vec::len).sum());
    let mut words = Vec::new();
    for numbers in contributions.iter_mut() {
        for number in numbers.iter_mut() {
            *number = match number.is_nan() {
                true => 0.0,
                false => number.clamp(-most, most),
            };
        }
        // Up to it everything can be quantised, but for a precision that no strategy has.
        if quantise(numbers, precision, &mut words).is_err() {
            words = vec![0; numbers.len()];
        }
        all.extend(words.iter().map(|word| word.cast_signed()));
    }
    clip.apply(&mut all);
    let mut bounded = all.into_iter();
    for number in contributions.iter_mut().flatten() {
        #[expect(clippy::cast_precision_loss, reason = "at most 2^39")]
        let whole = bounded.next().unwrap_or(0) as f64;
        *number = whole / scale;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounded(contributions: &[&[f64]], precision: u8, l2: u64) -> Vec<Vec<f64>> {
        let mut all: Vec<Vec<f64>> = contributions.iter().map(|c| c.to_vec()).collect();
        bound_member(&mut all, precision, l2).unwrap();
        all
    }

    #[test]
    fn all_numbers_are_bounded_together() {
        assert_eq!(
            bounded(&[&[3.0], &[4.0, 0.0]], 2, 250),
            [vec![1.5], vec![2.0, 0.0]]
        );
        assert_eq!(bounded(&[&[0.3], &[0.4]], 2, 250), [vec![0.3], vec![0.4]]);
    }

    #[test]
    fn nothing_is_an_error() {
        let made = bounded(&[&[f64::NAN, f64::INFINITY, -1e300, 0.0]], 2, 100);
        assert_eq!(made[0][1], -made[0][2]);
        let norm = made[0].iter().map(|x| x * x).sum::<f64>();
        assert!(
            norm <= 1.0 && made[0][0] == 0.0 && made[0][1] > 0.0 && made[0][2] < 0.0,
            "{made:?}"
        );
        assert!(bound_member(&mut [vec![1.0]], 2, 0).is_err());
    }

    proptest! {
        #[test]
        fn the_norm_is_within_the_bound_and_numbers_are_whole(
            a in prop::collection::vec(any::<f64>(), 0..20),
            b in prop::collection::vec(-1e3..1e3_f64, 0..20),
            l2 in 1_u64..1 << 39,
            precision in 0_u8..10,
        ) {
            let scale = 10_f64.powi(precision.into());
            let made = bounded(&[&a, &b], precision, l2);
            let wholes: Vec<i128> = made.iter().flatten().map(|x| (x * scale).round() as i128).collect();
            let norm: i128 = wholes.iter().map(|x| x * x).sum();
            prop_assert!(norm <= i128::from(l2) * i128::from(l2));
            for (x, whole) in made.iter().flatten().zip(&wholes) {
                prop_assert_eq!(*whole as f64 / scale, *x);
            }
        }
    }
}
