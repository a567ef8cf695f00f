//! The sigmoid in whole numbers: 128 parabolas over |u| < 16, one half beyond; the same numbers on every machine.
//!
//! u has 2^22 * (2^18 - 1) to 1.0; a segment is 2^37 of it, an eighth. In a segment the parabola meets the sigmoid at both ends and in the
//! middle: 2e-6 from it at most. Steps of 2^-14 of a segment add 1e-6.

use std::sync::LazyLock;

use crate::layout::{UNIT, aux};

/// 1.0 as a probability.
pub(crate) const ONE: i64 = 1 << 56;
/// Its half: the height where |u| is 16 or more.
pub(crate) const HALF: i64 = ONE / 2;
/// Segments up to saturation.
pub(crate) const SEGMENTS: usize = aux::GROUPS * aux::SEGMENTS;
/// |u| from here on counts as saturated.
pub(crate) const SATURATION: i64 = 1 << 44;

/// Height of segment k at step t: `c[0][k] + c[1][k] t + c[2][k] t^2`.
pub(crate) static PARABOLAS: LazyLock<[[i64; SEGMENTS]; 3]> = LazyLock::new(parabolas);

/// Where u lies, and |sigmoid(u) - 1/2| there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) negative: bool,
    pub(crate) saturated: bool,
    /// |u| - 2^44 in steps of 2^41, where saturated.
    pub(crate) excess: u64,
    /// The segment; of the first group where saturated, for no group is marked there.
    pub(crate) segment: usize,
    pub(crate) low: u64,
    /// Of 2^56.
    pub(crate) height: i64,
}

impl Position {
    /// Of any u below 2^57 on either side.
    pub(crate) fn of(u: i64) -> Self {
        let size = u.unsigned_abs();
        let low = size & ((1 << aux::LOW_BITS) - 1);
        // Below 2^57 / 2^37.
        let segment = usize::try_from(size >> aux::LOW_BITS).unwrap_or(usize::MAX);
        let negative = u < 0;
        if segment < SEGMENTS {
            let (saturated, excess) = (false, 0);
            let height = height(segment, step(low));
            return Self {
                negative,
                saturated,
                excess,
                segment,
                low,
                height,
            };
        }
        Self {
            negative,
            saturated: true,
            excess: (size - SATURATION.unsigned_abs()) >> 41,
            segment: segment % aux::SEGMENTS,
            low,
            height: HALF,
        }
    }
}

/// The steps of a segment that `low` is beyond.
pub(crate) fn step(low: u64) -> u64 {
    low >> (aux::LOW_BITS - aux::STEP_BITS)
}

fn height(segment: usize, step: u64) -> i64 {
    let [c0, c1, c2] = &*PARABOLAS;
    let step = i64::from(u16::try_from(step).unwrap_or(u16::MAX));
    c0[segment] + c1[segment] * step + c2[segment] * step * step
}

/// In fixed point of 62 bits, every division and shift towards minus infinity: part of the format.
fn parabolas() -> [[i64; SEGMENTS]; 3] {
    const FIXED: u128 = 1 << 62;
    // exp(-x) for half a segment, by its series.
    let x = (1u128 << 14) * FIXED / u128::from(UNIT.unsigned_abs());
    let (mut term, mut first, mut n) = (FIXED, 0u128, 0u128);
    while term > 0 {
        first = if n.is_multiple_of(2) {
            first + term
        } else {
            first - term
        };
        n += 1;
        term = ((term * x) >> 62) / n;
    }
    // Heights at ends and middles of segments.
    let mut power = FIXED;
    let heights: Vec<i128> = (0..=2 * SEGMENTS)
        .map(|_| {
            let height = ((FIXED - power) << 55) / (FIXED + power);
            power = (power * first) >> 62;
            i128::try_from(height).unwrap_or_default()
        })
        .collect();
    let mut out = [[0; SEGMENTS]; 3];
    for k in 0..SEGMENTS {
        let (left, middle, right) = (heights[2 * k], heights[2 * k + 1], heights[2 * k + 2]);
        let linear = 4 * middle - 3 * left - right;
        let square = 2 * (left + right) - 4 * middle;
        // At the middle of each step.
        let c0 = ((left << 30) + (linear << 15) + square + (1 << 29)) >> 30;
        let c1 = ((linear << 14) + square + (1 << 27)) >> 28;
        let c2 = (square + (1 << 27)) >> 28;
        for (power, c) in [c0, c1, c2].into_iter().enumerate() {
            out[power][k] = i64::try_from(c).unwrap_or_default();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::cast_precision_loss)]
    fn error_at(u: i64) -> f64 {
        let position = Position::of(u);
        let real = u as f64 / (UNIT as f64 * 4_194_304.0);
        let height = position.height as f64 / ONE as f64;
        let ours = if position.negative {
            0.5 - height
        } else {
            0.5 + height
        };
        (ours - 1.0 / (1.0 + (-real).exp())).abs()
    }

    #[test]
    fn it_is_a_sigmoid_to_three_millionths() {
        let worst = (-70_000i64..70_000)
            .map(|k| error_at(k * 268_435_399))
            .fold(0.0, f64::max);
        assert!(worst < 3e-6, "{worst}");
        assert!(worst > 1e-7, "{worst}: nothing was looked at");
    }

    #[test]
    fn positions_add_up() {
        for u in [
            0,
            1,
            -1,
            SATURATION - 1,
            SATURATION,
            -SATURATION,
            (1 << 57) - 1,
            -(1 << 57) + 1,
        ] {
            let p = Position::of(u);
            let above = (u64::from(p.saturated) << 44) + (p.excess << 41);
            assert_eq!(
                ((p.segment as u64) << 37) + p.low + above,
                u.unsigned_abs(),
                "{u}"
            );
            assert!(p.excess < 1 << aux::EXCESS_BITS, "{u}");
            assert_eq!(p.saturated, u.unsigned_abs() >= 1 << 44);
        }
    }
}
