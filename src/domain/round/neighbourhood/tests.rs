//! Degrees and thresholds against published numbers, exact fractions and common sense.

use super::*;

fn with(colluding: f64, dropping: f64) -> Assumptions {
    Assumptions {
        colluding,
        dropping,
        ..Assumptions::default()
    }
}

fn strategy(neighbours: Option<u32>, threshold: Option<u32>) -> Strategy {
    Strategy {
        max_clients: 10_000,
        neighbours,
        threshold,
        ..Strategy::default()
    }
}

/// C(n, k) as an exact integer, for populations that fit.
fn choose(n: u128, k: u128) -> u128 {
    if k > n {
        return 0;
    }
    (0..k).fold(1, |acc, i| acc * (n - i) / (i + 1))
}

#[test]
fn tails_are_the_exact_fractions() {
    for (population, marked, draws) in [
        (30, 10, 12),
        (60, 20, 30),
        (59, 19, 8),
        (12, 12, 5),
        (12, 0, 5),
        (9, 6, 7),
    ] {
        let tails = Hypergeometric::new(population, marked, draws);
        let (p, m, d) = (population as u128, marked as u128, draws as u128);
        for j in 0..=draws + 2 {
            let above: u128 = (j as u128..=d.min(m))
                .map(|i| choose(m, i) * choose(p - m, d - i))
                .sum();
            let exact = above as f64 / choose(p, d) as f64;
            let got = tails.at_least(j);
            assert!(
                (got - exact).abs() <= exact * 1e-12,
                "{population} {marked} {draws} {j}: {got:e} {exact:e}"
            );
        }
    }
}

#[test]
fn huge_tails_neither_overflow_nor_turn_into_nonsense() {
    let tails = Hypergeometric::new(9_999, 3_333, 5_000);
    let mut before = 1.0;
    for j in 0..=5_001 {
        let p = tails.at_least(j);
        assert!((0.0..=before).contains(&p), "{j}: {p:e}");
        before = p;
    }
    assert_eq!(before, 0.0);
}

/// Google's SecAgg server publishes the degrees that it computes from the same paper for 2^-40 and 2^-20 (federated-compute,
/// `graph_parameter_finder_test.cc`). It draws from all n members and not from the other n - 1, and knows no majority rule: our
/// degrees are equal or two or four larger.
#[test]
fn degrees_are_those_of_the_other_implementation_of_the_paper() {
    let published = [
        (100, 0.33, 0.33, 68),
        (1_000, 0.33, 0.33, 286),
        (10_000, 0.33, 0.33, 422),
        (1_000, 0.45, 0.45, 822),
        (10_000, 0.45, 0.45, 3_494),
        (100_000, 0.33, 0.33, 480),
    ];
    for (n, colluding, dropping, theirs) in published {
        // As in the paper: all members see the same lists.
        let one_list = Assumptions {
            lists_differ: false,
            ..with(colluding, dropping)
        };
        let ours = Neighbourhood::smallest(n, &one_list, 0).unwrap();
        let degree = ours.degree.unwrap();
        assert!(
            (theirs..=theirs + 4).contains(&degree),
            "{n} {colluding} {dropping}: {degree} {theirs}"
        );
    }
}

#[test]
fn a_third_colluding_and_a_tenth_lost_gives_the_table_of_the_documents() {
    let table = [
        (31, 22, 17),
        (50, 34, 26),
        (100, 56, 46),
        (300, 134, 106),
        (1_000, 224, 176),
    ];
    for (n, degree, threshold) in table {
        let got = Neighbourhood::of(&strategy(None, None), n);
        let expected = Neighbourhood {
            degree: Some(degree),
            threshold,
        };
        assert_eq!(got, expected, "{n}");
    }
}

#[test]
fn what_is_chosen_keeps_all_three_promises_and_two_fewer_neighbours_do_not() {
    for n in (31..400).step_by(7).chain([1_000, 3_000]) {
        for dropping in [0.05, 0.1, 0.2] {
            let assumptions = with(COLLUDING, dropping);
            let Some(Neighbourhood {
                degree: Some(k),
                threshold: t,
            }) = Neighbourhood::smallest(n, &assumptions, 0)
            else {
                panic!("{n} {dropping}");
            };
            let keeps = |k: usize, t: usize| {
                let lost = Hypergeometric::new(n - 1, count(dropping, n), k);
                exposure_probability(n, k, t, n / 3) <= power(41)
                    && cut_probability(n, k, n / 3, CLAIMED) <= power(41)
                    && float(n) * lost.at_least(k - t + 1) <= power(20)
            };
            assert!(keeps(k, t), "{n} {dropping}: {k} {t}");
            assert!(2 * t > k + 1, "{n} {dropping}: {k} {t}");
            assert!(
                k == 2 || (majority(k - 2)..=k - 2).all(|t| !keeps(k - 2, t)),
                "{n} {dropping}: {k} is not the smallest"
            );
        }
    }
}

#[test]
fn worse_assumptions_never_need_fewer_neighbours() {
    let degree = |a: &Assumptions| {
        Neighbourhood::smallest(500, a, 0).map_or(usize::MAX, |n| n.degree.unwrap())
    };
    let rising = |all: Vec<Assumptions>| {
        let degrees: Vec<usize> = all.iter().map(degree).collect();
        assert!(
            degrees.is_sorted() && degrees[0] < degrees[degrees.len() - 1],
            "{degrees:?}"
        );
    };
    rising((0..=8).map(|i| with(0.05 * f64::from(i), 0.2)).collect());
    rising((0..=8).map(|i| with(0.2, 0.05 * f64::from(i))).collect());
    rising(
        [10, 20, 40, 60, 80]
            .map(|security_bits| Assumptions {
                security_bits,
                ..with(0.2, 0.2)
            })
            .to_vec(),
    );
    rising(
        [5, 10, 20, 40]
            .map(|correctness_bits| Assumptions {
                correctness_bits,
                ..with(0.2, 0.2)
            })
            .to_vec(),
    );
}

#[test]
fn the_degree_grows_like_a_logarithm() {
    let degree = |n| Neighbourhood::of(&strategy(None, None), n).degree.unwrap();
    let degrees: Vec<usize> = [50, 100, 300, 1_000, 3_000, 10_000].map(degree).to_vec();
    assert!(degrees.is_sorted(), "{degrees:?}");
    // Ten times the members, not even 1.6 times the neighbours.
    assert!(degree(10_000) * 5 < degree(1_000) * 8);
}

#[test]
fn small_rounds_are_complete_and_keep_their_threshold() {
    for n in 1..=COMPLETE_UP_TO {
        let got = Neighbourhood::of(&strategy(None, Some(9)), n);
        assert_eq!(got.degree, None);
        assert_eq!(got.threshold, strategy(None, Some(9)).threshold_for(n));
    }
    assert_eq!(
        Neighbourhood::of(&strategy(Some(5_000), None), 1_000).degree,
        None
    );
    assert_eq!(
        Neighbourhood::of(&strategy(Some(u32::MAX), None), 1_000).degree,
        None
    );
}

#[test]
fn a_strategy_overrides_degree_threshold_and_expected_losses() {
    let of = |neighbours, threshold, dropout| {
        let strategy = Strategy {
            dropout,
            ..strategy(neighbours, threshold)
        };
        let n = Neighbourhood::of(&strategy, 1_000);
        (n.degree.unwrap(), n.threshold)
    };
    assert_eq!(of(None, None, Some(0.1)), (224, 176));
    assert_eq!(of(Some(223), None, None), of(Some(224), None, None));
    assert_eq!(
        of(Some(224), None, None),
        (224, 176),
        "the threshold is the private one"
    );
    assert_eq!(of(Some(224), Some(190), None), (224, 190));
    assert_eq!(
        of(Some(224), Some(1), None),
        (224, 113),
        "never half or less"
    );
    let (degree, threshold) = of(None, Some(220), None);
    assert!(
        threshold == 220 && degree > 224,
        "a higher threshold needs more neighbours: {degree}"
    );
    let of_all = Strategy {
        dropout: Some(1.0 / 3.0),
        ..strategy(None, None)
    };
    let complete = Neighbourhood {
        degree: None,
        threshold: 667,
    };
    assert_eq!(
        Neighbourhood::of(&of_all, 1_000),
        complete,
        "no ring survives a third lost with a third colluding"
    );
}

#[test]
fn a_member_objects_to_what_is_too_weak_and_says_what_would_do() {
    let floor = PrivacyFloor::default();
    let object = |degree: usize, threshold: usize| {
        Neighbourhood {
            degree: Some(degree),
            threshold,
        }
        .objection(1_000, &floor)
    };
    for n in (31..500).chain([1_000, 9_999]) {
        for dropout in [None, Some(0.1), Some(0.02)] {
            let chosen = Neighbourhood::of(
                &Strategy {
                    dropout,
                    ..strategy(None, None)
                },
                n,
            );
            assert_eq!(chosen.objection(n, &floor), None, "{n} {dropout:?}");
        }
    }
    assert_eq!(object(224, 176), None);
    let why = object(102, 72).unwrap();
    assert!(
        why.contains("holding enough shares") && why.contains("224 with a threshold of 176"),
        "{why}"
    );
    let why = object(20, 21).unwrap();
    assert!(
        why.contains("cut in two") && why.contains("20 neighbours"),
        "{why}"
    );
    assert!(object(102, 51).unwrap().contains("between 52 and 103"));
    assert!(object(102, 104).unwrap().contains("between 52 and 103"));
    let lenient = PrivacyFloor { bits: 0, ..floor };
    assert_eq!(
        Neighbourhood {
            degree: Some(4),
            threshold: 3
        }
        .objection(1_000, &lenient),
        None
    );
}

#[test]
fn a_member_of_a_complete_graph_objects_to_a_threshold_below_its_own_rule() {
    let complete = |threshold| Neighbourhood {
        degree: None,
        threshold,
    };
    let usual = PrivacyFloor::default();
    let of_one = PrivacyFloor {
        colluders: Some(1),
        ..usual
    };
    for n in 2..60 {
        let chosen = Neighbourhood::of(&strategy(Some(u32::MAX), None), n);
        assert_eq!(chosen.objection(n, &usual), None, "{n}");
        let weaker = complete(chosen.threshold - 1);
        assert!(weaker.objection(n, &usual).is_some(), "{n}");
    }
    assert!(complete(2).objection(3, &of_one).is_some());
    assert_eq!(complete(3).objection(3, &of_one), None);
    assert!(
        complete(4).objection(3, &usual).is_some(),
        "more than there are"
    );
    let none = PrivacyFloor {
        colluders: Some(0),
        ..usual
    };
    assert_eq!(complete(51).objection(100, &none), None);
    let why = complete(51).objection(100, &usual).unwrap();
    assert!(
        why.contains("insists on 67 (policy.assumed_colluders)"),
        "{why}"
    );
}

#[test]
fn fractions_of_members_are_what_one_expects() {
    assert_eq!(
        (count(1.0 / 3.0, 30), count(0.1, 1_000), count(0.29, 100)),
        (10, 100, 29)
    );
    assert_eq!(
        (count(-1.0, 10), count(f64::NAN, 10), count(9.0, 10)),
        (0, 0, 10)
    );
}
