//! The driver `records`: what it may be asked for, and what its graph may read.

use super::join::check_noised;
use super::step::{check_field, check_subset, need_dataset};
use super::{Found, need_variable, quoted};
use crate::manifest::{
    DatasetSpec, Location, Manifest, MemberNoise, RecordClip, RecordNoise, RecordUnit, Records,
    Source,
};

/// Checks the driver's own fields.
pub(super) fn check_records(manifest: &Manifest, records: &Records, path: &str, found: &mut Found) {
    let at = format!("{path}.dataset");
    let dataset = need_dataset(manifest, &records.dataset, &at, found);
    if matches!(dataset, Some(DatasetSpec::Array { shape, .. }) if shape.is_empty()) {
        found.add(at, "a single number has no records");
    }
    check_subset(&records.subset, dataset, &format!("{path}.subset"), found);
    if let (Some(unit), Some(dataset)) = (&records.unit, dataset) {
        check_unit(unit, dataset, &format!("{path}.unit.key"), found);
    }
    if let Some(clip) = records.clip {
        check_clip(clip, &format!("{path}.clip"), found);
    }
    if let (Some(_), Some(dataset)) = (&records.noise, dataset) {
        check_noised(dataset, records, &format!("{path}.noise"), found);
    }
    if let Some(noise) = &records.noise {
        check_noise(noise, &format!("{path}.noise"), found);
        found.need(
            records.clip.is_some(),
            format!("{path}.noise"),
            "noise is measured in units of the bound on one vector; add clip",
        );
    }
}

fn check_unit(unit: &RecordUnit, dataset: &DatasetSpec, path: &str, found: &mut Found) {
    match dataset {
        DatasetSpec::Table { columns, types, .. } => {
            found.need(
                columns.contains(&unit.key),
                path,
                format!(
                    "the dataset does not declare a column {}; add it to its columns",
                    quoted(&unit.key)
                ),
            );
            found.need(
                !types.contains_key(&unit.key),
                path,
                "persons are told apart by numbers, and levels would make several one; leave the type of the column out",
            );
        }
        DatasetSpec::Samples { .. } | DatasetSpec::Array { .. } => found.add(
            path,
            "only a table has a column to tell persons apart; remove unit",
        ),
    }
}

fn check_clip(clip: RecordClip, path: &str, found: &mut Found) {
    // Written so that NaN fails.
    let bound = |x: f64| x > 0.0 && x.is_finite();
    found.need(
        bound(clip.l2),
        format!("{path}.l2"),
        "must be a finite number above 0",
    );
    found.need(
        clip.linf.is_none_or(bound),
        format!("{path}.linf"),
        "must be a finite number above 0",
    );
}

fn check_noise(noise: &RecordNoise, path: &str, found: &mut Found) {
    if let Err(error) = noise.multiplier() {
        found.add(format!("{path}.multiplier"), error.to_string());
    }
    found.need(
        // Written so that NaN fails.
        noise.delta > 0.0 && noise.delta < 1.0,
        format!("{path}.delta"),
        "must lie between 0 and 1, and be neither",
    );
}

/// Noise for whole members: what a map may ask for.
pub(super) fn check_member_noise(
    noise: &MemberNoise,
    precision: u8,
    path: &str,
    found: &mut Found,
) {
    let bound = noise.l2 > 0.0 && noise.l2.is_finite();
    found.need(
        bound,
        format!("{path}.l2"),
        "must be a finite number above 0",
    );
    let scale = (0..precision).fold(1.0_f64, |s, _| s * 10.0);
    found.need(
        !bound || noise.l2 * scale >= 1.0,
        format!("{path}.l2"),
        "is less than one step of the precision, so that nothing could leave within it; raise one of them",
    );
    let spread = RecordNoise {
        multiplier: noise.multiplier.clone(),
        delta: noise.delta,
    };
    check_noise(&spread, path, found);
}

/// Checks where an input comes from: the record itself, or what every member has alike.
pub(super) fn check_record_source(
    manifest: &Manifest,
    source: &Source,
    records: &Records,
    path: &str,
    found: &mut Found,
) {
    match source {
        Source::Data {
            dataset,
            field,
            subset,
        } => {
            if let Some(spec) = need_dataset(manifest, dataset, path, found) {
                check_field(dataset, spec, field, path, found);
            }
            found.need(
                *dataset == records.dataset,
                path,
                format!("the driver goes through the records of {}; data of {dataset} have others", records.dataset),
            );
            found.need(
                subset.is_none(),
                path,
                "under records the driver selects the rows; remove this subset",
            );
        }
        Source::Variable { name } => {
            need_variable(manifest, name, Some(Location::Server), path, found);
        }
        Source::Value { .. } | Source::Noise { .. } | Source::BatchSize => found.add(
            path,
            "under records a graph reads the record and server variables and nothing else; no values, noise or batch sizes",
        ),
        Source::Sum { .. } | Source::Clients => found.add(
            path,
            "sums and the number of members exist at the coordinator only; move the step to reduce",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::manifest::Manifest;

    #[test]
    fn noise_for_members_is_checked() {
        let with = |noise: Value, by_record: bool| {
            let mut task = task();
            let map = &mut task["rounds"][0]["map"];
            map["noise"] = noise;
            if !by_record {
                let driver = map["steps"][0]["driver"].as_object_mut().unwrap();
                driver.remove("noise");
            }
            let manifest: Manifest = serde_json::from_value(task).unwrap();
            let errors = manifest.errors().into_iter().map(|e| e.to_string());
            errors.collect::<Vec<_>>().join("; ")
        };
        let good = json!({"l2": 2.5, "multiplier": "1.3", "delta": 1e-6});
        assert_eq!(with(good.clone(), false), "");
        assert!(with(good, true).contains("has noise of its own"));
        let bad = json!({"l2": 0.0, "multiplier": "0", "delta": 1.0});
        let tiny = json!({"l2": 1e-12, "multiplier": "1.3", "delta": 1e-6});
        assert!(with(tiny, false).contains("less than one step"));
        let told = with(bad, false);
        for word in ["map.noise.l2", "map.noise.multiplier", "map.noise.delta"] {
            assert!(told.contains(word), "{told}");
        }
    }

    fn task() -> Value {
        json!({
            "format": "delta-task/1", "name": "mean", "type": "horizontal",
            "datasets": {"a.csv": {"kind": "table", "columns": ["wage", "id"]},
                         "b.npy": {"kind": "array", "shape": [null], "dtype": "f64"}},
            "variables": {"out": {"location": "server", "dtype": "f64", "shape": []},
                          "own": {"location": "client", "dtype": "f64", "shape": []}},
            "rounds": [{
                "map": {
                    "steps": [{
                        "graph": "graphs/map.onnx",
                        "driver": {"kind": "records", "dataset": "a.csv", "unit": {"key": "id"},
                                   "clip": {"l2": 2.5, "linf": 1}, "noise": {"multiplier": "1.3", "delta": 1e-6}},
                        "inputs": {"x": {"from": "data", "dataset": "a.csv", "field": {"columns": ["wage"]}},
                                   "w": {"from": "variable", "name": "out"}},
                        "outputs": {"y": {"to": "sum", "name": "total"}}
                    }],
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

    #[test]
    fn a_whole_driver_is_read_and_written_alike() {
        let task = task();
        assert_eq!(errors(&task), [""; 0]);
        let manifest: Manifest = serde_json::from_value(task.clone()).unwrap();
        let again = serde_json::to_value(&manifest).unwrap();
        let driver = &again["rounds"][0]["map"]["steps"][0]["driver"];
        assert_eq!(driver["noise"]["multiplier"], "1.3");
        assert_eq!(driver["clip"], json!({"l2": 2.5, "linf": 1.0}));
        assert_eq!(serde_json::from_value::<Manifest>(again).unwrap(), manifest);
    }

    #[test]
    fn each_rule_broken_once_is_found_at_its_place() {
        let data = |dataset: &str, field: Value| json!({"from": "data", "dataset": dataset, "field": field});
        for (pointer, value, expected) in [
            (
                "driver/unit/key",
                json!("name"),
                "driver.unit.key: the dataset does not declare",
            ),
            (
                "driver/clip/l2",
                json!(0.0),
                "driver.clip.l2: must be a finite",
            ),
            (
                "driver/clip/l2",
                json!(-1.0),
                "driver.clip.l2: must be a finite",
            ),
            (
                "driver/clip/linf",
                json!(0.0),
                "driver.clip.linf: must be a finite",
            ),
            (
                "driver/clip",
                json!(null),
                "driver.noise: noise is measured",
            ),
            (
                "driver/noise/multiplier",
                json!("a lot"),
                "driver.noise.multiplier: \"a lot\" is no",
            ),
            (
                "driver/noise/multiplier",
                json!("0"),
                "driver.noise.multiplier:",
            ),
            (
                "driver/noise/delta",
                json!(0.0),
                "driver.noise.delta: must lie",
            ),
            (
                "driver/noise/delta",
                json!(1.0),
                "driver.noise.delta: must lie",
            ),
            (
                "driver/subset",
                json!({"from": 0.5, "to": 0.5}),
                "driver.subset: from",
            ),
            (
                "inputs/x",
                data("b.npy", json!("x")),
                "inputs.x: the driver goes through the records of a.csv",
            ),
            (
                "inputs/x/subset",
                json!({"to": 0.5}),
                "inputs.x: under records the driver selects",
            ),
            (
                "inputs/w",
                json!({"from": "batch_size"}),
                "inputs.w: under records a graph reads",
            ),
            (
                "inputs/w",
                json!({"from": "value", "name": "v"}),
                "inputs.w: under records a graph reads",
            ),
            (
                "inputs/w",
                json!({"from": "noise", "distribution": "normal", "shape": [1]}),
                "inputs.w: under records",
            ),
            (
                "inputs/w",
                json!({"from": "clients"}),
                "inputs.w: sums and the number of members",
            ),
            (
                "inputs/w",
                json!({"from": "variable", "name": "own"}),
                "inputs.w: variable own is kept by each member",
            ),
            (
                "outputs/y",
                json!({"to": "value", "name": "total"}),
                "outputs.y: under the driver records nothing but",
            ),
            (
                "outputs/y",
                json!({"to": "carry", "input": "w", "name": "total"}),
                "outputs.y: under the driver records nothing but",
            ),
        ] {
            let mut changed = task();
            let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
            let at = format!("/rounds/0/map/steps/0/{parent}");
            changed.pointer_mut(at.trim_end_matches('/')).unwrap()[key] = value;
            let found = errors(&changed);
            assert_eq!(found.len(), 1, "{pointer}: {found:#?}");
            let expected = format!("rounds[0].map.steps[0].{expected}");
            assert!(found[0].contains(&expected), "{pointer}: {found:?}");
        }
    }

    #[test]
    fn the_driver_belongs_to_maps_and_to_rows() {
        let mut changed = task();
        let step = changed["rounds"][0]["map"]["steps"][0].clone();
        changed["rounds"][0]["reduce"]["steps"][0]["driver"] = step["driver"].clone();
        assert!(
            errors(&changed)[0].contains("reduce.steps[0].driver: the coordinator has no data")
        );
        let mut changed = task();
        changed["datasets"]["b.npy"]["shape"] = json!([]);
        changed["rounds"][0]["map"]["steps"][0]["driver"]["dataset"] = json!("b.npy");
        let found = errors(&changed);
        for expected in [
            "driver.dataset: a single number has no records",
            "driver.unit.key: only a table has a column",
        ] {
            assert!(
                found.iter().any(|e| e.contains(expected)),
                "{expected}: {found:#?}"
            );
        }
        let mut changed = task();
        changed["rounds"][0]["map"]["steps"][0]["driver"]["batch_size"] = json!(1);
        assert!(serde_json::from_value::<Manifest>(changed).is_err());
    }
}
