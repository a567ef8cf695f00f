//! Tables that look up columns of others, against a plain join.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;

use super::*;
use delta_domain::manifest::{ColumnType, How, Join};

/// Files of two tables, and how the first looks up the second.
struct World {
    dir: tempfile::TempDir,
    specs: BTreeMap<DatasetName, DatasetSpec>,
    places: BTreeMap<DatasetName, Located>,
}

impl World {
    fn new(own: (&str, &[u8]), other: (&str, &[u8]), how: How) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self {
            dir,
            specs: BTreeMap::new(),
            places: BTreeMap::new(),
        };
        for (name, content) in [own, other] {
            let path = world.dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            let place = Located {
                path,
                dialect: Dialect::default(),
                answer_to: None,
            };
            world.places.insert(name.parse().unwrap(), place);
        }
        let join = Join {
            dataset: other.0.parse().unwrap(),
            key: "id".to_owned(),
            right_key: Some("key".to_owned()),
            how,
            columns: vec!["age".to_owned()],
        };
        world.declare(own.0, "x", vec![join]);
        world.declare(other.0, "age", Vec::new());
        world
    }

    fn declare(&mut self, name: &str, column: &str, joins: Vec<Join>) {
        let spec = DatasetSpec::Table {
            columns: vec![column.to_owned()],
            header: true,
            types: BTreeMap::new(),
            joins,
        };
        self.specs.insert(name.parse().unwrap(), spec);
    }

    /// With a type of the key in both tables.
    fn typed(mut self, kind: &ColumnType) -> Self {
        for (spec, key) in self.specs.values_mut().zip(["id", "key"]) {
            if let DatasetSpec::Table { types, .. } = spec {
                types.insert(key.to_owned(), kind.clone());
            }
        }
        self
    }

    fn opened(&self, noised: bool) -> Result<Box<dyn Rows>, String> {
        let (name, spec) = self.specs.first_key_value().unwrap();
        let others = Others {
            specs: &self.specs,
            places: &self.places,
        };
        let place = &self.places[name];
        judge(place, spec, [None], noised, others).map_err(|f| f.message)?;
        open(place, spec, None, noised, others).map_err(|f| f.message)
    }

    /// The own and the looked up numbers of the rows that are there.
    fn joined(&self, noised: bool) -> Result<Vec<(f64, Option<f64>)>, String> {
        let mut rows = self.opened(noised)?;
        let field = DataField::Columns(vec!["x".to_owned(), "age".to_owned()]);
        let all = doubles(rows.whole(&field).map_err(|f| f.message)?);
        let pairs = all.as_chunks::<2>().0.iter();
        Ok(pairs
            .map(|[x, age]| (*x, Some(*age).filter(|a| !a.is_nan())))
            .collect())
    }
}

fn parquet(key: &str, keys: ArrayRef, column: &str, values: &[i64]) -> Vec<u8> {
    let values: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let batch = RecordBatch::try_from_iter([(key, keys), (column, values)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

const OWN: &str = "id,x\n3,1\n1,2\n,3\n3,4\n7,5\n";
const OTHER: &str = "key,age\n1,11\n2,22\n03,33\nNA,99\n";

#[test]
fn a_left_join_keeps_all_rows_and_an_inner_one_their_places() {
    let of = |how| World::new(("a.csv", OWN.as_bytes()), ("b.csv", OTHER.as_bytes()), how);
    let left = [
        (1.0, Some(33.0)),
        (2.0, Some(11.0)),
        (3.0, None),
        (4.0, Some(33.0)),
        (5.0, None),
    ];
    assert_eq!(of(How::Left).joined(false).unwrap(), left);
    assert_eq!(of(How::Left).joined(true).unwrap(), left);
    let world = of(How::Inner);
    assert_eq!(world.joined(false).unwrap(), [left[0], left[1], left[3]]);
    let rows = world.opened(false).unwrap();
    let there: Vec<bool> = (0..rows.len()).map(|row| rows.holds(row)).collect();
    assert_eq!(there, [true, true, false, true, false]);
    let [found] = rows.looked_up() else {
        panic!("one table is joined");
    };
    assert_eq!(
        (found.rows(), found.found(0), found.found(4)),
        (4, Some(2), None)
    );
}

#[test]
fn formats_are_joined_with_each_other() {
    let own = parquet(
        "id",
        Arc::new(Int64Array::from(vec![Some(3), None, Some(1)])),
        "x",
        &[1, 2, 3],
    );
    let world = World::new(("a.parquet", &own), ("b.csv", OTHER.as_bytes()), How::Left);
    assert_eq!(
        world.joined(false).unwrap(),
        [(1.0, Some(33.0)), (2.0, None), (3.0, Some(11.0))]
    );
    let long = "id,x\n9007199254740993,1\n9007199254740992,2\n5,3\n";
    let keys = Int64Array::from(vec![5, 9_007_199_254_740_993]);
    let other = parquet("key", Arc::new(keys), "age", &[50, 93]);
    let world = World::new(("a.csv", long.as_bytes()), ("b.parquet", &other), How::Left);
    assert_eq!(
        world.joined(false).unwrap(),
        [(1.0, Some(93.0)), (2.0, None), (3.0, Some(50.0))]
    );
    // What is a column of texts by its type has texts.
    let keys = StringArray::from(vec![Some("01"), Some("1"), None, Some(" ")]);
    let other = parquet("key", Arc::new(keys), "age", &[10, 20, 30, 40]);
    let own = "id,x\n1,1\nA,2\n01,3\n";
    let world = World::new(("a.csv", own.as_bytes()), ("b.parquet", &other), How::Inner);
    assert_eq!(
        world.joined(false).unwrap(),
        [(1.0, Some(20.0)), (3.0, Some(10.0))]
    );
}

#[test]
fn what_cannot_be_joined_is_said_to_the_owner() {
    let said = |own: &str, other: &str, noised| {
        let files = (("a.csv", own.as_bytes()), ("b.csv", other.as_bytes()));
        World::new(files.0, files.1, How::Left).joined(noised)
    };
    let twice = "key,age\n1,11\n2,22\n1.0,33\n1,44\n";
    let error = said("id,x\n1,5\n", twice, false).unwrap_err();
    assert_eq!(
        error,
        "joined with b.csv: row 3 below its header has the \"key\" of row 1; each may stand once there, so that no row finds two"
    );
    assert_eq!(
        said("id,x\n1,5\n", twice, true).unwrap(),
        [(5.0, Some(11.0))]
    );
    let error = said("id,x\n1,5\nA,6\n", "key,age\n1,11\n", false).unwrap_err();
    assert!(
        error.contains("texts here (row 2 below the header) and whole numbers there"),
        "{error}"
    );
    let error = said("id,x\n1,5\n", "key,age\nB,11\n", false).unwrap_err();
    assert!(
        error.contains("texts there (row 1 below the header) and whole numbers here"),
        "{error}"
    );
    for (own, other, noised) in [
        ("it,x\n1,5\n", "key,age\n1,1\n", false),
        ("it,x\n1,5\n", "key,age\n1,1\n", true),
        ("id,x\n1,5\n", "id,age\n1,1\n", false),
        ("id,x\n1,5\n", "id,age\n1,1\n", true),
    ] {
        let error = said(own, other, noised).unwrap_err();
        assert!(error.contains("are missing"), "{error}");
    }
}

#[test]
fn keys_with_a_type_are_what_their_column_declares() {
    let of = |kind: &ColumnType, own: &str, other: &str| {
        let files = (("a.csv", own.as_bytes()), ("b.csv", other.as_bytes()));
        World::new(files.0, files.1, How::Left)
            .typed(kind)
            .joined(false)
    };
    let levels = ColumnType::Category {
        levels: vec!["m".into(), "f".into()],
    };
    let own = "id,x\nf,1\nz,2\nm,3\n";
    let found = of(&levels, own, "key,age\nm,10\ny,20\nf,30\nz,40\n").unwrap();
    assert_eq!(found, [(1.0, Some(30.0)), (2.0, None), (3.0, Some(10.0))]);
    let own = "id,x\n2026-11-29,1\n29.11.2026,2\n2026-11-30,3\n";
    let found = of(&ColumnType::Date, own, "key,age\n29 Nov 2026,7\n").unwrap();
    assert_eq!(found, [(1.0, Some(7.0)), (2.0, Some(7.0)), (3.0, None)]);
    assert!(of(&ColumnType::Date, "id,x\nno,1\n", "key,age\n2026-11-30,7\n").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Read from files, as a plain search over the rows does it.
    #[test]
    fn joined_as_by_a_plain_search(
        own in proptest::collection::vec(proptest::option::of(0_u8..12), 1..30),
        others in proptest::collection::btree_set(0_u8..12, 1..10),
        inner in any::<bool>(),
        noised in any::<bool>(),
    ) {
        let cell = |key: &Option<u8>| key.map_or_else(String::new, |k| k.to_string());
        let lines = own.iter().enumerate().map(|(row, key)| format!("{},{row}\n", cell(key)));
        let left = format!("id,x\n{}", lines.collect::<String>());
        let lines = others.iter().rev().map(|key| format!("{key},{}\n", 100 + u32::from(*key)));
        let right = format!("key,age\n{}", lines.collect::<String>());
        let how = if inner { How::Inner } else { How::Left };
        let world = World::new(("a.csv", left.as_bytes()), ("b.csv", right.as_bytes()), how);
        let plain = own.iter().enumerate().map(|(row, key)| {
            let found = key.filter(|k| others.contains(k));
            (row as f64, found.map(|k| 100.0 + f64::from(k)))
        });
        let plain: Vec<_> = plain.filter(|(_, found)| !inner || found.is_some()).collect();
        prop_assert_eq!(world.joined(noised).unwrap(), plain);
    }
}
