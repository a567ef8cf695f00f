//! The sampler against published samples, exact probabilities and chi-square.

use rand_core::Rng as _;

use super::*;
use crate::secagg::vectors::{Scripted, bytes, load, rng};

/// Sigmas that are tested, as variances: below one, fractions, a power of two and its neighbour, and up to 2^40.
const VARIANCES: [(u128, u64); 9] = [
    (1, 16),
    (1, 4),
    (1, 1),
    (27, 10),
    (9, 1),
    (16, 1),
    (10_000, 1),
    (1 << 52, 1),
    ((1 << 80) / 3, 1),
];

fn sampler(n: u128, d: u64) -> DiscreteGaussian {
    DiscreteGaussian::new(Variance::new(n, d).unwrap())
}

fn draws(sampler: &DiscreteGaussian, seed: u64, count: usize) -> Vec<i64> {
    let mut out = vec![0; count];
    sampler.fill(&mut rng(seed), &mut out);
    out
}

/// P(x) for |x| <= reach, by the definition.
fn probabilities(variance: f64, reach: i32) -> Vec<f64> {
    let weights: Vec<f64> = (-reach..=reach)
        .map(|x| (-f64::from(x * x) / (2.0 * variance)).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// Chi-square statistic minus its degrees of freedom, in standard deviations; cells below 10 expected are put together.
fn surplus(observed: &[f64], expected: &[f64]) -> f64 {
    let (mut statistic, mut cells) = (0.0, 0.0);
    let (mut o, mut e) = (0.0, 0.0);
    for (seen, due) in observed.iter().zip(expected) {
        (o, e) = (o + seen, e + due);
        if e >= 10.0 {
            statistic += (o - e) * (o - e) / e;
            cells += 1.0;
            (o, e) = (0.0, 0.0);
        }
    }
    let freedom: f64 = cells - 1.0;
    (statistic - freedom) / (2.0 * freedom.max(1.0)).sqrt()
}

#[test]
fn the_reference_gives_the_published_samples() {
    let vectors = load(include_str!(
        "../../../../tests/vectors/privacy/discrete_gaussian.json"
    ));
    let stream = bytes(&vectors["stream"]);
    for case in vectors["cases"].as_array().unwrap() {
        let sigma = |i: usize| u128::from(case["sigma"][i].as_u64().unwrap());
        let mut rng = Scripted(stream.clone());
        for sample in case["samples"].as_array().unwrap() {
            let drawn = cks20::discrete_gaussian(&mut rng, sigma(0), sigma(1));
            assert_eq!(
                drawn,
                i128::from(sample.as_i64().unwrap()),
                "{:?}",
                case["sigma"]
            );
        }
        assert_eq!(
            (stream.len() - rng.0.len()) as u64,
            case["bytes"].as_u64().unwrap()
        );
    }
}

#[test]
fn half_a_sigma_has_the_known_moments() {
    let known = probabilities(0.25, 12);
    let variance: f64 = known
        .iter()
        .zip(-12..=12)
        .map(|(p, x)| p * f64::from(x * x))
        .sum();
    assert!((known[12] - 0.786_571).abs() < 1e-6, "{}", known[12]);
    assert!((variance - 0.215_013).abs() < 1e-6, "{variance}");

    let samples = draws(&sampler(1, 4), 1, 400_000);
    let mean = |f: &dyn Fn(i64) -> f64| samples.iter().map(|x| f(*x)).sum::<f64>() / 400_000.0;
    let zeros = mean(&|x| f64::from(u8::from(x == 0)));
    let square = mean(&|x| (x * x) as f64);
    // Standard errors are 6.5e-4 and 6.8e-4.
    assert!((zeros - known[12]).abs() < 3e-3, "{zeros}");
    assert!((square - variance).abs() < 3e-3, "{square}");
}

#[test]
fn small_sigmas_pass_chi_square() {
    for (n, d) in VARIANCES
        .into_iter()
        .filter(|(n, d)| n / u128::from(*d) < 20_000)
    {
        let sampler = sampler(n, d);
        let sigma = sampler.variance().to_f64().sqrt();
        let reach = (12.0 * sigma).ceil() as i32;
        let expected: Vec<f64> = probabilities(sigma * sigma, reach)
            .iter()
            .map(|p| p * 300_000.0)
            .collect();
        for seed in 0..3 {
            let mut observed = vec![0.0; expected.len()];
            for x in draws(&sampler, seed, 300_000) {
                observed[(x + i64::from(reach)) as usize] += 1.0;
            }
            let surplus = surplus(&observed, &expected);
            assert!(surplus.abs() < 5.0, "{n}/{d}: {surplus}");
        }
    }
}

#[test]
fn large_sigmas_pass_chi_square_in_their_high_and_their_low_digits() {
    for (n, d) in [
        (1_u128 << 40, 1),
        (1 << 52, 1),
        ((1 << 52) - 1, 1),
        ((1 << 80) / 3, 1),
        (1 << 98, 1),
    ] {
        let sampler = sampler(n, d);
        let sigma = sampler.variance().to_f64().sqrt();
        // Cells of a 16th of sigma: for such sigmas their probabilities are the normal distribution's to 1e-6.
        let weights: Vec<f64> = (-128..128)
            .map(|cell| {
                let density = |z: f64| (-z * z / 2.0).exp();
                let at = f64::from(cell) / 16.0;
                // Simpson's rule
                density(at) + 4.0 * density(at + 1.0 / 32.0) + density(at + 1.0 / 16.0)
            })
            .collect();
        let total: f64 = weights.iter().sum();
        let count = 200_000.0;
        let (mut high, mut low) = (vec![0.0; 256], vec![0.0; 64]);
        for x in draws(&sampler, 7, 200_000) {
            high[((x as f64 / sigma * 16.0).floor() + 128.0) as usize] += 1.0;
            low[x.rem_euclid(64) as usize] += 1.0;
        }
        let expected: Vec<f64> = weights.iter().map(|w| w / total * count).collect();
        let (high, low) = (
            surplus(&high, &expected),
            surplus(&low, &[count / 64.0; 64]),
        );
        assert!(high.abs() < 5.0 && low.abs() < 5.0, "{n}/{d}: {high} {low}");
    }
}

#[test]
fn it_draws_what_the_reference_draws() {
    for (n, d) in [(3_u64, 1_u64), (1171, 500)] {
        let ours = draws(&sampler(u128::from(n * n), d * d), 3, 60_000);
        let mut rng = rng(4);
        let (mut observed, mut expected) = (vec![0.0; 81], vec![0.0; 81]);
        for x in ours {
            observed[(x + 40) as usize] += 1.0;
            expected[(cks20::discrete_gaussian(&mut rng, n.into(), d.into()) + 40) as usize] += 1.0;
        }
        // Both sides vary: the statistic is about twice its degrees of freedom, here below 40.
        let surplus = surplus(&observed, &expected);
        assert!(surplus < 15.0, "{n}/{d}: {surplus}");
    }
}

#[test]
fn weights_cover_what_they_are_for_and_every_number_once() {
    for (n, d) in VARIANCES {
        let sampler = sampler(n, d);
        let mut next = 0_u128;
        for (v, row) in (0_u128..).zip(&sampler.rows) {
            assert_eq!(u128::from(row.start), next & u128::from(u64::MAX));
            next += u128::from(row.weight);
            if row.weight > 0 {
                let (_, upper) = sampler.exponential(v << sampler.block, 192);
                let needed = upper.times(&sampler.scale.into()).shifted_right(192);
                assert!(needed < Natural::from(row.weight), "{n}/{d}: row {v}");
            }
        }
        assert_eq!(next, (1 << 64) - 2, "{n}/{d}");
        let rows = sampler.rows.iter().filter(|row| row.weight > 0).count() as u128;
        let (_, upper) = sampler.exponential(rows << sampler.block, 192);
        assert!(
            upper.shifted_right(128) <= Natural::from(1_u64),
            "{n}/{d}: the table ends too early"
        );
        // Beyond, every block is at most half of the one before.
        let (_, next) = sampler.exponential((rows + 1) << sampler.block, 192);
        assert!(next.shifted_left(1) <= upper.plus(&4_u64.into()), "{n}/{d}");
    }
}

#[test]
fn fast_heights_are_within_the_margin() {
    let mut rng = rng(5);
    for (n, d) in VARIANCES {
        let sampler = sampler(n, d);
        let rows = sampler.rows.iter().filter(|row| row.weight > 0).count() as u64;
        for i in 0..300 {
            let v = i % rows;
            let offset = rng.next_u64() & ((1 << sampler.block) - 1);
            let height = mul_high(
                sampler.rows[v as usize].height,
                exp2_minus(sampler.fall(v, offset)),
            );
            let (lower, upper) = sampler.exponential(u128::from(v << sampler.block | offset), 64);
            let height = Natural::from(height);
            let off = lower.minus(&height).plus(&height.minus(&upper));
            assert!(
                off < Natural::from(MARGIN / 4),
                "{n}/{d}: block {v}, offset {offset}"
            );
        }
    }
}

#[test]
fn what_64_bits_leave_open_is_decided_with_the_right_probability() {
    let mut rng = rng(6);
    for (n, d) in [(1_u128, 4), (9, 1), (1 << 52, 1)] {
        let sampler = sampler(n, d);
        let (v, offset) = (1, 3 & ((1 << sampler.block) - 1));
        let magnitude = v << sampler.block | offset;
        let row = sampler.rows[1];
        // The draw in which the boundary S E / weight lies, and where in it.
        let (lower, _) = sampler.exponential(u128::from(magnitude), 128);
        let boundary = lower
            .times(&sampler.scale.into())
            .quotient(&row.weight.into());
        let draw = low(boundary.shifted_right(64).to_u128().unwrap());
        let within = boundary
            .minus(&Natural::from(draw).shifted_left(64))
            .to_u128()
            .unwrap() as f64
            / 2_f64.powi(64);
        let height = mul_high(row.height, exp2_minus(sampler.fall(v, offset)));
        assert_eq!(sampler.judge(height, row.weight, draw), Verdict::Open);
        let accepted = (0..4000)
            .filter(|_| {
                sampler
                    .settle(&mut rng, true, magnitude, row.weight, 0, draw)
                    .is_some()
            })
            .count();
        assert!(
            (accepted as f64 / 4000.0 - within).abs() < 0.04,
            "{accepted} of 4000, expected {within}"
        );
    }
}

#[test]
fn exact_and_fast_decisions_agree() {
    let mut rng = rng(7);
    for (n, d) in VARIANCES {
        let sampler = sampler(n, d);
        for _ in 0..200 {
            let (v, row, found) = sampler.row(rng.next_u64());
            assert_eq!(found, 1);
            let offset = rng.next_u64() & ((1 << sampler.block) - 1);
            let draw = rng.next_u64();
            let height = mul_high(row.height, exp2_minus(sampler.fall(v, offset)));
            let fast = sampler.judge(height, row.weight, draw);
            let magnitude = v << sampler.block | offset;
            let exact = sampler
                .settle(&mut rng, true, magnitude, row.weight, 0, draw)
                .is_some();
            assert_eq!(fast == Verdict::Accept, exact, "{n}/{d}: {magnitude}");
        }
    }
}

#[test]
fn blocks_beyond_the_table_are_possible() {
    let sampler = sampler(9, 1);
    let rows = sampler.rows.iter().filter(|row| row.weight > 0).count() as i64;
    assert_eq!(sampler.row(u64::MAX).2, 0);
    assert_eq!(sampler.row(u64::MAX - 1).2, 0);
    assert_eq!(sampler.row(u64::MAX - 2).2, 1);
    let mut rng = rng(8);
    let kept: Vec<i64> = (0..2000)
        .filter_map(|_| sampler.settle(&mut rng, false, 0, 0, rng_bits(), 0))
        .collect();
    assert!(!kept.is_empty());
    assert!(kept.iter().all(|x| *x >= rows << sampler.block), "{kept:?}");

    fn rng_bits() -> u64 {
        0
    }
}

/// Rejection sampling: how long a value took says nothing about it.
#[test]
fn attempts_do_not_depend_on_the_magnitude() {
    let sampler = sampler(100, 1);
    let mut rng = rng(9);
    let (mut small, mut large) = ((0.0_f64, 0.0_f64), (0.0_f64, 0.0_f64));
    for _ in 0..100_000 {
        let mut attempts = 1.0;
        let value = loop {
            match sampler.attempt(&mut rng) {
                Some(value) => break value,
                None => attempts += 1.0,
            }
        };
        let side = if value.abs() < 7 {
            &mut small
        } else {
            &mut large
        };
        *side = (side.0 + attempts, side.1 + 1.0);
    }
    let (small, large) = (small.0 / small.1, large.0 / large.1);
    // The standard error of the difference is 0.004.
    assert!((small - large).abs() < 0.02, "{small} {large}");
    assert!(small < 1.5, "{small}");
}

/// What this sampler has always drawn from these seeds: a change here changes what a persisted seed stands for.
#[test]
fn seeds_stand_for_the_same_noise_for_ever() {
    let drawn = [
        draws(&sampler(1, 4), 42, 12),
        draws(&sampler(9, 1), 42, 12),
        draws(&sampler((1 << 80) / 3, 1), 42, 4),
    ];
    let known = [
        vec![0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0],
        vec![3, 1, 4, 1, -6, 1, 1, -3, -3, 0, 1, -3],
        vec![
            1_072_183_075_737,
            170_348_704_341,
            609_541_103_796,
            218_048_499_087,
        ],
    ];
    assert_eq!(drawn, known);
}

#[test]
fn variances_are_bounded_and_in_lowest_terms() {
    assert_eq!(Variance::new(6, 4).unwrap().parts(), (3, 2));
    assert!(Variance::new(1, 64).is_ok());
    assert!(Variance::new((1 << 100) - 1, 1).is_ok());
    for (n, d) in [
        (0, 1),
        (1, 0),
        (1, 65),
        (1 << 100, 1),
        (u128::MAX, 1),
        (0, 0),
    ] {
        assert!(Variance::new(n, d).is_err(), "{n}/{d}");
    }
    let text = serde_json::to_string(&Variance::new(6, 4).unwrap()).unwrap();
    assert_eq!(text, "[3,2]");
    assert!(serde_json::from_str::<Variance>("[3,0]").is_err());
}
