//! Many rows at once are what they are one by one: numbers, and errors with their lines.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Kind, opened};
use super::*;
use crate::datasets::table::Opening;
use delta_domain::dialect::DialectForm;
use delta_domain::manifest::ColumnType;

/// What is read of a file, in `threads` pieces; one by one where there is none.
fn read(
    path: &std::path::Path,
    opening: Opening<'_>,
    columns: &[String],
    threads: usize,
) -> Result<(usize, Vec<Vec<u64>>), String> {
    let table = opened(path, opening, Kind::Commas);
    let mut table = table.map_err(|failure| failure.to_string())?;
    let read = table.rows(columns, true, threads);
    let read = read.map_err(|failure| failure.to_string())?;
    let bits = |column: &Vec<f64>| column.iter().map(|x| x.to_bits()).collect();
    let values = read.values.iter().map(bits).collect();
    Ok((read.rows, values))
}

fn cell() -> impl Strategy<Value = String> {
    let usual = select(vec![
        "1",
        "-2.50",
        "+7",
        "",
        "NA",
        " 3 ",
        "007",
        "1e3",
        "-0",
        ".5",
        "5.",
        "123456789.25",
        "900719925474099.3",
        "9007199254740993",
        "0.1234567890123456789",
        "-999",
        "\"4\"",
        "\"-7.25\"",
    ]);
    let unusual = select(vec![
        "1,5",
        "1.234,5",
        "12 345",
        "inf",
        "\"4,5\"",
        "\"a\"\"b\"",
        "\"x\ny\"",
        "True",
        "a",
        "\"",
        "x\"y",
        "\"z\"w",
        "#",
        "\r",
        "\u{e4}",
        ".",
        "-",
        "é,",
    ]);
    prop_oneof![300 => usual, 1 => unusual].prop_map(str::to_owned)
}

fn line() -> impl Strategy<Value = String> {
    let cells = prop_oneof![200 => Just(4_usize), 1 => 0_usize..6];
    let cells = cells.prop_flat_map(|n| prop::collection::vec(cell(), n));
    let row = cells.prop_map(|cells| cells.join(","));
    let none = select(vec!["", "   ", "\t", "# a remark, of more", " # \"b"]);
    let line = prop_oneof![20 => row, 1 => none.prop_map(str::to_owned)];
    let end = prop_oneof![200 => Just("\n"), 20 => Just("\r\n"), 1 => Just("\r\r\n")];
    (line, end).prop_map(|(line, end)| line + end)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn at_once_is_one_by_one(
        lines in prop::collection::vec(line(), 0..60),
        unended in any::<bool>(),
        wanted in select(vec!["a", "d", "bc", "ad", "dca", "abcd", "cc", "aadd"]),
        noised in any::<bool>(),
        header in any::<bool>(),
        form in select(vec![
            "{}", r#"{"delimiter": ","}"#, r#"{"missing": ["-999"], "delimiter": ","}"#, r##"{"comment": "#", "delimiter": ","}"##,
            r#"{"quote": "none", "delimiter": ","}"#, r#"{"thousands": "space", "delimiter": ","}"#, r#"{"decimal": ",", "delimiter": ","}"#,
        ]),
        typed in any::<bool>(),
    ) {
        let form: DialectForm = serde_json::from_str(form).unwrap();
        let said = form.check().unwrap();
        let levels = || ColumnType::Category { levels: vec!["1".into(), "a".into()] };
        let types: BTreeMap<String, ColumnType> = match typed {
            true => [("b".to_owned(), levels())].into(),
            false => BTreeMap::new(),
        };
        let opening = Opening { said: &said, header, noised, types: &types };
        let name = |c: char| match header {
            true => c.to_string(),
            false => (u32::from(c) - u32::from('a')).to_string(),
        };
        let columns: Vec<String> = wanted.chars().map(name).collect();
        let mut text = if header { "a,b,c,d\n".to_owned() } else { String::new() };
        text.extend(lines);
        if unended {
            text.pop();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let careful = read(&path, opening, &columns, 0);
        for threads in [1, 2, 5] {
            prop_assert_eq!(&read(&path, opening, &columns, threads), &careful);
        }
    }
}

#[test]
fn pieces_are_whole_lines() {
    let text = b"aaa\nbbbbbbbb\ncc\n\ndddddddddddddd\nee";
    for pieces in 1..9 {
        let cut = cut(text, pieces);
        assert!(cut.len() <= pieces && cut.iter().all(|p| p.ends_with(b"\n")));
        assert_eq!(cut.concat(), text[..text.len() - 2]);
    }
    assert!(cut(b"no end", 3).is_empty());
}
