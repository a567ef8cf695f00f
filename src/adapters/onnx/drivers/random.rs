//! Orders and noise, drawn from seeds by ChaCha20: the same on every machine and runtime.
//!
//! Orders are not secret: their seed stands in the task. Noise has a seed of the node's beside it, unless the task asks for the same
//! result of the same rounds.

use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use delta_domain::manifest::Noise;
use delta_domain::tensor::{Tensor, TensorData, element_count};

/// What a stream is for; streams with the same numbers and another purpose have nothing in common.
pub(super) const SUBSET: &str = "delta/subset/1";
pub(super) const SHUFFLE: &str = "delta/shuffle/1";
const NOISE: &str = "delta/noise/1";

fn stream(purpose: &str, seed: u64, number: u64, name: &str) -> ChaCha20Rng {
    ChaCha20Rng::from_seed(key(purpose, seed, number, name))
}

/// What noise is drawn from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed {
    /// The task's.
    pub(super) task: u64,
    /// This node's, of this round; `None` where the task wants to know the noise.
    pub(super) node: Option<[u8; 32]>,
}

impl Seed {
    fn key(self, number: u64, name: &str) -> [u8; 32] {
        let key = key(NOISE, self.task, number, name);
        match self.node {
            None => key,
            Some(node) => Sha256::new()
                .chain_update(key)
                .chain_update(node)
                .finalize()
                .into(),
        }
    }
}

/// The node's seed for one step of a map.
pub(super) fn of_step(seed: &[u8; 32], step: u32) -> [u8; 32] {
    let hash = Sha256::new().chain_update(b"delta/step/1");
    hash.chain_update(seed)
        .chain_update(step.to_le_bytes())
        .finalize()
        .into()
}

fn key(purpose: &str, seed: u64, number: u64, name: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(purpose.as_bytes());
    hash.update([0]);
    hash.update(seed.to_le_bytes());
    hash.update(number.to_le_bytes());
    hash.update(name.as_bytes());
    hash.finalize().into()
}

/// A uniformly drawn order of `0..len` (Fisher and Yates).
pub(super) fn permutation(len: usize, purpose: &str, seed: u64, number: u64) -> Vec<usize> {
    let mut rng = stream(purpose, seed, number, "");
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        order.swap(last, below(&mut rng, last));
    }
    order
}

/// Uniform on `0..=max`, without bias: draws in the incomplete last stretch are thrown away.
fn below(rng: &mut ChaCha20Rng, max: usize) -> usize {
    let span = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let zone = u64::MAX - (u64::MAX % span + 1) % span;
    loop {
        let draw = rng.next_u64();
        if draw <= zone {
            return usize::try_from(draw % span).unwrap_or(max);
        }
    }
}

/// One block of `shape` for each of `rows` rows.
pub(super) fn noise(
    kind: Noise,
    rows: usize,
    shape: &[usize],
    seed: Seed,
    batch: u64,
    input: &str,
) -> Result<Tensor, Failure> {
    let mut full = vec![rows];
    full.extend_from_slice(shape);
    let len = element_count(&full)
        .filter(|n| *n <= 1 << 32)
        .ok_or_else(|| Failure::rejected("noise of more than 2^32 numbers"))?;
    let data = match kind {
        Noise::Uniform => uniform(&seed.key(batch, input), len),
        Noise::Normal => normal(&mut ChaCha20Rng::from_seed(seed.key(batch, input)), len),
    };
    Tensor::new(full, TensorData::F32(data)).map_err(|e| Failure::internal(e.to_string()))
}

/// Multiples of 2^-24 in [0, 1), one for each 32-bit word of the stream.
///
/// The words are those of [`ChaCha20Rng`], from the cipher itself, which uses what the processor has and takes half the time.
#[expect(clippy::cast_precision_loss, reason = "24 bits fit an f32 exactly")]
fn uniform(key: &[u8; 32], len: usize) -> Vec<f32> {
    let mut cipher = ChaCha20Legacy::new(key.into(), &[0; 8].into());
    let mut out = Vec::with_capacity(len);
    let mut block = [0u8; 4096];
    while out.len() < len {
        block.fill(0);
        cipher.apply_keystream(&mut block);
        let draws = block.as_chunks::<4>().0.iter().take(len - out.len());
        out.extend(draws.map(|w| (u32::from_le_bytes(*w) >> 8) as f32 / 16_777_216.0));
    }
    out
}

/// Box and Muller, in `f64`.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
fn normal(rng: &mut ChaCha20Rng, len: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        // In (0, 1], so that the logarithm is finite.
        let u = ((rng.next_u64() >> 11) + 1) as f64 / 9_007_199_254_740_992.0;
        let v = (rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0;
        let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
        let radius = (-2.0 * u.ln()).sqrt();
        out.push(crate::convert::narrow(radius * cos));
        if out.len() < len {
            out.push(crate::convert::narrow(radius * sin));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_permutations_that_never_change_between_releases() {
        assert_eq!(permutation(8, SHUFFLE, 1, 0), permutation(8, SHUFFLE, 1, 0));
        assert_ne!(
            permutation(40, SHUFFLE, 1, 0),
            permutation(40, SHUFFLE, 1, 1)
        );
        assert_ne!(
            permutation(40, SHUFFLE, 1, 0),
            permutation(40, SUBSET, 1, 0)
        );
        assert!(permutation(0, SHUFFLE, 1, 0).is_empty());
        // Every position is reached by every row.
        let mut counts = [[0u32; 4]; 4];
        for n in 0..4000 {
            for (at, row) in permutation(4, SHUFFLE, 3, n).into_iter().enumerate() {
                counts[at][row] += 1;
            }
        }
        assert!(
            counts.iter().flatten().all(|c| (800..1200).contains(c)),
            "{counts:?}"
        );
    }

    #[derive(serde::Deserialize)]
    struct Vectors {
        permutations: Vec<Permutation>,
        noise: Vec<Block>,
    }

    #[derive(serde::Deserialize)]
    struct Permutation {
        length: usize,
        purpose: String,
        seed: u64,
        number: u64,
        order: Vec<usize>,
    }

    #[derive(serde::Deserialize)]
    struct Block {
        kind: Noise,
        rows: usize,
        shape: Vec<usize>,
        seed: u64,
        batch: u64,
        input: String,
        values: Vec<f64>,
    }

    fn of_task(task: u64) -> Seed {
        Seed { task, node: None }
    }

    #[test]
    fn a_seed_of_the_node_makes_other_noise() {
        let of = |node| {
            let seed = Seed { task: 1, node };
            noise(Noise::Uniform, 10, &[10], seed, 0, "a").unwrap()
        };
        assert_eq!(of(Some([1; 32])), of(Some([1; 32])));
        assert_ne!(of(Some([1; 32])), of(Some([2; 32])));
        assert_ne!(of(Some([1; 32])), of(None));
    }

    /// `delta.debug` shows authors what nodes will do: it must draw the same numbers.
    #[test]
    fn the_python_package_draws_the_same_numbers() {
        let text = include_str!("../../../../tests/vectors/random/streams.json");
        let vectors: Vectors = serde_json::from_str(text).unwrap();
        for p in vectors.permutations {
            assert_eq!(permutation(p.length, &p.purpose, p.seed, p.number), p.order);
        }
        for b in vectors.noise {
            let seed = of_task(b.seed);
            let made = noise(b.kind, b.rows, &b.shape, seed, b.batch, &b.input).unwrap();
            let TensorData::F32(values) = made.into_data() else {
                unreachable!()
            };
            assert_eq!(values.len(), b.values.len());
            for (ours, theirs) in values.iter().zip(&b.values) {
                // The last bit of a logarithm or a sine is the platform's affair.
                let slack = if b.kind == Noise::Normal { 1e-6 } else { 0.0 };
                assert!(
                    (f64::from(*ours) - theirs).abs() <= slack,
                    "{ours} {theirs}"
                );
            }
        }
    }

    #[test]
    fn noise_has_the_right_moments_and_differs_by_batch_and_input() {
        let values = |kind, batch, input| match noise(kind, 100, &[100], of_task(1), batch, input)
            .unwrap()
            .into_data()
        {
            TensorData::F32(v) => v,
            _ => unreachable!(),
        };
        for (kind, mean, variance) in [(Noise::Uniform, 0.5, 1.0 / 12.0), (Noise::Normal, 0.0, 1.0)]
        {
            let v = values(kind, 0, "a");
            let m = v.iter().map(|x| f64::from(*x)).sum::<f64>() / 1e4;
            let s = v.iter().map(|x| (f64::from(*x) - m).powi(2)).sum::<f64>() / 1e4;
            assert!(
                (m - mean).abs() < 0.04 && (s - variance).abs() < 0.06,
                "{kind:?} {m} {s}"
            );
        }
        assert!(
            values(Noise::Uniform, 0, "a")
                .iter()
                .all(|x| (0.0..1.0).contains(x))
        );
        assert_ne!(values(Noise::Normal, 0, "a"), values(Noise::Normal, 1, "a"));
        assert_ne!(values(Noise::Normal, 0, "a"), values(Noise::Normal, 0, "b"));
    }
}
