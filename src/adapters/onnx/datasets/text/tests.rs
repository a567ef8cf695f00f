//! Tables of text as their owners have them.

use super::*;
use crate::datasets::format;
use crate::datasets::rows::Rows as _;
use delta_domain::dialect::{Dialect, DialectForm};
use delta_domain::manifest::DataField;
use delta_domain::tensor::TensorData;

fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn opening(said: &Dialect, header: bool, noised: bool) -> Opening<'_> {
    Opening {
        said,
        header,
        noised,
        types: &crate::datasets::table::UNTYPED,
    }
}

fn load(path: &std::path::Path, columns: &[String], header: bool) -> Result<Table, Failure> {
    format::table(path, opening(&Dialect::default(), header, false))?.load(columns)
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn declared_columns_come_in_the_asked_order_and_empty_cells_are_nan() {
    let (_dir, path) = file("t.csv", "\u{feff}a,b,\"c, d\"\n1,,x\n-2.5e1,4,\"y\"\n");
    let mut table = load(&path, &names(&["b", "a"]), true).unwrap();
    assert_eq!(table.len(), 2);
    let read = table
        .read(&DataField::Columns(names(&["a", "b"])), &[1, 0])
        .unwrap();
    let TensorData::F64(v) = read.data() else {
        panic!()
    };
    assert_eq!(
        (&v[..3], v[3].is_nan(), read.shape()),
        (&[-25.0, 4.0, 1.0][..], true, &[2, 2][..])
    );
    assert!(
        table
            .read(&DataField::Columns(names(&["c, d"])), &[0])
            .is_err(),
        "not declared"
    );
}

#[test]
fn white_space_tables_without_header_are_named_by_position() {
    let (_dir, path) = file("t.txt", "  1  2\t3\n\n4 5 6");
    let mut table = load(&path, &names(&["0", "2"]), false).unwrap();
    assert_eq!(
        table
            .read(&DataField::ColumnI64("2".into()), &[0, 1])
            .unwrap()
            .data(),
        &TensorData::I64(vec![3, 6])
    );
    assert_eq!(
        table
            .read(&DataField::ColumnsF32(names(&["0"])), &[1])
            .unwrap()
            .data(),
        &TensorData::F32(vec![4.0])
    );
}

#[test]
fn under_noise_what_cannot_be_read_is_nan() {
    let (_dir, path) = file("t.csv", "a,b\n1,2\n3,maybe\n4\n5,6\n");
    let said = Dialect::default();
    let mut table = format::table(&path, opening(&said, true, true)).unwrap();
    let mut table = table.load(&names(&["a", "b"])).unwrap();
    let read = table.read(&DataField::Columns(names(&["a", "b"])), &[0, 1, 2, 3]);
    let TensorData::F64(v) = read.unwrap().into_data() else {
        panic!()
    };
    assert_eq!([v[0], v[1], v[2], v[6], v[7]], [1.0, 2.0, 3.0, 5.0, 6.0]);
    assert!(v[3..6].iter().all(|x| x.is_nan()), "{v:?}");
}

#[test]
fn errors_name_line_column_and_what_is_there() {
    let (_dir, path) = file("t.csv", "a,b\n1,2\n3,maybe\n");
    let missing = format::table(&path, opening(&Dialect::default(), true, false))
        .unwrap()
        .inspect(&names(&["a", "z"]), Depth::Names)
        .unwrap_err()
        .message;
    assert!(
        missing.contains("[\"z\"]") && missing.contains("[\"a\", \"b\"]"),
        "{missing}"
    );
    let bad = load(&path, &names(&["b"]), true).err().unwrap().message;
    assert!(
        bad.contains("line 3") && bad.contains("\"b\"") && bad.contains("maybe"),
        "{bad}"
    );
    assert!(
        load(&path, &names(&["a"]), true).is_ok(),
        "columns that no one reads may hold anything"
    );
    let (_dir, ragged) = file("t.tsv", "a\tb\n1\n");
    assert!(
        load(&ragged, &names(&["a"]), true)
            .err()
            .unwrap()
            .message
            .contains("line 2 has 1 cell,")
    );
}

/// The columns of a table of text in a dialect that `said` gives.
fn read(name: &str, bytes: &[u8], said: &str, columns: &[&str]) -> Result<Vec<f64>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let form: DialectForm = serde_json::from_str(said).unwrap();
    let said = form.check().unwrap();
    let columns = names(columns);
    let mut table = format::table(&path, opening(&said, true, false)).map_err(|f| f.message)?;
    table
        .inspect(&columns, Depth::Whole)
        .map_err(|f| f.message)?;
    let mut table = format::table(&path, opening(&said, true, false)).map_err(|f| f.message)?;
    let mut table = table.load(&columns).map_err(|f| f.message)?;
    let values = table
        .whole(&DataField::Columns(columns))
        .map_err(|f| f.message)?;
    match values.into_data() {
        TensorData::F64(values) => Ok(values),
        _ => Err("no doubles".to_owned()),
    }
}

fn certain(name: &str, text: &str, column: &str) -> Vec<f64> {
    read(name, text.as_bytes(), "{}", &[column]).unwrap()
}

fn refused(name: &str, text: &str, column: &str) -> String {
    read(name, text.as_bytes(), "{}", &[column]).unwrap_err()
}

#[test]
fn what_separates_cells_is_found_where_it_is_certain() {
    for text in [
        "id;bmi\n1;20,5\n2;21,25\n",
        "sep=;\r\nid;bmi\r\n1;20,5\r\n2;21,25\r\n",
        "id|bmi\n1|20.5\n2|21.25\n",
        "id\tbmi\n1\t20.5\n2\t21.25\n",
        "id,bmi\n1,20.5\n2,21.25\n",
        "# exported today\nid;bmi\n1;20.5\n2;21.25\n",
        "#id,bmi\n1,20.5\n2,21.25\n",
    ] {
        assert_eq!(certain("t.csv", text, "bmi"), [20.5, 21.25], "{text}");
    }
    let gaps = certain("t.tsv", "ward\tage\nWard 2\t\nWard 3\t70\n", "age");
    assert!(gaps[0].is_nan());
    assert_eq!(gaps[1], 70.0);
    assert_eq!(certain("t.tsv", "\"age\"\tx\n5\t1\n", "age"), [5.0]);
    assert_eq!(
        certain("t.tsv", "patient age\tx\n5\t1\n", "patient age"),
        [5.0]
    );
    assert_eq!(certain("t.txt", "a;b\n1;2\n", "b"), [2.0]);
    assert_eq!(certain("t.txt", "a, b\n1, 2\n", "b"), [2.0]);
    assert_eq!(certain("t.txt", "a b\n1,5 2,5\n", "b"), [2.5]);
    for (text, said) in [
        ("t v,kg\n1 2,5\n2 3,7\n", "set `delimiter`"),
        ("id,w\n1,25\n2,37\n3\n", "line 4 has 1 cell"),
        ("a;b\n1;2\n3;4\n5;6;7\n", "line 4 has 3 cells"),
    ] {
        let (_dir, path) = file("t.txt", text);
        let said_nothing = Dialect::default();
        let opened = format::table(&path, opening(&said_nothing, true, false));
        let first = opened.and_then(|mut table| table.profile());
        let message = first.err().unwrap().message;
        assert!(message.contains(said), "{message}");
    }
    let quoted = "\"a \"\"q\"\"\" v\n\"5\"\" pipe\" 3\n";
    assert_eq!(certain("t.txt", quoted, "v"), [3.0]);
    assert!(refused("t.txt", quoted, "a \"q\"").contains("5\\\" pipe"));
    let both = refused("t.csv", "a,b;c,d\n1,2;3,x\n", "a");
    assert!(both.contains("set `delimiter`"), "{both}");
    let said = read(
        "t.csv",
        b"a,b;c,d\n1,2;3,x\n",
        r#"{"delimiter": ","}"#,
        &["a"],
    );
    assert_eq!(said.unwrap(), [1.0]);
}

#[test]
fn a_comma_before_the_fraction_must_show() {
    let unclear = refused("t.csv", "id;n\n1;1,234\n2;5,678\n", "n");
    assert!(
        unclear.contains("`decimal: \",\"`") && unclear.contains("thousands"),
        "{unclear}"
    );
    let read = |said: &str| read("t.csv", b"id;n\n1;1,234\n2;5,678\n", said, &["n"]).unwrap();
    assert_eq!(read(r#"{"decimal": ","}"#), [1.234, 5.678]);
    assert_eq!(read(r#"{"thousands": ","}"#), [1234.0, 5678.0]);
    let mixed = refused("t.csv", "id;n\n1;1,25\n2;5.678\n", "n");
    assert!(mixed.contains("decimal commas"), "{mixed}");
}

#[test]
fn grouped_digits_are_read_as_said_and_whole_groups_only() {
    let read = |text: &str, said: &str| super::tests::read("t.csv", text.as_bytes(), said, &["n"]);
    let both = r#"{"thousands": ".", "decimal": ","}"#;
    assert_eq!(
        read("i;n\n1;1.234,56\n2;-12.345.678\n", both).unwrap(),
        [1234.56, -12_345_678.0]
    );
    assert_eq!(
        read(
            "i;n\n1;1\u{a0}234,5\n",
            r#"{"thousands": "space", "decimal": ","}"#
        )
        .unwrap(),
        [1234.5]
    );
    assert_eq!(
        read("i;n\n1;1'234.5\n", r#"{"thousands": "'"}"#).unwrap(),
        [1234.5]
    );
    for bad in [
        "12.34", "1.2345", "1.23.456", ".123", "1..234", "0.123", "00.500",
    ] {
        assert!(read(&format!("i;n\n1;{bad}\n"), both).is_err(), "{bad}");
    }
    let hint = refused("t.csv", "n\n\"1,234,567\"\n", "n");
    assert!(hint.contains("`thousands`"), "{hint}");
}

#[test]
fn encodings_are_marked_said_or_utf8() {
    let wide = |text: &str, big: bool, mark: bool| -> Vec<u8> {
        let mark = mark.then_some('\u{feff}');
        let text: String = mark.into_iter().chain(text.chars()).collect();
        let bytes = |unit: u16| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        text.encode_utf16().flat_map(bytes).collect()
    };
    for big in [false, true] {
        let bytes = wide("größe,x\n1,2\n", big, true);
        assert_eq!(read("t.csv", &bytes, "{}", &["größe"]).unwrap(), [1.0]);
    }
    let bare = wide("a,x\n1,2\n", false, false);
    let message = read("t.csv", &bare, "{}", &["a"]).unwrap_err();
    assert!(message.contains("encoding: utf-16le"), "{message}");
    assert_eq!(
        read("t.csv", &bare, r#"{"encoding": "utf-16le"}"#, &["a"]).unwrap(),
        [1.0]
    );
    let latin = b"gr\xf6\xdfe,x\n1,2\n";
    let message = read("t.csv", latin, "{}", &["x"]).unwrap_err();
    assert!(message.contains("set `encoding`"), "{message}");
    assert_eq!(
        read("t.csv", latin, r#"{"encoding": "latin1"}"#, &["größe"]).unwrap(),
        [1.0]
    );
    let cut = &wide("a,x\n1,2\n", false, true)[..11];
    assert!(read("t.csv", cut, "{}", &["a"]).is_err());
}

#[test]
fn compressed_tables_are_read_whole_or_not() {
    use std::io::Write as _;
    let text = "a,b\n1,2\n".to_owned() + &"3,4\n".repeat(10_000);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(
        read("t.csv.gz", &packed, "{}", &["b"]).unwrap().len(),
        10_001
    );
    let message = read("t.csv.gz", &packed[..packed.len() / 2], "{}", &["b"]).unwrap_err();
    assert!(message.contains("ends too early"), "{message}");
}

#[test]
fn missing_and_truth_values_are_those_of_pandas() {
    let cells = [
        "NULL", "None", "n/a", "<NA>", "#N/A", "NaN", "", "-nan", " NA ",
    ];
    let text = format!("x,y\n{}", cells.map(|c| format!("{c},1\n")).concat());
    assert!(certain("t.csv", &text, "x").iter().all(|x| x.is_nan()));
    assert_eq!(
        certain("t.csv", "x\nTrue\nFALSE\ntrue\n", "x"),
        [1.0, 0.0, 1.0]
    );
    let mixed = refused("t.csv", "x\nTrue\n2\n", "x");
    assert!(mixed.contains("truth values"), "{mixed}");
    assert_eq!(
        certain("t.csv", "x\ninf\n-Infinity\n", "x"),
        [f64::INFINITY, f64::NEG_INFINITY]
    );
    let own = read(
        "t.csv",
        b"x,y\n-99,1\n5,-99\n",
        r#"{"missing": ["-99"]}"#,
        &["x"],
    )
    .unwrap();
    assert!(own[0].is_nan() && own[1] == 5.0);
    // However the marker and the cell are written.
    for (said, text) in [
        (
            r#"{"missing": ["-99,5"]}"#,
            "v;b\n-99,50;1\n-99,5;2\n7,25;3\n",
        ),
        (
            r#"{"missing": ["-99,0"], "decimal": ","}"#,
            "v;b\n-99;1\n-99,00;2\n7,25;3\n",
        ),
        (
            r#"{"missing": ["1.000"], "thousands": "."}"#,
            "v;b\n1.000;1\n1000;2\n7,25;3\n",
        ),
    ] {
        let own = read("t.csv", text.as_bytes(), said, &["v"]).unwrap();
        assert!(
            own[0].is_nan() && own[1].is_nan() && own[2] == 7.25,
            "{said} {own:?}"
        );
    }
    let one = read(
        "t.csv",
        b"v;b\n1;1\n2,5;2\n",
        r#"{"missing": ["1.000"], "thousands": "."}"#,
        &["v"],
    );
    assert_eq!(one.unwrap(), [1.0, 2.5]);
    let text = refused("t.csv", "x\n1\n.\n", "x");
    assert!(text.contains("`missing`"), "{text}");
}

#[test]
fn names_are_those_of_pandas() {
    let text = "age,age, b ,,\"c, d\",age.1\n1,2,3,4,5,6\n";
    for (name, value) in [
        ("age", 1.0),
        ("age.2", 2.0),
        (" b ", 3.0),
        ("b", 3.0),
        ("Unnamed: 3", 4.0),
        ("c, d", 5.0),
        ("age.1", 6.0),
    ] {
        assert_eq!(certain("t.csv", text, name), [value], "{name}");
    }
    // A frame that was saved twice with its index.
    let twice = ",Unnamed: 0,x\n0,5,9\n";
    assert_eq!(certain("t.csv", twice, "Unnamed: 0"), [5.0]);
    assert_eq!(certain("t.csv", twice, "Unnamed: 0.1"), [0.0]);
    assert_eq!(certain("t.csv", "age,age\n1,2\n", "age.1"), [2.0]);
}

#[test]
fn lines_before_the_header_are_skipped_as_said() {
    // A header of rows that begin with texts, or a remark.
    for text in [
        "#SampleID,Treatment,Age\nS1,Control,NA\nS2,Drug,51\n",
        "# exported, 2024\n2019,2020\n5,6\n",
        "# exported; today\nid;bmi\n1;20.5\n2;21.25\n",
    ] {
        let message = refused("t.csv", text, "Age");
        assert!(
            message.contains("set `skip: 0`") && message.contains("`skip: 1`"),
            "{message}"
        );
    }
    let said = read(
        "t.csv",
        b"#S,Age\nS1,NA\nS2,51\n",
        r#"{"skip": 0}"#,
        &["Age"],
    )
    .unwrap();
    assert_eq!(said[1], 51.0);
    let text = "Report of 2026\n\nid,age\n1,20\n2,21\n3,22\n";
    let message = refused("t.csv", text, "age");
    assert!(message.contains("`skip: 2`"), "{message}");
    let said = read("t.csv", text.as_bytes(), r#"{"skip": 2}"#, &["age"]).unwrap();
    assert_eq!(said, [20.0, 21.0, 22.0]);
    let text = "id,age\n// a remark\n1,20\n";
    let said = read("t.csv", text.as_bytes(), r#"{"comment": "//"}"#, &["age"]).unwrap();
    assert_eq!(said, [20.0]);
    let error = refused("t.csv", "id,age\n1,20\n2\n", "age");
    assert!(error.contains("line 3 has 1 cell,"), "{error}");
}

#[test]
fn what_stands_in_one_column_or_row_says_nothing_of_others() {
    // A list of codes is no sign that commas stand before fractions elsewhere.
    let text = "id;cost;codes\n1;1,234;1,2\n2;5,678;3,4\n";
    assert!(refused("t.csv", text, "cost").contains("`decimal"));
    let quoted = refused("t.csv", "id,bmi\n1,\"20,5\"\n", "bmi");
    assert!(quoted.contains("`decimal"), "{quoted}");
    // Beside decimal commas a point may group digits.
    let point = refused("t.csv", "id;a;b\n1;20,5;1.000\n", "b");
    assert!(point.contains("decimal commas"), "{point}");
    assert_eq!(certain("t.csv", "id;a;b\n1;20,5;1000\n", "b"), [1000.0]);
}

#[test]
fn a_quote_that_is_not_closed_is_told_with_its_line() {
    let open = refused("t.csv", "id,note\n1,ok\n2,\"open\n3,x\n4,y\n", "id");
    assert!(open.contains("opens in line 3 is not closed"), "{open}");
    let said = read(
        "t.csv",
        b"id,note\n2,\"open\n3,x\n",
        r#"{"quote": "none"}"#,
        &["id"],
    );
    assert_eq!(said.unwrap(), [2.0, 3.0]);
    let remark = read(
        "t.csv",
        b"a,b\n1,2\n# x,\"q\n3,4\n",
        r##"{"comment": "#"}"##,
        &["a"],
    );
    assert_eq!(remark.unwrap(), [1.0, 3.0]);
    let old = refused("t.txt", "1 2\r3 4\r5 6\r", "1");
    assert!(old.contains("carriage return"), "{old}");
}

#[test]
fn under_noise_no_row_decides_over_another() {
    let of = |name: &str, bytes: &[u8], column: &str| {
        let (_dir, path) = file(name, "");
        std::fs::write(&path, bytes).unwrap();
        let (said, wanted) = (Dialect::default(), names(&[column]));
        let open = || format::table(&path, opening(&said, true, true)).unwrap();
        open().inspect(&wanted, Depth::Names).unwrap();
        let mut table = open().load(&wanted).unwrap();
        match table
            .whole(&DataField::Columns(wanted))
            .unwrap()
            .into_data()
        {
            TensorData::F64(values) => values,
            other => panic!("{other:?}"),
        }
    };
    let same = |got: Vec<f64>, wanted: &[f64]| {
        let pairs = got.iter().zip(wanted);
        assert!(got.len() == wanted.len(), "{got:?}");
        assert!(
            pairs
                .into_iter()
                .all(|(a, b)| a == b || (a.is_nan() && b.is_nan())),
            "{got:?}"
        );
    };
    let nan = f64::NAN;
    same(of("t.csv", b"x\ntrue\n0\n1\n", "x"), &[1.0, 0.0, 1.0]);
    same(
        of("t.csv", b"x;y\n3;4\n3;4;5\n6;7\n", "x"),
        &[3.0, nan, 6.0],
    );
    same(
        of("t.csv", b"x,y\n1.5,1\n\"3,5\",1\n2.5,1\n", "x"),
        &[1.5, nan, 2.5],
    );
    same(
        of("t.csv", b"x,y\n1,\"open\n2,b\n3,c\n", "x"),
        &[1.0, 2.0, 3.0],
    );
    same(
        of("t.csv", b"x,y\n1,2\n\0\0,3\n\xff,4\n5,6\n", "x"),
        &[1.0, nan, nan, 5.0],
    );
    same(
        of("t.csv", b"a,x\n1,2\n1,2,3\n1,2,3\n1,2,3\n", "x"),
        &[2.0, nan, nan, nan],
    );
}

#[test]
fn an_owner_is_told_how_a_table_is_read() {
    let (_dir, path) = file("t.csv", "id;x;note\n1;2,5;\"a\nb\"\n");
    let said = Dialect::default();
    let told = super::super::table::describe(
        &mut *format::table(&path, opening(&said, true, false)).unwrap(),
    )
    .unwrap();
    for word in [
        "separated by \";\"",
        "decimal commas",
        "1 cell has line breaks, the first in line 2",
    ] {
        assert!(told.contains(word), "{told}");
    }
}
