//! Single precision as half precision, rounded up or down at random: what travels in half the bytes and is right on average.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use crate::ids::Digest;

/// The largest number that half precision has.
pub const MOST: f32 = 65_504.0;

/// Halves numbers one after the other. What the i-th becomes follows from the seed, from i and from the number.
#[derive(Debug)]
pub struct Halving(ChaCha8Rng);

/// A number that half precision does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number is above {MOST}, the largest that travels in 16 bits")]
pub struct TooLarge;

impl Halving {
    /// For an array with this digest. No secret: whoever has the array may have its halves.
    #[must_use]
    pub fn of(digest: &Digest) -> Self {
        let hash = Sha256::new().chain_update(b"delta half precision 1");
        Self(ChaCha8Rng::from_seed(
            hash.chain_update(digest.0).finalize().into(),
        ))
    }

    /// Appends the halves of single-precision numbers, all little-endian.
    ///
    /// # Errors
    /// [`TooLarge`] at the first number above [`MOST`]; infinities and what is no number stay what they are.
    pub fn narrow(&mut self, numbers: &[[u8; 4]], out: &mut Vec<u8>) -> Result<(), TooLarge> {
        out.reserve(numbers.len() * 2);
        for bytes in numbers {
            let half = halve(f32::from_le_bytes(*bytes), self.0.next_u32())?;
            out.extend_from_slice(&half.to_le_bytes());
        }
        Ok(())
    }
}

/// The bits of one of the two halves around `x`; which one, `random` says.
fn halve(x: f32, random: u32) -> Result<u16, TooLarge> {
    /// Bits of the mantissa that half precision does not have.
    const LOST: u32 = 13;
    /// Between the two exponents' zeros.
    const REBIAS: u32 = (127 - 15) << 10;
    let sign = (x.to_bits() >> 16) & 0x8000;
    let magnitude = x.abs();
    let half = if !x.is_finite() {
        u32::from(half::f16::from_f32(magnitude).to_bits())
    } else if magnitude > MOST {
        return Err(TooLarge);
    } else if magnitude >= half::f16::MIN_POSITIVE.to_f32() {
        // A carry out of the mantissa is the next exponent's first.
        ((magnitude.to_bits() + (random & ((1 << LOST) - 1))) >> LOST) - REBIAS
    } else {
        // Multiples of 2^-24; the product is exact, and below 1024.
        let units = magnitude * 16_777_216.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and below 1024"
        )]
        let whole = units as u32;
        #[expect(clippy::cast_precision_loss, reason = "below 1024")]
        let fraction = f64::from(units - whole as f32);
        whole + u32::from(f64::from(random) < fraction * 4_294_967_296.0)
    };
    // 15 bits by now.
    Ok(u16::try_from(sign | half).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn back(x: f32, random: u32) -> f32 {
        half::f16::from_bits(halve(x, random).unwrap()).to_f32()
    }

    #[test]
    fn what_half_precision_has_stays() {
        for bits in 0..=u16::MAX {
            let x = half::f16::from_bits(bits).to_f32();
            for random in [0, 0x1fff, u32::MAX] {
                let y = back(x, random);
                assert!(
                    x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()),
                    "{x} {y}"
                );
            }
        }
        assert_eq!(halve(65_504.1, 0), Err(TooLarge));
        assert_eq!(halve(-f32::MAX, 0), Err(TooLarge));
    }

    #[test]
    fn it_is_right_on_average() {
        for x in [0.1_f32, -3.3, 1e-3, 6e-5, 3e-7, -1e-8, 1234.567] {
            let draws = 1_u32 << 13;
            // All low bits once, and spread over the whole word.
            let all = (0..draws).map(|i| f64::from(back(x, (i << 19) | i)));
            let mean = all.sum::<f64>() / f64::from(draws);
            let (low, high) = (f64::from(back(x, 0)), f64::from(back(x, u32::MAX)));
            let step = (high - low).abs();
            assert!((mean - f64::from(x)).abs() <= step * 1e-3, "{x}: {mean}");
        }
    }

    proptest! {
        #[test]
        fn the_neighbours_are_the_only_choices(x in -65_504.0_f32..65_504.0, random: u32) {
            let nearest = half::f16::from_f32(x);
            let got = half::f16::from_f32(back(x, random));
            let apart = (i32::from(nearest.to_bits()) - i32::from(got.to_bits())).abs();
            prop_assert!(apart <= 1, "{x} {nearest} {got}");
            let y = got.to_f32();
            let (low, high) = (back(x, 0), back(x, u32::MAX));
            prop_assert!(y.to_bits() == low.to_bits() || y.to_bits() == high.to_bits());
        }
    }

    #[test]
    fn parts_are_halved_as_the_whole() {
        let digest = Digest::of(b"an array");
        let numbers: Vec<[u8; 4]> = (0..100_u8)
            .map(|i| (f32::from(i) / 7.0).to_le_bytes())
            .collect();
        let mut whole = Vec::new();
        Halving::of(&digest).narrow(&numbers, &mut whole).unwrap();
        let (mut parts, mut halving) = (Vec::new(), Halving::of(&digest));
        for part in numbers.chunks(7) {
            halving.narrow(part, &mut parts).unwrap();
        }
        assert_eq!(whole, parts);
    }
}
