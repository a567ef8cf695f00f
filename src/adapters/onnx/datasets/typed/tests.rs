//! What cells are as numbers, whatever file they come from.

use super::*;
use crate::datasets::rows::Rows as _;
use delta_domain::dialect::Dialect;
use delta_domain::manifest::{ColumnType, DataField};
use delta_domain::tensor::TensorData;

/// A file in memory: columns by their names.
struct Held {
    names: Vec<String>,
    columns: Vec<Vec<Cell<'static>>>,
    texts: Vec<bool>,
}

impl Typed for Held {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn no_numbers(&self, place: usize) -> Option<String> {
        self.texts[place].then(|| "texts (Utf8)".to_owned())
    }

    fn rows(&mut self, _bound: usize) -> Result<usize, Failure> {
        Ok(self.columns[0].len())
    }

    fn read(&mut self, places: &[usize], each: &mut dyn Each) -> Result<u64, Failure> {
        for (which, place) in places.iter().enumerate() {
            for (cell, row) in self.columns[*place].iter().zip(1..) {
                each.cell(which, row, cell.clone())?;
            }
        }
        Ok(self.columns[0].len() as u64)
    }
}

fn text(of: &'static str) -> Cell<'static> {
    Cell::Text(of.into())
}

fn table(columns: &[(&str, &[Cell<'static>])], said: &Dialect, noised: bool) -> TypedTable<Held> {
    let held = Held {
        names: columns.iter().map(|(n, _)| (*n).to_owned()).collect(),
        columns: columns.iter().map(|(_, cells)| cells.to_vec()).collect(),
        texts: columns.iter().map(|(n, _)| n.starts_with("text")).collect(),
    };
    let opening = Opening {
        said,
        header: true,
        noised,
        types: &crate::datasets::table::UNTYPED,
    };
    TypedTable::new(held, opening)
}

fn read(
    columns: &[(&str, &[Cell<'static>])],
    name: &str,
    said: &Dialect,
    noised: bool,
) -> Result<Vec<f64>, String> {
    let names = [name.to_owned()];
    let mut table = table(columns, said, noised);
    table
        .inspect(&names, if noised { Depth::Names } else { Depth::Whole })
        .map_err(|f| f.message)?;
    let mut rows = table.load(&names).map_err(|f| f.message)?;
    let field = DataField::Columns(names.to_vec());
    match rows.whole(&field).unwrap().into_data() {
        TensorData::F64(values) => Ok(values),
        _ => panic!("no doubles"),
    }
}

fn same(got: &[f64], wanted: &[f64]) -> bool {
    let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
    got.len() == wanted.len() && got.iter().zip(wanted).all(same)
}

#[test]
fn cells_are_numbers_or_the_reason_why_not() {
    let plain = Dialect::default();
    let nan = f64::NAN;
    let one = |cells: &[Cell<'static>]| read(&[("a", cells)], "a", &plain, false);
    let numbers = [
        Cell::Number(1.5),
        Cell::Missing,
        text(" 2 "),
        text("NA"),
        Cell::Number(nan),
    ];
    assert!(same(&one(&numbers).unwrap(), &[1.5, nan, 2.0, nan, nan]));
    assert_eq!(
        one(&[Cell::Truth(true), text("False")]).unwrap(),
        [1.0, 0.0]
    );
    for (cell, word) in [
        (
            text("x"),
            "row 2, column \"a\": \"x\" is not a number; if it",
        ),
        (text("True"), "both truth values and numbers"),
        (Cell::Truth(false), "0, in a column of both"),
        (Cell::Date("2026-11-29".into()), "2026-11-29 is a date"),
        (Cell::Other("bytes".into()), "it is bytes"),
        (whole((1 << 53) + 1), "9007199254740993"),
    ] {
        let said = one(&[Cell::Number(1.0), cell]).unwrap_err();
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn under_noise_each_cell_is_read_by_itself() {
    let plain = Dialect::default();
    let cells = [
        Cell::Truth(true),
        Cell::Number(2.0),
        text("x"),
        Cell::Date("2026-11-29".into()),
        whole(i128::MAX),
        text("False"),
    ];
    let nan = f64::NAN;
    let got = read(&[("a", &cells)], "a", &plain, true).unwrap();
    assert!(same(&got, &[1.0, 2.0, nan, nan, nan, 0.0]), "{got:?}");
    // What a column is by its type is no row's doing.
    assert!(read(&[("text", &cells)], "text", &plain, true).is_err());
}

#[test]
fn an_owners_markers_count_for_numbers_and_for_texts() {
    let said = Dialect {
        missing: vec!["-99".to_owned(), "#DIV/0!".to_owned()],
        ..Dialect::default()
    };
    let cells = [Cell::Number(-99.0), text("-99.0"), text("#DIV/0!")];
    let got = read(&[("a", &cells)], "a", &said, false).unwrap();
    assert!(got.iter().all(|x| x.is_nan()), "{got:?}");
}

#[test]
fn names_that_two_columns_have_are_refused_where_they_are_asked_for() {
    let one: &[Cell<'static>] = &[Cell::Number(1.0)];
    let columns = [("a", one), ("b", one), ("a", one)];
    let plain = Dialect::default();
    assert!(read(&columns, "a", &plain, false).is_err());
    assert_eq!(read(&columns, "b", &plain, false).unwrap(), [1.0]);
    // Two names of one column.
    let mut table = table(&[(" a ", one)], &plain, false);
    let names = ["a".to_owned(), " a ".to_owned()];
    let mut rows = table.load(&names).unwrap();
    let both = rows.whole(&DataField::Columns(names.to_vec())).unwrap();
    assert_eq!(both.data(), &TensorData::F64(vec![1.0, 1.0]));
}

#[test]
fn cells_of_declared_types_are_the_numbers_that_stand_for_them() {
    let types: BTreeMap<String, ColumnType> = serde_json::from_str(
        r#"{"sex": {"type": "category", "levels": ["f", "True", "7", "NA"]}, "day": {"type": "date"}}"#,
    )
    .unwrap();
    let said = Dialect {
        missing: vec!["-99".to_owned()],
        ..Dialect::default()
    };
    let of = |name: &'static str, cells: &[Cell<'static>], noised: bool| {
        let held = Held {
            names: vec![name.to_owned()],
            columns: vec![cells.to_vec()],
            texts: vec![true],
        };
        let opening = Opening {
            said: &said,
            header: true,
            noised,
            types: &types,
        };
        let mut table = TypedTable::new(held, opening);
        let names = [name.to_owned()];
        let mut rows = table.load(&names).map_err(|f| f.message)?;
        match rows
            .whole(&DataField::Columns(names.to_vec()))
            .unwrap()
            .into_data()
        {
            TensorData::F64(values) => Ok::<_, String>(values),
            _ => panic!("no doubles"),
        }
    };
    let nan = f64::NAN;
    let cells = [
        text(" f "),
        Cell::Truth(true),
        Cell::Number(7.0),
        text("7.0"),
        text("NA"),
        text("-99.0"),
        Cell::Number(-99.0),
        Cell::Missing,
        text("null"),
        Cell::Date("2026-11-29".into()),
        Cell::Truth(false),
    ];
    let expected = [0.0, 1.0, 2.0, 2.0, 3.0, nan, nan, nan, nan, 4.0, 4.0];
    assert!(same(&of("sex", &cells, false).unwrap(), &expected));
    let days = [
        Cell::Date("2026-11-29".into()),
        text("29.11.2026"),
        Cell::Missing,
    ];
    assert!(same(
        &of("day", &days, false).unwrap(),
        &[20_786.0, 20_786.0, nan]
    ));
    for (cell, word) in [
        (Cell::Number(46_355.0), "is no date"),
        (Cell::Date("2026-11-29 12:00:00".into()), "time of day"),
        (text("03/04/2026"), "set `dates"),
        (Cell::Fault("#DIV/0!".into()), "#DIV/0!, which a formula"),
    ] {
        let why = of("day", std::slice::from_ref(&cell), false).unwrap_err();
        assert!(why.contains(word), "{why}");
        assert!(of("day", &[cell], true).unwrap()[0].is_nan());
    }
    let fault = of("sex", &[Cell::Fault("#DIV/0!".into())], false).unwrap_err();
    assert!(fault.contains("a formula came to"), "{fault}");
    assert!(of("sex", &[Cell::Fault("#N/A".into())], false).unwrap()[0].is_nan());
}

#[test]
fn a_profile_tells_what_cells_are() {
    use crate::datasets::profile::ColumnKind;
    let plain = Dialect::default();
    let columns: [(&str, &[Cell<'static>]); 4] = [
        ("n", &[Cell::Number(1.0), text("2"), Cell::Missing]),
        ("text", &[text("1"), text("b"), text("b")]),
        (
            "day",
            &[
                Cell::Date("2026-11-29".into()),
                Cell::Missing,
                Cell::Missing,
            ],
        ),
        ("t", &[Cell::Truth(true), Cell::Truth(false), Cell::Missing]),
    ];
    let told = table(&columns, &plain, false).profile().unwrap();
    let kinds: Vec<ColumnKind> = told.columns.iter().map(|c| c.kind).collect();
    let wanted = [
        ColumnKind::Whole,
        ColumnKind::Text,
        ColumnKind::Date,
        ColumnKind::Truth,
    ];
    assert_eq!(kinds, wanted);
    assert_eq!(told.columns[1].levels.as_ref().unwrap()["b"], 2);
    assert_eq!(told.columns[0].range, Some((1.0, 2.0)));
    assert_eq!(told.rows, 3);
}

#[test]
fn whole_numbers_are_exact_or_refused() {
    for exact in [0, -1, 1 << 53, -(1 << 53), 1 << 60, i128::from(i64::MIN)] {
        assert!(matches!(whole(exact), Cell::Number(_)), "{exact}");
    }
    for inexact in [(1 << 53) + 1, i128::from(i64::MAX), i128::MAX] {
        assert_eq!(whole(inexact), Cell::Long(inexact));
    }
}

#[test]
fn a_decoder_that_panics_is_a_damaged_file() {
    let failed = contained(|| -> Result<(), Failure> { panic!("a decoder's") });
    assert!(failed.unwrap_err().message.contains("damaged"));
}

#[test]
fn times_of_a_column_are_all_of_utc_or_none_is() {
    let (cells, reader) = (Cells::new(None, &[]), CellReader::Time(None));
    let read = |texts: &[&str]| -> Result<Vec<f64>, String> {
        let mut column = Column::default();
        let one = |text: &&str| cells.coded(text, &reader, &mut column);
        texts.iter().map(one).collect()
    };
    assert_eq!(
        read(&["1970-01-01T01:00+01:00", "1970-01-01T00:00:01Z"]),
        Ok(vec![0.0, 1.0])
    );
    let local = read(&["1970-01-01 00:00", "", "1970-01-02"]).unwrap();
    assert!(same(&local, &[0.0, f64::NAN, 86_400.0]));
    for mixed in [
        ["1970-01-01T00:00Z", "1970-01-01T00:00"],
        ["1970-01-01", "1970-01-01T00:00+02"],
    ] {
        let said = read(&mixed).unwrap_err();
        assert!(said.contains("write all of them alike"), "{said}");
    }
}

#[test]
fn times_that_are_stored_have_clocks_of_one_kind_too() {
    let types: BTreeMap<String, ColumnType> =
        serde_json::from_str(r#"{"t": {"type": "time"}}"#).unwrap();
    let (names, said) = (["t".to_owned()], Dialect::default());
    let open = |cells: &[Cell<'static>], noised: bool| {
        let held = Held {
            names: names.to_vec(),
            columns: vec![cells.to_vec()],
            texts: vec![true],
        };
        let opening = Opening {
            said: &said,
            header: true,
            noised,
            types: &types,
        };
        TypedTable::new(held, opening)
    };
    let date = |told: &'static str| Cell::Date(told.into());
    let one = [
        date("1970-01-01 01:00:00+01:00"),
        Cell::Missing,
        text("1970-01-01T00:00Z"),
    ];
    assert!(open(&one, false).load(&names).is_ok());
    for mixed in [
        [date("1970-01-01 00:00:00Z"), date("1970-01-01")],
        [date("1970-01-01"), text("1970-01-01T00:00Z")],
        [text("1970-01-01T00:00Z"), date("1970-01-01 00:00:01")],
    ] {
        let whys = [
            open(&mixed, false).load(&names).err(),
            open(&mixed, false).inspect(&names, Depth::Whole).err(),
            open(&mixed, false)
                .keys("t", Depth::Whole, &mut |_| ())
                .err(),
        ];
        for why in whys {
            let said = why.unwrap().message;
            assert!(said.contains("row 2, column \"t\""), "{said}");
            assert!(said.contains("write all of them alike"), "{said}");
        }
        // Each cell by itself.
        assert!(open(&mixed, true).load(&names).is_ok());
    }
}
