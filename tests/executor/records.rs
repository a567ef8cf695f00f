//! The driver `records` through worker processes, on every runtime: what is proven, what is summed, and what the owner's limits keep back.

use std::path::Path;
use std::sync::Arc;

use delta_node::domain::bundle::Bundle;
use delta_node::domain::records::ReleaseRules;
use delta_node::domain::records::proof::{ProofRule, ReleaseProof};
use delta_node::domain::tensor::TensorData;
use delta_node::ports::executor::{Executor as _, Whose};
use serde_json::json;

use crate::graph::{ANY, Elem, Onnx};
use crate::world::{bundle, each, map_job};

/// A table of so many people: `id` counts them, `wage` is 100, 101, ...
fn table(folder: &Path, people: usize) {
    let rows = (0..people).map(|i| format!("{i},{}\n", 100 + i));
    let text = format!("id,wage\n{}", rows.collect::<String>());
    std::fs::write(folder.join("people.csv"), text).unwrap();
}

/// The sum of `o` over the records of `column`.
fn summing(graph: Onnx, columns: &[&str]) -> Arc<Bundle> {
    let graph = graph
        .input("x", Elem::F64, &[ANY, columns.len() as i64])
        .output("o", Elem::F64, &[ANY, 1])
        .file();
    let identity = Onnx::default()
        .input("a", Elem::F64, &[1])
        .node("Identity", &["a"], &["b"])
        .output("b", Elem::F64, &[1])
        .file();
    let task = json!({
        "datasets": { "people.csv": { "kind": "table", "columns": columns } },
        "variables": { "out": { "location": "server", "dtype": "f64", "shape": [1] } },
        "rounds": [{
            "map": {
                "steps": [{
                    "graph": "graphs/g.onnx",
                    "driver": { "kind": "records", "dataset": "people.csv" },
                    "inputs": { "x": { "from": "data", "dataset": "people.csv", "field": { "columns": columns } } },
                    "outputs": { "o": { "to": "sum", "name": "o" } }
                }],
                "contribute": [{ "name": "o", "dtype": "f64", "shape": [1] }]
            },
            "reduce": {
                "steps": [{ "graph": "graphs/id.onnx",
                            "inputs": { "a": { "from": "sum", "name": "o" } },
                            "outputs": { "b": { "to": "value", "name": "b" } } }],
                "assign": { "out": "b" }
            }
        }],
        "outputs": ["out"]
    });
    bundle(
        &task,
        vec![("graphs/g.onnx", graph), ("graphs/id.onnx", identity)],
    )
}

fn plain() -> Arc<Bundle> {
    summing(Onnx::default().node("Identity", &["x"], &["o"]), &["wage"])
}

#[tokio::test]
async fn a_sum_over_records_is_proven_and_one_that_mixes_them_is_not() {
    each(Path::new("."), async |name, executor| {
        let proof = executor.check_graphs(&plain(), Whose::Others).await;
        let ReleaseProof::Proven(steps) = proof.unwrap() else {
            panic!("{name}: not proven");
        };
        assert_eq!(steps[0].columns, ["wage".to_owned()].into(), "{name}");
        let mixed = Onnx::default()
            .ints("axis", &[0])
            .node("CumSum", &["x", "axis"], &["o"]);
        let proof = executor
            .check_graphs(&summing(mixed, &["wage"]), Whose::Others)
            .await;
        let ReleaseProof::Unproven(reasons) = proof.unwrap() else {
            panic!("{name}: proven");
        };
        assert_eq!(reasons[0].rule, ProofRule::RowsMixed, "{name}");
    })
    .await;
}

#[tokio::test]
async fn the_owners_limits_hold_or_nothing_leaves() {
    let folder = tempfile::tempdir().unwrap();
    for (people, rules, sum) in [
        (40, Some(ReleaseRules::default()), Some(4780.0)),
        (9, Some(ReleaseRules::default()), None),
        // The owner has allowed this very task.
        (9, None, Some(936.0)),
    ] {
        table(folder.path(), people);
        each(folder.path(), async |name, executor| {
            let mut job = map_job(&plain());
            job.rules = rules;
            let outcome = executor.map(job).await;
            match sum {
                Some(sum) => {
                    let outcome = outcome.unwrap();
                    let found = outcome.contributions[0].data();
                    assert_eq!(*found, TensorData::F64(vec![sum]), "{name} {people}");
                }
                None => {
                    let error = outcome.unwrap_err().to_string();
                    assert!(error.contains("records.rows"), "{name}: {error}");
                }
            }
        })
        .await;
    }
}
