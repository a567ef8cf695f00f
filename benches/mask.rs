//! What the first rows of docs/performance.md compare, measured in one run: `cargo bench --bench mask --no-default-features`.
//!
//! Every ratio is the median over rounds of two times taken back to back in that round, so that a busy machine slows both.
//! The sum of masks is checked bit for bit in the run. Not a statistical framework: no files, no history.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::hint::black_box;
use std::time::Instant;

use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use delta_node::domain::secagg::encoding::Encoding;
use delta_node::domain::secagg::shamir::{self, Share};
use delta_node::domain::secagg::stream_adder::add_le_bytes_into;
use delta_node::domain::secagg::{
    Curve, Interpolator, KeyPair, MaskGenerator, MaskSeed, Masker, Ring, SealKey, Sign, Word,
};
use delta_node::domain::secret::Secret;
use rand_core::{Rng as _, SeedableRng as _};

const VALUES: usize = 1_000_000;
const ROUNDS: usize = 7;

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` must not spend a minute here.
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    println!("cpu: {}", cpu());
    println!("d = {VALUES}, one thread, CPU time, medians of {ROUNDS} round-robin runs\n");
    println!(
        "keystream alone, GB/s: aes128-ctr (Ctr64LE write_keystream) {:.1}, chacha20 crate {:.2}, rand_chacha {:.2}",
        gigabytes(&mut aes()),
        gigabytes(&mut chacha()),
        gigabytes(&mut rand_chacha())
    );
    println!(
        "\nmasks: time over the bare keystream of the same bytes (goal 1.35), ns a value and mask"
    );
    for generator in [MaskGenerator::Aes128Ctr, MaskGenerator::ChaCha20] {
        for streams in [10, 31, 100] {
            masks::<u32>(generator, streams);
            masks::<u64>(generator, streams);
        }
    }
    println!();
    sharing();
    quantising();
    adding();
    curves();
}

fn aes() -> impl FnMut(&mut [u8]) {
    let mut cipher = ctr::Ctr64LE::<aes::Aes128>::new(&[7; 16].into(), &[9; 16].into());
    move |out| cipher.write_keystream(out)
}

fn chacha() -> impl FnMut(&mut [u8]) {
    let mut cipher = chacha20::ChaCha20Legacy::new(&[7; 32].into(), &[9; 8].into());
    move |out| cipher.write_keystream(out)
}

fn rand_chacha() -> impl FnMut(&mut [u8]) {
    let mut rng = rand_chacha::ChaCha20Rng::from_seed([7; 32]);
    move |out| rng.fill_bytes(out)
}

/// Writes `bytes` of keystream through one 64 KiB buffer: the bound that masking is compared with.
fn bare(stream: &mut impl FnMut(&mut [u8]), bytes: usize, buffer: &mut [u8]) {
    let mut left = bytes;
    while left > 0 {
        let part = left.min(buffer.len());
        stream(&mut buffer[..part]);
        black_box(&buffer[..part]);
        left -= part;
    }
}

fn gigabytes(stream: &mut impl FnMut(&mut [u8])) -> f64 {
    let mut buffer = vec![0; 64 * 1024];
    let bytes = 1 << 26;
    bytes as f64
        / median(
            (0..ROUNDS)
                .map(|_| seconds(|| bare(stream, bytes, &mut buffer)))
                .collect(),
        )
        / 1e9
}

fn masks<W: Word>(generator: MaskGenerator, streams: usize) {
    let seeds: Vec<MaskSeed> = (0..streams).map(|i| Secret::new([i as u8; 32])).collect();
    let signed: Vec<(&MaskSeed, Sign)> = seeds
        .iter()
        .enumerate()
        .map(|(i, s)| (s, if i % 2 == 0 { Sign::Plus } else { Sign::Minus }))
        .collect();
    let undo: Vec<(&MaskSeed, Sign)> = signed
        .iter()
        .map(|(s, sign)| (*s, sign.opposite()))
        .collect();
    let mut values = vec![W::default(); VALUES];
    let mut buffer = vec![0; 64 * 1024];
    let bytes = streams * VALUES * W::BYTES;
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (mut a, mut c) = (aes(), chacha());
        let bound = match generator {
            MaskGenerator::Aes128Ctr => seconds(|| bare(&mut a, bytes, &mut buffer)),
            MaskGenerator::ChaCha20 => seconds(|| bare(&mut c, bytes, &mut buffer)),
        };
        // Keys are derived inside the measured time. Every other round takes the masks away again.
        let which = if round % 2 == 0 { &signed } else { &undo };
        let time = seconds(|| Masker::new(generator, which).apply(0, black_box(&mut values)));
        ratios.push(time / bound);
        times.push(time);
    }
    Masker::new(generator, &undo).apply(0, &mut values);
    assert!(
        values.iter().all(|v| *v == W::default()),
        "masks do not cancel"
    );
    let time = median(times);
    println!(
        "  {:10} u{:<2} {streams:3} streams  ratio {:.2}  {:.3} ns  {:7.2} ms",
        generator.name(),
        W::BYTES * 8,
        median(ratios),
        time * 1e9 / (VALUES * streams) as f64,
        time * 1e3
    );
}

fn sharing() {
    let mut rng = rand_chacha::ChaCha20Rng::from_seed([1; 32]);
    let split = micros(100, || {
        drop(black_box(
            shamir::split(black_box(&[0xab; 32]), 67, 100, &mut rng).unwrap(),
        ))
    });
    let shares = shamir::split(&[0xab; 32], 67, 100, &mut rng).unwrap();
    let xs: Vec<u16> = shares.iter().map(Share::x).collect();
    let build = micros(50, || {
        drop(black_box(Interpolator::new(black_box(&xs), 67).unwrap()))
    });
    let interpolator = Interpolator::new(&xs, 67).unwrap();
    let used: Vec<&Share> = shares.iter().take(67).collect();
    let combine = micros(500, || {
        drop(black_box(
            interpolator.combine(black_box(&used), 32).unwrap(),
        ))
    });
    println!(
        "shamir (67, 100): split {split:.1} us (goal 50), coefficients {build:.1} us once, combine {combine:.2} us a secret (goal 5)"
    );
}

fn quantising() {
    let wide: Vec<f64> = (0..VALUES).map(|i| (i as f64).sin() * 10.0).collect();
    let narrow: Vec<f32> = wide.iter().map(|x| *x as f32).collect();
    let long = Encoding::new(Ring::Z64, 8, 100);
    let (mut words, mut short, mut back) = (Vec::<u64>::new(), Vec::<u32>::new(), Vec::new());
    let per = 1e3 / VALUES as f64;
    println!(
        "quantise, ns a value (goal 1): f64 to u64 {:.2}, f32 to u64 {:.2}, f32 to u32 {:.2}; dequantise u64 {:.2}",
        per * micros(5, || long.encode(black_box(&wide), &mut words).unwrap()),
        per * micros(5, || long.encode(black_box(&narrow), &mut words).unwrap()),
        per * micros(5, || {
            Encoding::new(Ring::Z32, 5, 100)
                .encode(black_box(&narrow), &mut short)
                .unwrap()
        }),
        per * micros(5, || long.decode(black_box(&words), &mut back)),
    );
}

fn adding() {
    let mut sum = vec![1_u64; VALUES];
    let other = vec![2_u64; VALUES];
    let bytes: Vec<u8> = other.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let plain = seconds(|| {
            for _ in 0..10 {
                black_box(&mut sum)
                    .iter_mut()
                    .zip(black_box(&other))
                    .for_each(|(a, b)| *a = a.wrapping_add(*b));
            }
        });
        let ours = seconds(|| {
            for _ in 0..10 {
                for (at, chunk) in black_box(&bytes).chunks(64 * 1024).enumerate() {
                    add_le_bytes_into(black_box(&mut sum), at * 8192, chunk).unwrap();
                }
            }
        });
        ratios.push(ours / plain);
    }
    println!(
        "adding one upload over a plain a += b: {:.2} (goal 1.3)",
        median(ratios)
    );
}

fn curves() {
    let mut rng = rand_chacha::ChaCha20Rng::from_seed([2; 32]);
    for curve in [Curve::Secp256k1, Curve::Secp256r1, Curve::Secp384r1] {
        let (a, b) = (
            KeyPair::generate(curve, &mut rng),
            KeyPair::generate(curve, &mut rng),
        );
        let public = b.public();
        let signature = a.sign(b"m");
        println!(
            "{curve}, us: generate {:.0}, agree {:.0}, seal key {:.0}, sign {:.0}, verify {:.0}",
            micros(20, || drop(black_box(KeyPair::generate(curve, &mut rng)))),
            micros(20, || drop(black_box(a.agree(black_box(&public)).unwrap()))),
            micros(20, || drop(black_box(
                SealKey::new(&a, black_box(&public), None).unwrap()
            ))),
            micros(20, || drop(black_box(a.sign(black_box(b"m"))))),
            micros(20, || a
                .public()
                .verify(black_box(b"m"), &signature)
                .unwrap()),
        );
    }
}

fn seconds(f: impl FnOnce()) -> f64 {
    let (start, wall) = (on_cpu(), Instant::now());
    f();
    match (start, on_cpu()) {
        (Some(start), Some(end)) => (end - start) as f64 * 1e-9,
        _ => wall.elapsed().as_secs_f64(),
    }
}

/// Nanoseconds this thread has run, so that other processes do not count. Linux brings the number up to date at a yield.
fn on_cpu() -> Option<u64> {
    std::thread::yield_now();
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

/// Median over rounds of the mean over `times` calls, in microseconds.
fn micros(times: usize, mut f: impl FnMut()) -> f64 {
    median(
        (0..ROUNDS)
            .map(|_| seconds(|| (0..times).for_each(|_| f())) * 1e6 / times as f64)
            .collect(),
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Model and the flags that decide which kernels run.
fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .find(|l| l.starts_with(name))
            .and_then(|l| l.split_once(": "))
            .map_or("unknown", |(_, v)| v)
            .to_owned()
    };
    let flags = field("flags");
    let known: Vec<&str> = flags
        .split(' ')
        .filter(|f| ["aes", "vaes", "avx2", "avx512f", "sha_ni", "bmi2", "adx"].contains(f))
        .collect();
    format!(
        "{} [{}], aes in hardware: {}",
        field("model name"),
        known.join(" "),
        aes::hardware_accelerated()
    )
}
