//! What must hold around the graphs, each rule broken once.

use serde_json::{Value, json};

use super::*;

fn task() -> Value {
    json!({
        "format": "delta-task/1", "name": "mean", "type": "horizontal",
        "datasets": {"a.csv": {"kind": "table", "columns": ["wage", "id"]}},
        "variables": {"out": {"location": "server", "dtype": "f64", "shape": [3]},
                      "own": {"location": "client", "dtype": "f64", "shape": [3]}},
        "rounds": [{
            "map": {
                "steps": [{
                    "graph": "graphs/map.onnx",
                    "driver": {"kind": "records", "dataset": "a.csv"},
                    "inputs": {"x": {"from": "data", "dataset": "a.csv", "field": {"columns": ["wage"]}},
                               "w": {"from": "variable", "name": "out"}},
                    "outputs": {"y": {"to": "sum", "name": "total"}, "z": {"to": "sum", "name": "unused"}}
                }],
                "contribute": [{"name": "total", "dtype": "f64", "shape": [3]}]
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

fn columns(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn proof(task: &Value) -> ReleaseProof {
    let manifest: Manifest = serde_json::from_value(task.clone()).unwrap();
    assert_eq!(manifest.errors(), []);
    ReleaseProof::of(&manifest, |_| Ok(columns(&["wage"])))
}

/// The rules and the places that an unproven task is refused by.
fn reasons(task: &Value) -> Vec<String> {
    match proof(task) {
        ReleaseProof::Proven(steps) => panic!("proven: {steps:?}"),
        ReleaseProof::Unproven(all) => all
            .iter()
            .map(|r| format!("{} {}", r.rule, r.place))
            .collect(),
    }
}

#[test]
fn a_task_of_records_alone_is_proven_when_its_graphs_are() {
    let ReleaseProof::Proven(steps) = proof(&task()) else {
        panic!("unproven");
    };
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].round, steps[0].step), (0, 0));
    assert_eq!(steps[0].columns, columns(&["wage"]));
    assert_eq!(
        steps[0].outputs, 3,
        "what is not contributed does not leave"
    );
    let text = serde_json::to_string(&proof(&task())).unwrap();
    assert_eq!(
        serde_json::from_str::<ReleaseProof>(&text).unwrap(),
        proof(&task())
    );
}

#[test]
fn a_graph_that_cannot_be_followed_leaves_the_task_unproven() {
    let manifest: Manifest = serde_json::from_value(task()).unwrap();
    let why = Unproven {
        rule: ProofRule::RowsMixed,
        place: "here".to_owned(),
        operator: Some("TopK".to_owned()),
        why: "sorts".to_owned(),
    };
    let all = ReleaseProof::of(&manifest, |step| {
        assert_eq!(step.place, "rounds[0].map.steps[0]");
        Err(vec![why.clone(); 200])
    });
    assert_eq!(all, ReleaseProof::Unproven(vec![why; MAX_REASONS]));
}

#[test]
fn a_step_that_reads_beside_is_no_proof() {
    let mut task = task();
    let mut beside = task["rounds"][0]["map"]["steps"][0].clone();
    beside["driver"] = json!({"kind": "once"});
    beside["outputs"] = json!({"y": {"to": "value", "name": "beside"}});
    task["rounds"][0]["map"]["steps"]
        .as_array_mut()
        .unwrap()
        .push(beside.clone());
    let expected = "records.reads_beside rounds[0].map.steps[1]";
    assert_eq!(reasons(&task), [expected]);
    // The number of rows is data, too.
    beside["driver"] =
        json!({"kind": "batches", "dataset": "a.csv", "batch_size": 1, "length": {"epochs": 1}});
    beside["inputs"] = json!({"n": {"from": "batch_size"}});
    task["rounds"][0]["map"]["steps"][1] = beside.clone();
    assert_eq!(reasons(&task), [expected]);
    // What only reads what all have alike reads no data.
    beside["driver"] = json!({"kind": "once"});
    beside["inputs"] = json!({"w": {"from": "variable", "name": "out"}});
    task["rounds"][0]["map"]["steps"][1] = beside;
    assert!(proof(&task).is_proven());
}

#[test]
fn what_leaves_must_be_the_sum_itself() {
    let mut task = task();
    let after = json!({
        "graph": "graphs/after.onnx",
        "inputs": {"t": {"from": "value", "name": "total"}},
        "outputs": {"y": {"to": "value", "name": "after"}}
    });
    task["rounds"][0]["map"]["steps"]
        .as_array_mut()
        .unwrap()
        .push(after);
    assert!(proof(&task).is_proven(), "it does not leave");
    let more = json!({"name": "after", "dtype": "f64", "shape": [3]});
    task["rounds"][0]["map"]["contribute"]
        .as_array_mut()
        .unwrap()
        .push(more);
    assert_eq!(
        reasons(&task),
        ["records.not_summed rounds[0].map.contribute[1]"]
    );
}

#[test]
fn nothing_is_kept_from_round_to_round() {
    let mut kept = task();
    kept["rounds"][0]["map"]["assign"] = json!({"own": "total"});
    assert_eq!(
        reasons(&kept),
        ["records.keeps_state rounds[0].map.assign.own"]
    );
    let mut read = task();
    let step = json!({
        "graph": "graphs/once.onnx",
        "inputs": {"o": {"from": "variable", "name": "own"}},
        "outputs": {"y": {"to": "value", "name": "kept"}}
    });
    read["rounds"][0]["map"]["steps"]
        .as_array_mut()
        .unwrap()
        .push(step);
    assert_eq!(
        reasons(&read),
        ["records.keeps_state rounds[0].map.steps[1].inputs.o"]
    );
}

#[test]
fn every_round_counts() {
    let mut task = task();
    let mut second = task["rounds"][0].clone();
    second["map"]["assign"] = json!({"own": "total"});
    task["rounds"].as_array_mut().unwrap().push(second);
    assert_eq!(
        reasons(&task),
        ["records.keeps_state rounds[1].map.assign.own"]
    );
}

#[test]
fn identifiers_are_those_of_the_policy() {
    let ReleaseProof::Proven(steps) = proof(&task()) else {
        panic!("unproven");
    };
    let roles = |role| {
        BTreeMap::from([
            ("wage".to_owned(), role),
            ("id".to_owned(), Role::Identifier),
        ])
    };
    assert!(identifiers(&steps[0].columns, &roles(Role::Value)).is_empty());
    assert_eq!(
        identifiers(&steps[0].columns, &roles(Role::Identifier)),
        columns(&["wage"])
    );
}

#[test]
fn rules_have_the_names_that_serde_gives_them() {
    for rule in ProofRule::ALL {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        assert!(rule.name().starts_with("records."));
    }
}
