//! Batches, persons, bounds.

use proptest::prelude::*;

use super::*;
use crate::records::blocks::Block;

fn form(width: usize, unit: RecordUnit) -> RecordsForm {
    RecordsForm {
        width,
        precision: 2,
        unit,
        clip: Clip::default(),
        memory: 1 << 20,
    }
}

fn units(form: RecordsForm, rows: &[f64], keys: Option<&[u64]>) -> Result<Units, RecordsError> {
    let mut all = Accumulator::new(form)?;
    all.push(rows, keys)?;
    Ok(all.finish())
}

/// The vectors of all units.
fn vectors(units: &Units) -> Vec<Vec<i64>> {
    let mut all = vec![Vec::new(); units.len()];
    let mut first = 0;
    Block::each(units, |block| {
        for column in block.columns().skip(1) {
            for (row, x) in all[first..].iter_mut().zip(column) {
                row.push(*x);
            }
        }
        first += block.rows();
    });
    all
}

#[test]
fn persons_are_summed_before_they_are_clipped() {
    let mut person = form(2, RecordUnit::Person);
    person.clip = Clip::new(None, Some(500)).unwrap();
    let rows = [3.0, 0.0, 1.0, 1.0, 0.0, 4.0, 27.0, 36.0];
    let all = units(person, &rows, Some(&[7, 5, 7, 7])).unwrap();
    assert_eq!(vectors(&all), [[300, 400], [100, 100]]);
    assert_eq!(all.unit_of(), Some([0, 1, 0, 0].as_slice()));
    assert_eq!(all.records(), 4);
    let record = RecordsForm {
        unit: RecordUnit::Record,
        ..person
    };
    let all = units(record, &rows, None).unwrap();
    assert_eq!(vectors(&all), [[300, 0], [100, 100], [0, 400], [300, 400]]);
    assert_eq!(all.sums().unwrap(), [700, 900]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let record = form(2, RecordUnit::Record);
    let person = form(2, RecordUnit::Person);
    let error = |form, rows: &[f64], keys| units(form, rows, keys).unwrap_err();
    assert_eq!(
        error(form(0, RecordUnit::Record), &[], None),
        RecordsError::Width(0)
    );
    assert_eq!(error(record, &[1.0], None), RecordsError::Ragged(1));
    let keys = RecordsError::Keys { keys: 1, rows: 1 };
    assert_eq!(error(record, &[1.0, 2.0], Some(&[1])), keys);
    let keys = RecordsError::Keys { keys: 0, rows: 1 };
    assert_eq!(error(person, &[1.0, 2.0], None), keys);
    let small = RecordsForm {
        memory: 100,
        ..person
    };
    let rows = [1.0; 6];
    assert_eq!(
        error(small, &rows, Some(&[1, 1, 2])),
        RecordsError::Memory(100)
    );
    let small = RecordsForm {
        memory: 47,
        ..record
    };
    assert_eq!(error(small, &rows, None), RecordsError::Memory(47));
    let large = 4.0e13;
    assert_eq!(
        error(person, &[0.0, large, 0.0, large], Some(&[3, 3])),
        RecordsError::Person
    );
    let both = units(record, &[0.0, large, 0.0, large], None).unwrap();
    assert_eq!(both.sums(), Err(RecordsError::Sum(1)));
}

#[test]
fn an_error_names_the_place_and_not_the_value() {
    let mut all = Accumulator::new(form(2, RecordUnit::Record)).unwrap();
    all.push(&[1.0, 2.0], None).unwrap();
    let error = all.push(&[1.0, 2.0, 3.0, f64::NAN], None).unwrap_err();
    assert_eq!(error.to_string(), "row 2, number 1 is not a finite number");
    let mut all = Accumulator::new(form(1, RecordUnit::Record)).unwrap();
    let error = all.push(&[7.654_321e200], None).unwrap_err();
    assert!(!error.to_string().contains("7.65"), "{error}");
    assert_eq!(
        format!(
            "{:?}",
            Accumulator::new(form(1, RecordUnit::Record))
                .unwrap()
                .finish()
        ),
        "Units(0 of 1 numbers)"
    );
}

proptest! {
    #[test]
    fn batches_change_nothing(
        rows in prop::collection::vec((-1e6..1e6_f64, -1e6..1e6_f64, 0_u64..9), 0..60),
        cuts in prop::collection::vec(0_usize..60, 0..6),
        person in any::<bool>(),
        bound in 1_u64..200_000_000,
    ) {
        let mut form = form(2, if person { RecordUnit::Person } else { RecordUnit::Record });
        form.clip = Clip::new(None, Some(bound)).unwrap();
        let push = |all: &mut Accumulator, rows: &[(f64, f64, u64)]| {
            let values: Vec<f64> = rows.iter().flat_map(|(a, b, _)| [*a, *b]).collect();
            let keys: Vec<u64> = rows.iter().map(|row| row.2).collect();
            all.push(&values, person.then_some(keys.as_slice())).unwrap();
        };
        let mut whole = Accumulator::new(form).unwrap();
        push(&mut whole, &rows);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).collect();
        cuts.push(rows.len());
        cuts.sort_unstable();
        let (mut parts, mut from) = (Accumulator::new(form).unwrap(), 0);
        for cut in cuts {
            push(&mut parts, &rows[from..cut]);
            from = cut;
        }
        let (whole, parts) = (whole.finish(), parts.finish());
        prop_assert_eq!(whole.sums().unwrap(), parts.sums().unwrap());
        prop_assert!(whole == parts);
    }

    #[test]
    fn one_unit_moves_the_sum_by_the_bound_at_most(
        rows in prop::collection::vec((-1e6..1e6_f64, -1e6..1e6_f64, 0_u64..5), 1..30),
        bound in 1_u64..200_000_000,
    ) {
        let mut form = form(2, RecordUnit::Person);
        form.clip = Clip::new(None, Some(bound)).unwrap();
        let of = |rows: &[(f64, f64, u64)]| {
            let values: Vec<f64> = rows.iter().flat_map(|(a, b, _)| [*a, *b]).collect();
            let keys: Vec<u64> = rows.iter().map(|row| row.2).collect();
            units(form, &values, Some(&keys)).unwrap().sums().unwrap()
        };
        let gone = rows[0].2;
        let without: Vec<_> = rows.iter().filter(|row| row.2 != gone).copied().collect();
        let (with, without) = (of(&rows), of(&without));
        let moved: u128 = with.iter().zip(&without).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum();
        prop_assert!(moved <= u128::from(bound).pow(2));
    }
}

fn exact_units(
    unit: RecordUnit,
    rows: &[f64],
    keys: Option<&[u64]>,
) -> Result<Units, RecordsError> {
    let mut all = Accumulator::new(form(3, unit))?.exactly([1, 2]);
    all.push(rows, keys)?;
    Ok(all.finish())
}

#[test]
fn exact_numbers_are_summed_whatever_their_scale() {
    let rows = [
        1.004, 1e-30, 1e40, //
        2.0, 3e-30, 2e40, //
        0.0, 0.0, -1e40,
    ];
    let close = |numbers: Vec<f64>| {
        assert_eq!(numbers[0], 3.0);
        assert!(
            (numbers[1] / 4e-30 - 1.0).abs() < 1e-12 && (numbers[2] / 2e40 - 1.0).abs() < 1e-12
        );
    };
    for batches in [1, 3] {
        let mut all = Accumulator::new(form(3, RecordUnit::Record)).unwrap();
        all = all.exactly([1, 2]);
        for batch in rows.chunks(9 / batches) {
            all.push(batch, None).unwrap();
        }
        close(all.finish().numbers(100.0).unwrap());
    }
    let persons = exact_units(RecordUnit::Person, &rows, Some(&[5, 5, 6])).unwrap();
    close(persons.numbers(100.0).unwrap());
    assert_eq!(persons.len(), 2);
}

/// What a sum holds and the rules do not see would pass every rule.
#[test]
fn what_is_summed_is_what_the_rules_see() {
    let (huge, wage) = (2.0_f64.powi(150), 20_750.29);
    let rows = [0.0, huge, 0.0, 0.0, wage, 0.0, 0.0, -huge, 0.0];
    for (unit, keys) in [
        (RecordUnit::Record, None),
        (RecordUnit::Person, Some(&[4, 4, 4][..])),
    ] {
        let units = exact_units(unit, &rows, keys).unwrap();
        let seen: i64 = vectors(&units).iter().map(|u| u[1]).sum();
        assert_eq!((seen, units.numbers(1.0).unwrap()[1]), (0, 0.0));
    }
    // Steps of places of nearly one size are the same, so that what adds up still does.
    let rows = [0.0, 700.1, 650.1, 0.0, 1e-3, 1.0 / 3.0];
    let units = exact_units(RecordUnit::Record, &rows, None).unwrap();
    let steps: Vec<i32> = units.steps.iter().copied().flatten().collect();
    assert_eq!(steps[0], steps[1]);
}

#[test]
fn rules_see_exact_numbers_on_a_scale_of_each_place() {
    let rows = [0.0, 1e-30, 7e20, 0.0, -4e-30, 0.0, 0.0, 1e-70, 1e-9];
    let units = exact_units(RecordUnit::Record, &rows, None).unwrap();
    let column = |place: usize| vectors(&units).iter().map(|u| u[place]).collect::<Vec<_>>();
    let first = column(1);
    assert!((1 << 46..1 << 52).contains(&first[1].unsigned_abs()) && first[1] < 0);
    assert!((first[0] * 4 + first[1]).unsigned_abs() <= 2);
    assert_eq!((first[2], column(2)[1], column(2)[2]), (0, 0, 0));
}

#[test]
fn exact_numbers_that_do_not_fit_are_named() {
    let bad = |x: f64| exact_units(RecordUnit::Record, &[0.0, 0.0, 1.0, 0.0, 0.0, x], None);
    assert_eq!(
        bad(f64::NAN).unwrap_err(),
        RecordsError::Exact {
            row: 1,
            column: 2,
            kind: ExactError::NotFinite
        }
    );
    assert!(bad(1e60).is_err() && bad(1e52).is_ok());
    for tiny in [1e-90, 1e-300, 0.0] {
        let units = exact_units(RecordUnit::Record, &[0.0, tiny, 1.0], None).unwrap();
        let sum = units.numbers(1.0).unwrap()[1];
        assert!((sum - tiny).abs() <= tiny * 1e-12, "{tiny} {sum}");
    }
    let others = Accumulator::new(form(3, RecordUnit::Record))
        .unwrap()
        .exactly([0, 1, 2]);
    let mut others = others;
    // Not bounded as rounded numbers are.
    others
        .push(&[2.0_f64.powi(130), -2.0_f64.powi(130), 0.0], None)
        .unwrap();
    let most = 2.0_f64.powi(130);
    assert_eq!(others.finish().numbers(1.0).unwrap(), [most, -most, 0.0]);
}
