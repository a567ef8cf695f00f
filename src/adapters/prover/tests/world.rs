//! Members with made-up tables, and an answer that fits them.

use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::secret::Secret;
use delta_ports::certifier::{Bounds, Certifier as _, Claim, Model, Peer, Rows, Schema, Witness};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::RistrettoCertifier;

/// What one member has.
pub(crate) struct Member {
    pub(crate) address: Address,
    pub(crate) features: Vec<f64>,
    pub(crate) labels: Vec<f64>,
    pub(crate) capacity: u32,
    pub(crate) salt: Secret<32>,
    pub(crate) peers: Vec<Peer>,
}

/// All members, and what they prove.
pub(crate) struct World {
    pub(crate) certifier: RistrettoCertifier,
    pub(crate) claim: Claim,
    pub(crate) members: Vec<Member>,
}

pub(crate) fn address(at: usize) -> Address {
    format!("0x{:040x}", 0xa0 + at).parse().unwrap()
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn uniform(rng: &mut ChaCha20Rng) -> f64 {
    f64::from(rng.next_u32()) / 4_294_967_296.0
}

impl World {
    /// `count` members with `rows` rows of `features` features each; the claim's weights are the optimum over all of them.
    pub(crate) fn new(model: Model, count: usize, rows: usize, features: usize) -> Self {
        let mut rng = rng(7);
        let bounds = |at: usize| Bounds {
            low: -1.0 - at as f64,
            high: 2.0 + at as f64,
        };
        let schema = Schema {
            model,
            features: (0..features).map(bounds).collect(),
            label: (model == Model::Linear).then_some(Bounds {
                low: -40.0,
                high: 60.0,
            }),
        };
        let members = (0..count)
            .map(|at| member(&schema, at, count, rows, &mut rng))
            .collect();
        let claim = Claim {
            weights: vec![0; schema.weights()],
            schema,
            task: format!("0x{:064x}", 0x7a5c).parse::<TaskId>().unwrap(),
            bundle: Digest([7; 32]),
            round: RoundNumber(9),
        };
        let certifier = RistrettoCertifier::default();
        let mut world = Self {
            certifier,
            claim,
            members,
        };
        let answer = world.answer();
        world.claim.weights = world.claim.schema.scaled(&answer).unwrap();
        world
    }

    /// The optimum over all rows, by Newton's method in floating point.
    pub(crate) fn answer(&self) -> Vec<f64> {
        let (model, width) = (self.claim.schema.model, self.claim.schema.features.len());
        let rows: Vec<(&[f64], f64)> = self
            .members
            .iter()
            .flat_map(|m| {
                m.features
                    .chunks_exact(width)
                    .enumerate()
                    .map(|(at, x)| (x, m.labels.get(at).copied().unwrap_or(0.0)))
            })
            .collect();
        if model == Model::Mean {
            return (0..width)
                .map(|j| rows.iter().map(|(x, _)| x[j]).sum::<f64>() / rows.len() as f64)
                .collect();
        }
        let mut weights = vec![0.0; width + 1];
        for _ in 0..12 {
            let (mut gradient, mut curvature) =
                (vec![0.0; width + 1], vec![vec![0.0; width + 1]; width + 1]);
            for (x, y) in &rows {
                let x: Vec<f64> = x.iter().copied().chain([1.0]).collect();
                let u: f64 = x.iter().zip(&weights).map(|(x, w)| x * w).sum();
                let p = 1.0 / (1.0 + (-u).exp());
                let (residual, slope) = if model == Model::Linear {
                    (y - u, 1.0)
                } else {
                    (y - p, p * (1.0 - p))
                };
                for i in 0..=width {
                    gradient[i] += residual * x[i];
                    for j in 0..=width {
                        curvature[i][j] += slope * x[i] * x[j];
                    }
                }
            }
            for (weight, step) in weights.iter_mut().zip(solve(curvature, gradient)) {
                *weight += step;
            }
        }
        weights
    }

    pub(crate) fn witness(&self, at: usize) -> Witness<'_> {
        let member = &self.members[at];
        Witness {
            member: &member.address,
            rows: Rows {
                features: &member.features,
                labels: &member.labels,
            },
            capacity: member.capacity,
            salt: &member.salt,
            peers: &member.peers,
        }
    }

    pub(crate) fn prove(&self, at: usize) -> Vec<u8> {
        self.certifier
            .prove(&self.claim, &self.witness(at), &mut rng(100 + at as u64))
            .unwrap()
    }

    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        (0..self.members.len()).map(|at| self.prove(at)).collect()
    }

    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.certifier
            .assemble(&self.claim, 1e-4, &self.messages())
            .unwrap()
    }

    /// Columns of a member's table, in bits.
    pub(crate) fn data_columns(&self) -> usize {
        crate::layout::Layout::new(&self.claim.schema, 4)
            .unwrap()
            .data_columns()
    }

    /// Why a message is refused.
    pub(crate) fn refusal(&self, message: &[u8]) -> String {
        self.certifier
            .verify(&self.claim, message)
            .unwrap_err()
            .to_string()
    }
}

fn member(schema: &Schema, at: usize, count: usize, rows: usize, rng: &mut ChaCha20Rng) -> Member {
    let cell = |b: &Bounds, rng: &mut ChaCha20Rng| b.low + uniform(rng) * (b.high - b.low);
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let row: Vec<f64> = schema.features.iter().map(|b| cell(b, rng)).collect();
        let u: f64 = row
            .iter()
            .enumerate()
            .map(|(j, x)| x * (1.0 - 0.4 * j as f64))
            .sum::<f64>()
            - 0.3;
        match schema.model {
            Model::Logistic => labels.push(f64::from(uniform(rng) < 1.0 / (1.0 + (-u).exp()))),
            Model::Linear => labels.push(u + uniform(rng)),
            Model::Mean => {}
        }
        features.extend(row);
    }
    let peer = |other: usize| Peer {
        address: address(other),
        key: Secret::new([(1 + at.min(other) * 16 + at.max(other)) as u8; 32]),
    };
    Member {
        address: address(at),
        features,
        labels,
        capacity: (rows as u32).next_power_of_two().max(16),
        salt: Secret::new([0x50 + at as u8; 32]),
        peers: (0..count).filter(|other| *other != at).map(peer).collect(),
    }
}

fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    for i in 0..b.len() {
        let pivot = a[i][i];
        a[i].iter_mut().for_each(|v| *v /= pivot);
        b[i] /= pivot;
        for k in (0..b.len()).filter(|k| *k != i) {
            let factor = a[k][i];
            let pivot = a[i].clone();
            a[k].iter_mut()
                .zip(&pivot)
                .for_each(|(v, p)| *v -= factor * p);
            b[k] -= factor * b[i];
        }
    }
    b
}
