//! The driver `solve`: a system of linear equations, the one closed form that reduces need and ONNX lacks.
//!
//! LU with partial pivoting (Golub and Van Loan, Matrix Computations, algorithm 3.4.1) on a copy whose rows and columns are scaled by powers
//! of two, which is exact: columns in euros and in millions are then no reason to find a matrix singular, and dependent ones are.

use super::scope::Scope;
use crate::failure::Failure;
use delta_domain::manifest::{MAX_SYSTEM, Solve, Step, Target};
use delta_domain::tensor::{Tensor, TensorData};

/// Runs the step: `x` of (`a` + ridge I) `x` = `b` becomes a named value.
pub(super) fn run(step: &Step, spec: &Solve, scope: &mut Scope) -> Result<(), Failure> {
    let input = |name: &str| {
        let source = step.inputs.get(name);
        let fixed = source.map(|s| scope.fixed(s)).transpose()?.flatten();
        fixed.ok_or_else(|| Failure::rejected(format!("solve needs a fixed input {name:?}")))
    };
    let Some(Target::Value { name }) = step.outputs.get("x") else {
        return Err(Failure::rejected(
            "solve makes the value x and nothing else",
        ));
    };
    let x = solve(input("a")?, input("b")?, spec.ridge)?;
    scope.values.insert(name.clone(), x);
    Ok(())
}

/// Solves (`a` + `ridge` I) x = `b` for `a` `[n, n]` and `b` `[n]` or `[n, k]`, all `f64`; x has the shape of `b`.
///
/// Rejected are other shapes or types, numbers that are not finite, a matrix that is singular to working precision.
fn solve(a: &Tensor, b: &Tensor, ridge: f64) -> Result<Tensor, Failure> {
    let (n, k) = match (a.shape(), b.shape()) {
        ([n, m], [rows]) if n == m && n == rows => (*n, 1),
        ([n, m], [rows, k]) if n == m && n == rows => (*n, *k),
        (a, b) => {
            return Err(Failure::rejected(format!(
                "a has shape {a:?} and b {b:?}; a must be [n, n] and b [n] or [n, k]"
            )));
        }
    };
    if !(1..=MAX_SYSTEM).contains(&n) || !(1..=MAX_SYSTEM).contains(&k) {
        return Err(Failure::rejected(format!(
            "a system of {n} unknowns and {k} right sides; 1 to {MAX_SYSTEM} of each are solved"
        )));
    }
    let (mut matrix, mut sides) = (finite("a", a)?, finite("b", b)?);
    for i in 0..n {
        matrix[i * n + i] += ridge;
    }
    let columns = scale(&mut matrix, &mut sides, n, k);
    eliminate(&mut matrix, &mut sides, n, k)?;
    substitute(&matrix, &mut sides, n, k);
    for (row, by) in sides.chunks_exact_mut(k).zip(columns) {
        row.iter_mut().for_each(|x| *x /= by);
    }
    if sides.iter().any(|x| !x.is_finite()) {
        return Err(Failure::rejected(
            "the solution is too large for f64; check the scale of the columns, or raise ridge",
        ));
    }
    Tensor::new(b.shape().to_vec(), TensorData::F64(sides))
        .map_err(|e| Failure::internal(e.to_string()))
}

fn finite(name: &str, tensor: &Tensor) -> Result<Vec<f64>, Failure> {
    let TensorData::F64(values) = tensor.data() else {
        return Err(Failure::rejected(format!(
            "{name} is {}, f64 is needed; cast it in the graph",
            tensor.dtype().name()
        )));
    };
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values.clone()),
        Some(i) => Err(Failure::rejected(format!(
            "{name} has the value {} at place {i}; a system of equations needs finite numbers",
            values[i]
        ))),
    }
}

/// Divides rows, then columns, by the power of two below their largest entry. Returns the columns' divisors.
fn scale(matrix: &mut [f64], sides: &mut [f64], n: usize, k: usize) -> Vec<f64> {
    for (row, side) in matrix.chunks_exact_mut(n).zip(sides.chunks_exact_mut(k)) {
        let by = power_of_two(row.iter().fold(0.0, |m, x| x.abs().max(m)));
        row.iter_mut().chain(side).for_each(|x| *x /= by);
    }
    let mut columns = vec![0.0_f64; n];
    for row in matrix.chunks_exact(n) {
        for (largest, x) in columns.iter_mut().zip(row) {
            *largest = x.abs().max(*largest);
        }
    }
    columns.iter_mut().for_each(|c| *c = power_of_two(*c));
    for row in matrix.chunks_exact_mut(n) {
        row.iter_mut().zip(&columns).for_each(|(x, by)| *x /= by);
    }
    columns
}

/// The power of two not above a number that is not negative: its bits without those of the fraction.
fn power_of_two(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    f64::from_bits(x.to_bits() & EXPONENT).max(f64::MIN_POSITIVE)
}

/// What is left of a number of a matrix by rounding: exact sums keep 48 bits of each row's, and products behind them a few fewer than 52.
const ROUNDED: f64 = 16.0 * f64::EPSILON;

/// Brings the matrix into upper triangular form, the right sides with it.
#[expect(
    clippy::cast_precision_loss,
    reason = "n is at most MAX_SYSTEM, far below 2^52"
)]
fn eliminate(matrix: &mut [f64], sides: &mut [f64], n: usize, k: usize) -> Result<(), Failure> {
    // Entries are about 1 now, and sums have 48 bits: what is below this is made of rounding errors.
    let nothing = n as f64 * ROUNDED;
    for p in 0..n {
        let size = |i: usize| matrix[i * n + p].abs();
        let best = (p + 1..n).fold(p, |best, i| if size(i) > size(best) { i } else { best });
        let pivot = size(best);
        if pivot.is_nan() || pivot <= nothing {
            return Err(Failure::rejected(format!(
                "the matrix a is singular: its column {p} (counted from 0) depends on those before it; leave out columns that follow from others, or raise ridge"
            )));
        }
        swap_rows(matrix, n, p, best);
        swap_rows(sides, k, p, best);
        let (above, below) = matrix.split_at_mut((p + 1) * n);
        let pivot = &above[p * n + p..];
        let (sides_above, sides_below) = sides.split_at_mut((p + 1) * k);
        let side = &sides_above[p * k..];
        for (row, other) in below
            .chunks_exact_mut(n)
            .zip(sides_below.chunks_exact_mut(k))
        {
            let factor = row[p] / pivot[0];
            if factor != 0.0 {
                subtract(&mut row[p..], pivot, factor);
                subtract(other, side, factor);
            }
        }
    }
    Ok(())
}

/// Solves the triangular system, last row first.
fn substitute(matrix: &[f64], sides: &mut [f64], n: usize, k: usize) {
    for p in (0..n).rev() {
        let (above, rest) = sides.split_at_mut(p * k);
        let solved = &mut rest[..k];
        solved.iter_mut().for_each(|x| *x /= matrix[p * n + p]);
        for (i, row) in above.chunks_exact_mut(k).enumerate() {
            subtract(row, solved, matrix[i * n + p]);
        }
    }
}

fn subtract(row: &mut [f64], other: &[f64], factor: f64) {
    for (x, y) in row.iter_mut().zip(other) {
        *x -= factor * y;
    }
}

fn swap_rows(values: &mut [f64], width: usize, i: usize, j: usize) {
    if i < j {
        let (head, tail) = values.split_at_mut(j * width);
        head[i * width..(i + 1) * width].swap_with_slice(&mut tail[..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize], values: Vec<f64>) -> Tensor {
        Tensor::new(shape.to_vec(), TensorData::F64(values)).unwrap()
    }

    fn numbers(tensor: Tensor) -> Vec<f64> {
        match tensor.into_data() {
            TensorData::F64(v) => v,
            other => panic!("{other:?}"),
        }
    }

    fn hilbert(n: usize) -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let entry = |i: usize| 1.0 / ((i / n + i % n + 1) as f64);
        (0..n * n).map(entry).collect()
    }

    #[track_caller]
    fn rejected(a: &Tensor, b: &Tensor, ridge: f64, expected: &str) {
        let message = solve(a, b, ridge).unwrap_err().message;
        assert!(message.contains(expected), "{message:?}");
    }

    #[test]
    fn a_system_that_needs_pivots_is_solved() {
        // x = (1, -2, 3); the first pivot is 0.
        let a = array(&[3, 3], vec![0.0, 2.0, 1.0, 1.0, 1.0, 0.0, 4.0, -1.0, 2.0]);
        let x = solve(&a, &array(&[3], vec![-1.0, -1.0, 12.0]), 0.0).unwrap();
        assert_eq!(x.shape(), [3]);
        for (x, expected) in numbers(x).iter().zip([1.0, -2.0, 3.0]) {
            assert!((x - expected).abs() < 1e-15, "{x}");
        }
    }

    #[test]
    fn identity_on_the_right_gives_the_inverse() {
        let n = 6;
        let a = hilbert(n);
        let one: Vec<f64> = (0..n * n)
            .map(|i| f64::from(u8::from(i / n == i % n)))
            .collect();
        let inverse = numbers(
            solve(
                &array(&[n, n], a.clone()),
                &array(&[n, n], one.clone()),
                0.0,
            )
            .unwrap(),
        );
        // The inverse of a Hilbert matrix is of whole numbers; its corner is n squared. Condition number 1.5e7.
        assert!((inverse[0] - 36.0).abs() < 1e-7, "{}", inverse[0]);
        for i in 0..n {
            for j in 0..n {
                let product: f64 = (0..n).map(|l| a[i * n + l] * inverse[l * n + j]).sum();
                assert!((product - one[i * n + j]).abs() < 1e-9, "{i} {j} {product}");
            }
        }
    }

    #[test]
    fn scales_of_columns_do_not_matter() {
        // S = [[2, 1], [1, 2]] with both sides scaled by (1e-9, 1e9): not singular at all.
        let a = array(&[2, 2], vec![2e-18, 1.0, 1.0, 2e18]);
        let x = numbers(solve(&a, &array(&[2], vec![3e-9, 3e9]), 0.0).unwrap());
        assert!((x[0] / 1e9 - 1.0).abs() < 1e-14, "{x:?}");
        assert!((x[1] * 1e9 - 1.0).abs() < 1e-14, "{x:?}");
    }

    #[test]
    fn a_ridge_makes_dependent_columns_solvable() {
        let a = array(&[2, 2], vec![1.0, 2.0, 2.0, 4.0]);
        let b = array(&[2], vec![5.0, 10.0]);
        rejected(&a, &b, 0.0, "singular: its column 1");
        // With a small ridge, the solution of least norm: (1, 2).
        let x = numbers(solve(&a, &b, 1e-10).unwrap());
        assert!(
            (x[0] - 1.0).abs() < 1e-5 && (x[1] - 2.0).abs() < 1e-5,
            "{x:?}"
        );
    }

    #[test]
    fn singular_to_working_precision_is_singular() {
        rejected(
            &array(&[3, 3], vec![0.0; 9]),
            &array(&[3], vec![1.0; 3]),
            0.0,
            "column 0",
        );
        // Column 2 is column 0 plus column 1, but for rounding: 0.1 + 0.2 is not 0.3.
        let rows = [[0.1, 0.2, 0.3], [0.7, 0.1, 0.8], [0.3, 0.5, 0.8]];
        let a = array(&[3, 3], rows.concat());
        rejected(&a, &array(&[3], vec![1.0; 3]), 0.0, "column 2");
        // What a sum of 48 bits leaves of a column that is twice another, and what is well above it.
        let rows = |left: f64| array(&[2, 2], vec![1.0, 2.0, 2.0, 4.0 + left]);
        let b = array(&[2], vec![1.0; 2]);
        rejected(&rows(2.0_f64.powi(-48)), &b, 0.0, "column 1");
        assert!(solve(&rows(2.0_f64.powi(-40)), &b, 0.0).is_ok());
    }

    #[test]
    fn what_is_not_finite_is_named_and_never_returned() {
        let (one, ok) = (array(&[1, 1], vec![1.0]), array(&[1], vec![1.0]));
        rejected(
            &array(&[1, 1], vec![f64::NAN]),
            &ok,
            0.0,
            "a has the value NaN",
        );
        rejected(
            &one,
            &array(&[1], vec![f64::INFINITY]),
            0.0,
            "b has the value inf",
        );
        rejected(
            &array(&[1, 1], vec![1e-300]),
            &array(&[1], vec![1e300]),
            0.0,
            "too large",
        );
        rejected(
            &array(&[1, 1], vec![f64::MAX]),
            &ok,
            f64::MAX,
            "a is singular",
        );
    }

    #[test]
    fn shapes_and_types_that_do_not_fit_are_rejected() {
        let b = array(&[2], vec![1.0; 2]);
        rejected(&array(&[2, 1], vec![1.0; 2]), &b, 0.0, "must be [n, n]");
        rejected(&array(&[1, 1], vec![1.0]), &b, 0.0, "must be [n, n]");
        let floats = Tensor::new(vec![1, 1], TensorData::F32(vec![1.0])).unwrap();
        rejected(
            &floats,
            &array(&[1], vec![1.0]),
            0.0,
            "a is f32, f64 is needed",
        );
    }
}
