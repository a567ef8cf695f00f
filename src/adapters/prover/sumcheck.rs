//! The prover's side of the sum-check: polynomials of rounds, and binding the rows' variables one after the other, lowest first.
//!
//! For three rounds bits stay bits: what a bit has become is one of 2, 4, 16 values, and columns that look alike are added up before
//! anything is multiplied. Then they unfold into an eighth of the rows, which is what this takes of memory.

use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize as _, Zeroizing};

use crate::bits::Bits;
use crate::circuit::{Circuit, wire};

/// Rounds for which bits stay bits.
const PACKED_ROUNDS: usize = 3;

/// Rows on their way to one.
pub(crate) struct SumCheck<'a> {
    circuit: &'a Circuit<'a>,
    wires: Zeroizing<Vec<Vec<Scalar>>>,
    equality: Vec<Scalar>,
    bits: FoldedBits<'a>,
}

impl<'a> SumCheck<'a> {
    /// `wires`: wire by wire, a scalar a row. `equality`: of tau. `matrices`: the bits, in the order of columns.
    pub(crate) fn new(
        circuit: &'a Circuit<'a>,
        wires: Zeroizing<Vec<Vec<Scalar>>>,
        equality: Vec<Scalar>,
        matrices: Vec<&'a Bits>,
    ) -> Self {
        let bits = FoldedBits::new(matrices, &circuit.gammas);
        Self {
            circuit,
            wires,
            equality,
            bits,
        }
    }

    /// Values of the next round's polynomial at 0, 1, ..., `degree`; not of the last round's, which hides rows.
    pub(crate) fn values(&self, degree: usize) -> Zeroizing<Vec<Scalar>> {
        let mut values = Zeroizing::new(vec![Scalar::ZERO; degree + 1]);
        let shapes = self.bits.shapes();
        let mut wires = Zeroizing::new(vec![Scalar::ZERO; self.wires.len()]);
        let mut slopes = wires.clone();
        for pair in 0..self.equality.len() / 2 {
            let ends =
                |column: &[Scalar]| (column[2 * pair], column[2 * pair + 1] - column[2 * pair]);
            for ((wire, slope), column) in wires
                .iter_mut()
                .zip(slopes.iter_mut())
                .zip(self.wires.iter())
            {
                (*wire, *slope) = ends(column);
            }
            let (mut equality, rise) = ends(&self.equality);
            let [constant, linear, square] = self.bits.rule(pair, &shapes);
            let mut x = Scalar::ZERO;
            for value in values.iter_mut() {
                let (rules, sums) = self.circuit.row(&wires);
                *value += equality * (rules + constant + x * (linear + x * square)) + sums;
                for (wire, slope) in wires.iter_mut().zip(slopes.iter()) {
                    *wire += slope;
                }
                equality += rise;
                x += Scalar::ONE;
            }
        }
        values
    }

    /// Goes on to the next round.
    pub(crate) fn bind(&mut self, challenge: &Scalar) {
        for column in self.wires.iter_mut().chain([&mut self.equality]) {
            halve(column, challenge);
        }
        self.bits.bind(challenge);
    }

    /// Before the last round: columns of the two rows that are left, and the equality polynomial there.
    pub(crate) fn last_pair(&self) -> ([Zeroizing<Vec<Scalar>>; 2], [Scalar; 2]) {
        let row = |at: usize| {
            let mut columns = Zeroizing::new(self.bits.row(at));
            if self.circuit.layout.has_aux() {
                columns.push(self.wires[wire::HEIGHT][at]);
            }
            columns
        };
        ([row(0), row(1)], [self.equality[0], self.equality[1]])
    }
}

/// Binds the lowest variable of a column.
fn halve(column: &mut Vec<Scalar>, challenge: &Scalar) {
    let half = column.len() / 2;
    for at in 0..half {
        let (low, high) = (column[2 * at], column[2 * at + 1]);
        column[at] = low + challenge * (high - low);
    }
    column[half..].iter_mut().zeroize();
    column.truncate(half);
}

struct FoldedBits<'a> {
    matrices: Vec<&'a Bits>,
    gammas: &'a [Scalar],
    squares: Vec<Scalar>,
    rounds: usize,
    /// What a run of 2^rounds bits has become, by its bits.
    values: Vec<Scalar>,
    /// Column by column, each times its gamma; empty while bits stay bits.
    folded: Zeroizing<Vec<Vec<Scalar>>>,
    /// The sum over columns of gamma times `folded`.
    linear: Zeroizing<Vec<Scalar>>,
}

impl<'a> FoldedBits<'a> {
    fn new(matrices: Vec<&'a Bits>, gammas: &'a [Scalar]) -> Self {
        Self {
            matrices,
            gammas,
            squares: gammas.iter().map(|gamma| gamma * gamma).collect(),
            rounds: 0,
            values: vec![Scalar::ZERO, Scalar::ONE],
            folded: Zeroizing::default(),
            linear: Zeroizing::default(),
        }
    }

    fn columns(&self) -> impl Iterator<Item = &[u8]> {
        self.matrices
            .iter()
            .flat_map(|bits| (0..bits.columns()).map(|column| bits.column(column)))
    }

    /// The rule's coefficients for every pair of values that there is, while bits stay bits.
    fn shapes(&self) -> Vec<[Scalar; 3]> {
        if self.rounds >= PACKED_ROUNDS {
            return Vec::new();
        }
        let pair = |at: usize| {
            let low = self.values[at % self.values.len()];
            let slope = self.values[at / self.values.len()] - low;
            [
                low * low - low,
                (low + low - Scalar::ONE) * slope,
                slope * slope,
            ]
        };
        (0..self.values.len() * self.values.len())
            .map(pair)
            .collect()
    }

    /// The rule that bits are bits over a pair of rows, all columns together: coefficients of 1, x and x^2.
    fn rule(&self, pair: usize, shapes: &[[Scalar; 3]]) -> [Scalar; 3] {
        let mut out = [Scalar::ZERO; 3];
        if self.rounds < PACKED_ROUNDS {
            let width = 2 << self.rounds;
            let (byte, shift) = (pair * width / 8, pair * width % 8);
            let mut alike = vec![None; shapes.len()];
            for (column, square) in self.columns().zip(&self.squares) {
                let seen = usize::from(column[byte] >> shift) & (shapes.len() - 1);
                *alike[seen].get_or_insert(Scalar::ZERO) += square;
            }
            for (weight, shape) in alike.iter().zip(shapes) {
                if let Some(weight) = weight {
                    (0..3).for_each(|power| out[power] += weight * shape[power]);
                }
            }
            return out;
        }
        for column in self.folded.iter() {
            let low = column[2 * pair];
            let slope = column[2 * pair + 1] - low;
            out[0] += low * low;
            out[1] += low * slope;
            out[2] += slope * slope;
        }
        let (low, high) = (self.linear[2 * pair], self.linear[2 * pair + 1]);
        [out[0] - low, out[1] + out[1] - (high - low), out[2]]
    }

    fn bind(&mut self, challenge: &Scalar) {
        self.rounds += 1;
        if self.rounds > PACKED_ROUNDS {
            for column in self.folded.iter_mut().chain([&mut *self.linear]) {
                halve(column, challenge);
            }
            return;
        }
        let values = &self.values;
        let bound = values
            .iter()
            .flat_map(|high| values.iter().map(move |low| low + challenge * (high - low)));
        self.values = bound.collect();
        if self.rounds == PACKED_ROUNDS {
            self.unfold();
        }
    }

    fn unfold(&mut self) {
        let mut folded = Zeroizing::new(Vec::with_capacity(self.gammas.len()));
        let mut linear = Zeroizing::new(Vec::new());
        for (bytes, gamma) in self.columns().zip(self.gammas) {
            let scaled: Vec<Scalar> = self.values.iter().map(|value| gamma * value).collect();
            let column: Vec<Scalar> = bytes
                .iter()
                .map(|byte| scaled[usize::from(*byte)])
                .collect();
            linear.resize(column.len(), Scalar::ZERO);
            for (sum, value) in linear.iter_mut().zip(&column) {
                *sum += gamma * value;
            }
            folded.push(column);
        }
        (self.folded, self.linear) = (folded, linear);
    }

    /// Columns of a row, without their gammas.
    fn row(&self, at: usize) -> Vec<Scalar> {
        let inverse = self.gammas.get(1).map_or(Scalar::ONE, Scalar::invert);
        let mut scale = Scalar::ONE;
        let unscaled = self.folded.iter().map(|column| {
            let value = column[at] * scale;
            scale *= inverse;
            value
        });
        unscaled.collect()
    }
}
