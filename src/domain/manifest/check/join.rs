//! Joins of a table: what the other one must be, and that no name means two columns.

use std::collections::BTreeSet;

use super::{Found, quoted};
use crate::ids::DatasetName;
use crate::manifest::{DatasetSpec, How, Join, MAX_JOINS, Manifest, Records};

/// Checks the joins of all tables.
pub(super) fn check_joins(manifest: &Manifest, found: &mut Found) {
    for (name, spec) in &manifest.datasets {
        let DatasetSpec::Table {
            columns,
            header,
            joins,
            ..
        } = spec
        else {
            continue;
        };
        let path = format!("datasets.{name}.joins");
        found.need(
            joins.len() <= MAX_JOINS,
            &path,
            format!("at most {MAX_JOINS} tables can be joined"),
        );
        found.need(
            *header || joins.is_empty(),
            &path,
            "a table without header line has no names to join by",
        );
        let mut seen: BTreeSet<&str> = columns.iter().map(|c| c.trim()).collect();
        for (number, join) in joins.iter().take(MAX_JOINS).enumerate() {
            let at = format!("{path}[{number}]");
            check_names(join, &mut seen, &at, found);
            check_other(manifest, name, spec, join, &at, found);
        }
    }
}

/// The names that a join uses and makes.
fn check_names<'m>(join: &'m Join, seen: &mut BTreeSet<&'m str>, path: &str, found: &mut Found) {
    for (field, key) in [("key", &join.key)]
        .into_iter()
        .chain(join.right_key.iter().map(|key| ("right_key", key)))
    {
        found.need(
            !key.trim().is_empty() && key.len() <= 256,
            format!("{path}.{field}"),
            "a column's name must have 1 to 256 bytes",
        );
    }
    let at = format!("{path}.columns");
    for column in &join.columns {
        found.need(
            seen.insert(column.trim()),
            &at,
            format!(
                "{} is the name of another column of the table; leave one of the two out",
                quoted(column)
            ),
        );
    }
    found.need(
        join.how == How::Inner || !join.columns.is_empty(),
        at,
        "name at least one column; without any, a left join does nothing",
    );
}

/// The table that is joined.
fn check_other(
    manifest: &Manifest,
    name: &DatasetName,
    spec: &DatasetSpec,
    join: &Join,
    path: &str,
    found: &mut Found,
) {
    let at = format!("{path}.dataset");
    let other = &join.dataset;
    found.need(other != name, &at, "a table cannot be joined to itself");
    let Some(right) = manifest.datasets.get(other) else {
        let fix = format!("dataset {other} is not declared; add it under datasets");
        return found.add(at, fix);
    };
    let DatasetSpec::Table {
        columns,
        header,
        joins,
        ..
    } = right
    else {
        return found.add(at, format!("{other} is no table; only tables are joined"));
    };
    found.need(
        *header,
        &at,
        format!("{other} is declared without header line, and has no names to join by"),
    );
    found.need(
        joins.is_empty() || other == name,
        at,
        format!("{other} has joins of its own; join each table to {name}"),
    );
    for column in &join.columns {
        found.need(
            columns.contains(column),
            format!("{path}.columns"),
            format!(
                "{other} does not declare a column {}; add it to datasets.{other}.columns",
                quoted(column)
            ),
        );
    }
    found.need(
        spec.column_type(&join.key) == right.column_type(join.other_key()),
        format!("{path}.key"),
        "the key has another type in the other table; declare it alike in both, or in neither",
    );
}

/// Under noise nobody else's row may decide what a person's records become, and no row may belong to two persons.
pub(super) fn check_noised(
    dataset: &DatasetSpec,
    records: &Records,
    path: &str,
    found: &mut Found,
) {
    let unit = records.unit.as_ref().map(|unit| unit.key.as_str());
    for join in dataset.joins() {
        found.need(
            unit == Some(join.key.as_str()),
            path,
            format!(
                "a row of {} may belong to several units, and noise hides one; set unit.key to the key of the join, {}",
                join.dataset,
                quoted(&join.key)
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::manifest::Manifest;

    fn task() -> Value {
        json!({
            "format": "delta-task/1", "name": "mean", "type": "horizontal",
            "datasets": {
                "visits.csv": {"kind": "table", "columns": ["id", "pressure"],
                               "joins": [{"dataset": "patients.csv", "key": "id", "right_key": "patient", "how": "left", "columns": ["age"]}]},
                "patients.csv": {"kind": "table", "columns": ["age", "sex"]},
                "scans": {"kind": "samples", "shape": [1]}
            },
            "variables": {"out": {"location": "server", "dtype": "f64", "shape": []}},
            "rounds": [{
                "map": {
                    "steps": [{"graph": "graphs/map.onnx",
                               "driver": {"kind": "records", "dataset": "visits.csv"},
                               "inputs": {"x": {"from": "data", "dataset": "visits.csv", "field": {"columns": ["pressure", "age"]}}},
                               "outputs": {"y": {"to": "sum", "name": "total"}}}],
                    "contribute": [{"name": "total", "dtype": "f64", "shape": []}]
                },
                "reduce": {
                    "steps": [{"graph": "graphs/reduce.onnx", "inputs": {"s": {"from": "sum", "name": "total"}},
                               "outputs": {"y": {"to": "value", "name": "mean"}}}],
                    "assign": {"out": "mean"}
                }
            }],
            "outputs": ["out"]
        })
    }

    fn errors(task: &Value) -> Vec<String> {
        let manifest: Manifest = serde_json::from_value(task.clone()).unwrap();
        manifest.errors().iter().map(ToString::to_string).collect()
    }

    const JOIN: &str = "/datasets/visits.csv/joins/0";

    #[test]
    fn a_join_is_read_and_written_alike() {
        let task = task();
        assert_eq!(errors(&task), [""; 0]);
        let manifest: Manifest = serde_json::from_value(task.clone()).unwrap();
        let again = serde_json::to_value(&manifest).unwrap();
        assert_eq!(again.pointer(JOIN), task.pointer(JOIN));
        let other = again.pointer("/datasets/patients.csv").unwrap();
        assert!(other.get("joins").is_none(), "{other}");
    }

    #[test]
    fn each_rule_broken_once_is_found_at_its_place() {
        for (key, value, expected) in [
            ("key", json!(" "), "joins[0].key: a column's name"),
            (
                "right_key",
                json!(""),
                "joins[0].right_key: a column's name",
            ),
            (
                "dataset",
                json!("other.csv"),
                "joins[0].dataset: dataset other.csv is not declared",
            ),
            (
                "dataset",
                json!("scans"),
                "joins[0].dataset: scans is no table",
            ),
            (
                "columns",
                json!(["height"]),
                "joins[0].columns: patients.csv does not declare",
            ),
            (
                "columns",
                json!(["age", "age"]),
                "joins[0].columns: \"age\" is the name of another",
            ),
            ("columns", json!([]), "joins[0].columns: name at least one"),
        ] {
            let mut changed = task();
            changed.pointer_mut(JOIN).unwrap()[key] = value;
            if key == "columns" {
                // What is read of it is another matter.
                let fields = "/rounds/0/map/steps/0/inputs/x/field/columns";
                *changed.pointer_mut(fields).unwrap() = json!(["pressure"]);
            }
            let found = errors(&changed);
            let matching = found.iter().filter(|e| e.contains(expected)).count();
            assert_eq!((found.len(), matching), (1, 1), "{expected}: {found:#?}");
        }
    }

    #[test]
    fn the_other_table_is_a_plain_one_with_names() {
        let with = |dataset: &str, key: &str, value: Value| {
            let mut changed = task();
            changed["datasets"][dataset][key] = value;
            errors(&changed).join("; ")
        };
        let join = task().pointer(JOIN).unwrap().clone();
        let back =
            json!([{"dataset": "visits.csv", "key": "patient", "how": "inner", "columns": []}]);
        assert!(with("patients.csv", "joins", back).contains("has joins of its own"));
        assert!(with("patients.csv", "header", json!(false)).contains("without header line"));
        assert!(with("visits.csv", "header", json!(false)).contains("no names to join by"));
        let many: Vec<Value> = vec![join.clone(); 9];
        assert!(with("visits.csv", "joins", json!(many)).contains("at most 8 tables"));
        let own = json!(["id", "pressure", "age "]);
        assert!(with("visits.csv", "columns", own).contains("another column of the table"));
        let typed = json!({"id": {"type": "category", "levels": ["a"]}});
        assert!(with("visits.csv", "types", typed).contains("declare it alike in both"));
        let mut itself = join;
        itself["dataset"] = json!("visits.csv");
        itself["columns"] = json!(["id"]);
        assert!(with("visits.csv", "joins", json!([itself])).contains("joined to itself"));
    }

    #[test]
    fn under_noise_persons_are_told_apart_by_the_key() {
        let with = |unit: Value| {
            let mut changed = task();
            let driver = &mut changed["rounds"][0]["map"]["steps"][0]["driver"];
            driver["clip"] = json!({"l2": 1.0});
            driver["noise"] = json!({"multiplier": "2", "delta": 1e-6});
            driver["unit"] = unit;
            errors(&changed).join("; ")
        };
        assert_eq!(with(json!({"key": "id"})), "");
        for unit in [json!(null), json!({"key": "pressure"})] {
            let found = with(unit);
            assert!(
                found.contains("driver.noise: a row of patients.csv"),
                "{found}"
            );
        }
    }
}
