//! Products of two vectors for each record: two outputs of a `records` step that the node multiplies and sums.

use super::Found;
use crate::ids::Name;
use crate::manifest::{Driver, Manifest, MapSpec, RecordClip, Step, Target};
use crate::records::least_product_bound;
use crate::tensor::element_count;

/// Checks an output that is one side of a product: whether the node can bound and sum it without writing it out.
pub(super) fn check_factor(
    step: &Step,
    target: &Target,
    name: &Name,
    path: &str,
    found: &mut Found,
) {
    let Driver::Records(records) = &step.driver else {
        return found.add(
            path,
            "products of records are summed under the driver records; multiply in the graph",
        );
    };
    let wrong = [
        (
            records.noise.is_none(),
            "without noise the node looks at every number of a record",
        ),
        (
            records.unit.is_some(),
            "the records of a person are added up before they are bounded",
        ),
        (
            records.clip.is_some_and(|clip| clip.linf.is_some()),
            "linf bounds single numbers",
        ),
    ];
    for why in wrong.iter().filter(|(wrong, _)| *wrong).map(|(_, why)| why) {
        found.add(
            path,
            format!(
                "{why}, so products cannot stay products; write them out in the graph, as a sum"
            ),
        );
    }
    let kind = std::mem::discriminant(target);
    let same = |other: &&Target| matches!(other, Target::Left { name: n } | Target::Right { name: n } if n == name);
    let sides = step.outputs.values().filter(same);
    let own = sides.clone().filter(|t| std::mem::discriminant(*t) == kind);
    found.need(
        sides.count() == 2 && own.count() == 1,
        path,
        format!("the product {name} needs one output that is left and one that is right"),
    );
}

/// Checks what becomes of products: they are matrices, and the bound leaves room for the rounding of their sums.
pub(super) fn check_products(manifest: &Manifest, map: &MapSpec, path: &str, found: &mut Found) {
    for (index, step) in map.steps.iter().enumerate() {
        let Driver::Records(records) = &step.driver else {
            continue;
        };
        let mut numbers = 0_usize;
        for target in step.outputs.values() {
            let Target::Left { name } = target else {
                continue;
            };
            let place = map.contribute.iter().position(|c| c.name == *name);
            let Some((place, sum)) = place.and_then(|n| Some((n, map.contribute.get(n)?))) else {
                continue;
            };
            found.need(
                sum.shape.len() == 2,
                format!("{path}.contribute[{place}].shape"),
                format!("{name} is a product of two vectors and has two axes"),
            );
            numbers = numbers.saturating_add(element_count(&sum.shape).unwrap_or(usize::MAX));
        }
        let scale = (0..manifest.strategy.precision).fold(1.0_f64, |s, _| s * 10.0);
        let least = least_product_bound(numbers);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a root of a number of numbers is small"
        )]
        let enough = |clip: RecordClip| clip.l2 * scale >= least as f64;
        found.need(
            numbers == 0 || records.clip.is_none_or(enough),
            format!("{path}.steps[{index}].driver.clip.l2"),
            format!("products of {numbers} numbers need a bound of at least {least} steps of the precision; raise strategy.precision"),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::manifest::Manifest;

    fn errors(task: &Value) -> Vec<String> {
        let manifest: Manifest = serde_json::from_value(task.clone()).unwrap();
        manifest.errors().iter().map(ToString::to_string).collect()
    }

    /// A task with one sum: the product of a vector of 30 and one of 40 numbers.
    fn product() -> Value {
        json!({
            "format": "delta-task/1", "name": "weights", "type": "horizontal",
            "datasets": {"a.csv": {"kind": "table", "columns": ["wage", "id"]}},
            "variables": {"out": {"location": "server", "dtype": "f64", "shape": [30, 40]}},
            "rounds": [{
                "map": {
                    "steps": [{
                        "graph": "graphs/map.onnx",
                        "driver": {"kind": "records", "dataset": "a.csv", "clip": {"l2": 2.5},
                                   "noise": {"multiplier": "1.3", "delta": 1e-6}},
                        "inputs": {"x": {"from": "data", "dataset": "a.csv", "field": {"columns": ["wage"]}}},
                        "outputs": {"a": {"to": "left", "name": "total"}, "b": {"to": "right", "name": "total"}}
                    }],
                    "contribute": [{"name": "total", "dtype": "f64", "shape": [30, 40]}]
                },
                "reduce": {"steps": [], "assign": {"out": "total"}}
            }],
            "outputs": ["out"]
        })
    }

    #[test]
    fn a_product_is_checked() {
        let task = product();
        assert_eq!(errors(&task), [""; 0]);
        let step = "/rounds/0/map/steps/0";
        for (pointer, value, expected) in [
            ("driver/noise", json!(null), "without noise the node looks"),
            ("driver/unit", json!({"key": "id"}), "records of a person"),
            (
                "driver/clip",
                json!({"l2": 2.5, "linf": 1.0}),
                "linf bounds",
            ),
            (
                "driver",
                json!({"kind": "once"}),
                "under the driver records",
            ),
            (
                "outputs/b",
                json!({"to": "left", "name": "total"}),
                "the product total needs one output that is left and one",
            ),
            (
                "outputs/b",
                json!({"to": "right", "name": "other"}),
                "the product other needs one output that is left and one",
            ),
            (
                "outputs/c",
                json!({"to": "right", "name": "total"}),
                "the product total needs one output that is left and one",
            ),
        ] {
            let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
            let mut changed = task.clone();
            let at = format!("{step}/{parent}");
            changed.pointer_mut(at.trim_end_matches('/')).unwrap()[key] = value;
            let found = errors(&changed);
            assert!(
                found.iter().any(|e| e.contains(expected)),
                "{pointer}: {found:?}"
            );
        }
        let mut changed = task.clone();
        changed["rounds"][0]["map"]["contribute"][0]["shape"] = json!([1200]);
        let found = errors(&changed).join("; ");
        assert!(
            found.contains("contribute[0].shape: total is a product of two vectors"),
            "{found}"
        );
        let mut changed = task;
        changed["strategy"] = json!({"precision": 1});
        let found = errors(&changed).join("; ");
        assert!(
            found.contains("clip.l2: products of 1200 numbers need a bound of at least 70 steps"),
            "{found}"
        );
    }
}
