//! What must hold of a row, as polynomials: the one place that says it, for the prover at every point and for the verifier at the last.
//!
//! Columns are what is committed to; *wires* are affine in them; [`Circuit::row`] is a polynomial in wires. The sum-check proves
//! `sum over rows of eq(tau, row) * (bits + rules) + sums = claimed`, where `bits` and `rules` vanish on every honest row.

use curve25519_dalek::scalar::Scalar;
use delta_ports::certifier::Model;

use crate::field::{dot, powers, signed};
use crate::layout::{FEATURE_BITS, Layout, OFFSET, UNIT, WEIGHT_BITS, aux};
use crate::sigmoid::{HALF, ONE, PARABOLAS};

/// Wires of a row of logistic regression, in order.
pub(crate) mod wire {
    use crate::layout::aux;

    /// Whether the row is real; of every model.
    pub(crate) const REAL: usize = 0;
    /// The sum over weights of challenge times the feature (for means: its deviation); of every model.
    pub(crate) const MIXED: usize = 1;
    /// Label - prediction; of linear regression.
    pub(crate) const RESIDUAL: usize = 2;
    /// The label; from here on of logistic regression.
    pub(crate) const LABEL: usize = 2;
    /// w.x.
    pub(crate) const U: usize = 3;
    /// |w.x| as it is put together.
    pub(crate) const SIZE: usize = 4;
    pub(crate) const NEGATIVE: usize = 5;
    pub(crate) const SATURATED: usize = 6;
    pub(crate) const EXCESS: usize = 7;
    /// Marked groups, and saturation, but one.
    pub(crate) const ONE_GROUP: usize = 8;
    /// Marked segments but one.
    pub(crate) const ONE_SEGMENT: usize = 9;
    /// Where in its segment |u| is.
    pub(crate) const STEP: usize = 10;
    pub(crate) const HEIGHT: usize = 11;
    /// One a group: whether it is marked, and the parabola of its marked segment.
    pub(crate) const GROUPS: usize = 12;
    pub(crate) const ALL: usize = GROUPS + 4 * aux::GROUPS;
}

/// Rules beside that bits are bits.
const RULES: usize = 5;

/// The polynomials under the verifier's challenges.
pub(crate) struct Circuit<'a> {
    pub(crate) layout: Layout,
    pub(crate) weights: &'a [i64],
    /// Of a bit column: the square of this is what its rule is multiplied by.
    pub(crate) gammas: Vec<Scalar>,
    rules: Vec<Scalar>,
    /// What each sum is multiplied by.
    pub(crate) lambdas: Vec<Scalar>,
    parabolas: Vec<Scalar>,
}

impl<'a> Circuit<'a> {
    pub(crate) fn new(layout: Layout, weights: &'a [i64], gamma: Scalar, lambda: Scalar) -> Self {
        let bits = layout.bit_columns();
        let all = powers(gamma, 2 * bits + RULES);
        let lambdas = powers(lambda, layout.signals() + 1).split_off(1);
        let parabolas = PARABOLAS
            .as_flattened()
            .iter()
            .map(|c| signed(*c))
            .collect();
        let (gammas, rules) = (all[..bits].to_vec(), all[2 * bits..].to_vec());
        Self {
            layout,
            weights,
            gammas,
            rules,
            lambdas,
            parabolas,
        }
    }

    /// Coefficient `power` of the parabola of a segment.
    pub(crate) fn parabola(&self, power: usize, segment: usize) -> &Scalar {
        &self.parabolas[power * aux::GROUPS * aux::SEGMENTS + segment]
    }

    /// Wires of a row, or of any affine combination of rows, from its columns.
    pub(crate) fn wires(&self, columns: &[Scalar]) -> Vec<Scalar> {
        let layout = &self.layout;
        let number = |from: usize, count: usize| {
            let bits = columns[from..from + count].iter().rev();
            bits.fold(Scalar::ZERO, |sum, bit| sum + sum + bit)
        };
        let centred = |from: usize| number(from, FEATURE_BITS) - signed(OFFSET);
        let features: Vec<Scalar> = (0..layout.features)
            .map(|j| centred(j * FEATURE_BITS))
            .collect();
        let (slopes, intercept) = self.weights.split_at(layout.features);
        let unit = signed(UNIT);
        let scale = signed(1 << WEIGHT_BITS);
        let real = columns[layout.real()];
        if layout.model == Model::Mean {
            let deviations = features
                .iter()
                .zip(slopes)
                .map(|(x, w)| scale * x - signed(*w) * unit);
            let mixed = deviations
                .zip(&self.lambdas)
                .map(|(x, lambda)| lambda * x)
                .sum();
            return vec![real, mixed];
        }
        let mut inputs = features;
        inputs.push(unit);
        let mixed = dot(&inputs, &self.lambdas);
        let weights = slopes.iter().chain(intercept);
        let u: Scalar = weights.zip(&inputs).map(|(w, x)| signed(*w) * x).sum();
        if layout.model == Model::Linear {
            return vec![real, mixed, scale * centred(layout.label()) - u];
        }
        let of = layout.data_columns();
        let mut wires = vec![Scalar::ZERO; wire::ALL];
        let groups = &columns[of + aux::GROUP..][..aux::GROUPS];
        let segments = &columns[of + aux::SEGMENT..][..aux::SEGMENTS];
        let weighted = |marks: &[Scalar]| -> Scalar {
            marks
                .iter()
                .zip(0u64..)
                .map(|(m, k)| m * Scalar::from(k))
                .sum()
        };
        let segment = Scalar::from(16u64) * weighted(groups) + weighted(segments);
        let steps = of + aux::LOW + aux::LOW_BITS - aux::STEP_BITS;
        wires[wire::REAL] = real;
        wires[wire::MIXED] = mixed;
        wires[wire::LABEL] = columns[layout.label()];
        wires[wire::U] = u;
        wires[wire::NEGATIVE] = columns[of + aux::NEGATIVE];
        wires[wire::SATURATED] = columns[of + aux::SATURATED];
        wires[wire::EXCESS] = number(of + aux::EXCESS, aux::EXCESS_BITS);
        wires[wire::SIZE] = segment * signed(1 << aux::LOW_BITS)
            + number(of + aux::LOW, aux::LOW_BITS)
            + wires[wire::SATURATED] * signed(1 << 44)
            + wires[wire::EXCESS] * signed(1 << 41);
        wires[wire::ONE_GROUP] =
            groups.iter().sum::<Scalar>() + wires[wire::SATURATED] - Scalar::ONE;
        wires[wire::ONE_SEGMENT] = segments.iter().sum::<Scalar>() - Scalar::ONE;
        wires[wire::STEP] = number(steps, aux::STEP_BITS);
        wires[wire::HEIGHT] = columns[of + aux::HEIGHT];
        for (g, group) in groups.iter().enumerate() {
            let at = wire::GROUPS + 4 * g;
            wires[at] = *group;
            for power in 0..3 {
                let terms = segments.iter().enumerate();
                wires[at + 1 + power] = terms
                    .map(|(k, mark)| mark * self.parabola(power, g * aux::SEGMENTS + k))
                    .sum();
            }
        }
        wires
    }

    /// Rules of a row but that bits are bits, and what it adds to the sums.
    pub(crate) fn row(&self, wires: &[Scalar]) -> (Scalar, Scalar) {
        let real = wires[wire::REAL];
        let count = self.lambdas[self.lambdas.len() - 1];
        let mixed = wires[wire::MIXED];
        match self.layout.model {
            Model::Mean => (Scalar::ZERO, real * (mixed + count)),
            Model::Linear => (Scalar::ZERO, real * (mixed * wires[wire::RESIDUAL] + count)),
            Model::Logistic => {
                let sign = Scalar::ONE - wires[wire::NEGATIVE] - wires[wire::NEGATIVE];
                let step = wires[wire::STEP];
                let mut height = wires[wire::SATURATED] * signed(HALF);
                for group in wires[wire::GROUPS..].chunks_exact(4) {
                    height += group[0] * (group[1] + step * (group[2] + step * group[3]));
                }
                let rules = [
                    sign * wires[wire::U] - wires[wire::SIZE],
                    wires[wire::EXCESS] * (Scalar::ONE - wires[wire::SATURATED]),
                    wires[wire::ONE_GROUP],
                    wires[wire::ONE_SEGMENT],
                    wires[wire::HEIGHT] - height,
                ];
                let residual =
                    wires[wire::LABEL] * signed(ONE) - signed(HALF) - sign * wires[wire::HEIGHT];
                (dot(&rules, &self.rules), real * (mixed * residual + count))
            }
        }
    }

    /// The rule that bits are bits, for all of a row's.
    pub(crate) fn bits(&self, columns: &[Scalar]) -> Scalar {
        let terms = columns.iter().zip(&self.gammas);
        terms
            .map(|(bit, gamma)| gamma * gamma * (bit * bit - bit))
            .sum()
    }

    /// What is summed over rows, from the columns and the equality polynomial there.
    pub(crate) fn summand(&self, columns: &[Scalar], equality: Scalar) -> Scalar {
        let (rules, sums) = self.row(&self.wires(columns));
        equality * (self.bits(columns) + rules) + sums
    }
}
