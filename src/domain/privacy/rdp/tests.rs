//! The accountant against published figures and against another one.

use super::*;
use crate::secagg::vectors::load;

/// Steps of so many epochs over 60,000 examples in batches of 256.
fn steps(epochs: u32) -> u32 {
    (epochs * 60_000).div_ceil(256)
}

fn near(found: f64, known: f64) {
    assert!((found - known).abs() < 1e-3, "{found}, not {known}");
}

#[test]
fn figures_that_must_be_met() {
    let rate = 256.0 / 60_000.0;
    let plan = |z, epochs| Rdp::sampled_gaussian(rate, z, steps(epochs)).unwrap();
    near(plan(1.3, 15).epsilon(1e-5), 0.9546);
    near(plan(1.3, 15).epsilon_by_mironov(1e-5), 1.192);
    near(plan(1.1, 60).epsilon(1e-5), 2.597);
    near(plan(0.7, 45).epsilon(1e-5), 6.320);
    let long = Rdp::sampled_gaussian(0.01, 4.0, 10_000).unwrap();
    near(long.epsilon(1e-5), 1.035);
    near(Rdp::concentrated(0.81).unwrap().epsilon(1e-10), 8.922);

    let one = Rdp::gaussian(1.0).unwrap().epsilon(1e-5);
    near(one, 4.7285);
    // What is exactly true of it (Balle, Wang 2018) is less.
    assert!(one > 4.377_178);
}

/// The table of docs/privacy.md: rounded up, and not by much.
#[test]
fn the_documents_table_is_true() {
    let text = include_str!("../../../../docs/privacy.md");
    let rows = text.lines().skip_while(|line| !line.starts_with("| z |"));
    let mut checked = 0;
    for row in rows.skip(2).take_while(|line| line.starts_with('|')) {
        let mut cells = row
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().parse().unwrap());
        let cost = Rdp::gaussian(cells.next().unwrap()).unwrap();
        for (times, written) in [1, 10, 100, 1000].into_iter().zip(cells) {
            let epsilon = cost.repeated(times).epsilon(1e-6);
            let written: f64 = written;
            assert!(
                epsilon <= written && written < epsilon * 1.03 + 0.01,
                "{row}: {epsilon}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 28);
}

#[test]
fn a_thousand_plans_cost_what_dp_accounting_says() {
    let vectors = load(include_str!("../../../../tests/vectors/privacy/rdp.json"));
    let plans = vectors["plans"].as_array().unwrap();
    assert_eq!(plans.len(), 1000);
    for plan in plans {
        let mut cost = Rdp::zero();
        for mechanism in plan[0].as_array().unwrap() {
            let number = |i: usize| mechanism[i].as_f64().unwrap();
            cost += &Rdp::sampled_gaussian(number(0), number(1), number(2) as u32).unwrap();
        }
        let found = cost.epsilon(plan[1].as_f64().unwrap());
        let known = plan[2].as_f64().unwrap();
        let apart = (found - known).abs() / known.max(1.0);
        assert!(apart < 1e-3, "{plan}: {found}, {apart:e} apart");
    }
}

#[test]
fn divergences_are_those_of_the_definition_or_a_little_more() {
    let vectors = load(include_str!("../../../../tests/vectors/privacy/rdp.json"));
    for case in vectors["divergences"].as_array().unwrap() {
        let number = |i: usize| case[i].as_f64().unwrap();
        let known = number(3);
        let cost = Rdp::sampled_gaussian(number(0), number(1), 1).unwrap();
        let at = alphas().position(|alpha| alpha == number(2)).unwrap();
        let found = cost.0[at] as f64 * UNIT;
        assert!(found >= known, "{case}: {found} understates");
        // Whole orders are exact; the series without signs is sharp where the rate is small.
        let whole = number(2).fract() == 0.0;
        let more = (found - known) / known;
        assert!(!whole || more < 1e-6, "{case}: {found}, {more:e} more");
        assert!(
            number(0) > 0.01 || more < 0.11,
            "{case}: {found}, {more:e} more"
        );
    }
}

#[test]
fn orders_ascend_from_just_above_one_to_512() {
    let orders: Vec<f64> = alphas().collect();
    assert_eq!(orders.len(), ORDERS);
    assert!(orders.is_sorted_by(|a, b| a < b));
    assert_eq!((orders[0], orders[ORDERS - 1]), (1.25, 512.0));
}

#[test]
fn sampling_everything_is_not_sampling() {
    let all = Rdp::sampled_gaussian(1.0, 2.0, 7).unwrap();
    let gaussian = Rdp::gaussian(2.0).unwrap().repeated(7);
    near(all.epsilon(1e-5), gaussian.epsilon(1e-5));
    let nearly = Rdp::sampled_gaussian(1.0 - 1e-9, 2.0, 7).unwrap();
    near(nearly.epsilon(1e-5), gaussian.epsilon(1e-5));
    let some = Rdp::sampled_gaussian(0.5, 2.0, 7).unwrap();
    assert!(some.epsilon(1e-5) < gaussian.epsilon(1e-5));
}

/// Two discrete Gaussians of small variance, summed: the formula is an upper bound of the divergence by definition.
#[test]
fn sums_of_discrete_gaussians_are_bounded() {
    for (shares, variance, reach) in [(2, 0.25, 12_i32), (3, 0.25, 12), (3, 0.5, 16), (5, 1.0, 30)]
    {
        let one: Vec<f64> = (-reach..=reach)
            .map(|x| (-f64::from(x * x) / (2.0 * variance)).exp())
            .collect();
        let total: f64 = one.iter().sum();
        let one: Vec<f64> = one.iter().map(|w| w / total).collect();
        let mut sum = vec![1.0];
        for _ in 0..shares {
            let mut next = vec![0.0; sum.len() + one.len() - 1];
            for (i, p) in sum.iter().enumerate() {
                for (j, q) in one.iter().enumerate() {
                    next[i + j] += p * q;
                }
            }
            sum = next;
        }
        let cost = Rdp::noisy_sum(&NoisySum {
            shares,
            variance,
            l2: 1.0,
            l1: 1.0,
            dimension: 1,
        })
        .unwrap();
        for (alpha, bound) in alphas().zip(&cost.0).filter(|(alpha, _)| *alpha < 8.0) {
            let moment: f64 = sum
                .windows(2)
                .filter(|w| w[0] > 1e-200 && w[1] > 1e-200)
                .map(|w| (alpha * w[0].ln() + (1.0 - alpha) * w[1].ln()).exp())
                .sum();
            let known = moment.ln() / (alpha - 1.0);
            assert!(
                nats(*bound) >= known,
                "{shares} of {variance} at {alpha}: {known}"
            );
        }
    }
}

#[test]
fn many_shares_of_enough_variance_are_one_gaussian() {
    let sum = NoisySum {
        shares: 100,
        variance: 4.0,
        l2: 5.0,
        l1: f64::INFINITY,
        dimension: 10_000,
    };
    near(
        Rdp::noisy_sum(&sum).unwrap().epsilon(1e-5),
        Rdp::gaussian(4.0).unwrap().epsilon(1e-5),
    );
    // With little variance a share the sum is no Gaussian, and the cost says so.
    let poor = |variance| {
        Rdp::noisy_sum(&NoisySum { variance, ..sum })
            .unwrap()
            .epsilon(1e-5)
    };
    let naive = Rdp::gaussian(1.0).unwrap().epsilon(1e-5);
    assert!(poor(0.25) > 2.0 * naive);
    assert_eq!(poor(0.249), f64::INFINITY);
    // One share alone is a discrete Gaussian.
    let alone = NoisySum {
        shares: 1,
        variance: 25.0,
        ..sum
    };
    near(
        Rdp::noisy_sum(&alone).unwrap().epsilon(1e-5),
        Rdp::gaussian(1.0).unwrap().epsilon(1e-5),
    );
}

#[test]
fn composition_is_exact_and_in_any_order() {
    let costs: Vec<Rdp> = (1..20)
        .map(|i| Rdp::gaussian(f64::from(i)).unwrap())
        .collect();
    let sum = |costs: &mut dyn Iterator<Item = &Rdp>| {
        costs.fold(Rdp::zero(), |mut sum, cost| {
            sum += cost;
            sum
        })
    };
    assert_eq!(sum(&mut costs.iter()), sum(&mut costs.iter().rev()));
    let mut three = costs[0].clone();
    three += &costs[0];
    three += &costs[0];
    assert_eq!(three, costs[0].repeated(3));
}

#[test]
fn what_is_infinite_stays_so_and_nothing_costs_nothing() {
    assert_eq!(Rdp::zero().epsilon(1e-5), 0.0);
    let mut huge = Rdp::gaussian(1e-3).unwrap();
    assert_eq!(huge.epsilon(1e-5), f64::INFINITY);
    huge += &Rdp::gaussian(1.0).unwrap();
    assert_eq!(huge.epsilon(1e-5), f64::INFINITY);
    assert_eq!(
        Rdp::gaussian(1.0).unwrap().repeated(u32::MAX).epsilon(1e-5),
        f64::INFINITY
    );
    for delta in [0.0, -1.0, f64::NAN] {
        assert_eq!(
            Rdp::gaussian(1.0).unwrap().epsilon(delta),
            f64::INFINITY,
            "{delta}"
        );
    }
    assert_eq!(Rdp::gaussian(1.0).unwrap().epsilon(1.0), 0.0);
}

#[test]
fn parameters_without_meaning_are_refused() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Rdp::gaussian(bad).is_err(), "{bad}");
        assert!(Rdp::concentrated(bad).is_err(), "{bad}");
        assert!(Rdp::sampled_gaussian(0.5, bad, 1).is_err(), "{bad}");
    }
    for bad in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(Rdp::sampled_gaussian(bad, 1.0, 1).is_err(), "{bad}");
    }
    let sum = NoisySum {
        shares: 3,
        variance: 1.0,
        l2: 1.0,
        l1: 1.0,
        dimension: 1,
    };
    assert!(Rdp::noisy_sum(&NoisySum { shares: 0, ..sum }).is_err());
    assert!(
        Rdp::noisy_sum(&NoisySum {
            dimension: 0,
            ..sum
        })
        .is_err()
    );
    assert!(Rdp::noisy_sum(&NoisySum { l2: 0.0, ..sum }).is_err());
}

#[test]
fn costs_are_stored_as_whole_numbers() {
    let cost = Rdp::gaussian(1.3).unwrap();
    let text = serde_json::to_string(&cost).unwrap();
    assert_eq!(serde_json::from_str::<Rdp>(&text).unwrap(), cost);
    assert!(serde_json::from_str::<Rdp>("[1,2,3]").is_err());
}
