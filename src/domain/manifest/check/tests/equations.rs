//! Linear equations of a reduce.

use super::*;

/// The iris task, whose reduce now ends with equations.
fn solving() -> Value {
    let mut task = manifest(IRIS);
    let made = task["rounds"][0]["reduce"]["steps"][0]["outputs"]
        .as_object()
        .unwrap();
    let name = made.values().next().unwrap()["name"].clone();
    let steps = task["rounds"][0]["reduce"]["steps"].as_array_mut().unwrap();
    steps.push(json!({
        "driver": { "kind": "solve", "ridge": 1e-10 },
        "inputs": { "a": { "from": "value", "name": name }, "b": { "from": "value", "name": name } },
        "outputs": { "x": { "to": "value", "name": "solution" } }
    }));
    task
}

#[test]
fn equations_need_no_graph_and_make_a_value() {
    let mut task = solving();
    assert_eq!(errors(&task), [""; 0]);
    task["rounds"][0]["reduce"]["metrics"] = json!({ "x": "solution" });
    assert_eq!(errors(&task), [""; 0]);
    let parsed: Manifest = serde_json::from_value(task.clone()).unwrap();
    assert_eq!(
        parsed.graph_files().count(),
        parsed.rounds[0].map.steps.len() + parsed.rounds[0].reduce.steps.len() - 1
    );
    // No null where there is no graph: other readers of the format need not know of one.
    let written = serde_json::to_value(&parsed).unwrap();
    assert_eq!(
        written["rounds"][0]["reduce"]["steps"],
        task["rounds"][0]["reduce"]["steps"]
    );
}

#[test]
fn equations_are_checked() {
    let last = |field: &str, value: Value| {
        let mut task = solving();
        let steps = task["rounds"][0]["reduce"]["steps"].as_array_mut().unwrap();
        steps.last_mut().unwrap()[field] = value;
        task
    };
    let a = json!({ "from": "sum", "name": "nothing" });
    let x = json!({ "to": "value", "name": "solution" });
    for (field, value, expected) in [
        (
            "graph",
            json!("graphs/a.onnx"),
            "steps[1].graph: the driver solve runs no graph",
        ),
        (
            "graph_onnxruntime",
            json!("graphs/a.onnx"),
            "steps[1].graph_onnxruntime: the driver solve",
        ),
        (
            "driver",
            json!({ "kind": "solve", "ridge": -1.0 }),
            "steps[1].driver.ridge: must be",
        ),
        (
            "driver",
            json!({ "kind": "once" }),
            "steps[1].graph: is missing",
        ),
        (
            "inputs",
            json!({ "a": a }),
            "steps[1].inputs: the driver solve has the inputs a and b",
        ),
        (
            "inputs",
            json!({ "a": { "from": "clients" }, "b": { "from": "clients" } }),
            "steps[1].inputs.a: the number of members",
        ),
        (
            "outputs",
            json!({ "y": x }),
            "steps[1].outputs: the driver solve has the output x",
        ),
        (
            "outputs",
            json!({ "x": { "to": "sum", "name": "total" } }),
            "steps[1].outputs.x: nothing is summed",
        ),
    ] {
        let found = errors(&last(field, value));
        assert!(
            found.iter().any(|error| error.contains(expected)),
            "{expected:?} is not in {found:#?}"
        );
    }
    let unknown = last("driver", json!({ "kind": "solve", "tolerance": 1 }));
    assert!(serde_json::from_value::<Manifest>(unknown).is_err());
}

#[test]
fn members_solve_no_equations() {
    let mut task = solving();
    let step = task["rounds"][0]["reduce"]["steps"][1].clone();
    task["rounds"][0]["map"]["steps"]
        .as_array_mut()
        .unwrap()
        .push(step);
    let found = errors(&task);
    assert!(
        found
            .iter()
            .any(|p| p.contains("solved at the coordinator only")),
        "{found:#?}"
    );
}
