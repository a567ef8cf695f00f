//! The fuzz targets on stable Rust: every committed seed, and thousands of seeded mutations of them.
//!
//! A crash found by cargo-fuzz becomes a seed here (`.ci/fuzz`).

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Mutations of all seeds of a target together; `FUZZ_MUTATIONS` makes them more.
fn mutations() -> usize {
    let asked = std::env::var("FUZZ_MUTATIONS");
    asked.map_or(2_000, |n| n.parse().unwrap())
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has no seeds");
    files.iter().map(|f| std::fs::read(f).unwrap()).collect()
}

fn below(rng: &mut ChaCha20Rng, limit: usize) -> usize {
    usize::try_from(rng.next_u64() % (limit.max(1) as u64)).unwrap()
}

/// A seed with a few changes: bytes flipped or set to telling values, parts cut, doubled, or taken from another seed.
fn mutated(seeds: &[Vec<u8>], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut data = seeds[below(rng, seeds.len())].clone();
    for _ in 0..=below(rng, 4) {
        let at = below(rng, data.len());
        let len = below(rng, data.len() - at + 1);
        match below(rng, 6) {
            0 if !data.is_empty() => data[at] ^= 1 << below(rng, 8),
            1 if !data.is_empty() => data[at] = [0, 0x7f, 0x80, 0xff, b'0', b'"'][below(rng, 6)],
            2 => drop(data.drain(at..at + len)),
            3 => {
                let part = data[at..at + len].to_vec();
                data.splice(at..at, part);
            }
            4 => {
                let other = &seeds[below(rng, seeds.len())];
                let from = below(rng, other.len());
                data.splice(at..at + len, other[from..].iter().copied());
            }
            _ => {
                let word = rng.next_u64().to_le_bytes();
                data.splice(at..at, word);
            }
        }
        data.truncate(1 << 16);
    }
    data
}

fn run(name: &str) {
    let (_, target) = targets::TARGETS.iter().find(|(n, _)| *n == name).unwrap();
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| target(seed));
    target(&[]);
    let mut rng = ChaCha20Rng::from_seed(*b"delta fuzz smoke, the same again");
    for _ in 0..mutations() {
        target(&mutated(&seeds, &mut rng));
    }
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })+

        #[test]
        fn every_target_runs_here_and_under_libfuzzer() {
            let here = [$(stringify!($name)),+];
            let known: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(here.as_slice(), known);
            for name in known {
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs"));
                assert!(file.exists(), "{}", file.display());
            }
        }
    };
}

targets! { bundle manifest npy npz masked_result share public_key messages multipart json_body query certificate onnx csv parquet arrow xlsx xls ods sqlite text array_npy array_npz pt picture }
