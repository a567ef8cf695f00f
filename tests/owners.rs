//! `docs/owners.md` and the plans of `docs/privacy.md`, held against the program: each policy is loaded, shown, and asked about the tasks of
//! the table below it; each command is run and its output compared.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "executor/graph.rs"]
mod graph;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use delta_node::adapters::sqlite::SqliteStorage;
use delta_node::domain::bundle::write_bundle;
use delta_node::domain::manifest::Manifest;
use delta_node::domain::privacy::accountant::{Budget, Ledger, Renewal};
use delta_node::domain::privacy::cost::Cost;
use delta_node::domain::privacy::rdp::Rdp;
use delta_node::domain::time::Timestamp;
use delta_node::ports::storage::Storage as _;
use graph::{ANY, Elem, Onnx};
use serde_json::{Value, json};

const OWNERS: &str = include_str!("../docs/owners.md");
const PRIVACY: &str = include_str!("../docs/privacy.md");

/// A dataset of the page: its form, what a task reads of it, and whose records belong together.
struct Data {
    name: &'static str,
    spec: Value,
    field: Value,
    elem: Elem,
    /// Shape of what one record becomes.
    shape: &'static [i64],
    key: Option<&'static str>,
}

fn table(name: &'static str, column: &str, key: &'static str, person: bool) -> Data {
    Data {
        name,
        spec: json!({"kind": "table", "columns": [column, key]}),
        field: json!({"columns": [column]}),
        elem: Elem::F64,
        shape: &[1],
        key: person.then_some(key),
    }
}

fn datasets() -> Vec<Data> {
    vec![
        table("patients.csv", "hba1c", "id", false),
        table("payments.csv", "amount", "customer", true),
        Data {
            name: "digits",
            spec: json!({"kind": "samples", "shape": [1, 8, 8]}),
            field: json!("x"),
            elem: Elem::F32,
            shape: &[1, 8, 8],
            key: None,
        },
    ]
}

/// The kinds of tasks by the names that the page gives them.
const TASKS: [&str; 4] = [
    "controlled mean",
    "free graph",
    "private mean",
    "private mean of records",
];

/// A sum and a count of what is there, record by record, or as a sum that the graph makes itself.
fn graph(data: &Data, free: bool) -> Vec<u8> {
    let rows: Vec<i64> = [&[ANY], data.shape].concat();
    let onnx = Onnx::default()
        .input("x", data.elem, &rows)
        .ints("axis", &[0])
        // A NaN is not equal to itself.
        .node("Equal", &["x", "x"], &["there"])
        .node_with(
            "Cast",
            &["there"],
            &["one"],
            &[("to", i64::from(data.elem as i32))],
        );
    let onnx = match free {
        true => onnx
            .node_with("ReduceSum", &["x", "axis"], &["total"], &[("keepdims", 0)])
            .node_with("ReduceSum", &["one", "axis"], &["rows"], &[("keepdims", 0)]),
        false => onnx
            .node("Identity", &["x"], &["total"])
            .node("Identity", &["one"], &["rows"]),
    };
    let out = if free { data.shape } else { &rows };
    onnx.output("total", data.elem, out)
        .output("rows", data.elem, out)
        .file()
}

/// The reduce: both sums become the result.
fn as_they_are(data: &Data, elem: Elem) -> Vec<u8> {
    Onnx::default()
        .input("total", elem, data.shape)
        .input("rows", elem, data.shape)
        .node("Identity", &["total"], &["t"])
        .node("Identity", &["rows"], &["r"])
        .output("t", elem, data.shape)
        .output("r", elem, data.shape)
        .file()
}

/// A bundle of one of [`TASKS`].
fn bundle(data: &Data, task: &str) -> Vec<u8> {
    let free = task == "free graph";
    let mut driver = json!({"kind": "once"});
    if !free {
        driver = json!({"kind": "records", "dataset": data.name});
    }
    if task.starts_with("private") {
        driver["clip"] = json!({"l2": 1.0});
        driver["noise"] = json!({"multiplier": "16", "delta": 1e-6});
    }
    let of_persons = ["private mean", "controlled mean"].contains(&task);
    if let Some(key) = data.key.filter(|_| of_persons) {
        driver["unit"] = json!({"key": key});
    }
    // Numbers under noise are doubles.
    let elem = match task.starts_with("private") {
        true => Elem::F64,
        false => data.elem,
    };
    let dtype = match elem {
        Elem::F32 => "f32",
        Elem::F64 | Elem::I64 => "f64",
    };
    let target = match free {
        true => "value",
        false => "sum",
    };
    let number = json!({"location": "server", "dtype": dtype, "shape": data.shape});
    let manifest: Manifest = serde_json::from_value(json!({
        "format": "delta-task/1", "name": task, "type": "horizontal",
        "strategy": {"min_clients": 3, "max_clients": 5},
        "datasets": {data.name: data.spec},
        "variables": {"mean.total": number, "mean.rows": number},
        "rounds": [{
            "map": {
                "steps": [{
                    "graph": "graphs/map.onnx",
                    "driver": driver,
                    "inputs": {"x": {"from": "data", "dataset": data.name, "field": data.field}},
                    "outputs": {"total": {"to": target, "name": "total"}, "rows": {"to": target, "name": "rows"}}
                }],
                "contribute": [
                    {"name": "total", "dtype": dtype, "shape": data.shape},
                    {"name": "rows", "dtype": dtype, "shape": data.shape}
                ]
            },
            "reduce": {
                "steps": [{
                    "graph": "graphs/reduce.onnx",
                    "inputs": {"total": {"from": "sum", "name": "total"}, "rows": {"from": "sum", "name": "rows"}},
                    "outputs": {"t": {"to": "value", "name": "t"}, "r": {"to": "value", "name": "r"}}
                }],
                "assign": {"mean.total": "t", "mean.rows": "r"}
            }
        }],
        "outputs": ["mean.total", "mean.rows"]
    }))
    .unwrap();
    assert_eq!(manifest.errors(), [], "{task} on {}", data.name);
    let graphs = BTreeMap::from([
        ("graphs/map.onnx".to_owned(), graph(data, free)),
        ("graphs/reduce.onnx".to_owned(), as_they_are(data, elem)),
    ]);
    write_bundle(&manifest, &graphs, &BTreeMap::new()).unwrap()
}

/// The output of the program in a folder, and whether it ended well.
fn delta_node(home: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_delta-node"))
        .args(args)
        .current_dir(home)
        .env_remove("DELTA_NODE_CONFIG")
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[track_caller]
fn good(home: &Path, args: &[&str]) -> String {
    let (good, text) = delta_node(home, args);
    assert!(good, "{args:?}: {text}");
    text
}

/// A policy of the page, with the rows of the table under it: task, decision, rules.
struct Example {
    policy: String,
    outcomes: Vec<(String, &'static str, Vec<String>)>,
}

/// Everything between the lines that are `start` and those that are ` ``` `.
fn blocks(page: &str, start: &str) -> Vec<String> {
    let start = format!("\n{start}\n");
    page.split(&start)
        .skip(1)
        .map(|block| block.split("\n```").next().unwrap().to_owned() + "\n")
        .collect()
}

fn examples() -> Vec<Example> {
    let sections = OWNERS.split("\n## ").filter(|s| s.contains("```yaml"));
    let examples = sections.map(|section| Example {
        policy: blocks(section, "```yaml").remove(0),
        outcomes: section.lines().filter_map(outcome).collect(),
    });
    examples.collect()
}

fn outcome(line: &str) -> Option<(String, &'static str, Vec<String>)> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.split('|').map(str::trim).collect();
    let decision = match *cells.get(1)? {
        "it runs" => "allowed",
        "it waits" => "asks",
        "it is refused" => "refused",
        _ => return None,
    };
    let rules = cells[2].split('`').skip(1).step_by(2).map(str::to_owned);
    Some((cells[0].to_owned(), decision, rules.collect()))
}

#[test]
fn every_policy_of_the_page_does_what_the_page_says() {
    let (examples, datasets) = (examples(), datasets());
    assert_eq!(examples.len(), datasets.len(), "the page is read");
    for (example, data) in examples.iter().zip(&datasets) {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        fs::create_dir_all(home.join("config/policy.d")).unwrap();
        fs::write(home.join("config/config.yaml"), "").unwrap();
        fs::write(home.join("config/policy.d/page.yaml"), &example.policy).unwrap();
        let shown = good(home, &["policy", "show", data.name, "--json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(
            shown["datasets"][data.name]["written"],
            "config/policy.d/page.yaml:2:3"
        );
        assert!(example.outcomes.len() >= 3, "{}", data.name);
        for (task, decision, rules) in &example.outcomes {
            assert!(TASKS.contains(&task.as_str()), "{task}");
            let file = home.join("task.delta");
            fs::write(&file, bundle(data, task)).unwrap();
            let mut args = vec!["policy", "test", "task.delta", "--rows", "5000"];
            let author = example.policy.split("\"org:").nth(1);
            let author = author.map(|rest| format!("org:{}", rest.split('"').next().unwrap()));
            if let Some(author) = &author {
                args.extend(["--author", author]);
            }
            let words = good(home, &args);
            args.push("--json");
            let said: Value = serde_json::from_str(&good(home, &args)).unwrap();
            let place = format!("{task} on {}: {said:#}\n{words}", data.name);
            assert_eq!(said["decision"], *decision, "{place}");
            assert_eq!(said["by"], json!(rules), "{place}");
            let class = task.split(' ').next().unwrap();
            assert_eq!(said["class"], class, "{place}");
            let free = class == "free";
            assert_eq!(said["unproven"] == json!([]), !free, "{place}");
            assert_eq!(words.contains("the task is free, because"), free, "{place}");
            assert!(words.contains(&format!("the task is {class}")), "{place}");
            // The page says what one question costs.
            let colludes = example.policy.contains("colluders: 1");
            let price = if colludes { "0.324" } else { "0.263" };
            let priced = words.contains(&format!("epsilon {price} "));
            assert_eq!(priced, class == "private", "{place}");
        }
    }
}

#[test]
fn without_roles_of_columns_nothing_is_more_than_free() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir_all(home.join("config")).unwrap();
    let data = &datasets()[0];
    fs::write(home.join("task.delta"), bundle(data, "controlled mean")).unwrap();
    for (columns, why) in [
        ("", "do not say what its columns are"),
        (
            "    columns: { hba1c: identifier, id: identifier }\n",
            "\"hba1c\" points at one person",
        ),
    ] {
        let policy = format!("datasets:\n  patients.csv:\n    approval: controlled\n{columns}");
        fs::write(home.join("config/config.yaml"), policy).unwrap();
        let said = good(home, &["policy", "test", "task.delta", "--rows", "5000"]);
        assert!(said.contains(why), "{said}");
        assert!(said.contains("It would wait for you"), "{said}");
    }
}

#[test]
fn every_plan_of_the_pages_costs_what_they_say() {
    let home = tempfile::tempdir().unwrap();
    let mut plans = 0;
    for block in [OWNERS, PRIVACY]
        .map(|page| blocks(page, "```console"))
        .concat()
    {
        let lines: Vec<&str> = block.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let Some(command) = line.strip_prefix("$ delta-node privacy plan ") else {
                continue;
            };
            let args: Vec<&str> = ["privacy", "plan"]
                .into_iter()
                .chain(command.split(' '))
                .collect();
            let printed = lines[number + 1..].iter();
            let printed: Vec<&str> = printed
                .take_while(|line| !line.starts_with('$'))
                .copied()
                .collect();
            let said = good(home.path(), &args);
            assert_eq!(said.lines().collect::<Vec<_>>(), printed, "{command}");
            plans += 1;
        }
    }
    assert!(plans >= 4, "the pages are read: {plans}");
}

#[test]
fn a_node_that_has_not_run_has_no_ledger() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (code, text) = delta_node(home, &["privacy"]);
    assert!(!code && text.contains("config/config.yaml"), "{text}");
    good(home, &["init"]);
    let (code, text) = delta_node(home, &["privacy"]);
    assert!(!code && text.contains("has not run yet"), "{text}");
}

/// The node's own handle stays open, in the middle of its work.
#[tokio::test]
async fn a_ledger_is_read_beside_the_node_that_writes_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    good(home, &["init"]);
    let url = format!("sqlite:///{}", home.join("db/delta.db").display());
    let storage = SqliteStorage::open(&url).await.unwrap();
    let budget = Budget::new(3.0, 1e-6, Renewal::Never).unwrap();
    let mut ledger = Ledger::new(Timestamp(0), budget);
    let cost = Cost::same(Rdp::gaussian(16.0).unwrap());
    for (number, told) in ["last charges", "reserved and not charged: 1"]
        .iter()
        .enumerate()
    {
        let purpose = format!("task 0x55 round {number}");
        let id = ledger
            .reserve(Timestamp(0), &purpose, cost.clone())
            .unwrap();
        if number == 0 {
            ledger.charge(Timestamp(0), id).unwrap();
        }
        let bytes = serde_json::to_vec(&ledger).unwrap();
        storage.set_setting("privacy/a.csv", &bytes).await.unwrap();
        let words = good(home, &["privacy"]);
        assert!(words.contains(told) && words.contains(&purpose), "{words}");
        let said: Value = serde_json::from_str(&good(home, &["privacy", "--json"])).unwrap();
        let account = &said["datasets"][0];
        assert_eq!(account["dataset"], "a.csv");
        assert_eq!(account["budget"], Value::Null, "no rules are written");
        assert_eq!(account["spent"], account["charges"][0]["epsilons"]);
        assert_eq!(account["open"], number);
    }
}
