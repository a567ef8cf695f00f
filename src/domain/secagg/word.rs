//! The ring a sum lives in, and the machine words that represent it.
//!
//! Not here: how a real number becomes a word (`encoding`). docs/protocol/secagg.md, Fixed point.

use serde::{Deserialize, Serialize};

/// The ring Z_2^w of all masked values of a task.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Ring {
    /// 32-bit words: half the traffic, for learning with a value bound.
    Z32,
    /// 64-bit words.
    #[default]
    Z64,
}

impl Ring {
    /// Bytes one value takes on the wire: 4 or 8.
    #[must_use]
    pub const fn bytes_per_value(self) -> usize {
        match self {
            Self::Z32 => 4,
            Self::Z64 => 8,
        }
    }

    /// The exponent w of the ring Z_2^w.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Z32 => 32,
            Self::Z64 => 64,
        }
    }

    /// The largest magnitude that each of `cohort` signed values may have so that no sum of them wraps:
    /// `magnitude * cohort < 2^(w-1)`.
    #[must_use]
    pub fn magnitude_limit(self, cohort: usize) -> u64 {
        let half = (1_u64 << (self.bits() - 1)) - 1;
        half / u64::try_from(cohort.max(1)).unwrap_or(u64::MAX)
    }
}

/// A word of a ring: `u32` or `u64`. Sealed: the wire knows no other.
pub trait Word:
    Copy + Default + Send + Sync + std::fmt::Debug + Eq + private::Word + 'static
{
    /// The ring this word represents.
    const RING: Ring;
    /// Bytes in a word.
    const BYTES: usize;
    /// Little-endian bytes of one word.
    type Bytes: Copy + AsRef<[u8]> + AsMut<[u8]> + Default;

    /// Sum in the ring.
    #[must_use]
    fn plus(self, other: Self) -> Self;
    /// Difference in the ring.
    #[must_use]
    fn minus(self, other: Self) -> Self;
    /// The word with these little-endian bytes.
    fn from_le(bytes: Self::Bytes) -> Self;
    /// The little-endian bytes of the word.
    fn to_le(self) -> Self::Bytes;
    /// `bytes` cut into words, and what is left over.
    fn chunks(bytes: &[u8]) -> (&[Self::Bytes], &[u8]);
    /// `bytes` cut into words, and what is left over.
    fn chunks_mut(bytes: &mut [u8]) -> (&mut [Self::Bytes], &mut [u8]);
    /// The ring element of a signed integer (two's complement, high bits dropped).
    fn from_signed(value: i64) -> Self;
    /// The signed integer nearest to zero that the ring element stands for.
    fn to_signed(self) -> i64;
}

mod private {
    pub trait Word {}
    impl Word for u32 {}
    impl Word for u64 {}
}

macro_rules! word {
    ($word:ty, $signed:ty, $ring:expr, $bytes:literal) => {
        impl Word for $word {
            const RING: Ring = $ring;
            const BYTES: usize = $bytes;
            type Bytes = [u8; $bytes];

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn from_le(bytes: Self::Bytes) -> Self {
                Self::from_le_bytes(bytes)
            }
            #[inline(always)]
            fn to_le(self) -> Self::Bytes {
                self.to_le_bytes()
            }
            #[inline(always)]
            fn chunks(bytes: &[u8]) -> (&[Self::Bytes], &[u8]) {
                bytes.as_chunks()
            }
            #[inline(always)]
            fn chunks_mut(bytes: &mut [u8]) -> (&mut [Self::Bytes], &mut [u8]) {
                bytes.as_chunks_mut()
            }
            #[inline(always)]
            #[allow(
                clippy::cast_possible_truncation,
                reason = "reduction modulo 2^w is the meaning"
            )]
            fn from_signed(value: i64) -> Self {
                value as $word
            }
            #[inline(always)]
            fn to_signed(self) -> i64 {
                i64::from(self as $signed)
            }
        }
    };
}

word!(u32, i32, Ring::Z32, 4);
word!(u64, i64, Ring::Z64, 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_wire_are_fixed() {
        assert_eq!(
            serde_json::to_string(&[Ring::Z32, Ring::Z64]).unwrap(),
            r#"["z32","z64"]"#
        );
    }

    #[test]
    fn magnitude_limit_is_the_largest_that_cannot_wrap() {
        for ring in [Ring::Z32, Ring::Z64] {
            for cohort in [1_usize, 2, 3, 100, 1000] {
                let limit = u128::from(ring.magnitude_limit(cohort));
                let half = 1_u128 << (ring.bits() - 1);
                assert!(limit * (cohort as u128) < half);
                assert!((limit + 1) * (cohort as u128) >= half);
            }
        }
    }

    #[test]
    fn signed_values_survive_the_ring() {
        for value in [0, 1, -1, i64::from(i32::MAX), i64::from(i32::MIN)] {
            assert_eq!(u32::from_signed(value).to_signed(), value);
            assert_eq!(u64::from_signed(value).to_signed(), value);
        }
    }
}
