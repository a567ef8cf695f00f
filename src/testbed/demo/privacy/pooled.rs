//! What one would find with all patients in one place: computed here from the whole table, to hold the nodes' answers against.

use anyhow::{Context as _, bail};

use crate::assets::{PATIENTS, Table};

/// Centre and spread of age and HbA1c that the tasks assume (`tests/fixtures/make_privacy.py`).
const SCALE: [(f64, f64); 2] = [(60.0, 12.0), (7.0, 1.5)];
/// Newton's steps: they double the digits, so that these are plenty.
const STEPS: usize = 25;

/// Coefficients of 1, age and HbA1c.
pub(super) type Coefficients = [f64; 3];

/// Answers to two of the demonstration's questions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pooled {
    /// The log odds of coming back to hospital, as far as age and HbA1c say.
    pub(super) coefficients: Coefficients,
    /// Of age and HbA1c.
    pub(super) correlation: f64,
}

/// A patient: 1, age and HbA1c on their scales; and whether he came back.
type Row = ([f64; 3], f64);

/// The answers for all patients.
///
/// # Errors
/// The built-in table is not of the expected form.
pub(super) fn pooled() -> anyhow::Result<Pooled> {
    let rows = rows(&PATIENTS)?;
    Ok(Pooled {
        coefficients: logit(&rows)?,
        correlation: correlation(&rows),
    })
}

fn rows(table: &Table) -> anyhow::Result<Vec<Row>> {
    let lines = std::str::from_utf8(table.bytes)?.lines().skip(1);
    let row = |line: &str| -> anyhow::Result<Row> {
        let cells: Result<Vec<f64>, _> = line.split(',').map(str::parse).collect();
        let Ok([_, age, hba1c, again]) = <[f64; 4]>::try_from(cells?) else {
            bail!("{line:?} is no patient");
        };
        let [(a, s), (b, t)] = SCALE;
        Ok(([1.0, (age - a) / s, (hba1c - b) / t], again))
    };
    lines.map(row).collect()
}

/// The largest likelihood, by Newton's method from zeros.
fn logit(rows: &[Row]) -> anyhow::Result<Coefficients> {
    let mut found = [0.0; 3];
    for _ in 0..STEPS {
        let (mut score, mut curvature) = ([0.0; 3], [[0.0; 3]; 3]);
        for (x, y) in rows {
            let z: f64 = x.iter().zip(found).map(|(x, b)| x * b).sum();
            let p = 1.0 / (1.0 + (-z).exp());
            for i in 0..3 {
                score[i] += x[i] * (y - p);
                for j in 0..3 {
                    curvature[i][j] += x[i] * x[j] * p * (1.0 - p);
                }
            }
        }
        let step = solve(curvature, score).context("the pooled rows have no best estimate")?;
        for (b, s) in found.iter_mut().zip(step) {
            *b += s;
        }
    }
    Ok(found)
}

/// `a x = b` by elimination; `None` when `a` has no inverse. Symmetric and positive definite, so that no rows are exchanged.
fn solve(mut a: [[f64; 3]; 3], mut b: [f64; 3]) -> Option<[f64; 3]> {
    for i in 0..3 {
        if a[i][i].is_nan() || a[i][i] <= 0.0 {
            return None;
        }
        for j in 0..3 {
            if i != j {
                let factor = a[j][i] / a[i][i];
                let row = a[i];
                for (cell, above) in a[j].iter_mut().zip(row) {
                    *cell -= factor * above;
                }
                b[j] -= factor * b[i];
            }
        }
    }
    Some([b[0] / a[0][0], b[1] / a[1][1], b[2] / a[2][2]])
}

fn correlation(rows: &[Row]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand rows")]
    let n = rows.len() as f64;
    let mean = |of: &dyn Fn(&[f64; 3]) -> f64| rows.iter().map(|(x, _)| of(x)).sum::<f64>() / n;
    let (a, b) = (mean(&|x| x[1]), mean(&|x| x[2]));
    let product = mean(&|x| (x[1] - a) * (x[2] - b));
    let squares = mean(&|x| (x[1] - a).powi(2)) * mean(&|x| (x[2] - b).powi(2));
    product / squares.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved() {
        let a = [[4.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 2.0]];
        let x = [1.0, -2.0, 0.5];
        let b = a.map(|row| row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>());
        let found = solve(a, b).unwrap();
        for (found, x) in found.iter().zip(x) {
            assert!((found - x).abs() < 1e-12, "{found} {x}");
        }
        assert_eq!(solve([[0.0; 3]; 3], [1.0; 3]), None);
    }

    #[test]
    fn at_the_largest_likelihood_no_direction_leads_up() {
        let rows = rows(&PATIENTS).unwrap();
        let found = logit(&rows).unwrap();
        let likelihood = |b: Coefficients| -> f64 {
            let of = |(x, y): &Row| {
                let z: f64 = x.iter().zip(b).map(|(x, b)| x * b).sum();
                y * z - z.exp().ln_1p()
            };
            rows.iter().map(of).sum()
        };
        for i in 0..3 {
            for step in [-0.01, 0.01] {
                let mut beside = found;
                beside[i] += step;
                assert!(likelihood(beside) < likelihood(found));
            }
        }
    }

    #[test]
    fn a_column_goes_wholly_with_itself() {
        let rows: Vec<Row> = (0..9_u8)
            .map(|i| ([1.0, f64::from(i), 3.0 - f64::from(i)], 0.0))
            .collect();
        assert!((correlation(&rows) + 1.0).abs() < 1e-12);
    }
}
