//! Real numbers of a record as integers: the rule of [`Encoding`], with the bound that keeps every sum exact in a double.

use crate::secagg::encoding::{Encoding, QuantiseError};
use crate::secagg::word::Ring;

/// The largest magnitude of one integer, and of a sum that is released: 2^52 - 1.
pub const MAX_MAGNITUDE: u64 = (1 << 52) - 1;
/// With this cohort the bound of [`Encoding`] is [`MAX_MAGNITUDE`]: (2^63 - 1) / 2^11, rounded down.
const COHORT: usize = 1 << 11;

/// Replaces `out` with `round-half-even(x * 10^precision)` of each value.
///
/// # Errors
/// [`QuantiseError`] names the first value that is not finite or above [`MAX_MAGNITUDE`], or says that the precision is too high; it
/// never shows the value. `out` is then empty.
///
/// Source: `docs/protocol/secagg.md`, Fixed point.
pub(super) fn quantise(
    values: &[f64],
    precision: u8,
    out: &mut Vec<u64>,
) -> Result<(), QuantiseError> {
    Encoding::new(Ring::Z64, precision, COHORT).encode(values, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secagg::encoding::QuantiseErrorKind;

    fn one(value: f64, precision: u8) -> Result<i64, QuantiseErrorKind> {
        let mut out = Vec::new();
        quantise(&[value], precision, &mut out).map_err(|error| error.kind)?;
        Ok(out[0].cast_signed())
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (value, integer) in [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2)] {
            assert_eq!(one(value, 0), Ok(integer));
        }
        assert_eq!(one(0.25, 1), Ok(2));
    }

    #[test]
    fn the_bound_is_exact() {
        let most = 4_503_599_627_370_495.0;
        assert_eq!(one(most, 0), Ok(MAX_MAGNITUDE.cast_signed()));
        assert_eq!(one(-most, 0), Ok(-MAX_MAGNITUDE.cast_signed()));
        for value in [most + 1.0, -most - 1.0, 1e300] {
            let error = one(value, 0).unwrap_err();
            assert!(matches!(error, QuantiseErrorKind::TooLarge { .. }));
        }
        assert_eq!(one(f64::NAN, 3), Err(QuantiseErrorKind::NotFinite));
        assert_eq!(one(f64::INFINITY, 3), Err(QuantiseErrorKind::NotFinite));
        assert!(one(1.0, 23).is_err());
    }
}
