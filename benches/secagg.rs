//! The bars of docs/performance.md as one table, each a ratio of two times taken in this run.
//!
//! `cargo bench --no-default-features --features testing --bench secagg` prints it as markdown for `docs/performance.md`; with
//! `-- quick` without the rounds of 1,000 members; `-- compare` is for the scripts in `compare/`. CPU time of one thread except where it says wall. Sums are checked bit for bit.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark: a failure is a panic"
)]

mod secagg_world;

use std::hint::black_box;

use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use delta_node::app::parallel;
use delta_node::app::vectors::MaskedVector;
use delta_node::domain::round::runner::MaskStream;
use delta_node::domain::secagg::commitment::commit_upload;
use delta_node::domain::secagg::encoding::Encoding;
use delta_node::domain::secagg::shamir::{self, Share};
use delta_node::domain::secagg::stream_adder::{StreamAdder, add_le_bytes_into};
use delta_node::domain::secagg::{
    Curve, Interpolator, KeyPair, MaskGenerator, MaskSeed, Masker, Ring, Sign, Word,
};
use delta_node::domain::secret::Secret;
use delta_node::domain::tensor::{Tensor, TensorData};
use rand_core::SeedableRng as _;
use secagg_world::clock::{median, resident, seconds, wall};
use secagg_world::{Cost, Setup, clock, run};

const VALUES: usize = 1_000_000;
const ROUNDS: usize = 7;

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` must not spend minutes here.
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    if std::env::args().any(|a| a == "compare") {
        return compare();
    }
    let quick = std::env::args().any(|a| a == "quick");
    println!(
        "Machine: {}. AES in hardware: {}. Build: {}.\n",
        clock::machine(),
        aes::hardware_accelerated(),
        if cfg!(debug_assertions) {
            "debug"
        } else {
            "release, default flags"
        }
    );
    println!("| what | measured | bar | |\n|---|---|---|---|");
    for generator in [MaskGenerator::Aes128Ctr, MaskGenerator::ChaCha20] {
        for streams in [10, 31, 100] {
            masks::<u32>(generator, streams);
            masks::<u64>(generator, streams);
        }
    }
    keystream();
    adding();
    sharing();
    quantising();
    agreements();
    cores();
    member_memory();
    rounds(quick);
}

/// Our side of `benches/compare/flower.py`, a line of JSON each.
fn compare() {
    for n in [10, 30, 100] {
        for d in [VALUES / 10, VALUES] {
            let cost = run(&Setup {
                n,
                d,
                ring: Ring::Z32,
                generator: MaskGenerator::default(),
                dropout: None,
                full: true,
                dropped: n / 10,
                met: false,
            });
            println!(
                "{{\"n\": {n}, \"d\": {d}, \"client\": {}, \"coordinator\": {}}}",
                cost.client, cost.coordinator
            );
        }
    }
}

fn row(what: &str, value: f64, unit: &str, bar: Option<f64>) {
    let (bar, met) = bar.map_or((String::new(), ""), |bar| {
        (
            format!("{bar}{unit}"),
            if value <= bar { "met" } else { "missed" },
        )
    });
    println!("| {what} | {value:.2}{unit} | {bar} | {met} |");
}

/// Median over rounds of `first / second`, and of `first`.
fn ratio(mut first: impl FnMut() -> f64, mut second: impl FnMut() -> f64) -> (f64, f64) {
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (a, b) = (first(), second());
        ratios.push(a / b);
        times.push(a);
    }
    (median(ratios), median(times))
}

fn seeds(n: usize) -> Vec<MaskSeed> {
    (0..n).map(|i| Secret::new([i as u8; 32])).collect()
}

fn bare(generator: MaskGenerator, bytes: usize, buffer: &mut [u8]) {
    let mut aes = ctr::Ctr64LE::<aes::Aes128>::new(&[7; 16].into(), &[9; 16].into());
    let mut chacha = chacha20::ChaCha20Legacy::new(&[7; 32].into(), &[9; 8].into());
    let mut left = bytes;
    while left > 0 {
        let part = &mut buffer[..left.min(64 * 1024)];
        match generator {
            MaskGenerator::Aes128Ctr => aes.write_keystream(part),
            MaskGenerator::ChaCha20 => chacha.write_keystream(part),
        }
        left -= black_box(part).len();
    }
}

fn masks<W: Word>(generator: MaskGenerator, streams: usize) {
    let seeds = seeds(streams);
    let signed: Vec<(&MaskSeed, Sign)> = seeds
        .iter()
        .enumerate()
        .map(|(i, s)| (s, if i % 2 == 0 { Sign::Plus } else { Sign::Minus }))
        .collect();
    let undo: Vec<_> = signed
        .iter()
        .map(|(s, sign)| (*s, sign.opposite()))
        .collect();
    let mut values = vec![W::default(); VALUES];
    let mut buffer = vec![0; 64 * 1024];
    let mut turn = false;
    let (ratio, time) = ratio(
        || {
            turn = !turn;
            let which = if turn { &signed } else { &undo };
            seconds(|| Masker::new(generator, which).apply(0, black_box(&mut values))).1
        },
        || seconds(|| bare(generator, streams * VALUES * W::BYTES, &mut buffer)).1,
    );
    Masker::new(generator, &undo).apply(0, &mut values);
    assert!(
        values.iter().all(|v| *v == W::default()),
        "masks do not cancel"
    );
    let what = format!(
        "masks over bare keystream, {} u{}, {streams} streams, d = 1e6 ({:.2} ms)",
        generator.name(),
        W::BYTES * 8,
        time * 1e3
    );
    row(&what, ratio, "", Some(1.35));
}

fn keystream() {
    let mut buffer = vec![0; 64 * 1024];
    for generator in [MaskGenerator::Aes128Ctr, MaskGenerator::ChaCha20] {
        let times = (0..ROUNDS).map(|_| seconds(|| bare(generator, 1 << 26, &mut buffer)).1);
        let speed = f64::from(1 << 26) / median(times.collect()) / 1e9;
        row(
            &format!("bare keystream, {}", generator.name()),
            speed,
            " GB/s",
            None,
        );
    }
}

fn adding() {
    let mut sum = vec![1_u64; VALUES];
    let mut plain = vec![1_u64; VALUES];
    let other = vec![2_u64; VALUES];
    let bytes: Vec<u8> = other.iter().flat_map(|w| w.to_le_bytes()).collect();
    let (ratio, _) = ratio(
        || {
            seconds(|| {
                let mut adder = StreamAdder::new(Sign::Plus);
                for piece in black_box(&bytes).chunks(64 * 1024) {
                    adder.push(black_box(&mut sum), piece).unwrap();
                }
            })
            .1
        },
        || {
            seconds(|| {
                black_box(&mut plain)
                    .iter_mut()
                    .zip(black_box(&other))
                    .for_each(|(a, b)| *a = a.wrapping_add(*b));
            })
            .1
        },
    );
    assert_eq!(sum, plain);
    row(
        "adding one upload as it streams in over a plain `a += b`, u64, d = 1e6",
        ratio,
        "",
        Some(1.3),
    );
    add_le_bytes_into(&mut sum, 0, &bytes[..8]).unwrap();
}

fn micros(times: usize, mut work: impl FnMut()) -> f64 {
    let all =
        (0..ROUNDS).map(|_| seconds(|| (0..times).for_each(|_| work())).1 * 1e6 / times as f64);
    median(all.collect())
}

fn sharing() {
    let mut rng = rand_chacha::ChaCha20Rng::from_seed([1; 32]);
    let split = micros(100, || {
        drop(black_box(
            shamir::split(black_box(&[0xab; 32]), 67, 100, &mut rng).unwrap(),
        ));
    });
    row("Shamir split (67, 100)", split, " us", Some(50.0));
    let shares = shamir::split(&[0xab; 32], 67, 100, &mut rng).unwrap();
    let xs: Vec<u16> = shares.iter().map(Share::x).collect();
    let interpolator = Interpolator::new(&xs, 67).unwrap();
    let used: Vec<&Share> = shares.iter().take(67).collect();
    let combine = micros(500, || {
        drop(black_box(
            interpolator.combine(black_box(&used), 32).unwrap(),
        ));
    });
    row(
        "Shamir reconstruct (67, 100), shared coefficients",
        combine,
        " us",
        Some(5.0),
    );
    let fresh = micros(50, || {
        drop(black_box(Interpolator::new(black_box(&xs), 67).unwrap()))
    });
    row(
        "Lagrange coefficients of 67 holders, once for each set",
        fresh,
        " us",
        None,
    );
    let mut sparse: Vec<u16> = (1..=171).filter(|x| x % 10 != 3).collect();
    sparse.truncate(154);
    let fresh = micros(20, || {
        drop(black_box(
            Interpolator::new(black_box(&sparse), 154).unwrap(),
        ))
    });
    row("the same of 154 with a tenth missing", fresh, " us", None);
}

fn quantising() {
    let wide: Vec<f64> = (0..VALUES).map(|i| (i as f64).sin() * 10.0).collect();
    let narrow: Vec<f32> = wide.iter().map(|x| *x as f32).collect();
    let long = Encoding::new(Ring::Z64, 8, 100);
    let (mut words, mut short) = (Vec::<u64>::new(), Vec::<u32>::new());
    let per = 1e3 / VALUES as f64;
    let times = [
        (
            "f64 to u64",
            micros(5, || long.encode(black_box(&wide), &mut words).unwrap()),
        ),
        (
            "f32 to u64",
            micros(5, || long.encode(black_box(&narrow), &mut words).unwrap()),
        ),
        (
            "f32 to u32",
            micros(5, || {
                Encoding::new(Ring::Z32, 5, 100)
                    .encode(black_box(&narrow), &mut short)
                    .unwrap()
            }),
        ),
    ];
    for (what, time) in times {
        row(
            &format!("quantise {what}, a value"),
            time * per,
            " ns",
            Some(1.0),
        );
    }
    let upload = vec![7_u8; 4 * VALUES];
    row(
        "BLAKE3 of an upload, u32, d = 1e6",
        micros(5, || {
            black_box(commit_upload(black_box(&upload)));
        }) / 1e3,
        " ms",
        None,
    );
}

fn agreements() {
    let mut rng = rand_chacha::ChaCha20Rng::from_seed([2; 32]);
    let curve = Curve::Secp256k1;
    let (a, b) = (
        KeyPair::generate(curve, &mut rng),
        KeyPair::generate(curve, &mut rng),
    );
    let (public, wire) = (b.public(), b.public().to_wire());
    let signature = a.sign(b"m");
    row(
        "key agreement, secp256k1",
        micros(50, || drop(black_box(a.agree(black_box(&public)).unwrap()))),
        " us",
        None,
    );
    row(
        "verify a signature",
        micros(50, || {
            a.public_ref().verify(black_box(b"m"), &signature).unwrap()
        }),
        " us",
        None,
    );
    row(
        "sign",
        micros(50, || drop(black_box(a.sign(black_box(b"m"))))),
        " us",
        None,
    );
    let parse = micros(50, || {
        drop(black_box(
            delta_node::domain::secagg::keys::PublicKey::parse(curve, black_box(&wire)).unwrap(),
        ));
    });
    row("read a public key", parse, " us", None);
}

/// How much faster two cores unmask than one, by the wall: the machine must have a second one free.
fn cores() {
    let seeds = seeds(31);
    let signed: Vec<_> = seeds.iter().map(|s| (s, Sign::Plus)).collect();
    let masker = Masker::new(MaskGenerator::Aes128Ctr, &signed);
    let (mut one, mut all) = (vec![0_u64; VALUES], vec![0_u64; VALUES]);
    let (speedup, _) = ratio(
        || wall(|| masker.apply(0, black_box(&mut one))).1,
        || wall(|| parallel::parts(black_box(&mut all), |at, part| masker.apply(at, part))).1,
    );
    assert_eq!(one, all);
    let bar = if parallel::cores() == 2 {
        "1.80 when the second is free"
    } else {
        ""
    };
    println!(
        "| {} cores over one, 31 streams u64, wall | {speedup:.2} | {bar} | |",
        parallel::cores()
    );
}

/// What a member needs beside its own numbers while it makes its masked vector.
fn member_memory() {
    let d = 10 * VALUES;
    let tensor = Tensor::new(vec![d], TensorData::F32(vec![0.5; d])).unwrap();
    let masks: Vec<_> = seeds(10).into_iter().map(MaskStream::own).collect();
    let before = resident();
    let tensors = vec![("x".parse().unwrap(), tensor)];
    let vector = MaskedVector::new(
        tensors,
        &masks,
        MaskGenerator::Aes128Ctr,
        Encoding::new(Ring::Z64, 8, 100),
    );
    let (mut at, mut most) = (0, before);
    while at < vector.length() {
        let (blocks, next) = vector.blocks(at).unwrap();
        most = most.max(resident());
        drop(black_box(blocks));
        at = next;
    }
    let extra = (most - before) as f64 / 1e6;
    let bar = (8 * d) as f64 / 1e6 + 1.05;
    row(
        "member's memory beside its numbers, d = 1e7 u64",
        extra,
        " MB",
        Some(bar),
    );
}

/// A member's whole time over that of its masks.
fn whole_member(when: &str, costs: &[Cost], bar: Option<f64>) {
    let middle = |of: fn(&Cost) -> f64| median(costs.iter().map(of).collect());
    let what = format!(
        "whole member over its masking, n = 100 full, d = 1e6 u32, {when} ({:.1} ms: masks {:.1}; quantise, bytes and digest {:.1}; keys and shares {:.1}; opening and seeds {:.1})",
        1e3 * middle(|c| c.client),
        1e3 * middle(|c| c.client_masking),
        1e3 * middle(|c| c.client_quantise_and_hash),
        1e3 * middle(|c| c.client_sharing),
        1e3 * middle(|c| c.client_opening)
    );
    row(&what, middle(|c| c.client / c.client_masking), "", bar);
}

fn rounds(quick: bool) {
    let setup = |n, d, ring, dropout, full| Setup {
        n,
        d,
        ring,
        generator: MaskGenerator::default(),
        dropout,
        full,
        dropped: n / 10,
        met: false,
    };
    let big: Vec<Cost> = (0..3)
        .map(|_| {
            run(&Setup {
                met: true,
                ..setup(100, VALUES, Ring::Z32, None, true)
            })
        })
        .collect();
    let middle = |of: fn(&Cost) -> f64| median(big.iter().map(of).collect());
    whole_member("in a round after the first", &big, Some(1.5));
    let first: Vec<Cost> = (0..3)
        .map(|_| run(&setup(100, VALUES, Ring::Z32, None, true)))
        .collect();
    whole_member("in the first round of its task", &first, None);
    let slow = run(&Setup {
        generator: MaskGenerator::ChaCha20,
        ..setup(100, VALUES, Ring::Z32, None, true)
    });
    row(
        "the same with chacha20 masks",
        slow.client / slow.client_masking,
        "",
        None,
    );
    let what = format!(
        "whole coordinator over its unmask streams, plain additions and agreements, the same round ({:.0} ms: {:.0} requests, {:.0} adding, {:.0} rebuilding, {:.0} agreements, {:.0} unmasking)",
        1e3 * middle(|c| c.coordinator),
        1e3 * middle(|c| c.coordinator_requests),
        1e3 * middle(|c| c.coordinator_adding),
        1e3 * middle(|c| c.coordinator_rebuilding),
        1e3 * middle(|c| c.coordinator_agreements),
        1e3 * middle(|c| c.coordinator_unmasking)
    );
    let bound = |c: &Cost| c.coordinator_unmasking + c.plain_adding + c.coordinator_agreements;
    let ratio = median(big.iter().map(|c| c.coordinator / bound(c)).collect());
    row(&what, ratio, "", Some(1.3));
    let payload = big[0].vector as f64 / (4 * VALUES) as f64;
    row(
        "bytes of an upload over those of its words, u32, d = 1e6",
        payload,
        "",
        Some(1.001),
    );
    let neighbours = big[0].degree as f64;
    let ours = (big[0].client_sends + big[0].client_receives) as f64 / neighbours;
    let connector = big[0].client_connector as f64 / neighbours;
    let what = format!(
        "control a neighbour by HTTP, both ways, n = 100 full (and {connector:.0} B through the connector as protobuf, which it fixes)"
    );
    row(&what, ours, " B", Some(450.0));
    if quick {
        return;
    }
    let hundred = run(&setup(100, VALUES / 10, Ring::Z64, None, true));
    let regular = run(&setup(100, VALUES / 10, Ring::Z64, None, false));
    let thousand = run(&setup(1_000, VALUES / 10, Ring::Z64, None, false));
    let what = format!(
        "member, n = 1,000, k = {} (a tenth assumed to drop), over n = 100 full, d = 1e5 ({:.1} and {:.1} ms)",
        thousand.degree,
        thousand.client * 1e3,
        hundred.client * 1e3
    );
    row(&what, thousand.client / hundred.client, "", Some(2.0));
    let growth =
        thousand.coordinator / regular.coordinator / (10.0 * 1_000_f64.ln() / 100_f64.ln());
    let what = format!(
        "coordinator's growth from 100 to 1,000 members over n log n, d = 1e5 ({:.0} and {:.0} ms)",
        regular.coordinator * 1e3,
        thousand.coordinator * 1e3
    );
    row(&what, growth, "", Some(1.0));
}
