//! What is audited: how a record becomes a vector, and what a round's sums change.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;

use super::{CANARIES, OTHERS};

/// A statistic of some rounds.
pub(super) trait Statistic {
    /// Numbers of a record's vector.
    fn width(&self) -> usize;
    /// How often data are read.
    fn rounds(&self) -> u32;
    /// The vector of a canary, now.
    fn canary(&self, i: usize) -> Vec<f64>;
    /// The vector of a record that is in anyway, now.
    fn other(&self, i: usize) -> Vec<f64>;
    /// Takes in a round's noised sums.
    fn learn(&mut self, _sums: &[f64]) {}
}

/// Standard normal, by Box and Muller.
pub(super) fn normal(rng: &mut ChaCha20Rng) -> f64 {
    let mut uniform = || (rng.next_u32() as f64 + 0.5) / 2_f64.powi(32);
    let (a, b) = (uniform(), uniform());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

fn vectors(rng: &mut ChaCha20Rng, n: usize, width: usize) -> Vec<Vec<f64>> {
    let vector = |rng: &mut ChaCha20Rng| (0..width).map(|_| normal(rng)).collect();
    (0..n).map(|_| vector(rng)).collect()
}

/// The mean of many columns; canaries point anywhere.
pub(super) struct Mean {
    canaries: Vec<Vec<f64>>,
}

impl Mean {
    const COLUMNS: usize = 2048;

    pub(super) fn new(rng: &mut ChaCha20Rng) -> Self {
        Self {
            canaries: vectors(rng, CANARIES, Self::COLUMNS),
        }
    }
}

impl Statistic for Mean {
    fn width(&self) -> usize {
        Self::COLUMNS
    }

    fn rounds(&self) -> u32 {
        1
    }

    fn canary(&self, i: usize) -> Vec<f64> {
        self.canaries[i].clone()
    }

    fn other(&self, i: usize) -> Vec<f64> {
        let value = |column: usize| ((i * 31 + column * 17) % 5) as f64 / 100.0;
        (0..Self::COLUMNS).map(value).collect()
    }
}

/// Counts; each canary is in a bin of its own, beside others.
pub(super) struct Histogram;

impl Statistic for Histogram {
    fn width(&self) -> usize {
        CANARIES
    }

    fn rounds(&self) -> u32 {
        1
    }

    fn canary(&self, i: usize) -> Vec<f64> {
        let mut bins = vec![0.0; CANARIES];
        bins[i] = 1.0;
        bins
    }

    fn other(&self, i: usize) -> Vec<f64> {
        self.canary(i * 7 % CANARIES)
    }
}

/// Gradients of a logistic regression, at parameters that learn.
pub(super) struct Logit {
    canaries: Vec<Vec<f64>>,
    others: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

impl Logit {
    const FEATURES: usize = 2048;

    pub(super) fn new(rng: &mut ChaCha20Rng) -> Self {
        Self {
            canaries: vectors(rng, CANARIES, Self::FEATURES),
            others: vectors(rng, OTHERS, Self::FEATURES),
            weights: vec![0.0; Self::FEATURES],
        }
    }

    fn gradient(&self, x: &[f64], y: f64) -> Vec<f64> {
        let score: f64 = x.iter().zip(&self.weights).map(|(x, w)| x * w).sum();
        let error = 1.0 / (1.0 + (-score).exp()) - y;
        x.iter().map(|x| error * x).collect()
    }
}

impl Statistic for Logit {
    fn width(&self) -> usize {
        Self::FEATURES
    }

    fn rounds(&self) -> u32 {
        5
    }

    fn canary(&self, i: usize) -> Vec<f64> {
        self.gradient(&self.canaries[i], (i % 2) as f64)
    }

    fn other(&self, i: usize) -> Vec<f64> {
        let x = &self.others[i];
        self.gradient(x, f64::from(u8::from(x[0] > 0.0)))
    }

    fn learn(&mut self, sums: &[f64]) {
        for (weight, sum) in self.weights.iter_mut().zip(sums) {
            *weight -= 0.5 * sum / (OTHERS + CANARIES / 2) as f64;
        }
    }
}

/// One hidden layer of tanh, a logistic loss, and gradients of all its parameters, written out.
pub(super) struct Network {
    others: Vec<Vec<f64>>,
    /// [hidden][inputs], row by row, then the output's weights.
    parameters: Vec<f64>,
}

impl Network {
    const INPUTS: usize = CANARIES;
    const HIDDEN: usize = 4;

    pub(super) fn new(rng: &mut ChaCha20Rng) -> Self {
        let first = (0..Self::HIDDEN * Self::INPUTS).map(|_| normal(rng) / 32.0);
        let mut parameters: Vec<f64> = first.collect();
        parameters.extend((0..Self::HIDDEN).map(|_| normal(rng)));
        Self {
            others: vectors(rng, OTHERS, Self::INPUTS),
            parameters,
        }
    }

    fn gradient(&self, x: &[f64], y: f64) -> Vec<f64> {
        let (first, second) = self.parameters.split_at(Self::HIDDEN * Self::INPUTS);
        let product = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        let hidden: Vec<f64> = first
            .chunks(Self::INPUTS)
            .map(|row| product(row).tanh())
            .collect();
        let score: f64 = hidden.iter().zip(second).map(|(h, w)| h * w).sum();
        let error = 1.0 / (1.0 + (-score).exp()) - y;
        let back = hidden.iter().zip(second);
        let back = back.map(|(h, w)| error * w * (1.0 - h * h));
        let mut gradient: Vec<f64> = back.flat_map(|d| x.iter().map(move |x| d * x)).collect();
        gradient.extend(hidden.iter().map(|h| error * h));
        gradient
    }
}

impl Statistic for Network {
    fn width(&self) -> usize {
        self.parameters.len()
    }

    fn rounds(&self) -> u32 {
        5
    }

    fn canary(&self, i: usize) -> Vec<f64> {
        // An input that no other record has, and far outside: the bound is what holds it.
        let mut x = vec![0.0; Self::INPUTS];
        x[i] = 10.0;
        let gradient = self.gradient(&x, (i % 2) as f64);
        gradient.iter().map(|g| g * 1000.0).collect()
    }

    fn other(&self, i: usize) -> Vec<f64> {
        let x = &self.others[i];
        self.gradient(x, f64::from(u8::from(x[0] > 0.0)))
    }

    fn learn(&mut self, sums: &[f64]) {
        for (parameter, sum) in self.parameters.iter_mut().zip(sums) {
            *parameter -= 0.5 * sum / (OTHERS + CANARIES / 2) as f64;
        }
    }
}
