//! The way of the records through one checked graph, node by node.
//!
//! Every node must be followed, also one whose output nobody wants: what it does with the records may end a run, and a run that ends tells
//! something, too. For the same reason the columns of a graph are those of all its nodes.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::call::Call;
use super::numbers;
use super::rules;
use super::value::{Dim, Flow, Taint, Value};
use crate::failure::Failure;
use crate::guard::{CheckedGraph, describe};
use crate::pb;
use delta_domain::tensor::DType;

/// Nodes that are named in an answer; more of them help nobody.
const NAMED: usize = 8;

/// A node that cannot be followed.
pub(super) struct Lost {
    /// `node 3 "name" (TopK)`, or an output.
    pub(super) place: String,
    pub(super) operator: Option<String>,
    pub(super) why: String,
}

/// The columns that reach any node, by their numbers; or the nodes that cannot be followed, the first ones.
///
/// `inputs`: what is known of the graph's inputs. `wanted`: outputs that become sums; each must have the records as its first axis.
pub(super) fn follow(
    graph: &CheckedGraph,
    inputs: BTreeMap<String, Value>,
    wanted: &BTreeSet<&String>,
) -> Result<Result<BTreeSet<usize>, Vec<Lost>>, Failure> {
    let model = pb::Model::decode(graph.bytes.as_slice())
        .map_err(|e| Failure::internal(format!("a checked graph cannot be read: {e}")))?;
    let opset = model.opset_import.first().and_then(|o| o.version);
    let body = model
        .graph
        .ok_or_else(|| Failure::internal("a checked graph is empty"))?;
    let mut walk = Walk {
        values: inputs,
        opset: opset.unwrap_or(0),
        seen: Taint::default(),
        lost: Vec::new(),
    };
    for tensor in &body.initializer {
        let name = tensor.name.clone().unwrap_or_default();
        walk.values.insert(name, constant(tensor));
    }
    for (index, node) in body.node.iter().enumerate() {
        walk.node(index, node);
        if walk.lost.len() >= NAMED {
            break;
        }
    }
    if walk.lost.is_empty() {
        wanted.iter().for_each(|output| walk.output(output));
    }
    Ok(if walk.lost.is_empty() {
        Ok(walk.seen.columns())
    } else {
        Err(walk.lost)
    })
}

/// A constant of the graph.
fn constant(tensor: &pb::Tensor) -> Value {
    let dims: Vec<Dim> = tensor.dims.iter().map(|n| Dim::Known(*n)).collect();
    let whole = if dims.len() <= 1 {
        numbers::elements(tensor)
    } else {
        None
    };
    Value {
        whole,
        dtype: tensor
            .data_type
            .and_then(|code| numbers::dtype(i64::from(code))),
        ..Value::shaped(dims)
    }
}

struct Walk {
    values: BTreeMap<String, Value>,
    opset: i64,
    /// Columns that have reached any node so far.
    seen: Taint,
    lost: Vec<Lost>,
}

impl Walk {
    fn node(&mut self, index: usize, node: &pb::Node) {
        let inputs = node
            .input
            .iter()
            .map(|name| self.values.get(name))
            .collect();
        let call = Call {
            node,
            inputs,
            opset: self.opset,
        };
        let made = match outputs(&call) {
            Ok(made) => made,
            Err(why) => {
                self.lost.push(Lost {
                    place: describe(index, node),
                    operator: Some(node.op().chars().take(80).collect()),
                    why,
                });
                // What follows is told as if nothing reached it: one reason for one cause.
                vec![Value::default(); node.output.len()]
            }
        };
        for (name, value) in node.output.iter().zip(made) {
            self.seen.add(&value.taint);
            if !name.is_empty() {
                self.values.insert(name.clone(), value);
            }
        }
    }

    /// An output that becomes a sum must be one block for each record.
    fn output(&mut self, name: &str) {
        let value = self.values.get(name);
        if let Some(value) = value.filter(|v| v.rows() == Some(0)) {
            self.seen.add(&value.taint);
            return;
        }
        let why = match value.and_then(Value::rows) {
            Some(axis) => format!("the records stand on axis {axis} of it, not on the first"),
            None => "it has no axis for the records: give out a block for each".to_owned(),
        };
        self.lost.push(Lost {
            place: format!("output {:?}", name.chars().take(80).collect::<String>()),
            operator: None,
            why,
        });
    }
}

/// What is known of a node's outputs, one for each name.
fn outputs(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let op = call.node.op();
    let fixed = call.present().iter().all(|v| v.is_fixed());
    let followed = match followed(call) {
        Ok(made) => made,
        // Whatever it is, it is the same for every record: all operators are functions of their inputs alone.
        Err(_) if fixed => Vec::new(),
        Err(why) => return Err(why),
    };
    let rows = call.present().iter().any(|v| v.rows().is_some());
    let mut made = Vec::with_capacity(call.node.output.len());
    for index in 0..call.node.output.len() {
        let value = match followed.get(index) {
            Some(value) => value.clone(),
            None if fixed => Value::default(),
            None if call.node.output.get(index).is_some_and(String::is_empty) => Value::default(),
            None => return Err(format!("output {index} of it is not followed")),
        };
        if rows && value.rows().is_none() && !rules::tells_lengths(op) {
            return Err("the axis of the records is lost".to_owned());
        }
        made.push(finished(call, index, value));
    }
    Ok(made)
}

/// By the operator's rule, with the numbers that are known.
fn followed(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let op = call.node.op();
    let (rule, attributes) = rules::rule(op).ok_or_else(|| {
        "what this operator does with records is not followed; express it with elementary operators".to_owned()
    })?;
    if let Some(name) = call.foreign(attributes) {
        let name: String = name.chars().take(80).collect();
        return Err(format!("attribute {name:?} is not known"));
    }
    let mut made = rule(call)?;
    let first = made.first_mut();
    let whole = numbers(
        call,
        first.as_ref().and_then(|v| v.dims.as_ref()).map(Vec::len),
    );
    let lengths =
        call.inputs.iter().enumerate().any(|(i, v)| {
            v.is_some_and(|v| v.flow() == Flow::Length) && !rules::takes_lengths(op, i)
        });
    let counts = rules::tells_lengths(op) && call.present().iter().any(|v| !v.is_fixed());
    if (lengths || counts) && whole.is_none() {
        return Err("the number of records in a batch goes into numbers; it may only become the length of an axis".to_owned());
    }
    if let Some(value) = first {
        value.whole = whole;
    }
    Ok(made)
}

/// The numbers of the first output, of which lists and single ones are followed; `rank` is the output's.
fn numbers(call: &Call<'_>, rank: Option<usize>) -> Option<Vec<Dim>> {
    let whole = numbers::fold(call).filter(|_| rank.is_some_and(|r| r <= 1))?;
    let fits = match rules::dtype(call, 0)? {
        DType::I64 => true,
        DType::I32 => whole
            .iter()
            .all(|d| d.known().is_none_or(|n| i32::try_from(n).is_ok())),
        DType::Bool => whole
            .iter()
            .all(|d| matches!(d, Dim::Known(0 | 1) | Dim::Other)),
        DType::U8 | DType::F32 | DType::F64 => false,
    };
    fits.then_some(whole)
}

/// With its type, and the columns that reach it.
fn finished(call: &Call<'_>, index: usize, mut value: Value) -> Value {
    value.dtype = rules::dtype(call, index);
    if let Some(labels) = &value.labels {
        value.taint = Taint::of(labels);
    } else if value.taint == Taint::default() && !rules::tells_lengths(call.node.op()) {
        for input in call.present() {
            value.taint.add(&input.taint);
        }
    }
    value
}
