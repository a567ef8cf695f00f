//! An audit of the noise by attack, in one run each: Steinke, Nasr, Jagielski, *Privacy Auditing with One (1) Training Run*, 2023.
//!
//! Records that an auditor made (canaries) are in the data or not, by a coin each. The auditor sees the noised sums and guesses. Under
//! (epsilon, delta)-privacy no guesser is right more often than a binomial with q = 1 / (1 + exp(-epsilon)) allows, so many right guesses
//! prove that epsilon is larger. What is proven must stay below what the accountant claims, for a mean, a histogram, a logit and a small
//! network, each summed, clipped and noised by the node's own code. Without the noise the same auditor proves more than is claimed:
//! so the audit can fail. All randomness is from seeds.

#![allow(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a failed step is a failed test; sizes here are small"
)]

#[path = "privacy_audit/models.rs"]
mod models;

use delta_node::domain::privacy::noise::Share;
use delta_node::domain::records::{Clip, RecordUnit, RecordsForm, UnitSums};
use delta_node::domain::secret::Secret;
use models::{Histogram, Logit, Mean, Network, Statistic, normal};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Records that are in or not.
const CANARIES: usize = 1000;
/// Records that are in anyway.
const OTHERS: usize = 400;
/// The auditor guesses about so many, those that it is surest of.
const GUESSES: usize = 200;
const DELTA: f64 = 1e-6;
/// How often such an audit may prove what is not so.
const ERROR: f64 = 1e-4;
/// The bound on a record's vector, and the digits that are kept.
const BOUND: f64 = 1.0;
const PRECISION: u8 = 4;
/// Members whose noise is in the sum that is seen; one of five works together with the auditor.
const MEMBERS: usize = 5;
const COLLUDERS: usize = 1;

/// The sums of one round over these records, as a member makes them: in the ring's integers.
fn sums(vectors: &[Vec<f64>]) -> Vec<i64> {
    let steps = 10_f64.powi(PRECISION.into());
    let form = RecordsForm {
        width: vectors[0].len(),
        precision: PRECISION,
        unit: RecordUnit::Record,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        clip: Clip::new(None, Some((BOUND * steps) as u64)).unwrap(),
        memory: 0,
    };
    let mut all = UnitSums::new(form).unwrap();
    for vector in vectors {
        all.push(vector, None);
    }
    all.finish()
}

/// What is proven and what is claimed.
struct Audit {
    proven: f64,
    claimed: f64,
}

/// Runs all rounds of a statistic once, with noise or without.
fn audit(statistic: &mut dyn Statistic, multiplier: &str, noised: bool, seed: u64) -> Audit {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let width = statistic.width();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small"
    )]
    let steps = 10_f64.powi(PRECISION.into()) as u64;
    let multiplier = multiplier.parse().unwrap();
    let share = Share::new(multiplier, steps, MEMBERS - COLLUDERS, MEMBERS, COLLUDERS).unwrap();
    let coins: Vec<bool> = (0..CANARIES).map(|_| rng.next_u32() & 1 == 1).collect();
    let mut scores = vec![0.0; CANARIES];
    for _ in 0..statistic.rounds() {
        let canaries: Vec<Vec<f64>> = (0..CANARIES).map(|i| statistic.canary(i)).collect();
        let mut data: Vec<Vec<f64>> = (0..OTHERS).map(|i| statistic.other(i)).collect();
        let known = sums(&data);
        let included = canaries.iter().zip(&coins).filter(|(_, coin)| **coin);
        data.extend(included.map(|(c, _)| c.clone()));
        let mut seen = sums(&data);
        // The colluder has taken its own share away.
        for _ in 0..if noised { share.honest() } else { 0 } {
            let mut noise = [0; 32];
            rng.fill_bytes(&mut noise);
            let noise = share.draw(&Secret::new(noise), width);
            seen.iter_mut().zip(noise.iter()).for_each(|(s, n)| *s += n);
        }
        for (score, canary) in scores.iter_mut().zip(&canaries) {
            let own = sums(std::slice::from_ref(canary));
            // The auditor knows the other records.
            let news = seen.iter().zip(&known).map(|(seen, known)| seen - known);
            let product = own
                .iter()
                .zip(news)
                .map(|(own, new)| *own as f64 * new as f64);
            *score += product.sum::<f64>();
        }
        let seen: Vec<f64> = seen.iter().map(|x| *x as f64 / steps as f64).collect();
        statistic.learn(&seen);
    }
    let mut order: Vec<usize> = (0..CANARIES).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (out, rest) = order.split_at(GUESSES / 2);
    let in_it = &rest[rest.len() - GUESSES / 2..];
    let right =
        out.iter().filter(|i| !coins[**i]).count() + in_it.iter().filter(|i| coins[**i]).count();
    let one = share.cost(width as u64, None).unwrap();
    Audit {
        proven: lower_bound(right),
        claimed: one
            .repeated(statistic.rounds())
            .epsilons(DELTA)
            .colluding
            .unwrap(),
    }
}

/// The largest epsilon that so many right guesses rule out (theorem 5.2 and appendix D of the paper).
fn lower_bound(right: usize) -> f64 {
    let (mut low, mut high) = (0.0, 20.0);
    if p_value(right, low) >= ERROR {
        return 0.0;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        match p_value(right, middle) < ERROR {
            true => low = middle,
            false => high = middle,
        }
    }
    low
}

/// How likely so many right guesses are at most, under (epsilon, [`DELTA`])-privacy.
fn p_value(right: usize, epsilon: f64) -> f64 {
    let q = 1.0 / (1.0 + (-epsilon).exp());
    let mass = binomial(GUESSES, q);
    let beta: f64 = mass[right..].iter().sum();
    let (mut alpha, mut sum) = (0.0_f64, 0.0);
    for i in 1..=right {
        sum += mass[right - i];
        alpha = alpha.max(sum / i as f64);
    }
    beta + alpha * DELTA * 2.0 * CANARIES as f64
}

/// The probabilities of 0 to n successes.
fn binomial(n: usize, q: f64) -> Vec<f64> {
    let mut choose = 0.0_f64;
    (0..=n)
        .map(|k| {
            if k > 0 {
                choose += ((n - k + 1) as f64 / k as f64).ln();
            }
            (choose + k as f64 * q.ln() + (n - k) as f64 * (1.0 - q).ln()).exp()
        })
        .collect()
}

fn holds(make: impl Fn(&mut ChaCha20Rng) -> Box<dyn Statistic>, multiplier: &str) {
    for seed in 0..2 {
        let mut rng = ChaCha20Rng::seed_from_u64(1000 + seed);
        let Audit { proven, claimed } = audit(&mut *make(&mut rng), multiplier, true, seed);
        assert!(proven <= claimed, "proven {proven}, claimed {claimed}");
        assert!(
            (0.5..4.0).contains(&claimed),
            "{claimed} is no claim worth an audit"
        );
        let bare = audit(&mut *make(&mut rng), multiplier, false, seed);
        assert!(
            bare.proven > claimed,
            "without noise only {} is proven of {claimed}",
            bare.proven
        );
    }
}

#[test]
fn of_a_mean() {
    holds(|rng| Box::new(Mean::new(rng)), "3");
}

#[test]
fn of_a_histogram() {
    holds(|_| Box::new(Histogram), "2");
}

#[test]
fn of_a_logit() {
    holds(|rng| Box::new(Logit::new(rng)), "6");
}

#[test]
fn of_a_small_network() {
    holds(|rng| Box::new(Network::new(rng)), "6");
}

#[test]
fn the_bound_is_that_of_the_paper() {
    // All right: q^200 = 1e-4 without the delta.
    let all = lower_bound(GUESSES);
    let plain = ERROR.powf(1.0 / 200.0);
    let plain = (plain / (1.0 - plain)).ln();
    assert!((plain - 0.6..plain).contains(&all), "{all}, {plain}");
    assert!(lower_bound(GUESSES / 2).abs() < 1e-12);
    let total: f64 = binomial(GUESSES, 0.3).iter().sum();
    assert!((total - 1.0).abs() < 1e-9);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let draws: Vec<f64> = (0..20_000).map(|_| normal(&mut rng)).collect();
    let variance = draws.iter().map(|x| x * x).sum::<f64>() / draws.len() as f64;
    assert!((variance - 1.0).abs() < 0.05, "{variance}");
}
