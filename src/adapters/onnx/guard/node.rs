//! The check of one node.

use super::names::{Names, short};
use super::ops;
use super::tensors::Constants;
use crate::failure::Failure;
use crate::pb;

/// Most inputs or outputs of a graph or a node.
pub(super) const ARITY: usize = 4096;

/// Checks one node: a known operator over values that exist, and makes the names of its outputs.
pub(super) fn check(
    node: &pb::Node,
    known: &mut Names,
    constants: &mut Constants<'_>,
) -> Result<(), Failure> {
    if !is_standard(node.domain.as_deref())
        || node.overload.as_deref().is_some_and(|o| !o.is_empty())
    {
        return Err(Failure::rejected(
            "operators outside the standard domain are not allowed; export without contrib or custom operators",
        ));
    }
    if !ops::is_allowed(node.op()) {
        return Err(Failure::rejected(
            "the operator is not on this node's list; express the step with elementary tensor operators",
        ));
    }
    if node.input.len() > ARITY || node.output.len() > ARITY {
        return Err(Failure::rejected(format!(
            "more than {ARITY} inputs or outputs"
        )));
    }
    ops::attributes(node)?;
    for tensor in node.attribute.iter().filter_map(|a| a.t.as_ref()) {
        constants.check(tensor)?;
    }
    for input in node.input.iter().filter(|i| !i.is_empty()) {
        if !known.contains(input) {
            return Err(Failure::rejected(format!(
                "input {:?} is not made by the graph's inputs or an earlier node; nodes must stand in the order of execution",
                short(input)
            )));
        }
    }
    if node.output.iter().all(String::is_empty) {
        return Err(Failure::rejected("the node has no output"));
    }
    node.output
        .iter()
        .filter(|o| !o.is_empty())
        .try_for_each(|output| known.define(output))
}

/// `ai.onnx` is another spelling of the standard domain, but runtimes disagree on it in nodes, so only the empty one is taken.
pub(super) fn is_standard(domain: Option<&str>) -> bool {
    domain.is_none_or(str::is_empty)
}

/// Which node it is, for messages: `node 3 "name" (Relu)`.
pub(crate) fn describe(index: usize, node: &pb::Node) -> String {
    let domain = node
        .domain
        .as_deref()
        .filter(|d| !d.is_empty())
        .map(|d| format!("{}::", short(d)))
        .unwrap_or_default();
    let name = node
        .name
        .as_deref()
        .filter(|n| !n.is_empty())
        .map(|n| format!(" {:?}", short(n)))
        .unwrap_or_default();
    format!("node {index}{name} ({domain}{})", short(node.op()))
}
