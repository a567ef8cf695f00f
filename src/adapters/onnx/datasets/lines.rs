//! Tables of text: their lines, read once from top to bottom.
//!
//! A cell is a number; an empty one, `NA`, `N/A` or `null` is NaN. Columns that nobody declared may hold anything.

use super::table::{Table, TableFile};
use crate::failure::Failure;

/// A byte order mark, which some editors put before a text; it is no part of the first name.
pub(super) const MARK: char = '\u{feff}';

/// A table of text, line by line.
pub(super) trait Lines {
    /// The cells of the next line that is not blank, and its number, from 1.
    fn next(&mut self) -> Result<Option<(u64, &[String])>, Failure>;
}

impl<L: Lines> TableFile for L {
    fn load(&mut self, columns: &[String], header: bool, lenient: bool) -> Result<Table, Failure> {
        let mut wanted: Option<(usize, Vec<(usize, String)>)> = None;
        let mut kept: Vec<Vec<f64>> = vec![Vec::new(); columns.len()];
        let mut rows = 0usize;
        while let Some((line, cells)) = self.next()? {
            let cells: Vec<&str> = cells.iter().map(|c| c.trim()).collect();
            let (width, wanted) = match &mut wanted {
                Some(known) => known,
                first => {
                    let names = header_names(&cells, header);
                    let known = first.insert((names.len(), positions(&names, columns)?));
                    if header {
                        continue;
                    }
                    known
                }
            };
            let whole = cells.len() == *width;
            if !whole && !lenient {
                return Err(Failure::corrupt(format!(
                    "line {line} has {} cells, the first line has {width}",
                    cells.len()
                )));
            }
            for ((position, name), values) in wanted.iter().zip(&mut kept) {
                let cell = cells.get(*position).copied().filter(|_| whole);
                let cell = cell.unwrap_or_default();
                let read = number(cell).or_else(|| lenient.then_some(f64::NAN));
                values.push(read.ok_or_else(|| {
                    let cell: String = cell.chars().take(40).collect();
                    Failure::corrupt(format!(
                        "line {line}, column {name:?}: {cell:?} is not a number"
                    ))
                })?);
            }
            rows += 1;
        }
        if wanted.is_none() {
            return Err(Failure::corrupt("the file is empty"));
        }
        Ok(Table::new(
            columns.iter().cloned().zip(kept).collect(),
            rows,
        ))
    }

    fn inspect(&mut self, columns: &[String], header: bool) -> Result<(), Failure> {
        let (_, first) = self
            .next()?
            .ok_or_else(|| Failure::corrupt("the file is empty"))?;
        let cells: Vec<&str> = first.iter().map(|c| c.trim()).collect();
        positions(&header_names(&cells, header), columns)?;
        Ok(())
    }

    fn size(&mut self, bound: usize) -> Result<(usize, usize), Failure> {
        let width = self.next()?.map_or(0, |(_, cells)| cells.len());
        let mut rows = 0;
        while rows < bound && self.next()?.is_some() {
            rows += 1;
        }
        Ok((width, rows))
    }
}

fn header_names(cells: &[&str], header: bool) -> Vec<String> {
    if header {
        cells.iter().map(|c| (*c).to_owned()).collect()
    } else {
        (0..cells.len()).map(|i| i.to_string()).collect()
    }
}

fn positions(names: &[String], columns: &[String]) -> Result<Vec<(usize, String)>, Failure> {
    let place = |column: &String| {
        names
            .iter()
            .position(|n| n == column)
            .map(|at| (at, column.clone()))
    };
    let missing: Vec<&String> = columns.iter().filter(|c| place(c).is_none()).collect();
    if missing.is_empty() {
        return Ok(columns.iter().filter_map(place).collect());
    }
    let present: Vec<&String> = names.iter().take(200).collect();
    Err(Failure::corrupt(format!(
        "the columns {missing:?} are missing; the file has {present:?}"
    )))
}

fn number(cell: &str) -> Option<f64> {
    match cell {
        "" | "NA" | "N/A" | "null" => Some(f64::NAN),
        cell => cell.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::format;
    use crate::datasets::rows::Rows as _;
    use delta_domain::manifest::DataField;
    use delta_domain::tensor::TensorData;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn load(path: &std::path::Path, columns: &[String], header: bool) -> Result<Table, Failure> {
        format::table(path)?.load(columns, header, false)
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
        let mut table = format::table(&path).unwrap();
        let mut table = table.load(&names(&["a", "b"]), true, true).unwrap();
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
        let missing = format::table(&path)
            .unwrap()
            .inspect(&names(&["a", "z"]), true)
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
        let (_dir, ragged) = file("t.tsv", "a b\n1\n");
        assert!(
            load(&ragged, &names(&["a"]), true)
                .err()
                .unwrap()
                .message
                .contains("line 2 has 1 cells")
        );
    }
}
