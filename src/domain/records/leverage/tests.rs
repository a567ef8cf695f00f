//! Against plain linear algebra, the law, and attacks that hide one unit.

use proptest::prelude::*;

use super::*;
use crate::records::facts::Facts;
use crate::records::facts::tests::units;

fn spread(rows: &[Vec<i64>]) -> (usize, f64) {
    let facts = Facts::of(&units(rows));
    let spread = facts.spread.expect("few outputs");
    (spread.rank, spread.leverage)
}

/// The largest leverage by Gram and Schmidt, twice, in doubles, for well-conditioned columns.
fn plain(rows: &[Vec<i64>]) -> (usize, f64) {
    let width = rows[0].len();
    let column = |k: usize| -> Vec<f64> {
        rows.iter()
            .map(|row| if k == 0 { 1.0 } else { row[k - 1] as f64 })
            .collect()
    };
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(x, y)| x * y).sum() };
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for k in 0..=width {
        let mut rest = column(k);
        let before = dot(&rest, &rest).sqrt();
        for _ in 0..2 {
            for q in &basis {
                let share = dot(q, &rest);
                rest.iter_mut().zip(q).for_each(|(x, y)| *x -= share * y);
            }
        }
        let norm = dot(&rest, &rest).sqrt();
        if norm > 1e-9 * before.max(1e-300) {
            basis.push(rest.iter().map(|x| x / norm).collect());
        }
    }
    let of = |i: usize| basis.iter().map(|q| q[i] * q[i]).sum::<f64>();
    (basis.len(), (0..rows.len()).map(of).fold(0.0, f64::max))
}

fn noise(i: i64) -> i64 {
    (i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()) >> 20) & ((1 << 40) - 1)
}

#[test]
fn groups_share_equally() {
    let rows: Vec<Vec<i64>> = (0..100).map(|i| vec![i64::from(i < 25), 5]).collect();
    let (rank, top) = spread(&rows);
    assert_eq!(rank, 2);
    assert!((top - 0.04).abs() < 1e-6, "{top}");
    assert_eq!(spread(&vec![vec![0]; 8]), (1, spread(&vec![vec![0]; 8]).1));
    assert!((spread(&vec![vec![0]; 8]).1 - 0.125).abs() < 1e-6);
}

#[test]
fn a_selected_unit_in_the_last_place_is_found() {
    // One output, and the same one with one unit's number moved by one in its 40th bit.
    for n in [20_i64, 3000, 200_000] {
        let rows: Vec<Vec<i64>> = (0..n)
            .map(|i| vec![noise(i), noise(i) + i64::from(i == 7)])
            .collect();
        let (rank, top) = spread(&rows);
        assert_eq!(rank, 3);
        assert!(top > 0.999, "{n}: {top}");
    }
}

#[test]
fn full_size_numbers_hide_nobody() {
    // Nothing is left of one unit in a double here: 2^51 squared, 2000 times, against 1.
    let large = |i: i64| (noise(i) << 11) + noise(i + 5000) % 2048;
    let rows: Vec<Vec<i64>> = (0..2000)
        .map(|i| vec![large(i), i % 3, large(i) - (i % 3) + i64::from(i == 1999)])
        .collect();
    let (rank, top) = spread(&rows);
    assert_eq!(rank, 4);
    assert!(top > 0.999, "{top}");
}

#[test]
fn words_and_doubles_agree() {
    let rows: Vec<Vec<i64>> = (0..1000)
        .map(|i| vec![noise(i) % 1000, noise(7 * i) % 1_000_000, i % 2, 5])
        .collect();
    let units = units(&rows);
    let mut gram = Gram::new((0..5).collect());
    Block::each(&units, |block| gram.add(block));
    let kept = gram.independent();
    assert_eq!(kept, [0, 1, 2, 3]);
    let factor = Factor::of(&gram, &kept).unwrap();
    let doubles: Vec<Vec<f64>> = (0..4).map(|j| factor.floats(j).collect()).collect();
    let top = largest_norm(&units, &kept, &doubles, 1.0);
    let short = largest_in_words::<u64>(&units, &factor, &kept, SHORT);
    let long = largest_in_words::<u128>(&units, &factor, &kept, LONG);
    assert!((top - long).abs() < 1e-12, "{top} {long}");
    assert!((short - long).abs() < 1e-9, "{short} {long}");
}

#[test]
fn offsets_weights_and_three_outputs_hide_nobody() {
    let one = |i: i64| i64::from(i == 11);
    let hidden = [
        // 1000 + 0.001 v selected, at six decimals.
        |i: i64, one: i64| vec![1_000_000_000 + 42 * one, i % 5],
        |i: i64, one: i64| {
            vec![
                noise(i),
                noise(3 * i + 1),
                1000 * noise(i) - 999 * noise(3 * i + 1) + one,
            ]
        },
        // Scaled by 1e12.
        |i: i64, one: i64| {
            vec![
                1_000_000_000_000 * (i % 4),
                1_000_000_000_000 * (i % 4 + one),
            ]
        },
        // A dependence with large denominators: all rows but one lie on a line with slope p / q.
        |i: i64, one: i64| {
            vec![
                (i % 9) * 1_099_511_627_791 + one,
                (i % 9) * 1_099_511_627_689,
            ]
        },
    ];
    for (case, row) in hidden.iter().enumerate() {
        let rows: Vec<Vec<i64>> = (0..500).map(|i| row(i, one(i))).collect();
        assert!(spread(&rows).1 > 0.999, "{case}");
        let rows: Vec<Vec<i64>> = (0..500).map(|i| row(i, 0)).collect();
        assert!(spread(&rows).1 < 0.2, "{case}");
    }
}

#[test]
fn the_work_has_a_limit() {
    // Powers of a number, nearly dependent, still within reach at this width.
    let rows: Vec<Vec<i64>> = (0..400_i64)
        .map(|i| (1..6).map(|power| i.pow(power) + 1_000_000).collect())
        .collect();
    let (rank, top) = spread(&rows);
    assert_eq!(rank, 6);
    assert!(top < 0.2, "{top}");
}

proptest! {
    #[test]
    fn agrees_with_plain_algebra(
        rows in prop::collection::vec(prop::collection::vec(-6_i64..7, 4), 1..30),
        scale in prop::sample::select(vec![1_i64, 1000, 100_000_000, 500_000_000_000]),
    ) {
        let (rank, top) = plain(&rows);
        let scaled: Vec<Vec<i64>> = rows.iter().map(|row| vec![row[0] * scale, row[1], row[2] * scale, row[3]]).collect();
        let (found, bound) = spread(&scaled);
        prop_assert_eq!(found, rank);
        prop_assert!((bound - top).abs() < 1e-3, "{} {}", bound, top);
        prop_assert!(bound >= top - 1e-9);
    }

    #[test]
    fn every_combination_counts_enough_units(
        rows in prop::collection::vec(prop::collection::vec(0_i64..2, 3), 8..40),
        weights in prop::collection::vec(-2_i64..3, 4),
    ) {
        // The largest of its numbers is at most h of their energy, so 1 / h of them are not 0: of an indicator above all.
        let (_, top) = spread(&rows);
        let of = |row: &Vec<i64>| weights[0] + row.iter().zip(&weights[1..]).map(|(x, a)| x * a).sum::<i64>();
        let selected = rows.iter().map(of).filter(|x| *x != 0).count();
        prop_assert!(selected == 0 || selected as f64 >= 1.0 / top - 1e-6, "{} {}", selected, top);
    }

    #[test]
    fn no_combination_gives_a_unit_more(
        rows in prop::collection::vec(prop::collection::vec(-1_000_000_i64..1_000_000, 3), 4..30),
        weights in prop::collection::vec(-1000_i64..1000, 4),
    ) {
        let (_, top) = spread(&rows);
        let of = |row: &Vec<i64>| (weights[0] + row.iter().zip(&weights[1..]).map(|(x, a)| x * a).sum::<i64>()) as f64;
        let energy: f64 = rows.iter().map(|row| of(row).powi(2)).sum();
        for row in &rows {
            prop_assert!(of(row).powi(2) <= (top + 1e-9) * energy);
        }
    }
}
