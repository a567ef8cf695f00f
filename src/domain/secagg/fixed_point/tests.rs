//! Quantisation against the original's vectors (with the departures asserted), exact arithmetic, and the overflow rule.

use proptest::prelude::*;

use super::*;
use crate::secagg::vectors;

const FILE: &str = include_str!("../../../../tests/vectors/precision/precision.json");

fn one(x: f64, precision: u8, cohort: usize) -> Result<i64, QuantiseErrorKind> {
    let mut out: Vec<u64> = Vec::new();
    quantise(
        &[x],
        precision,
        Ring::Z64,
        Ring::Z64.magnitude_limit(cohort),
        &mut out,
    )
    .map_err(|e| e.kind)?;
    Ok(out[0].cast_signed())
}

fn bits(value: &serde_json::Value) -> u64 {
    u64::from_str_radix(vectors::text(value).trim_start_matches("0x"), 16).unwrap()
}

fn integer(value: &serde_json::Value) -> i64 {
    value
        .as_i64()
        .unwrap_or_else(|| vectors::text(value).parse().unwrap())
}

#[test]
fn departs_from_the_original_in_rounding_and_errors_only() {
    let file = vectors::load(FILE);
    let values: Vec<f64> = file["values_bits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| f64::from_bits(bits(v)))
        .collect();
    let (mut same, mut errors) = (0, 0);
    for section in file["fix"].as_array().unwrap() {
        let precision = u8::try_from(section["precision"].as_u64().unwrap()).unwrap();
        for (x, fixed) in values.iter().zip(section["fixed"].as_array().unwrap()) {
            let theirs = integer(fixed);
            let product = x * scale(precision);
            match one(*x, precision, 1) {
                // They truncate, we round: at most one apart, and equal when the product is whole.
                Ok(ours) => {
                    assert!(
                        (i128::from(ours) - i128::from(theirs)).abs() <= 1,
                        "{x} at {precision}: {ours} {theirs}"
                    );
                    assert_eq!(
                        ours == theirs,
                        (product.round_ties_even() - product.trunc()) == 0.0,
                        "{x} at {precision}"
                    );
                    same += 1;
                }
                Err(kind) => {
                    assert!(
                        !product.is_finite() || product.abs() >= 9.2e18,
                        "{x} at {precision}: {kind:?}"
                    );
                    errors += 1;
                }
            }
        }
    }
    assert!(same > 300 && errors > 20, "{same} {errors}");
}

#[test]
fn single_precision_values_are_widened_as_in_the_original() {
    let file = vectors::load(FILE);
    for case in file["fix_float32"].as_array().unwrap() {
        let wide = f64::from_bits(bits(&case["f32_as_f64_bits"]));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the vector's value is a widened single"
        )]
        let narrow = wide as f32;
        let theirs = integer(&case["fixed"]);
        let mut out: Vec<u64> = Vec::new();
        match quantise(
            &[narrow],
            8,
            Ring::Z64,
            Ring::Z64.magnitude_limit(1),
            &mut out,
        ) {
            Ok(()) => assert!(
                (i128::from(out[0].cast_signed()) - i128::from(theirs)).abs() <= 1,
                "{case}"
            ),
            Err(error) => assert_ne!(error.kind, QuantiseErrorKind::WrongRing, "{case}"),
        }
    }
}

#[test]
fn dequantises_as_the_original_bit_for_bit() {
    let file = vectors::load(FILE);
    for section in file["unfix"].as_array().unwrap() {
        let precision = u8::try_from(section["precision"].as_u64().unwrap()).unwrap();
        let words: Vec<u64> = section["ints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| integer(v).cast_unsigned())
            .collect();
        let want: Vec<u64> = section["bits"]
            .as_array()
            .unwrap()
            .iter()
            .map(bits)
            .collect();
        let mut out = vec![7.0];
        dequantise(&words, precision, &mut out);
        assert_eq!(out.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), want);
    }
}

#[test]
fn rounds_half_to_even_and_knows_signs() {
    for (x, want) in [
        (0.5, 0),
        (1.5, 2),
        (2.5, 2),
        (-0.5, 0),
        (-1.5, -2),
        (-2.5, -2),
        (-0.0, 0),
        (5e-324, 0),
        (0.49999999999999994, 0),
    ] {
        assert_eq!(one(x, 0, 1), Ok(want), "{x}");
    }
    // Where the quick path ends: halves exist up to 2^52.
    for (x, want) in [
        (2_251_799_813_685_247.5, 2_251_799_813_685_248),
        (2_251_799_813_685_248.5, 2_251_799_813_685_248),
        (2_251_799_813_685_249.5, 2_251_799_813_685_250),
        (-4_503_599_627_370_495.5, -4_503_599_627_370_496),
        (9_007_199_254_740_994.0, 9_007_199_254_740_994),
    ] {
        assert_eq!(one(x, 0, 1), Ok(want), "{x}");
    }
}

#[test]
fn names_the_first_value_that_cannot_be_sent() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut values = vec![0.25; 2000];
        values[1234] = bad;
        values[1500] = 1e300;
        let mut out = vec![1_u64];
        let error = quantise(
            &values,
            8,
            Ring::Z64,
            Ring::Z64.magnitude_limit(3),
            &mut out,
        )
        .unwrap_err();
        assert_eq!(
            error,
            QuantiseError {
                index: 1234,
                kind: QuantiseErrorKind::NotFinite
            }
        );
        assert!(out.is_empty());
        values[7] = -1e300;
        let error = quantise(
            &values,
            8,
            Ring::Z64,
            Ring::Z64.magnitude_limit(3),
            &mut out,
        )
        .unwrap_err();
        assert!(matches!(
            error,
            QuantiseError {
                index: 7,
                kind: QuantiseErrorKind::TooLarge { .. }
            }
        ));
        assert!(
            !error.to_string().contains("300"),
            "the value is private: {error}"
        );
    }
}

#[test]
fn exactly_what_could_wrap_is_an_error() {
    // 32 bits, 10 members: 214748364 * 10 < 2^31 <= 214748365 * 10.
    let mut out: Vec<u32> = Vec::new();
    quantise(
        &[214_748_364.0, -214_748_364.0],
        0,
        Ring::Z32,
        Ring::Z32.magnitude_limit(10),
        &mut out,
    )
    .unwrap();
    assert_eq!(out, [214_748_364, 214_748_364_u32.wrapping_neg()]);
    for x in [214_748_365.0, -214_748_365.0, 214_748_364.6] {
        let error =
            quantise(&[x], 0, Ring::Z32, Ring::Z32.magnitude_limit(10), &mut out).unwrap_err();
        assert_eq!(
            error.kind,
            QuantiseErrorKind::TooLarge {
                limit: 214_748_364.0
            }
        );
    }
    // 64 bits, one member: the largest double below 2^63 goes, 2^63 does not.
    assert_eq!(
        one(9_223_372_036_854_774_784.0, 0, 1),
        Ok(9_223_372_036_854_774_784)
    );
    assert!(matches!(
        one(9_223_372_036_854_775_808.0, 0, 1),
        Err(QuantiseErrorKind::TooLarge { .. })
    ));
    assert!(matches!(
        one(-9_223_372_036_854_775_808.0, 0, 1),
        Err(QuantiseErrorKind::TooLarge { .. })
    ));
    assert!(matches!(
        one(9_223_372_036_854_774_784.0, 0, 2),
        Err(QuantiseErrorKind::TooLarge { .. })
    ));
    assert!(matches!(
        one(f64::MAX, 22, 1),
        Err(QuantiseErrorKind::TooLarge { .. })
    ));
}

#[test]
fn a_precision_or_ring_that_makes_no_sense_is_an_error() {
    let mut out: Vec<u64> = Vec::new();
    let error = quantise(
        &[1.0],
        23,
        Ring::Z64,
        Ring::Z64.magnitude_limit(2),
        &mut out,
    )
    .unwrap_err();
    assert_eq!(error.kind, QuantiseErrorKind::Precision { precision: 23 });
    let error = quantise(&[1.0], 8, Ring::Z32, Ring::Z32.magnitude_limit(2), &mut out).unwrap_err();
    assert_eq!(error.kind, QuantiseErrorKind::WrongRing);
}

proptest! {
    #[test]
    fn quick_and_exact_paths_agree(x in prop_oneof![-1e16..1e16_f64, -3e7..3e7_f64, any::<f64>()], precision in 0..=12_u8, cohort in 1_usize..200) {
        let limit = Ring::Z64.magnitude_limit(cohort);
        prop_assert_eq!(one(x, precision, cohort).ok(), exact(x, scale(precision), limit).ok());
    }

    #[test]
    fn sums_come_back_within_half_a_unit_a_member(values in prop::collection::vec(-1e6..1e6_f64, 1..20)) {
        let mut sum = 0_u64;
        let mut narrow = 0_u32;
        for x in &values {
            let mut out: Vec<u64> = Vec::new();
            quantise(&[*x], 8, Ring::Z64, Ring::Z64.magnitude_limit(values.len()), &mut out).unwrap();
            sum = sum.wrapping_add(out[0]);
            let mut out: Vec<u32> = Vec::new();
            quantise(&[*x], 1, Ring::Z32, Ring::Z32.magnitude_limit(values.len()), &mut out).unwrap();
            narrow = narrow.wrapping_add(out[0]);
        }
        let exact: f64 = values.iter().sum();
        let mut out = Vec::new();
        dequantise(&[sum], 8, &mut out);
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let members = values.len() as f64;
        prop_assert!((out[0] - exact).abs() <= members * 0.5e-8 + 1e-7, "{} {exact}", out[0]);
        dequantise(&[narrow], 1, &mut out);
        prop_assert!((out[0] - exact).abs() <= members * 0.05 + 1e-7, "{} {exact}", out[0]);
    }
}

#[test]
fn rounding_at_random_is_right_on_average_and_exact_where_it_can_be() {
    let limit = Ring::Z64.magnitude_limit(3);
    let once = |x: f64, random: u32| {
        let mut out: Vec<u64> = Vec::new();
        quantise_at_random(&[x], &[random], 2, Ring::Z64, limit, &mut out).unwrap();
        out[0].cast_signed()
    };
    // Whole numbers stay, whatever is drawn, and so do large ones.
    for x in [0.0, 0.25, -0.25, 3.0, -3.0, 2e10, -2e10, 1e15] {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^63")]
        let whole = (x * 100.0) as i64;
        for random in [0, 1, u32::MAX / 2, u32::MAX] {
            assert_eq!(once(x, random), whole, "{x}");
        }
    }
    // A quarter above 12, a quarter below -12, so it goes away from zero in a quarter of all draws.
    let draws = 1_u32 << 12;
    for (x, far) in [(0.1225, 13), (-0.1225, -13)] {
        let away = (0..draws).filter(|i| once(x, i << 20) == far).count();
        let share = away as f64 / f64::from(draws);
        assert!((share - 0.25).abs() < 1e-3, "{x}: {share}");
    }
}

#[test]
fn rounding_at_random_refuses_what_rounding_refuses() {
    let limit = Ring::Z32.magnitude_limit(2);
    let of = |x: f64| {
        let mut out: Vec<u32> = vec![7];
        let end = quantise_at_random(&[0.0, x], &[9; 2], 0, Ring::Z32, limit, &mut out);
        assert_eq!(out.len(), if end.is_ok() { 2 } else { 0 });
        end.map_err(|e| (e.index, e.kind))
    };
    #[expect(clippy::cast_precision_loss, reason = "below 2^31")]
    let most = limit as f64;
    assert_eq!(of(most), Ok(()));
    assert_eq!(of(-most), Ok(()));
    for x in [most + 0.5, -most - 0.5, 1e300] {
        assert!(
            matches!(of(x), Err((1, QuantiseErrorKind::TooLarge { .. }))),
            "{x}"
        );
    }
    assert_eq!(of(f64::NAN), Err((1, QuantiseErrorKind::NotFinite)));
    // No value is left out for want of chance.
    let end = quantise_at_random::<f64, u32>(&[0.0, 1.0], &[9], 0, Ring::Z32, limit, &mut vec![]);
    assert_eq!(end.unwrap_err().kind, QuantiseErrorKind::NoChance);
}
