//! The check of an untrusted graph before any runtime sees it (docs/protocol/graphs.md, What a graph may be).
//!
//! A graph that passes is a flat list of allowed operators over tensors: no subgraphs, functions, foreign domains, files or strings.
//! What the runtime gets is not the file but our own encoding of what was checked, so no field that we do not know can reach it.
//! Not here: whether the graph fits the task (`contract.rs`), and what it costs to run, beyond tensors that are absurd on their face
//! (`guard/estimate.rs`); the worker's limits catch the rest.

mod estimate;
mod graph;
mod names;
mod node;
mod ops;
mod tensors;

use prost::Message as _;

use super::failure::Failure;
use super::pb;

use estimate::Estimate;
pub use graph::GraphLimits;
pub(crate) use graph::{CheckedGraph, Port};
use names::{Names, short};
pub(crate) use node::describe;
use tensors::Constants;

/// Checks a file. Messages name the node and the operator and say what to do; the caller adds the graph's name.
pub(crate) fn check(file: &[u8], limits: &GraphLimits) -> Result<CheckedGraph, Failure> {
    if file.len() > limits.file_bytes {
        return Err(Failure::rejected(format!(
            "the file has {} bytes, this node takes {}; move constants into variables or ask the node's operator to raise executor limits",
            file.len(),
            limits.file_bytes
        )));
    }
    let model = pb::Model::decode(file).map_err(|e| {
        Failure::rejected(format!(
            "the file is not an ONNX model ({e}); export it again"
        ))
    })?;
    header(&model)?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| Failure::rejected("the model holds no graph; export it again"))?;
    counts(graph, limits)?;
    let mut known = Names::default();
    let inputs = ports(&graph.input, limits)?;
    for input in &inputs {
        known.define(&input.name)?;
    }
    nodes(graph, &inputs, &mut known, limits)?;
    let outputs = ports(&graph.output, limits)?;
    let mut seen = Names::default();
    for output in &outputs {
        if !known.contains(&output.name) {
            return Err(Failure::rejected(format!(
                "output {:?} is made by no node; export the graph again",
                output.name
            )));
        }
        seen.define(&output.name)?;
    }
    Ok(CheckedGraph {
        bytes: model.encode_to_vec(),
        inputs,
        outputs,
    })
}

/// Checks how many of everything there are.
fn counts(graph: &pb::Graph, limits: &GraphLimits) -> Result<(), Failure> {
    if graph.node.len() > limits.nodes {
        return Err(Failure::rejected(format!(
            "{} nodes, this node takes {}; split the task into steps",
            graph.node.len(),
            limits.nodes
        )));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(Failure::rejected(
            "sparse initializers are not allowed; store dense ones",
        ));
    }
    if graph.input.len().max(graph.output.len()) > node::ARITY {
        return Err(Failure::rejected(format!(
            "more than {} inputs or outputs",
            node::ARITY
        )));
    }
    Ok(())
}

fn ports(values: &[pb::ValueInfo], limits: &GraphLimits) -> Result<Vec<Port>, Failure> {
    values.iter().map(|v| tensors::port(v, limits)).collect()
}

/// Checks constants and nodes in their order, which is that of execution.
fn nodes(
    graph: &pb::Graph,
    inputs: &[Port],
    known: &mut Names,
    limits: &GraphLimits,
) -> Result<(), Failure> {
    let mut constants = Constants::new(limits);
    for tensor in &graph.initializer {
        let name = tensor.name.as_deref().unwrap_or_default();
        constants
            .check(tensor)
            .map_err(|f| f.within(&format!("initializer {name:?}")))?;
        known.define(name)?;
    }
    let mut estimate = Estimate::new(graph, inputs, limits.tensor_bytes);
    for (index, node) in graph.node.iter().enumerate() {
        node::check(node, known, &mut constants)
            .and_then(|()| estimate.visit(node))
            .map_err(|f| f.within(&node::describe(index, node)))?;
    }
    Ok(())
}

/// Checks everything about a model but its graph: versions, operator sets, and that there is nothing else.
fn header(model: &pb::Model) -> Result<(), Failure> {
    let ir = model.ir_version.unwrap_or(0);
    if !(7..=10).contains(&ir) {
        return Err(Failure::rejected(format!(
            "IR version {ir} is not read here; export with IR version 7 to 10"
        )));
    }
    if !model.functions.is_empty() {
        return Err(Failure::rejected(
            "model-local functions are not allowed; inline them before exporting",
        ));
    }
    if !model.training_info.is_empty() {
        return Err(Failure::rejected(
            "training information is not allowed; export the training step as a plain graph",
        ));
    }
    match model.opset_import.as_slice() {
        [one]
            if node::is_standard(one.domain.as_deref())
                && (13..=18).contains(&one.version.unwrap_or(0)) =>
        {
            Ok(())
        }
        other => {
            let found: Vec<String> = other
                .iter()
                .take(8)
                .map(|o| {
                    format!(
                        "{:?} {}",
                        short(o.domain.as_deref().unwrap_or_default()),
                        o.version.unwrap_or(0)
                    )
                })
                .collect();
            Err(Failure::rejected(format!(
                "operator sets [{}] are not read here; export with the standard operator set alone, version 13 to 18",
                found.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests;
