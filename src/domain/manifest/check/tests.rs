//! Each rule broken once, in the manifest of a real task, and found at its place.

use serde_json::{Value, json};

use crate::bundle::{Bundle, BundleLimits};
use crate::manifest::Manifest;

const DIGITS: &[u8] = include_bytes!("../../../../assets/digits-cnn.delta");
const IRIS: &[u8] = include_bytes!("../../../../tests/fixtures/iris-logistic.delta");

fn manifest(bundle: &[u8]) -> Value {
    let bundle = Bundle::open(bundle, &BundleLimits::default()).unwrap();
    serde_json::to_value(bundle.manifest()).unwrap()
}

fn errors(manifest: &Value) -> Vec<String> {
    let manifest: Manifest = serde_json::from_value(manifest.clone()).unwrap();
    manifest.errors().iter().map(ToString::to_string).collect()
}

/// Sets the value at a JSON pointer, and expects exactly one error, whose text contains `expected`.
#[track_caller]
fn breaks(bundle: &[u8], pointer: &str, value: Value, expected: &str) {
    let mut changed = manifest(bundle);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.insert(key.replace("~1", "/"), value)),
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        other => panic!("{other} has no parts"),
    }
    let found = errors(&changed);
    assert_eq!(found.len(), 1, "{pointer}: {found:#?}");
    assert!(
        found[0].contains(expected),
        "{pointer}: {found:?} does not contain {expected:?}"
    );
}

const VALIDATE: &str = "/rounds/0/map/steps/0";
const TRAIN: &str = "/rounds/0/map/steps/1";

#[test]
fn the_head_is_checked() {
    for (pointer, value, expected) in [
        ("/format", json!("delta-task/2"), "format: this node reads"),
        ("/name", json!(" "), "name:"),
        ("/name", json!("a\u{1b}[2J"), "name:"),
        ("/enable_verify", json!(true), "enable_verify:"),
        ("/tolerance", json!(99), "tolerance:"),
        ("/strategy/min_clients", json!(4), "strategy.max_clients:"),
        ("/strategy/wait_timeout", json!(0), "strategy.wait_timeout:"),
        (
            "/outputs/0",
            json!("m.fc.bias"),
            "outputs[0]: variable m.fc.bias is kept by each member",
        ),
        (
            "/outputs/0",
            json!("nothing"),
            "outputs[0]: variable nothing does not exist",
        ),
        (
            "/outputs/0",
            json!("accuracy"),
            "outputs[4]: accuracy stands twice",
        ),
    ] {
        breaks(DIGITS, pointer, value, expected);
    }
}

#[test]
fn datasets_and_variables_are_checked() {
    for (pointer, value, expected) in [
        (
            "/datasets/digits/shape",
            json!([1, 0, 8]),
            "datasets.digits.shape: every dimension",
        ),
        (
            "/datasets/digits/classes",
            json!(["a", "a"]),
            "datasets.digits.classes:",
        ),
        (
            "/variables/fc.bias/init",
            json!("../fc.npy"),
            "variables.fc.bias.init:",
        ),
        (
            "/variables/fc.bias/init",
            json!("graphs/fc.onnx"),
            "variables.fc.bias.init:",
        ),
    ] {
        breaks(DIGITS, pointer, value, expected);
    }
    let mut huge = manifest(DIGITS);
    huge["variables"]["fc.bias"]["shape"] = json!([u64::MAX, 2]);
    let found = errors(&huge);
    assert!(
        found
            .iter()
            .any(|p| p.starts_with("variables.fc.bias.shape: must hold at most")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|p| p.starts_with("variables: together they take")),
        "{found:?}"
    );
    for (value, expected) in [
        (json!([]), "datasets.iris.csv.columns: name at least one"),
        (json!(["target", "target"]), "stands twice"),
    ] {
        let mut changed = manifest(IRIS);
        changed["datasets"]["iris.csv"]["columns"] = value;
        assert!(
            errors(&changed).iter().any(|p| p.contains(expected)),
            "{expected}"
        );
    }
    let mut headless = manifest(IRIS);
    headless["datasets"]["iris.csv"]["header"] = json!(false);
    assert!(errors(&headless)[0].contains("without header line"));
}

#[test]
fn drivers_are_checked() {
    for (part, value, expected) in [
        ("batch_size", json!(0), "driver.batch_size:"),
        ("batch_size", json!(1_000_001), "driver.batch_size:"),
        ("length", json!({"epochs": 0}), "driver.length:"),
        ("length", json!({"iterations": 0}), "driver.length:"),
        ("subset", json!({"from": 0.5, "to": 0.5}), "driver.subset:"),
        ("subset", json!({"from": -0.1}), "driver.subset:"),
        ("subset", json!({"to": 1.1}), "driver.subset:"),
    ] {
        breaks(DIGITS, &format!("{TRAIN}/driver/{part}"), value, expected);
    }
    let mut absent = manifest(DIGITS);
    absent["rounds"][0]["map"]["steps"][1]["driver"]["dataset"] = json!("digits2");
    let found = errors(&absent);
    assert!(
        found
            .iter()
            .any(|p| p.contains("steps[1].driver.dataset: dataset digits2 is not declared")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|p| p.contains("steps[1].inputs.x: the driver iterates digits2")),
        "{found:?}"
    );
}

#[test]
fn batches_belong_to_maps_only() {
    let mut changed = manifest(DIGITS);
    changed["rounds"][0]["reduce"]["steps"][0]["driver"] =
        changed["rounds"][0]["map"]["steps"][0]["driver"].clone();
    assert_eq!(
        errors(&changed),
        [
            "rounds[0].reduce.steps[0].driver: the coordinator has no data to cut into batches or records; use once"
        ]
    );
}

#[test]
fn what_needs_batches_is_an_error_under_once() {
    let mut changed = manifest(DIGITS);
    changed["rounds"][0]["map"]["steps"][1]["driver"] = json!({"kind": "once"});
    let found = errors(&changed);
    for expected in [
        "steps[1].inputs.n: there is no batch",
        "steps[1].outputs.rows: nothing is summed",
        "steps[1].outputs.fc.bias.next: nothing is carried",
    ] {
        assert!(
            found.iter().any(|p| p.contains(expected)),
            "{expected}: {found:?}"
        );
    }
    breaks(
        DIGITS,
        "/rounds/0/map/steps/2/inputs/rows",
        json!({"from": "noise", "distribution": "normal", "shape": [3]}),
        "steps[2].inputs.rows: noise has one block",
    );
}

#[test]
fn sources_are_checked() {
    for (pointer, value, expected) in [
        (
            "0/map/steps/1/inputs/x",
            json!({"from": "data", "dataset": "digits", "field": {"columns": ["a"]}}),
            "is not a table",
        ),
        (
            "0/map/steps/1/inputs/x",
            json!({"from": "data", "dataset": "digits", "field": "x", "subset": {}}),
            "remove this subset",
        ),
        (
            "0/map/steps/2/inputs/rows",
            json!({"from": "value", "name": "later"}),
            "no earlier step makes a value later",
        ),
        (
            "0/map/steps/2/inputs/rows",
            json!({"from": "sum", "name": "rows"}),
            "at the coordinator only",
        ),
        (
            "0/reduce/steps/1/inputs/loss",
            json!({"from": "sum", "name": "lost"}),
            "lost is not contributed",
        ),
        (
            "0/reduce/steps/1/inputs/loss",
            json!({"from": "variable", "name": "m.fc.bias"}),
            "kept by each member",
        ),
        (
            "0/reduce/steps/1/inputs/loss",
            json!({"from": "batch_size"}),
            "the coordinator has no data",
        ),
    ] {
        breaks(DIGITS, &format!("/rounds/{pointer}"), value, expected);
    }
    for (field, expected) in [
        (json!("x"), "is a table: name its columns"),
        (
            json!({"column_i64": "species"}),
            "does not declare a column \"species\"",
        ),
    ] {
        let source = json!({"from": "data", "dataset": "iris.csv", "field": field});
        breaks(IRIS, "/rounds/0/map/steps/0/inputs/y", source, expected);
    }
    let mut unlabelled = manifest(DIGITS);
    unlabelled["datasets"]["digits"]["classes"] = json!([]);
    assert!(errors(&unlabelled)[0].contains("have no classes"));
}

#[test]
fn graphs_are_named_as_files_of_the_bundle() {
    for file in [
        "train.onnx",
        "graphs/../train.onnx",
        "/graphs/train.onnx",
        "graphs/train.pt",
        "arrays/train.npy",
    ] {
        breaks(
            DIGITS,
            &format!("{TRAIN}/graph"),
            json!(file),
            "steps[1].graph:",
        );
        breaks(
            DIGITS,
            &format!("{TRAIN}/graph_onnxruntime"),
            json!(file),
            "steps[1].graph_onnxruntime:",
        );
    }
}

#[test]
fn targets_are_checked() {
    for (value, expected) in [
        (
            json!({"to": "carry", "input": "nothing", "name": "rows"}),
            "which is not an input",
        ),
        (
            json!({"to": "carry", "input": "x", "name": "rows"}),
            "filled anew for each batch",
        ),
        (
            json!({"to": "carry", "input": "fc.bias", "name": "rows"}),
            "two outputs are carried",
        ),
    ] {
        breaks(DIGITS, &format!("{TRAIN}/outputs/rows"), value, expected);
    }
    breaks(
        DIGITS,
        &format!("{VALIDATE}/outputs/more"),
        json!({"to": "sum", "name": "loss"}),
        "a value loss exists already",
    );
}

#[test]
fn contributions_are_checked() {
    let at = "/rounds/0/map/contribute";
    breaks(
        DIGITS,
        &format!("{at}/0/dtype"),
        json!("i64"),
        "contribute[0].dtype: only f32 and f64",
    );
    breaks(
        DIGITS,
        &format!("{at}/0/shape"),
        json!([0]),
        "contribute[0].shape: every dimension",
    );
    breaks(
        DIGITS,
        &format!("{at}/0/shape"),
        json!([(1_u64 << 28) - 1]),
        "contribute: must hold at most 268435456 numbers in all",
    );
    let mut twice = manifest(IRIS);
    twice["rounds"][0]["map"]["contribute"][0]["name"] = json!("loss");
    assert!(
        errors(&twice)
            .iter()
            .any(|p| p.contains("contribute[2].name: loss is contributed twice"))
    );
    let mut nothing = manifest(IRIS);
    nothing["rounds"][0]["map"]["contribute"] = json!([]);
    assert!(
        errors(&nothing)
            .iter()
            .any(|p| p.contains("nothing is contributed"))
    );
}

#[test]
fn types_of_columns_are_checked() {
    let task = |types: Value| {
        json!({
            "format": "delta-task/1", "name": "t", "type": "horizontal",
            "datasets": {"a.csv": {"kind": "table", "columns": ["sex", "born"], "types": types}},
            "variables": {"out": {"location": "server", "dtype": "f64", "shape": []}},
            "rounds": [{
                "map": {
                    "steps": [{
                        "graph": "graphs/map.onnx", "driver": {"kind": "records", "dataset": "a.csv"},
                        "inputs": {"x": {"from": "data", "dataset": "a.csv", "field": {"columns": ["sex"]}}},
                        "outputs": {"n": {"to": "sum", "name": "n"}}
                    }],
                    "contribute": [{"name": "n", "dtype": "f64", "shape": []}]
                },
                "reduce": {"steps": [], "assign": {"out": "n"}}
            }],
            "outputs": ["out"]
        })
    };
    let levels = |levels: Value| json!({"sex": {"type": "category", "levels": levels}});
    let good = json!({"sex": {"type": "category", "levels": ["f", "m"]}, "born": {"type": "date"}});
    assert_eq!(errors(&task(good)), [""; 0]);
    for (types, expected) in [
        (json!({"age": {"type": "time"}}), "none of the columns"),
        (levels(json!([])), "1 to 10000 levels"),
        (levels(json!(["f", "f"])), "only once"),
        (levels(json!(["1", "1.0"])), "are one number"),
        (levels(json!([" f"])), "no blanks around it"),
        (levels(json!(["x".repeat(257)])), "256 bytes"),
        (
            levels(Value::from(
                (0..10_001).map(|i| i.to_string()).collect::<Vec<_>>(),
            )),
            "10000 levels",
        ),
    ] {
        let found = errors(&task(types));
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
    let mut person = task(levels(json!(["f", "m"])));
    person["rounds"][0]["map"]["steps"][0]["driver"]["unit"] = json!({"key": "sex"});
    let found = errors(&person);
    assert!(
        found.iter().any(|e| e.contains("told apart by numbers")),
        "{found:?}"
    );
}

#[test]
fn exact_contributions_are_checked() {
    let mut task = manifest(IRIS);
    for round in task["rounds"].as_array_mut().unwrap() {
        for contribution in round["map"]["contribute"].as_array_mut().unwrap() {
            contribution["dtype"] = json!("f64");
            contribution["written"] = json!("exact");
        }
    }
    assert_eq!(errors(&task), [""; 0]);
    let read: Manifest = serde_json::from_value(task.clone()).unwrap();
    let plain: Manifest = serde_json::from_value(manifest(IRIS)).unwrap();
    assert_eq!(
        read.contribution_len(1).unwrap(),
        12 * plain.contribution_len(1).unwrap()
    );
    for (key, value, expected) in [
        ("ring", json!("z32"), "z64"),
        ("bound", json!(1e6), "no bound"),
        ("rounding", json!("stochastic"), "at random"),
    ] {
        let mut changed = task.clone();
        changed["strategy"][key] = value;
        let found = errors(&changed);
        assert!(
            found
                .iter()
                .any(|e| e.contains("written") && e.contains(expected)),
            "{found:?}"
        );
    }
    let mut changed = task;
    changed["rounds"][0]["map"]["contribute"][0]["dtype"] = json!("f32");
    assert!(
        errors(&changed)
            .iter()
            .any(|e| e.contains("exact numbers are f64"))
    );
}

#[test]
fn assignments_metrics_and_stop_are_checked() {
    for (bundle, pointer, value, expected) in [
        (
            DIGITS,
            "map/assign/fc.bias",
            json!("rows"),
            "map.assign.fc.bias: variable fc.bias is kept by the server",
        ),
        (
            DIGITS,
            "map/assign/m.fc.bias",
            json!("lost"),
            "map.assign.m.fc.bias: no step makes a value lost",
        ),
        (
            DIGITS,
            "reduce/assign/m.fc.bias",
            json!("accuracy"),
            "reduce.assign.m.fc.bias: variable m.fc.bias is kept by each",
        ),
        (
            DIGITS,
            "reduce/metrics/loss",
            json!("lost"),
            "reduce.metrics.loss: no step makes a value lost",
        ),
        (
            DIGITS,
            "reduce/metrics/",
            json!("accuracy"),
            "a metric's name",
        ),
        (
            IRIS,
            "reduce/stop",
            json!("lost"),
            "reduce.stop: no step makes a value lost",
        ),
    ] {
        breaks(bundle, &format!("/rounds/0/{pointer}"), value, expected);
    }
}

#[test]
fn the_number_of_rounds_is_bounded() {
    breaks(DIGITS, "/rounds/0/repeat", json!(0), "rounds[0].repeat:");
    breaks(
        DIGITS,
        "/rounds/0/repeat",
        json!(100_000),
        "rounds: 100001 rounds in all",
    );
    breaks(
        DIGITS,
        "/rounds/0/repeat",
        json!(u32::MAX),
        "rounds: 4294967295 rounds in all",
    );
    breaks(
        IRIS,
        "/rounds",
        json!([]),
        "rounds: a task needs at least one round",
    );
}

#[test]
fn an_iterator_that_goes_on_must_be_the_same_iterator() {
    let mut changed = manifest(DIGITS);
    let first = changed["rounds"][0].clone();
    changed["rounds"].as_array_mut().unwrap().push(first);
    changed["rounds"][2]["map"]["steps"][1]["driver"]["length"] = json!({"iterations": 3});
    assert_eq!(errors(&changed), [""; 0]);
    changed["rounds"][2]["map"]["steps"][1]["driver"]["seed"] = json!(2);
    assert!(
        errors(&changed)[0]
            .contains("rounds[2].map.steps[1].driver.resume: an earlier round resumes here")
    );
    for round in [0, 2] {
        let driver = &mut changed["rounds"][round]["map"]["steps"][1]["driver"];
        driver["after"] = json!({"epochs": 5});
    }
    let seed = changed["rounds"][0]["map"]["steps"][1]["driver"]["seed"].clone();
    changed["rounds"][2]["map"]["steps"][1]["driver"]["seed"] = seed;
    assert_eq!(errors(&changed), [""; 0]);
    changed["rounds"][2]["map"]["steps"][1]["driver"]["after"] = json!({"epochs": 6});
    assert!(errors(&changed)[0].contains("seed or beginning"));
    for round in [0, 2] {
        changed["rounds"][round]["map"]["steps"][1]["driver"]["resume"] = json!(false);
    }
    assert!(errors(&changed)[0].contains("driver.after: what does not resume begins anew"));
}

#[test]
fn all_errors_come_at_once_but_not_without_end() {
    let mut changed = manifest(IRIS);
    changed["format"] = json!("x");
    changed["rounds"][0]["reduce"]["stop"] = json!("lost");
    assert_eq!(errors(&changed).len(), 2);
    changed["outputs"] = (0..1000).map(|i| json!(format!("v{i}"))).collect();
    let found = errors(&changed);
    assert_eq!(found.len(), 101);
    assert_eq!(found[100], "...: 902 more problems are not listed");
}

mod equations;
