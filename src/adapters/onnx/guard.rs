//! The check of an untrusted graph before any runtime sees it (ONNX.md section 5).
//!
//! A graph that passes is a flat list of allowed operators over tensors: no subgraphs, functions, foreign domains, files or strings.
//! What the runtime gets is not the file but our own encoding of what was checked, so no field that we do not know can reach it.
//! Not here: whether the graph fits the task (`contract.rs`), and what it costs to run, beyond tensors that are absurd on their face
//! (`guard/estimate.rs`); the worker's limits catch the rest.

mod estimate;
mod ops;

use std::collections::BTreeSet;

use prost::Message as _;

use super::failure::Failure;
use super::pb;
use delta_domain::tensor::{DType, element_count};

/// How large a graph may be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GraphLimits {
    /// Bytes of the file.
    pub file_bytes: usize,
    /// Nodes.
    pub nodes: usize,
    /// Bytes of all constants once expanded.
    pub constant_bytes: u64,
    /// Bytes of one tensor whose size can be read off the file.
    pub tensor_bytes: u64,
}

impl Default for GraphLimits {
    fn default() -> Self {
        Self {
            file_bytes: 128 << 20,
            nodes: 50_000,
            constant_bytes: 128 << 20,
            tensor_bytes: 4 << 30,
        }
    }
}

/// A typed input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    /// `None` for an unknown rank; a dimension is `None` when it may have any length.
    pub(crate) dims: Option<Vec<Option<usize>>>,
}

/// A graph that passed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CheckedGraph {
    /// Our encoding of it, the only bytes that a runtime may see.
    pub(crate) bytes: Vec<u8>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
}

/// Longest name of a value, node or dimension.
const NAME_BYTES: usize = 512;
/// Most inputs or outputs of a graph or a node.
const ARITY: usize = 4096;

/// Checks a file. Messages name the node and the operator and say what to do; the caller adds the graph's name.
pub(crate) fn check(file: &[u8], limits: &GraphLimits) -> Result<CheckedGraph, Failure> {
    if file.len() > limits.file_bytes {
        return Err(Failure::refused(format!(
            "the file has {} bytes, this node takes {}; move constants into variables or ask the node's operator to raise executor limits",
            file.len(),
            limits.file_bytes
        )));
    }
    let model = pb::Model::decode(file).map_err(|e| {
        Failure::refused(format!(
            "the file is not an ONNX model ({e}); export it again"
        ))
    })?;
    header(&model)?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| Failure::refused("the model holds no graph; export it again"))?;
    if graph.node.len() > limits.nodes {
        return Err(Failure::refused(format!(
            "{} nodes, this node takes {}; split the task into steps",
            graph.node.len(),
            limits.nodes
        )));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(Failure::refused(
            "sparse initializers are not allowed; store dense ones",
        ));
    }
    if graph.input.len().max(graph.output.len()) > ARITY {
        return Err(Failure::refused(format!(
            "more than {ARITY} inputs or outputs"
        )));
    }

    let mut constants = 0u64;
    let mut known = BTreeSet::new();
    let inputs = graph
        .input
        .iter()
        .map(|v| port(v, limits))
        .collect::<Result<Vec<_>, _>>()?;
    for input in &inputs {
        define(&mut known, &input.name)?;
    }
    for tensor in &graph.initializer {
        let name = tensor.name.as_deref().unwrap_or_default();
        constant(tensor, &mut constants, limits)
            .map_err(|f| f.within(&format!("initializer {name:?}")))?;
        define(&mut known, name)?;
    }
    let mut estimate = estimate::Estimate::new(graph, &inputs, limits.tensor_bytes);
    for (index, node) in graph.node.iter().enumerate() {
        check_node(node, &mut known, &mut constants, limits)
            .and_then(|()| estimate.visit(node))
            .map_err(|f| f.within(&describe(index, node)))?;
    }
    let outputs = graph
        .output
        .iter()
        .map(|v| port(v, limits))
        .collect::<Result<Vec<_>, _>>()?;
    let mut seen = BTreeSet::new();
    for output in &outputs {
        if !known.contains(&output.name) {
            return Err(Failure::refused(format!(
                "output {:?} is made by no node; export the graph again",
                output.name
            )));
        }
        define(&mut seen, &output.name)?;
    }
    Ok(CheckedGraph {
        bytes: model.encode_to_vec(),
        inputs,
        outputs,
    })
}

fn header(model: &pb::Model) -> Result<(), Failure> {
    let ir = model.ir_version.unwrap_or(0);
    if !(7..=10).contains(&ir) {
        return Err(Failure::refused(format!(
            "IR version {ir} is not read here; export with IR version 7 to 10"
        )));
    }
    if !model.functions.is_empty() {
        return Err(Failure::refused(
            "model-local functions are not allowed; inline them before exporting",
        ));
    }
    if !model.training_info.is_empty() {
        return Err(Failure::refused(
            "training information is not allowed; export the training step as a plain graph",
        ));
    }
    match model.opset_import.as_slice() {
        [one]
            if is_standard(one.domain.as_deref())
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
            Err(Failure::refused(format!(
                "operator sets [{}] are not read here; export with the standard operator set alone, version 13 to 18",
                found.join(", ")
            )))
        }
    }
}

/// `ai.onnx` is another spelling of the standard domain, but runtimes disagree on it in nodes, so only the empty one is taken.
fn is_standard(domain: Option<&str>) -> bool {
    domain.is_none_or(str::is_empty)
}

fn check_node(
    node: &pb::Node,
    known: &mut BTreeSet<String>,
    constants: &mut u64,
    limits: &GraphLimits,
) -> Result<(), Failure> {
    if !is_standard(node.domain.as_deref())
        || node.overload.as_deref().is_some_and(|o| !o.is_empty())
    {
        return Err(Failure::refused(
            "operators outside the standard domain are not allowed; export without contrib or custom operators",
        ));
    }
    if !ops::is_allowed(node.op()) {
        return Err(Failure::refused(
            "the operator is not on this node's list; express the step with elementary tensor operators",
        ));
    }
    if node.input.len() > ARITY || node.output.len() > ARITY {
        return Err(Failure::refused(format!(
            "more than {ARITY} inputs or outputs"
        )));
    }
    ops::attributes(node)?;
    for tensor in node.attribute.iter().filter_map(|a| a.t.as_ref()) {
        constant(tensor, constants, limits)?;
    }
    for input in node.input.iter().filter(|i| !i.is_empty()) {
        if !known.contains(input) {
            return Err(Failure::refused(format!(
                "input {:?} is not made by the graph's inputs or an earlier node; nodes must stand in the order of execution",
                short(input)
            )));
        }
    }
    if node.output.iter().all(String::is_empty) {
        return Err(Failure::refused("the node has no output"));
    }
    node.output
        .iter()
        .filter(|o| !o.is_empty())
        .try_for_each(|output| define(known, output))
}

fn define(known: &mut BTreeSet<String>, name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(Failure::refused(format!(
            "a value has no name or one of more than {NAME_BYTES} bytes"
        )));
    }
    if !known.insert(name.to_owned()) {
        return Err(Failure::refused(format!(
            "two values have the name {:?}; names must be unique",
            short(name)
        )));
    }
    Ok(())
}

/// Bounds a constant, and refuses everything about it that is not plain numbers in the file itself.
fn constant(tensor: &pb::Tensor, total: &mut u64, limits: &GraphLimits) -> Result<(), Failure> {
    if tensor.data_location.unwrap_or(0) != 0 || !tensor.external_data.is_empty() {
        return Err(Failure::refused(
            "the constant lies in another file, which is not allowed; embed it",
        ));
    }
    if tensor.segment.is_some() || !tensor.string_data.is_empty() || !tensor.uint64_data.is_empty()
    {
        return Err(Failure::refused(
            "the constant is segmented or of a type that is not allowed; store plain numbers",
        ));
    }
    let dtype = dtype(tensor.data_type.unwrap_or(0))?;
    let dims = tensor
        .dims
        .iter()
        .map(|&d| usize::try_from(d))
        .collect::<Result<Vec<_>, _>>();
    let elements = dims
        .ok()
        .filter(|d| d.len() <= 32)
        .and_then(|d| element_count(&d));
    let bytes = elements
        .and_then(|n| n.checked_mul(dtype.size()))
        .and_then(|b| u64::try_from(b).ok());
    let (Some(elements), Some(bytes)) = (elements, bytes) else {
        return Err(Failure::refused("the constant's shape is not a shape"));
    };
    *total = total
        .checked_add(bytes)
        .filter(|t| *t <= limits.constant_bytes)
        .ok_or_else(|| {
            Failure::refused(format!(
                "the constants need more than {} bytes; move them into variables",
                limits.constant_bytes
            ))
        })?;
    let lists = [
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
    ];
    let fits = match &tensor.raw_data {
        Some(raw) => u64::try_from(raw.len()) == Ok(bytes) && lists.iter().all(|n| *n == 0),
        None => {
            let own = match dtype {
                DType::F32 => 0,
                DType::I32 | DType::U8 | DType::Bool => 1,
                DType::I64 => 2,
                DType::F64 => 3,
            };
            lists
                .iter()
                .enumerate()
                .all(|(i, n)| *n == if i == own { elements } else { 0 })
        }
    };
    if fits {
        Ok(())
    } else {
        Err(Failure::refused(
            "the constant holds more or fewer numbers than its shape says",
        ))
    }
}

fn port(value: &pb::ValueInfo, limits: &GraphLimits) -> Result<Port, Failure> {
    let name = value.name.clone().unwrap_or_default();
    let place = |f: Failure| f.within(&format!("{:?}", short(&name)));
    let tensor = value.ty.as_ref().and_then(|t| t.tensor.as_ref());
    let tensor = tensor.ok_or_else(|| {
        place(Failure::refused(
            "inputs and outputs must be tensors with a declared type",
        ))
    })?;
    let dtype = dtype(tensor.elem.unwrap_or(0)).map_err(place)?;
    let dims = match &tensor.shape {
        None => None,
        Some(shape) if shape.dim.len() > 32 => {
            return Err(place(Failure::refused("more than 32 dimensions")));
        }
        Some(shape) => Some(
            shape
                .dim
                .iter()
                .map(dimension)
                .collect::<Result<Vec<_>, _>>()
                .map_err(place)?,
        ),
    };
    // The known dimensions alone bound the tensor from below.
    let known: Vec<usize> = dims
        .iter()
        .flatten()
        .filter_map(|d| d.filter(|d| *d > 0))
        .collect();
    let bytes = element_count(&known)
        .and_then(|n| n.checked_mul(dtype.size()))
        .and_then(|b| u64::try_from(b).ok());
    if bytes.is_none_or(|b| b > limits.tensor_bytes) {
        return Err(place(Failure::refused(format!(
            "the declared shape needs more than {} bytes",
            limits.tensor_bytes
        ))));
    }
    Ok(Port { name, dtype, dims })
}

fn dimension(dim: &pb::Dim) -> Result<Option<usize>, Failure> {
    if dim.param.as_ref().is_some_and(|p| p.len() > NAME_BYTES) {
        return Err(Failure::refused("a dimension's name is too long"));
    }
    match dim.value {
        None => Ok(None),
        // Some exporters write -1 for "any length".
        Some(-1) => Ok(None),
        Some(n) => usize::try_from(n)
            .map(Some)
            .map_err(|_| Failure::refused(format!("a dimension of length {n}"))),
    }
}

fn dtype(code: i32) -> Result<DType, Failure> {
    use pb::element;
    match code {
        element::FLOAT => Ok(DType::F32),
        element::DOUBLE => Ok(DType::F64),
        element::INT32 => Ok(DType::I32),
        element::INT64 => Ok(DType::I64),
        element::UINT8 => Ok(DType::U8),
        element::BOOL => Ok(DType::Bool),
        other => Err(Failure::refused(format!(
            "element type {other} is not allowed; use float32, float64, int32, int64, uint8 or bool"
        ))),
    }
}

fn describe(index: usize, node: &pb::Node) -> String {
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

/// Hostile text may be huge: show its beginning only.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
