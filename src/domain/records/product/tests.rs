//! Sums of products: the very integers of the written-out ones, within the bound whatever the numbers, and the vectors that Python has too.

use proptest::prelude::*;

use super::*;
use crate::records::{Clip, RecordUnit, RecordsForm, UnitSums};

/// A record: its numbers beside products, and the vectors of its products.
type Record = (Vec<f64>, Vec<(Vec<f64>, Vec<f64>)>);

fn form(precision: u8, l2: u64, plain: usize, products: &[(usize, usize)]) -> ProductForm {
    ProductForm {
        plain,
        products: products.to_vec(),
        precision,
        l2,
    }
}

fn totals(form: &ProductForm, records: &[Record]) -> Vec<i64> {
    let mut sums = ProductSums::new(form.clone()).unwrap();
    for (plain, products) in records {
        let products: Vec<(&[f64], &[f64])> = products
            .iter()
            .map(|(left, right)| (left.as_slice(), right.as_slice()))
            .collect();
        sums.push(plain, &products);
    }
    let made = sums.finish();
    made.plain
        .into_iter()
        .chain(made.products.into_iter().flatten())
        .collect()
}

/// The same with every product written out.
fn written_out(form: &ProductForm, records: &[Record]) -> Vec<i64> {
    let written: Vec<Vec<f64>> = records
        .iter()
        .map(|(plain, products)| {
            let product = |(left, right): &(Vec<f64>, Vec<f64>)| -> Vec<f64> {
                let row = |x: &f64| right.iter().map(|y| x * y).collect::<Vec<_>>();
                left.iter().flat_map(row).collect()
            };
            plain
                .iter()
                .copied()
                .chain(products.iter().flat_map(product))
                .collect()
        })
        .collect();
    let mut all = UnitSums::new(RecordsForm {
        width: written[0].len(),
        precision: form.precision,
        unit: RecordUnit::Record,
        clip: Clip::new(None, Some(form.l2)).unwrap(),
        memory: 0,
    })
    .unwrap();
    for record in &written {
        all.push(record, None);
    }
    all.finish()
}

fn squared_distance(a: &[i64], b: &[i64]) -> u128 {
    let square = |(a, b): (&i64, &i64)| u128::from(a.abs_diff(*b)) * u128::from(a.abs_diff(*b));
    a.iter().zip(b).map(square).sum()
}

/// Doubles of every kind: ordinary, single precision, tiny, huge, none.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -2.0..2.0_f64,
        2 => any::<f32>().prop_map(f64::from),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, -1e-310, 1e-150, -1e-8, 1e4, 1e7, -4.5e15,
            1e150, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.5, 4_503_599_627_370_495.0,
        ]),
    ]
}

fn record(shapes: &[(usize, usize)], plain: usize) -> impl Strategy<Value = Record> + use<> {
    let vector = |n: usize| {
        // Vectors of numbers of one size are more often near a bound than those of all.
        (
            prop::collection::vec(number(), n),
            -40_i32..12,
            any::<bool>(),
        )
            .prop_map(|(v, n, even)| {
                let small = |x: f64| {
                    if even {
                        (x.to_bits() % 1000) as f64 * 2_f64.powi(n)
                    } else {
                        x
                    }
                };
                v.into_iter().map(small).collect::<Vec<f64>>()
            })
    };
    let pairs: Vec<_> = shapes
        .iter()
        .map(|(p, q)| (vector(*p), vector(*q)))
        .collect();
    (vector(plain), pairs)
}

fn task() -> impl Strategy<Value = (ProductForm, Vec<Record>, usize)> {
    let shapes = prop::collection::vec((1_usize..5, 1_usize..5), 0..3);
    let fixed = (shapes, 0_usize..3, 0_u8..9, 4_u32..52, any::<u64>());
    fixed
        .prop_filter("numbers", |(shapes, plain, ..)| {
            !shapes.is_empty() || *plain > 0
        })
        .prop_flat_map(|(shapes, plain, precision, bits, low)| {
            let numbers = shapes.iter().map(|(p, q)| p * q).sum();
            let l2 = (low & ((1 << bits) - 1))
                .max(least_product_bound(numbers))
                .max(1);
            let records = prop::collection::vec(record(&shapes, plain), 1..7);
            let form = form(precision, l2, plain, &shapes);
            (Just(form), records, any::<prop::sample::Index>())
        })
        .prop_map(|(form, records, which)| {
            let which = which.index(records.len());
            (form, records, which)
        })
}

#[test]
fn products_are_summed_beside_other_numbers() {
    let form = form(2, 1000, 1, &[(2, 3), (1, 1)]);
    let one: Record = (
        vec![0.25],
        vec![
            (vec![1.0, -2.0], vec![0.5, 0.0, 1.0]),
            (vec![0.5], vec![3.0]),
        ],
    );
    assert_eq!(
        totals(&form, std::slice::from_ref(&one)),
        [25, 50, 0, 100, -100, 0, -200, 150]
    );
    let twice = totals(&form, &[one.clone(), one]);
    assert_eq!(twice, [50, 100, 0, 200, -200, 0, -400, 300]);
}

#[test]
fn a_record_is_bounded_with_all_its_numbers() {
    let form = form(2, 502, 1, &[(2, 2)]);
    // 300 steps beside a product of length 400, and ten times that.
    for factor in [1.0, 10.0, 1e6, 1e9] {
        let long: Record = (
            vec![3.0 * factor],
            vec![(vec![4.0 * factor, 0.0], vec![0.0, 1.0])],
        );
        let made = totals(&form, &[long]);
        assert_eq!(
            [made[0], made[1], made[3], made[4]],
            [299.max(made[0]), 0, 0, 0]
        );
        assert!(
            (299..=300).contains(&made[0]) && (399..=400).contains(&made[2]),
            "{made:?}"
        );
    }
}

#[test]
fn what_is_no_number_adds_nothing_and_nothing_is_too_large() {
    let form = form(0, (1 << 52) - 1, 1, &[(1, 2)]);
    let of = |plain: f64, left: f64, right: [f64; 2]| -> Record {
        (vec![plain], vec![(vec![left], right.to_vec())])
    };
    let bad = [
        of(f64::NAN, 1.0, [1.0, 1.0]),
        of(1.0, f64::INFINITY, [0.0, 0.0]),
        of(1.0, 0.0, [f64::NAN, 0.0]),
        of(1.0, 1e10, [1e10, 0.0]),
        of(1e16, 1.0, [1.0, 1.0]),
        (vec![1.0], vec![(vec![1.0], vec![1.0])]),
        (vec![], vec![(vec![1.0], vec![1.0, 1.0])]),
        (vec![1.0], vec![]),
    ];
    assert_eq!(totals(&form, &bad), [0, 0, 0]);
    let large = vec![of(-1e15, 1e7, [1e8, 2.0]); 3];
    assert_eq!(totals(&form, &large), [-(1 << 50), 1 << 50, 60_000_000]);
}

#[test]
fn forms_that_cannot_be() {
    for (form, coarse) in [
        (form(8, 1 << 30, 0, &[]), false),
        (form(8, 1 << 30, 1, &[(0, 3)]), false),
        (form(8, 1 << 30, 1, &[(1 << 10, 1 << 10)]), false),
        (form(8, 1 << 30, 1, &[(usize::MAX, 2)]), false),
        (form(8, 1 << 52, 1, &[(1, 1)]), true),
        (form(8, 19, 0, &[(10, 10)]), true),
        (form(8, 0, 1, &[]), true),
    ] {
        match ProductSums::new(form.clone()).err().unwrap() {
            RecordsError::Coarse { .. } => assert!(coarse, "{form:?}"),
            other => assert!(
                !coarse && matches!(other, RecordsError::Width(_)),
                "{form:?}"
            ),
        }
    }
    assert!(ProductSums::new(form(8, 20, 0, &[(10, 10)])).is_ok());
    assert_eq!(least_product_bound(101), 22);
}

/// Others leave every number just below the next step: a record of next to nothing then moves them all, which is what the bound has
/// room for.
#[test]
fn rounding_may_move_every_number() {
    let form = form(0, 20, 0, &[(10, 10)]);
    // 217 by 151 is a fine step less than half a step, 1 by 2 two fine steps.
    let of = |left: f64, right: f64| -> Record {
        (
            vec![],
            vec![(vec![left / 512.0; 10], vec![right / 128.0; 10])],
        )
    };
    let (others, tiny) = ([of(217.0, 151.0)], of(1.0, 2.0));
    assert_eq!(totals(&form, &others), [0; 100]);
    assert_eq!(totals(&form, &[others[0].clone(), tiny]), [1; 100]);
}

/// Long vectors are multiplied a few at a time, which changes nothing.
#[test]
fn long_vectors_are_summed_alike() {
    let form = form(4, 1 << 30, 0, &[(1, 1 << 19)]);
    let record = |i: u32| -> Record {
        let right = (0..1_u32 << 19).map(|j| f64::from((i + j) % 7)).collect();
        (vec![], vec![(vec![f64::from(i) - 4.0], right)])
    };
    let records: Vec<Record> = (0..9).map(record).collect();
    let made = totals(&form, &records);
    for (j, sum) in made.into_iter().enumerate().step_by(1001) {
        let expected: i64 = (0..9).map(|i| (i - 4) * ((i + j as i64) % 7)).sum();
        assert_eq!(sum, expected * 10_000, "{j}");
    }
}

/// More records than are multiplied at once, and than a matrix holds exactly: with the largest bound that is every second one.
#[test]
fn many_records_are_summed_exactly() {
    for l2 in [10_000_000_u64, 1 << 39, (1 << 52) - 1] {
        let form = form(0, l2, 0, &[(3, 2)]);
        let record = |i: u64| -> Record {
            // Multiples of 4: without fine steps each vector may lose its last bit or two.
            let x = |k: u64| ((i * 7919 + k * 104_729) % 1001) as f64 * 4.0 - 2000.0;
            (vec![], vec![(vec![x(0), x(1), x(2)], vec![x(3), x(4)])])
        };
        let records: Vec<Record> = (0..3000).map(record).collect();
        assert_eq!(
            totals(&form, &records),
            written_out(&form, &records),
            "{l2}"
        );
    }
}

/// A file of sums that the Python package made.
#[derive(serde::Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    precision: u8,
    l2: u64,
    shapes: Vec<(usize, usize)>,
    records: Vec<Bits>,
    plain: Vec<i64>,
    products: Vec<Vec<i64>>,
}

/// A record as the bits of its numbers.
#[derive(serde::Deserialize)]
struct Bits {
    plain: Vec<String>,
    products: Vec<(Vec<String>, Vec<String>)>,
}

#[test]
fn sums_are_those_of_the_python_package() {
    let text = include_str!("../../../../tests/vectors/records/products.json");
    let vectors: Vectors = serde_json::from_str(text).unwrap();
    let numbers = |bits: &[String]| -> Vec<f64> {
        let number = |b: &String| f64::from_bits(u64::from_str_radix(b, 16).unwrap());
        bits.iter().map(number).collect()
    };
    for case in vectors.cases {
        let form = form(case.precision, case.l2, case.plain.len(), &case.shapes);
        let record = |r: &Bits| {
            let sides = r.products.iter().map(|(l, r)| (numbers(l), numbers(r)));
            (numbers(&r.plain), sides.collect())
        };
        let records: Vec<Record> = case.records.iter().map(record).collect();
        let expected: Vec<i64> = case
            .plain
            .into_iter()
            .chain(case.products.into_iter().flatten())
            .collect();
        assert_eq!(totals(&form, &records), expected, "{form:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// The promise: with or without one record, what is released differs by no more than the bound, whatever numbers come.
    #[test]
    fn one_record_moves_the_sums_by_the_bound_at_most((form, records, which) in task()) {
        let with = totals(&form, &records);
        let mut others = records.clone();
        others.remove(which);
        let without = totals(&form, &others);
        let bound = u128::from(form.l2) * u128::from(form.l2);
        prop_assert!(squared_distance(&with, &without) <= bound, "{:?} {:?}", with, without);
    }

    /// The order of records changes nothing.
    #[test]
    fn sums_do_not_depend_on_the_order((form, records, _) in task()) {
        let mut turned = records.clone();
        turned.reverse();
        prop_assert_eq!(totals(&form, &records), totals(&form, &turned));
    }

    /// What comes out is what comes of written out products, but for the last places.
    #[test]
    fn sums_are_those_of_written_out_products(
        records in prop::collection::vec(
            (prop::collection::vec(-1.0..1.0_f64, 2), prop::collection::vec(-1.0..1.0_f64, 3), prop::collection::vec(-1.0..1.0_f64, 4)),
            1..20,
        ),
        l2 in 1_000_000_u64..1_000_000_000,
    ) {
        let form = form(8, l2, 2, &[(3, 4)]);
        let records: Vec<Record> = records.into_iter().map(|(plain, left, right)| (plain, vec![(left, right)])).collect();
        let (made, expected) = (totals(&form, &records), written_out(&form, &records));
        for (x, y) in made.iter().zip(&expected) {
            prop_assert!(x.abs_diff(*y) <= 100 * records.len() as u64, "{:?} {:?}", made, expected);
        }
    }
}
