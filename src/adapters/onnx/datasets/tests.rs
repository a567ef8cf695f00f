//! Files as people have them, against what pandas, NumPy and PIL read: `tests/fixtures/dialects`, made by its `make.py`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;
use delta_domain::dialect::DialectForm;
use delta_domain::manifest::DataField;
use delta_domain::tensor::{DType, Tensor, TensorData};

/// A file, and what becomes of it.
#[derive(Debug, Deserialize)]
struct Case {
    file: String,
    kind: String,
    note: String,
    #[serde(default)]
    settings: DialectForm,
    header: Option<bool>,
    /// A table's columns as they must be read.
    columns: Option<BTreeMap<String, Vec<Cell>>>,
    /// Columns to be read of a table that is refused.
    #[serde(default)]
    read: Vec<String>,
    /// What the error must say.
    refused: Option<String>,
    #[serde(default)]
    shape: Vec<usize>,
    #[serde(default)]
    classes: usize,
    names: Option<Vec<String>>,
    labels: Option<Vec<i64>>,
    values: Option<Vec<Cell>>,
    #[serde(default)]
    tolerance: f64,
}

/// A number; JSON has no infinities.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Cell {
    Number(f64),
    Word(String),
    Missing(()),
}

impl Cell {
    fn value(&self) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Word(word) => word.parse().unwrap(),
            Self::Missing(()) => f64::NAN,
        }
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/dialects")
}

fn cases(kind: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(fixtures().join("expected.json")).unwrap();
    let all: Vec<Case> = serde_json::from_str(&text).unwrap();
    all.into_iter().filter(|case| case.kind == kind).collect()
}

fn doubles(tensor: Tensor) -> Vec<f64> {
    match tensor.into_data() {
        TensorData::F64(values) => values,
        TensorData::F32(values) => values.into_iter().map(f64::from).collect(),
        TensorData::I64(values) => values.into_iter().map(|v| v as f64).collect(),
        other => panic!("values of type {:?}", other.dtype()),
    }
}

/// Where the two differ, if they do.
fn difference(what: &str, expected: &[Cell], got: &[f64], tolerance: f64) -> Option<String> {
    if expected.len() != got.len() {
        return Some(format!(
            "{what}: {} values, not {}",
            got.len(),
            expected.len()
        ));
    }
    let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance;
    let mut pairs = expected.iter().map(Cell::value).zip(got).enumerate();
    let (at, (wanted, got)) = pairs.find(|(_, (wanted, got))| !same(*wanted, **got))?;
    Some(format!("{what}[{at}]: {got}, not {wanted}"))
}

impl Case {
    fn located(&self) -> Located {
        Located {
            path: fixtures()
                .join("files")
                .join(&self.file)
                .canonicalize()
                .unwrap(),
            dialect: self.settings.clone().check().unwrap(),
            answer_to: None,
        }
    }

    /// What is wrong with how it is read.
    fn fault(
        &self,
        read: impl Fn(&Self, &Located) -> Result<Option<String>, Failure>,
    ) -> Option<String> {
        let place = self.located();
        let fault = match (read(self, &place), &self.refused) {
            (Ok(fault), None) => fault?,
            (Ok(_), Some(word)) => format!("is read, and should say {word:?}"),
            (Err(failure), Some(word)) if failure.message.contains(word.as_str()) => return None,
            (Err(failure), Some(word)) => format!("does not say {word:?}: {failure}"),
            (Err(failure), None) => format!("is refused: {failure}"),
        };
        Some(format!("{} ({}) {fault}", self.file, self.note))
    }
}

fn assert_all(kind: &str, read: impl Fn(&Case, &Located) -> Result<Option<String>, Failure>) {
    let all = cases(kind);
    assert!(!all.is_empty());
    let faults: Vec<String> = all.iter().filter_map(|case| case.fault(&read)).collect();
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        all.len(),
        faults.join("\n")
    );
}

fn manifest_free(place: &Located, spec: &DatasetSpec) -> Result<Box<dyn Rows>, Failure> {
    let (specs, places) = (BTreeMap::new(), BTreeMap::new());
    let others = Others {
        specs: &specs,
        places: &places,
    };
    judge(place, spec, [None], false, others)?;
    open(place, spec, None, false, others)
}

#[test]
fn tables_are_read_as_pandas_reads_them_or_refused() {
    assert_all("table", |case, place| {
        let columns = case.columns.as_ref();
        let names: Vec<String> = match columns {
            Some(columns) => columns.keys().cloned().collect(),
            None => case.read.clone(),
        };
        let spec = DatasetSpec::Table {
            columns: names.clone(),
            header: case.header.unwrap_or(true),
            types: BTreeMap::new(),
            joins: Vec::new(),
        };
        let mut rows = manifest_free(place, &spec)?;
        for (name, expected) in columns.into_iter().flatten() {
            let got = doubles(rows.whole(&DataField::Columns(vec![name.clone()]))?);
            if let Some(fault) = difference(name, expected, &got, 0.0) {
                return Ok(Some(fault));
            }
        }
        Ok(None)
    });
}

#[test]
fn arrays_are_read_as_numpy_reads_them_or_refused() {
    assert_all("array", |case, place| {
        let spec = DatasetSpec::Array {
            shape: case.shape.iter().copied().map(Some).collect(),
            dtype: DType::F64,
        };
        let mut rows = manifest_free(place, &spec)?;
        let got = doubles(rows.whole(&DataField::X)?);
        Ok(difference(
            "values",
            case.values.as_deref().unwrap_or_default(),
            &got,
            0.0,
        ))
    });
}

#[test]
fn samples_are_read_as_numpy_and_pil_read_them_or_refused() {
    assert_all("samples", |case, place| {
        let classes = match &case.names {
            Some(names) => names.clone(),
            None => (0..case.classes).map(|i| i.to_string()).collect(),
        };
        let classes = if place.path.is_dir() && case.names.is_none() {
            Vec::new()
        } else {
            classes
        };
        let spec = DatasetSpec::Samples {
            shape: case.shape.clone(),
            classes,
        };
        let mut rows = manifest_free(place, &spec)?;
        let got = doubles(rows.whole(&DataField::X)?);
        let values = case.values.as_deref().unwrap_or_default();
        if let Some(fault) = difference("values", values, &got, case.tolerance) {
            return Ok(Some(fault));
        }
        let Some(labels) = &case.labels else {
            return Ok(None);
        };
        let got = doubles(rows.whole(&DataField::Y)?);
        let labels: Vec<Cell> = labels.iter().map(|l| Cell::Number(*l as f64)).collect();
        Ok(difference("labels", &labels, &got, 0.0))
    });
}

#[test]
fn a_folder_where_a_file_is_expected_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.csv");
    std::fs::write(&file, "a\n1\n").unwrap();
    let said = |path: &Path, spec: &DatasetSpec| is_of_kind(path, spec).map_err(|f| f.message);
    let table = DatasetSpec::Table {
        columns: Vec::new(),
        header: true,
        types: BTreeMap::new(),
        joins: Vec::new(),
    };
    let array = DatasetSpec::Array {
        shape: vec![None],
        dtype: DType::F32,
    };
    let samples = DatasetSpec::Samples {
        shape: vec![1],
        classes: Vec::new(),
    };
    assert_eq!(
        said(dir.path(), &table).unwrap_err(),
        "it is a folder, and the task expects a table: one file whose name ends in .csv, .tsv, .txt, .parquet, .arrow, .feather, .xlsx, .xls, .ods or .sqlite"
    );
    assert_eq!(
        said(dir.path(), &array).unwrap_err(),
        "it is a folder, and the task expects one array: a file whose name ends in .npy, .npz or .pt"
    );
    assert_eq!(
        said(&file, &samples).unwrap_err(),
        "it is one file, and the task expects samples: a folder of files whose names end in .png, .jpg, .bmp, .tif, .npy or .pt, or all samples as one file that ends in .npy, .npz or .pt"
    );
    assert!(said(&file, &table).is_ok() && said(dir.path(), &samples).is_ok());
}

mod damage;
mod join;
