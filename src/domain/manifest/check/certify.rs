//! The last round of a certified task: what it may be asked for.

use std::collections::BTreeSet;

use super::{Found, quoted};
use crate::manifest::{
    CERTIFIED_KEPT, CERTIFIED_X, CERTIFIED_Y, CertifiedModel, Certify, Cohort, Driver, Location,
    MAX_CERTIFIED_COLUMNS, MAX_CERTIFIED_MEMBERS, MAX_TOLERANCE, MIN_TOLERANCE, Manifest,
    RoundSpec, Source, Target, usable_bounds,
};
use crate::task::TaskKind;
use crate::tensor::DType;

/// Checks everything that only certified rounds have, or must not have.
pub(super) fn check_certified(
    manifest: &Manifest,
    number: usize,
    round: &RoundSpec,
    certify: &Certify,
    found: &mut Found,
) {
    let path = format!("rounds[{number}].certify");
    let last = number > 0 && number.checked_add(1) == Some(manifest.rounds.len());
    for (holds, why) in [
        (
            manifest.kind == TaskKind::Hlr,
            "only tasks of type hlr are certified; leave it out",
        ),
        (
            last && round.repeat == 1,
            "what is certified is the answer of the rounds before: it must be a last round of its own, once",
        ),
        (
            round.cohort == Some(Cohort::Same),
            "a certificate is about the members of the round before; set the round's cohort to same",
        ),
        (
            of_one_cohort(manifest),
            "a certificate is about the members of all rounds: the first has no repeat, and all others cohort same",
        ),
        (
            manifest.strategy.max_clients <= MAX_CERTIFIED_MEMBERS,
            "a certificate has 1,000 members at most; lower strategy.max_clients",
        ),
        (
            round.map.contribute.is_empty()
                && round.map.assign.is_empty()
                && round.map.noise.is_none(),
            "nothing is summed in this round; leave contribute, assign and noise out",
        ),
        (
            round.reduce.steps.is_empty()
                && round.reduce.assign.is_empty()
                && round.reduce.metrics.is_empty()
                && round.reduce.stop.is_none(),
            "nothing is reduced in this round; leave steps, assign, metrics and stop out",
        ),
        (
            (1..=MAX_CERTIFIED_COLUMNS).contains(&certify.columns.len()),
            "must have 1 to 64 columns",
        ),
        (
            (MIN_TOLERANCE..=MAX_TOLERANCE).contains(&certify.tolerance),
            "tolerance must be 1e-5 at least, and 0.1 at most",
        ),
        (
            certify.label.is_some() == (certify.model == CertifiedModel::Linear),
            "label goes with the model linear, and says what y is; logistic has labels 0 and 1",
        ),
        (
            certify.intercept <= certify.columns.len(),
            "intercept is no place of the answer",
        ),
        (
            !noised(manifest),
            "an answer under noise is no optimum that could be certified; leave the noise out",
        ),
    ] {
        found.need(holds, &path, why);
    }
    check_rows(round, &path, found);
    check_answer(manifest, certify, &path, found);
    let mut names = BTreeSet::new();
    for column in certify.bounded() {
        found.need(
            names.insert(column.name.trim()),
            format!("{path}.columns"),
            format!("{}: stands twice", quoted(&column.name)),
        );
        found.need(
            usable_bounds(column.low, column.high),
            format!("{path}.columns"),
            format!(
                "{}: low must be below high, and both finite",
                quoted(&column.name)
            ),
        );
        let plain = !column.name.is_empty()
            && column.name.len() <= 256
            && !column.name.chars().any(char::is_control);
        found.need(
            plain,
            format!("{path}.columns"),
            "a column's name must have 1 to 256 bytes on one line",
        );
    }
}

/// Whether all rounds are of the members of the first one.
fn of_one_cohort(manifest: &Manifest) -> bool {
    let mut rounds = manifest.rounds.iter();
    let first = rounds.next().is_none_or(|round| round.repeat == 1);
    first && rounds.all(|round| round.cohort == Some(Cohort::Same))
}

fn noised(manifest: &Manifest) -> bool {
    let mut rounds = manifest.rounds.iter();
    rounds.any(|round| {
        let mut steps = round.map.steps.iter();
        round.map.noise.is_some()
            || steps.any(|s| matches!(&s.driver, Driver::Records(r) if r.noise.is_some()))
    })
}

/// The one step, which makes rows and nothing else.
fn check_rows(round: &RoundSpec, path: &str, found: &mut Found) {
    let [step] = round.map.steps.as_slice() else {
        found.add(
            path,
            "its map must have one step, under the driver records, which makes the rows",
        );
        return;
    };
    let plain = matches!(&step.driver, Driver::Records(r) if r.unit.is_none() && r.clip.is_none());
    found.need(
        plain,
        path,
        "the step that makes the rows must have the driver records, without unit and clip",
    );
    found.need(
        step.inputs
            .values()
            .all(|source| matches!(source, Source::Data { .. })),
        path,
        "rows are committed to before the first round: the step reads data and no variables",
    );
    for wanted in [CERTIFIED_X, CERTIFIED_Y, CERTIFIED_KEPT] {
        let sums = step
            .outputs
            .values()
            .filter(|target| matches!(target, Target::Sum { name } if name.as_str() == wanted));
        found.need(
            sums.count() == 1,
            path,
            format!("one output of the step must be the sum {wanted}"),
        );
    }
    found.need(
        step.outputs.len() == 3,
        path,
        "the step makes x, y and kept, and nothing else",
    );
}

fn check_answer(manifest: &Manifest, certify: &Certify, path: &str, found: &mut Found) {
    let at = format!("{path}.answer");
    let name = &certify.answer;
    super::need_variable(manifest, name, Some(Location::Server), &at, found);
    let Some(variable) = manifest.variables.get(name) else {
        return;
    };
    found.need(
        variable.dtype == DType::F64 && variable.shape == [certify.columns.len().saturating_add(1)],
        &at,
        format!(
            "{name} must be f64 and have one number for each of the {} columns and the intercept",
            certify.columns.len()
        ),
    );
    found.need(
        manifest.outputs.contains(name),
        &at,
        format!("{name} must be an output: what is certified is what the author gets"),
    );
    found.need(
        !manifest.travels_in_half(name),
        &at,
        "members need the answer in full; leave strategy.transport out",
    );
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::manifest::Manifest;

    fn task() -> Value {
        let rows = json!({"from": "data", "dataset": "a.csv", "field": {"columns": ["x", "y"]}});
        json!({
            "format": "delta-task/1", "name": "logit", "type": "hlr",
            "datasets": {"a.csv": {"kind": "table", "columns": ["x", "y"]}},
            "variables": {"w": {"location": "server", "dtype": "f64", "shape": [2]}},
            "rounds": [
                {
                    "map": {
                        "steps": [{
                            "graph": "graphs/map.onnx",
                            "driver": {"kind": "records", "dataset": "a.csv"},
                            "inputs": {"rows": rows, "w": {"from": "variable", "name": "w"}},
                            "outputs": {"s": {"to": "sum", "name": "s"}}
                        }],
                        "contribute": [{"name": "s", "dtype": "f64", "shape": [2]}]
                    },
                    "reduce": {"steps": [], "assign": {"w": "s"}}
                },
                {
                    "cohort": "same",
                    "certify": {
                        "model": "logistic", "columns": [{"name": "x", "low": 0.0, "high": 4.0}],
                        "answer": "w", "intercept": 0, "tolerance": 1e-4
                    },
                    "map": {
                        "steps": [{
                            "graph": "graphs/rows.onnx",
                            "driver": {"kind": "records", "dataset": "a.csv"},
                            "inputs": {"rows": rows},
                            "outputs": {
                                "x": {"to": "sum", "name": "x"},
                                "y": {"to": "sum", "name": "y"},
                                "k": {"to": "sum", "name": "kept"}
                            }
                        }],
                        "contribute": []
                    },
                    "reduce": {"steps": [], "assign": {}}
                }
            ],
            "outputs": ["w"]
        })
    }

    fn errors(task: &Value) -> Vec<String> {
        let manifest: Manifest = serde_json::from_value(task.clone()).unwrap();
        manifest.errors().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_certified_task_is_whole_and_says_what_it_takes() {
        let task = task();
        assert_eq!(errors(&task), [""; 0]);
        let manifest: Manifest = serde_json::from_value(task.clone()).unwrap();
        assert_eq!(manifest.proof_step(), Some(1));
        assert!(manifest.certified_in(0).is_none() && manifest.certified_in(1).is_some());
        let answer = "w".parse().unwrap();
        assert_eq!(manifest.server_inputs(1), [&answer]);
        let certify = manifest.certified().unwrap();
        assert_eq!(certify.ordered(&[7.0, 1.0]), Some(vec![1.0, 7.0]));
        assert_eq!(certify.ordered(&[7.0]), None);
        let told = manifest.disclosure().join("\n");
        for words in [
            "a salted fingerprint of these rows is published",
            "x from 0 to 4",
            "the gradient is not published",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }

    #[test]
    fn each_rule_broken_once_is_found_at_its_place() {
        let round = "/rounds/1";
        for (pointer, key, value, expected) in [
            ("", "type", json!("horizontal"), "only tasks of type hlr"),
            (round, "repeat", json!(2), "a last round of its own, once"),
            (
                round,
                "cohort",
                json!(null),
                "set the round's cohort to same",
            ),
            (
                "/rounds/1/certify",
                "tolerance",
                json!(9e-6),
                "tolerance must be 1e-5 at least",
            ),
            ("/rounds/1/certify", "tolerance", json!(0.2), "0.1 at most"),
            (
                "/rounds/1/certify",
                "model",
                json!("linear"),
                "label goes with the model linear",
            ),
            (
                "/rounds/1/certify",
                "label",
                json!({"name": "y", "low": 0.0, "high": 1.0}),
                "label goes with the model linear",
            ),
            (
                "/rounds/1/certify",
                "intercept",
                json!(2),
                "no place of the answer",
            ),
            (
                "/rounds/1/certify",
                "answer",
                json!("v"),
                "variable v does not exist",
            ),
            (
                "/rounds/1/certify/columns/0",
                "high",
                json!(0.0),
                "low must be below high",
            ),
            (
                "/rounds/1/certify/columns/0",
                "high",
                json!(5e-324),
                "low must be below high",
            ),
            ("/rounds/0", "repeat", json!(2), "the first has no repeat"),
            (
                "",
                "strategy",
                json!({"min_clients": 2, "max_clients": 1001}),
                "1,000 members at most",
            ),
            (
                "/rounds/1/certify/columns/0",
                "name",
                json!(""),
                "name must have 1 to 256 bytes",
            ),
            (
                "/variables/w",
                "shape",
                json!([3]),
                "one number for each of the 1 columns",
            ),
            ("/variables/w", "dtype", json!("f32"), "must be f64"),
            (
                "/rounds/1/map/steps/0/outputs/k/",
                "name",
                json!("z"),
                "one output of the step must be the sum kept",
            ),
            (
                "/rounds/1/map/steps/0/driver",
                "clip",
                json!({"l2": 1.0}),
                "without unit and clip",
            ),
            (
                "/rounds/1/map/steps/0/inputs",
                "w",
                json!({"from": "variable", "name": "w"}),
                "reads data and no variables",
            ),
            (
                "/rounds/1/reduce",
                "assign",
                json!({"w": "x"}),
                "nothing is reduced",
            ),
            (
                "/rounds/1/map",
                "contribute",
                json!([{"name": "x", "dtype": "f64", "shape": [1]}]),
                "nothing is summed",
            ),
        ] {
            let mut changed = task();
            changed.pointer_mut(pointer.trim_end_matches('/')).unwrap()[key] = value;
            let found = errors(&changed);
            assert!(
                found.iter().any(|e| e.contains(expected)),
                "{pointer} {key}: {expected:?} in {found:#?}"
            );
        }
        let mut first = task();
        let rounds = first["rounds"].as_array_mut().unwrap();
        rounds.reverse();
        assert!(
            errors(&first)
                .iter()
                .any(|e| e.contains("a last round of its own"))
        );
        let mut many = task();
        let column = many["rounds"][1]["certify"]["columns"][0].clone();
        many["rounds"][1]["certify"]["columns"] = json!(vec![column; 65]);
        assert!(errors(&many).iter().any(|e| e.contains("1 to 64 columns")));
    }

    #[test]
    fn a_linear_regression_says_what_its_label_is() {
        let mut linear = task();
        let certify = linear.pointer_mut("/rounds/1/certify").unwrap();
        certify["model"] = json!("linear");
        certify["label"] = json!({"name": "wage", "low": 0.0, "high": 9.0});
        assert_eq!(errors(&linear), [] as [String; 0]);
        let manifest: Manifest = serde_json::from_value(linear.clone()).unwrap();
        let told = manifest.disclosure().join("\n");
        for words in [
            "is the linear regression",
            "x from 0 to 4, wage from 0 to 9",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        linear["rounds"][1]["certify"]["label"]["name"] = json!("x ");
        assert!(errors(&linear)[0].contains("stands twice"));
        linear["rounds"][1]["certify"]["label"] = json!({"name": "wage", "low": 0.0, "high": 0.0});
        assert!(errors(&linear)[0].contains("\"wage\": low must be below high"));
    }
}
