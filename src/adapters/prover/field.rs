//! Scalars of ristretto255 as the field of all sums: numbers in and out, powers, the equality polynomial, interpolation.

use curve25519_dalek::scalar::Scalar;

/// A whole number.
pub(crate) fn signed(value: i64) -> Scalar {
    wide(i128::from(value))
}

/// The same for larger ones.
pub(crate) fn wide(value: i128) -> Scalar {
    let magnitude = Scalar::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// The whole number that a scalar stands for, below 2^120 on either side of zero.
pub(crate) fn whole(value: &Scalar) -> Option<i128> {
    let small = |scalar: &Scalar| {
        let (low, high) = scalar.as_bytes().split_at(15);
        let mut bytes = [0; 16];
        bytes[..15].copy_from_slice(low);
        high.iter()
            .all(|byte| *byte == 0)
            .then_some(i128::from_le_bytes(bytes))
    };
    small(value).or_else(|| small(&-value).map(|v| -v))
}

/// 1, x, x^2, ...
pub(crate) fn powers(x: Scalar, count: usize) -> Vec<Scalar> {
    std::iter::successors(Some(Scalar::ONE), |power| Some(power * x))
        .take(count)
        .collect()
}

/// eq(point, i) of every i below 2^|point|; bit k of i belongs to the k-th coordinate.
pub(crate) fn equality(point: &[Scalar]) -> Vec<Scalar> {
    let mut table = vec![Scalar::ONE];
    for coordinate in point {
        let high: Vec<Scalar> = table.iter().map(|v| v * coordinate).collect();
        for (low, high) in table.iter_mut().zip(&high) {
            *low -= high;
        }
        table.extend(high);
    }
    table
}

/// eq of two points.
pub(crate) fn equality_at(one: &[Scalar], other: &[Scalar]) -> Scalar {
    let terms = one
        .iter()
        .zip(other)
        .map(|(a, b)| a * b + (Scalar::ONE - a) * (Scalar::ONE - b));
    terms.product()
}

/// Sum of products.
pub(crate) fn dot(one: &[Scalar], other: &[Scalar]) -> Scalar {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// From values of a polynomial at 0, 1, 2, ... to its coefficients.
pub(crate) struct Interpolation(Vec<Vec<Scalar>>);

impl Interpolation {
    pub(crate) fn new(degree: usize) -> Self {
        let points: Vec<Scalar> = (0..=degree as u64).map(Scalar::from).collect();
        let basis = |k: usize| {
            let mut coefficients = vec![Scalar::ONE];
            let mut scale = Scalar::ONE;
            for (j, point) in points.iter().enumerate().filter(|(j, _)| *j != k) {
                // times (x - point)
                coefficients.push(Scalar::ZERO);
                for at in (0..coefficients.len()).rev() {
                    let lower = if at > 0 {
                        coefficients[at - 1]
                    } else {
                        Scalar::ZERO
                    };
                    coefficients[at] = lower - point * coefficients[at];
                }
                scale *= points[k] - points[j];
            }
            let scale = scale.invert();
            coefficients.iter_mut().for_each(|c| *c *= scale);
            coefficients
        };
        Self((0..=degree).map(basis).collect())
    }

    pub(crate) fn coefficients(&self, values: &[Scalar]) -> Vec<Scalar> {
        let mut out = vec![Scalar::ZERO; self.0.len()];
        for (value, basis) in values.iter().zip(&self.0) {
            for (c, b) in out.iter_mut().zip(basis) {
                *c += value * b;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [
            0,
            1,
            -1,
            i128::from(i64::MIN),
            (1 << 120) - 1,
            -((1 << 120) - 1),
        ] {
            assert_eq!(whole(&wide(value)), Some(value));
        }
        assert_eq!(whole(&wide(1 << 120)), None);
        assert_eq!(whole(&Scalar::from(7u64).invert()), None);
    }

    #[test]
    fn equality_is_one_at_its_own_corner() {
        let corner = [Scalar::ONE, Scalar::ZERO, Scalar::ONE];
        let table = equality(&corner);
        let ones: Vec<usize> = (0..8).filter(|i| table[*i] == Scalar::ONE).collect();
        assert_eq!(ones, [5]);
        let point = [Scalar::from(3u64), Scalar::from(5u64), Scalar::from(7u64)];
        assert_eq!(equality_at(&corner, &point), equality(&point)[5]);
    }

    #[test]
    fn interpolation_finds_a_polynomial_again() {
        let coefficients: Vec<Scalar> = [4i64, -3, 0, 2, 9].map(signed).to_vec();
        let at = |x: u64| {
            let terms = coefficients.iter().zip(powers(Scalar::from(x), 5));
            terms.map(|(c, p)| c * p).sum::<Scalar>()
        };
        let values: Vec<Scalar> = (0..5).map(at).collect();
        assert_eq!(Interpolation::new(4).coefficients(&values), coefficients);
    }
}
