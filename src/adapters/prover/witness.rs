//! A member's side of the circuit: matrices, wires of every row, and the sums in whole numbers.

use curve25519_dalek::scalar::Scalar;
use delta_ports::certifier::Model;
use zeroize::Zeroizing;

use crate::bits::{Bits, Heights};
use crate::circuit::{Circuit, wire};
use crate::field::{dot, signed};
use crate::layout::{Layout, UNIT, WEIGHT_BITS, aux};
use crate::sigmoid::{HALF, ONE, Position, step};
use crate::table::Table;

/// Everything about the rows that is secret.
pub(crate) struct Rows {
    pub(crate) layout: Layout,
    pub(crate) table: Table,
    pub(crate) data: Bits,
    pub(crate) aux: Option<(Bits, Heights)>,
    /// One a row of logistic regression.
    positions: Vec<Position>,
}

impl Rows {
    pub(crate) fn new(layout: Layout, table: Table, data: Bits, weights: &[i64]) -> Self {
        let rows = if layout.has_aux() { layout.rows() } else { 0 };
        let positions: Vec<Position> = (0..rows)
            .map(|row| Position::of(table.prediction(row, weights)))
            .collect();
        let aux = layout.has_aux().then(|| {
            let heights = positions.iter().map(|p| p.height.unsigned_abs()).collect();
            (Bits::of_positions(&positions), Heights(heights))
        });
        Self {
            layout,
            table,
            data,
            aux,
            positions,
        }
    }

    /// What is proven about this table: sums over rows, one a weight, and the number of rows.
    pub(crate) fn sums(&self, weights: &[i64]) -> Zeroizing<Vec<i128>> {
        let features = self.layout.features;
        let mut sums = Zeroizing::new(vec![0; self.layout.signals()]);
        for row in 0..self.table.rows() {
            if self.layout.model == Model::Mean {
                for (j, (sum, weight)) in sums.iter_mut().zip(weights).enumerate() {
                    *sum += i128::from(self.table.feature(row, j) << WEIGHT_BITS)
                        - i128::from(*weight) * i128::from(UNIT);
                }
                continue;
            }
            let residual = i128::from(self.residual(row, weights));
            for (j, sum) in sums[..features].iter_mut().enumerate() {
                *sum += i128::from(self.table.feature(row, j)) * residual;
            }
            sums[features] += i128::from(UNIT) * residual;
        }
        if let Some(count) = sums.last_mut() {
            *count = i128::try_from(self.table.rows()).unwrap_or(i128::MAX);
        }
        sums
    }

    fn residual(&self, row: usize, weights: &[i64]) -> i64 {
        match self.positions.get(row) {
            Some(p) => {
                self.table.label(row) * ONE - HALF - if p.negative { -p.height } else { p.height }
            }
            None => (self.table.label(row) << WEIGHT_BITS) - self.table.prediction(row, weights),
        }
    }

    /// Wires of all rows, wire by wire: [`Circuit::wires`] of each, from the whole numbers.
    pub(crate) fn wires(&self, circuit: &Circuit<'_>) -> Zeroizing<Vec<Vec<Scalar>>> {
        let mut wires = Zeroizing::new(vec![
            Vec::with_capacity(self.layout.rows());
            circuit_wires(&self.layout)
        ]);
        for row in 0..self.layout.rows() {
            for (wire, value) in wires.iter_mut().zip(self.row(circuit, row)) {
                wire.push(value);
            }
        }
        wires
    }

    fn row(&self, circuit: &Circuit<'_>, row: usize) -> Vec<Scalar> {
        let features = self.layout.features;
        let real = Scalar::from(u64::from(row < self.table.rows()));
        let cell = |j: usize| self.table.feature(row, j);
        if self.layout.model == Model::Mean {
            let deviation = |j: usize| signed((cell(j) << WEIGHT_BITS) - circuit.weights[j] * UNIT);
            let mixed = (0..features)
                .map(|j| circuit.lambdas[j] * deviation(j))
                .sum();
            return vec![real, mixed];
        }
        let inputs: Vec<Scalar> = (0..features).map(cell).chain([UNIT]).map(signed).collect();
        let mixed = dot(&inputs, &circuit.lambdas);
        let u = self.table.prediction(row, circuit.weights);
        let Some(p) = self.positions.get(row) else {
            return vec![
                real,
                mixed,
                signed((self.table.label(row) << WEIGHT_BITS) - u),
            ];
        };
        let mut wires = vec![Scalar::ZERO; wire::ALL];
        wires[wire::REAL] = real;
        wires[wire::MIXED] = mixed;
        wires[wire::LABEL] = signed(self.table.label(row));
        wires[wire::U] = signed(u);
        wires[wire::SIZE] = Scalar::from(u.unsigned_abs());
        wires[wire::NEGATIVE] = Scalar::from(u64::from(p.negative));
        wires[wire::SATURATED] = Scalar::from(u64::from(p.saturated));
        wires[wire::EXCESS] = Scalar::from(p.excess);
        wires[wire::STEP] = Scalar::from(step(p.low));
        wires[wire::HEIGHT] = signed(p.height);
        for g in 0..aux::GROUPS {
            let at = wire::GROUPS + 4 * g;
            wires[at] = Scalar::from(u64::from(!p.saturated && p.segment / aux::SEGMENTS == g));
            for power in 0..3 {
                let segment = g * aux::SEGMENTS + p.segment % aux::SEGMENTS;
                wires[at + 1 + power] = *circuit.parabola(power, segment);
            }
        }
        wires
    }
}

fn circuit_wires(layout: &Layout) -> usize {
    match layout.model {
        Model::Mean => wire::MIXED + 1,
        Model::Linear => wire::RESIDUAL + 1,
        Model::Logistic => wire::ALL,
    }
}
