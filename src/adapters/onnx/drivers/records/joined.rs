//! Records that look up rows of other datasets: whose those are, and which of them a release counts.
//!
//! What is released of units is judged as if each had numbers of its own. That holds for what is looked up only if no row of the other
//! dataset is found by two of them: else one row, which may be one person's, would be in the numbers of many.

use std::collections::BTreeMap;

use crate::datasets::{LookedUp, Rows};
use crate::failure::Failure;
use delta_domain::ids::{DatasetName, Digest};
use delta_domain::manifest::{Source, Step};
use delta_domain::records::{MAX_RECORDS, NO_UNIT, ReleasedRows, RowSet};

/// Refuses records of different units that have found the same row. `units`: of all rows of the dataset; without them each is one.
pub(super) fn apart(data: &dyn Rows, rows: &[usize], units: Option<&[u32]>) -> Result<(), Failure> {
    for (dataset, all) in by_dataset(data, |_| true) {
        let mut owners: BTreeMap<usize, usize> = BTreeMap::new();
        for row in rows {
            let Some(unit) = unit_of(*row, units) else {
                continue;
            };
            for found in all.iter().filter_map(|joined| joined.found(*row)) {
                if *owners.entry(found).or_insert(unit) != unit {
                    return Err(Failure::corrupt(format!(
                        "row {} of {dataset}, below its header, is found by records of several units, and what is released of them would be its own; \
                         the task runs unasked if it makes them persons: unit key, the key of the join",
                        found.saturating_add(1)
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Whose a row is; nobody's where its unit is not known.
fn unit_of(row: usize, units: Option<&[u32]>) -> Option<usize> {
    let Some(units) = units else {
        return Some(row);
    };
    let unit = units.get(row).filter(|unit| **unit != NO_UNIT)?;
    usize::try_from(*unit).ok()
}

/// Which rows of other datasets the sums of a step count, where they can: `sets` are those of its own.
pub(super) fn released(
    data: &dyn Rows,
    step: &Step,
    sets: &[RowSet],
) -> Result<Vec<ReleasedRows>, Failure> {
    let reads = |joined: &LookedUp| joined.is_inner() || reads(step, joined);
    let mut all = Vec::new();
    for (dataset, joined) in by_dataset(data, reads) {
        let records = joined.iter().map(|j| j.rows()).max().unwrap_or(0);
        if records > MAX_RECORDS {
            return Err(Failure::corrupt(format!(
                "releases of more than {MAX_RECORDS} records of {dataset} cannot be compared"
            )));
        }
        let set = |own: &RowSet| {
            let mut found = vec![false; records];
            for row in (0..data.len()).filter(|row| own.holds(*row)) {
                for place in joined.iter().filter_map(|j| j.found(row)) {
                    if let Some(here) = found.get_mut(place) {
                        *here = true;
                    }
                }
            }
            RowSet::new(records, |i| found.get(i).copied().unwrap_or(false))
        };
        let sets: BTreeMap<Digest, RowSet> = { sets.iter().map(set) }
            .map(|set| (set.digest(), set))
            .collect();
        all.push(ReleasedRows {
            dataset: dataset.clone(),
            // The node's to say, not the worker's.
            version: Digest::default(),
            unit_of: None,
            sets: sets.into_values().collect(),
        });
    }
    Ok(all)
}

/// What is looked up, by dataset: one may be joined by several keys.
fn by_dataset(
    data: &dyn Rows,
    which: impl Fn(&LookedUp) -> bool,
) -> BTreeMap<&DatasetName, Vec<&LookedUp>> {
    let mut all: BTreeMap<&DatasetName, Vec<&LookedUp>> = BTreeMap::new();
    for joined in data.looked_up().iter().filter(|joined| which(joined)) {
        all.entry(joined.dataset()).or_default().push(joined);
    }
    all
}

/// Whether a step reads columns that are looked up.
fn reads(step: &Step, joined: &LookedUp) -> bool {
    let mut sources = step.inputs.values();
    sources.any(|source| match source {
        Source::Data { field, .. } => field.columns().iter().any(|c| joined.brings(c)),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::manifest::DataField;
    use delta_domain::tensor::Tensor;

    struct Held(usize, Vec<LookedUp>);

    impl Rows for Held {
        fn len(&self) -> usize {
            self.0
        }

        fn read(&mut self, _: &DataField, _: &[usize]) -> Result<Tensor, Failure> {
            Err(Failure::internal("nothing is read"))
        }

        fn looked_up(&self) -> &[LookedUp] {
            &self.1
        }
    }

    fn step(columns: &[&str]) -> Step {
        serde_json::from_value(serde_json::json!({
            "graph": "graphs/map.onnx",
            "driver": {"kind": "records", "dataset": "a.csv"},
            "inputs": {"x": {"from": "data", "dataset": "a.csv", "field": {"columns": columns}}},
            "outputs": {"y": {"to": "sum", "name": "total"}},
        }))
        .unwrap()
    }

    #[test]
    fn no_row_is_found_by_two_units() {
        let found = [Some(2), Some(0), None, Some(2), None];
        let held = Held(5, vec![LookedUp::of("b.csv", "age", 3, &found)]);
        let all = [0, 1, 2, 3, 4];
        assert!(apart(&held, &all[..3], None).is_ok());
        assert!(apart(&held, &[1, 3, 4], None).is_ok());
        let error = apart(&held, &all, None).unwrap_err().message;
        assert!(error.contains("row 3 of b.csv"), "{error}");
        assert!(apart(&held, &all, Some(&[7, 8, 9, 7, 7])).is_ok());
        assert!(apart(&held, &all, Some(&[7, 8, 9, 8, 7])).is_err());
        assert!(apart(&held, &all, Some(&[7, 8, 9, NO_UNIT, 7])).is_ok());
        // Nor by two by different keys.
        let other = LookedUp::of("b.csv", "sex", 3, &[None, None, None, None, Some(0)]);
        let twice = Held(5, vec![LookedUp::of("b.csv", "age", 3, &found), other]);
        assert!(apart(&twice, &[0, 1, 2], None).is_ok());
        assert!(apart(&twice, &[0, 1, 4], None).is_err());
    }

    #[test]
    fn a_release_counts_the_rows_that_its_records_have_found() {
        let found = [Some(2), Some(0), None, Some(1), None];
        let held = Held(5, vec![LookedUp::of("b.csv", "age", 4, &found)]);
        let own = [
            RowSet::new(5, |_| true),
            RowSet::new(5, |i| i < 2),
            RowSet::new(5, |i| i < 3),
        ];
        let all = released(&held, &step(&["wage", "age"]), &own).unwrap();
        let [rows] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!((rows.dataset.as_str(), &rows.unit_of), ("b.csv", &None));
        // The second and the third are one.
        let expected = [
            RowSet::new(4, |i| i < 3),
            RowSet::new(4, |i| i == 0 || i == 2),
        ];
        assert_eq!(rows.sets.len(), 2);
        assert!(expected.iter().all(|set| rows.sets.contains(set)));
        // Nothing of it is read.
        assert!(released(&held, &step(&["wage"]), &own).unwrap().is_empty());
    }
}
