//! Real numbers as elements of the ring, and back (docs/protocol/secagg.md, Fixed point).
//!
//! `round-half-even(x * 10^precision)` as a signed integer modulo 2^w. What could make the sum of a cohort wrap is an
//! error here, before anything is masked; the original wraps or saturates silently.
//! The product is one IEEE double multiplication, and 10^precision is exact up to [`MAX_PRECISION`].

use super::word::{Ring, Word};

/// The highest precision: 10^22 is the last power of ten that a double holds exactly.
pub const MAX_PRECISION: u8 = 22;

/// 1.5 * 2^52: adding it to a small double leaves the rounded integer in the low bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;
/// Below this magnitude the addition of [`MAGIC`] rounds to an integer.
const MAGIC_LIMIT: u64 = 1 << 51;
/// Values looked at together: large enough to vectorise, small enough to stay in the first-level cache.
const BLOCK: usize = 512;

/// A floating-point type whose values are quantised. Sealed: `f32` and `f64`.
pub trait Real: Copy + private::Real {
    /// The same value in double precision.
    #[must_use]
    fn widen(self) -> f64;
}

impl Real for f32 {
    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
}

mod private {
    pub trait Real {}
    impl Real for f32 {}
    impl Real for f64 {}
}

/// Replaces `out` with the real numbers that `words` stand for: signed, divided by 10^precision.
#[expect(
    clippy::cast_precision_loss,
    reason = "a sum above 2^53 has no exact double; the nearest is the answer"
)]
pub(super) fn dequantise<W: Word>(words: &[W], precision: u8, out: &mut Vec<f64>) {
    let scale = scale(precision);
    out.clear();
    out.extend(words.iter().map(|w| w.to_signed() as f64 / scale));
}

/// Which value cannot be sent, and why.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("value {index} {kind}")]
pub struct QuantiseError {
    /// Position in the input; 0 when the whole call makes no sense.
    pub index: usize,
    /// What is wrong with it.
    pub kind: QuantiseErrorKind,
}

/// Why a value cannot be sent. Never shows the value: it is private.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum QuantiseErrorKind {
    /// NaN or an infinity.
    #[error("is not a finite number")]
    NotFinite,
    /// The cohort's sum could wrap.
    #[error("is above {limit:e}, the largest magnitude that the task's ring and bound allow")]
    TooLarge {
        /// The largest magnitude that may be sent, in the input's unit.
        limit: f64,
    },
    /// A precision above [`MAX_PRECISION`].
    #[error("cannot be scaled: precision {precision} is above 22")]
    Precision {
        /// The precision asked for.
        precision: u8,
    },
    /// The words are not of the ring asked for.
    #[error("cannot be written: the words are not of the ring")]
    WrongRing,
    /// There is nothing to round a value by.
    #[error("has no random word to be rounded by")]
    NoChance,
}

/// Replaces `out` with the ring elements of `values`; empty after an error. What can go wrong: [`super::encoding::Encoding::encode`].
#[expect(
    clippy::cast_precision_loss,
    reason = "bounds at or below 2^51 are exact, above they are only shown"
)]
pub(super) fn quantise<T: Real, W: Word>(
    values: &[T],
    precision: u8,
    ring: Ring,
    limit: u64,
    out: &mut Vec<W>,
) -> Result<(), QuantiseError> {
    out.clear();
    fits::<W>(precision, ring)?;
    let scale = scale(precision);
    let bound = limit.min(MAGIC_LIMIT) as f64;
    out.reserve(values.len());
    // Each block is converted in the first-level cache and then appended: no pass that only writes zeros.
    let mut buffer = [W::default(); BLOCK];
    for block in values.chunks(BLOCK) {
        // One pass for all: convert as if small, and see whether all were. NaN compares false and is caught too.
        let mut small = true;
        for (x, word) in block.iter().zip(&mut buffer) {
            let t = x.widen() * scale;
            small &= t.abs() <= bound;
            *word = W::from_signed(
                (t + MAGIC)
                    .to_bits()
                    .wrapping_sub(MAGIC.to_bits())
                    .cast_signed(),
            );
        }
        if !small {
            for (i, (x, word)) in block.iter().zip(&mut buffer).enumerate() {
                match exact(x.widen(), scale, limit) {
                    Ok(value) => *word = W::from_signed(value),
                    Err(kind) => {
                        let index = out.len() + i;
                        out.clear();
                        return Err(QuantiseError { index, kind });
                    }
                }
            }
        }
        out.extend_from_slice(&buffer[..block.len()]);
    }
    Ok(())
}

/// Replaces `out` with the ring elements of `values`, each rounded up or down by its word of `random`; empty after an error.
/// [`super::encoding::Encoding::encode_at_random`].
#[expect(
    clippy::cast_precision_loss,
    reason = "bounds at or below 2^51 are exact, above they are only shown"
)]
pub(super) fn quantise_at_random<T: Real, W: Word>(
    values: &[T],
    random: &[u32],
    precision: u8,
    ring: Ring,
    limit: u64,
    out: &mut Vec<W>,
) -> Result<(), QuantiseError> {
    out.clear();
    fits::<W>(precision, ring)?;
    if random.len() < values.len() {
        let (index, kind) = (random.len(), QuantiseErrorKind::NoChance);
        return Err(QuantiseError { index, kind });
    }
    let scale = scale(precision);
    let bound = limit.min(MAGIC_LIMIT) as f64;
    out.reserve(values.len());
    for (index, (x, random)) in values.iter().zip(random).enumerate() {
        let t = x.widen() * scale;
        let value = if t.abs() <= bound {
            let nearest = (t + MAGIC) - MAGIC;
            let beyond = t - nearest;
            let below = nearest - f64::from(u8::from(beyond < 0.0));
            // Both exact: the fraction of a double this small has bits to spare.
            let up = f64::from(*random) < (t - below) * 4_294_967_296.0;
            exact(below + f64::from(u8::from(up)), 1.0, limit)
        } else {
            // A double above 2^51 has no fraction that is worth a choice.
            exact(x.widen(), scale, limit)
        };
        match value {
            Ok(value) => out.push(W::from_signed(value)),
            Err(kind) => {
                out.clear();
                return Err(QuantiseError { index, kind });
            }
        }
    }
    Ok(())
}

/// Whether the call makes sense at all.
fn fits<W: Word>(precision: u8, ring: Ring) -> Result<(), QuantiseError> {
    let kind = if precision > MAX_PRECISION {
        QuantiseErrorKind::Precision { precision }
    } else if ring != W::RING {
        QuantiseErrorKind::WrongRing
    } else {
        return Ok(());
    };
    Err(QuantiseError { index: 0, kind })
}

/// One value, whatever its size.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the magnitude was compared with 2^63 before"
)]
#[expect(
    clippy::cast_precision_loss,
    reason = "the limit is shown, not computed with"
)]
fn exact(x: f64, scale: f64, limit: u64) -> Result<i64, QuantiseErrorKind> {
    if !x.is_finite() {
        return Err(QuantiseErrorKind::NotFinite);
    }
    let rounded = (x * scale).round_ties_even();
    // Also true of a product that overflowed to infinity.
    if rounded.abs() >= 9_223_372_036_854_775_808.0 || (rounded as i64).unsigned_abs() > limit {
        return Err(QuantiseErrorKind::TooLarge {
            limit: limit as f64 / scale,
        });
    }
    Ok(rounded as i64)
}

/// 10^precision, correctly rounded: the parser's table is, `powi` need not be.
pub(super) fn scale(precision: u8) -> f64 {
    const POWERS: [f64; MAX_PRECISION as usize + 1] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    POWERS
        .get(usize::from(precision))
        .copied()
        .unwrap_or_else(|| 10_f64.powi(i32::from(precision)))
}

#[cfg(test)]
mod tests;
