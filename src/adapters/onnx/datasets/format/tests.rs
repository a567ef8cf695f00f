//! Which file is of which format, and what messages suggest.

use super::*;

#[test]
fn a_file_without_an_ending_is_known_by_its_first_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("digits");
    std::fs::write(&path, b"PK\x03\x04rest").unwrap();
    assert_eq!(Format::of(&path), Some(Format::Npz));
    std::fs::write(&path, b"1,2").unwrap();
    assert_eq!(Format::of(&path), None);
    zip_of(&path, &[("a/data.pkl", b"."), ("a/data/0", b"")], false);
    assert_eq!(Format::of(&path), Some(Format::Pt));
    let other = dir.path().join("scan.v2");
    for (start, format) in [
        (b"\x89PNG\r\n\x1a\n".as_slice(), Some(Format::Picture)),
        (b"\xff\xd8\xff\xe0", Some(Format::Picture)),
        (b"II*\0", Some(Format::Picture)),
        (b"MM\0*", Some(Format::Picture)),
        (b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0", Some(Format::Picture)),
        (b"BMI,age", None),
        (b"PK\x03\x04", None),
    ] {
        std::fs::write(&path, start).unwrap();
        std::fs::write(&other, start).unwrap();
        assert_eq!(Format::of(&other), format, "{start:?}");
        assert!(format.is_none() || Format::of(&path) == format);
    }
}

#[test]
fn an_ending_belongs_to_one_format_and_comes_before_first_bytes() {
    let mut endings: Vec<&str> = Format::ALL
        .into_iter()
        .map(Format::profile)
        .flat_map(|p| p.endings.iter().chain(p.spellings))
        .copied()
        .collect();
    let all = endings.len();
    endings.sort_unstable();
    endings.dedup();
    assert_eq!(endings.len(), all);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("digits.CSV");
    std::fs::write(&path, b"PK\x03\x04rest").unwrap();
    assert_eq!(Format::of(&path), Some(Format::Commas));
}

#[test]
fn messages_suggest_what_would_be_read() {
    let message = |f: Failure| f.message;
    let path = Path::new("/data/notes.doc");
    assert_eq!(
        table(path, plainly(&Dialect::default()))
            .err()
            .map(message)
            .unwrap(),
        "the task expects a table: a file whose name ends in .csv, .tsv, .txt, .parquet, .arrow, .feather, .xlsx, .xls, .ods or .sqlite"
    );
    assert_eq!(
        sample(path, &[1], &mut Vec::new()).map_err(message),
        Err("it is no sample: use .png, .jpg, .bmp, .tif, .npy or .pt, and move other files out of the dataset".to_owned())
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.DOC");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(
        array(&path, &["x"]).err().map(message).unwrap(),
        "files ending in \"doc\" are not read here; use .npy, .npz or .pt"
    );
    assert_eq!(
        describe(&path, &Dialect::default()).map_err(message),
        Err("files ending in \"doc\" are not read by tasks".to_owned())
    );
}

#[test]
fn files_with_types_are_known_by_their_first_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("visits");
    for (start, format) in [
        (b"PAR1\x15\x04".as_slice(), Some(Format::Parquet)),
        (b"PARE", Some(Format::Parquet)),
        (b"ARROW1\0\0\xff\xff", Some(Format::Arrow)),
        (b"FEA1", Some(Format::Arrow)),
        (b"\xff\xff\xff\xff\x78\x01\0\0", Some(Format::Arrow)),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Some(Format::Excel)),
        (b"SQLite format 3\0", Some(Format::Sqlite)),
        (b"PARTY,age", None),
    ] {
        std::fs::write(&path, start).unwrap();
        assert_eq!(Format::of(&path), format, "{start:?}");
    }
}

#[test]
fn settings_that_say_nothing_about_a_format_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let said = Dialect {
        sheet: Some("May".to_owned()),
        missing: vec!["-99".to_owned()],
        ..Dialect::default()
    };
    let suited = |name: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, b"").unwrap();
        suits(&path, &said).map_err(|f| f.message)
    };
    assert_eq!(suited("a.xlsx"), Ok(()));
    for name in ["a.csv", "a.parquet", "a.feather", "a.sqlite"] {
        assert!(suited(name).unwrap_err().contains("`sheet`"), "{name}");
    }
    assert!(suited("a.npy").unwrap_err().contains("`missing`"));
    let folder = suits(dir.path(), &said).unwrap_err().message;
    assert!(folder.contains("a folder"), "{folder}");
    let packed = suited("a.xlsx.gz").unwrap_err();
    assert!(packed.contains("unpack it"), "{packed}");
}
