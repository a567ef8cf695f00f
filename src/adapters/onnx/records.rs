//! Whether a task's graphs keep records apart: a proof about checked graphs, before anything runs.
//!
//! Each value is followed through the operators with what is known of its axes (`value.rs`). One axis at most counts records; what an
//! operator does to it decides whether records stay apart (`rules.rs` has the table, the files around it one family each).
//! Beside that goes which columns have reached a value. What the rules do not know is not proven: they may refuse what is harmless, and
//! must never pass what is not.
//!
//! Reads what a stranger made, so it runs in the worker, in one that has no runtime loaded. What must hold around the graphs is in
//! [`delta_domain::records::proof`].

mod call;
mod elementwise;
mod follow;
mod numbers;
mod pick;
mod product;
mod reduce;
mod reshape;
mod rules;
mod sources;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use super::failure::Failure;
use super::guard::CheckedGraph;
use delta_domain::manifest::{Driver, Manifest, Records, Step};
use delta_domain::records::proof::{ProofRule, RecordsStep, ReleaseProof, Unproven};

use follow::{Lost, follow};
use sources::Sources;

/// Graph files that a proof reads: those of `records` steps. None: no graph needs to be followed.
pub(crate) fn graphs_of(manifest: &Manifest) -> BTreeSet<&str> {
    let steps = manifest.rounds.iter().flat_map(|r| &r.map.steps);
    let records = steps.filter(|s| matches!(s.driver, Driver::Records(_)));
    records.flat_map(files).collect()
}

/// Both forms of a step's graph: which one runs depends on the node's runtime.
fn files(step: &Step) -> impl Iterator<Item = &str> {
    step.graph
        .iter()
        .chain(&step.graph_onnxruntime)
        .map(String::as_str)
}

/// What is known of the task. `graphs` are at least those of [`graphs_of`].
///
/// # Errors
/// A graph is missing or cannot be read again: a bug on this side.
pub(crate) fn prove(
    manifest: &Manifest,
    graphs: &BTreeMap<String, CheckedGraph>,
) -> Result<ReleaseProof, Failure> {
    let mut failed = None;
    let proof = ReleaseProof::of(manifest, |step| {
        one_step(manifest, graphs, step).unwrap_or_else(|failure| {
            failed.get_or_insert(failure);
            Ok(BTreeSet::new())
        })
    });
    failed.map_or(Ok(proof), Err)
}

/// Columns that reach the outputs of a step in either form of its graph, or why one form cannot be followed.
fn one_step(
    manifest: &Manifest,
    graphs: &BTreeMap<String, CheckedGraph>,
    step: &RecordsStep<'_>,
) -> Result<Result<BTreeSet<String>, Vec<Unproven>>, Failure> {
    let mut columns = BTreeSet::new();
    let mut reasons = Vec::new();
    for file in files(step.step) {
        let graph = graphs
            .get(file)
            .ok_or_else(|| Failure::internal(format!("graph {file} was not sent to the worker")))?;
        match one_graph(manifest, step, graph)? {
            Ok(seen) => columns.extend(seen),
            Err(lost) => reasons.extend(lost.into_iter().map(|lost| unproven(step, file, lost))),
        }
    }
    Ok(if reasons.is_empty() {
        Ok(columns)
    } else {
        Err(reasons)
    })
}

/// Whether a graph keeps the records of a step apart: then what it makes of a record, or whether it fails, is no other record's doing.
///
/// # Errors
/// The graph cannot be read again: a bug on this side.
pub(crate) fn keeps_apart(
    manifest: &Manifest,
    step: &Step,
    records: &Records,
    graph: &CheckedGraph,
) -> Result<bool, Failure> {
    let step = RecordsStep {
        step,
        records,
        place: "",
    };
    Ok(one_graph(manifest, &step, graph)?.is_ok())
}

/// Columns that reach the outputs of a step in one form of its graph, or where it cannot be followed.
fn one_graph(
    manifest: &Manifest,
    step: &RecordsStep<'_>,
    graph: &CheckedGraph,
) -> Result<Result<BTreeSet<String>, Vec<Lost>>, Failure> {
    let wanted: BTreeSet<&String> = step.step.outputs.keys().collect();
    let mut sources = Sources::default();
    Ok(match sources.inputs(manifest, step, graph) {
        Ok(inputs) => {
            let followed = follow(graph, inputs, &wanted)?;
            followed.map(|seen| sources.names(&seen).into_iter().collect())
        }
        Err(lost) => Err(vec![lost]),
    })
}

fn unproven(step: &RecordsStep<'_>, file: &str, lost: Lost) -> Unproven {
    Unproven {
        rule: ProofRule::RowsMixed,
        place: format!("{}, {file}, {}", step.place, lost.place),
        operator: lost.operator,
        why: lost.why,
    }
}
