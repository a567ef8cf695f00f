//! Tensors that are absurd on their face: what an operator makes out of constants alone, before anything is allocated.
//!
//! A runtime folds constants when it loads a graph, so a terabyte `ConstantOfShape` would strike before the first run.
//! This follows small whole-number constants through the graph, and the sizes of values whose shape is known from them.
//! It is a lower bound: sizes that depend on the inputs are left to the worker's memory limit.

use std::collections::BTreeMap;

use super::graph::Port;
use crate::failure::Failure;
use crate::pb::{self, element};

/// Constants with more elements are no shapes.
const SHAPE_LEN: usize = 32;

pub(super) struct Estimate {
    /// Small whole-number constants: shapes, repeats, pads, range ends.
    whole: BTreeMap<String, Vec<i64>>,
    /// Element counts of values whose shape follows from constants.
    sizes: BTreeMap<String, u64>,
    limit_bytes: u64,
}

impl Estimate {
    pub(super) fn new(graph: &pb::Graph, inputs: &[Port], limit_bytes: u64) -> Self {
        let mut this = Self {
            whole: BTreeMap::new(),
            sizes: BTreeMap::new(),
            limit_bytes,
        };
        for tensor in &graph.initializer {
            this.record(tensor.name.as_deref().unwrap_or_default(), tensor);
        }
        for input in inputs {
            let whole = input
                .dims
                .as_ref()
                .and_then(|d| d.iter().copied().collect::<Option<Vec<_>>>());
            if let Some(n) = whole
                .and_then(|d| delta_domain::tensor::element_count(&d))
                .and_then(|n| u64::try_from(n).ok())
            {
                this.sizes.insert(input.name.clone(), n);
            }
        }
        this
    }

    /// Follows one node; its inputs have been visited.
    pub(super) fn visit(&mut self, node: &pb::Node) -> Result<(), Failure> {
        let Some(output) = node.output.first().filter(|o| !o.is_empty()).cloned() else {
            return Ok(());
        };
        let size = match node.op() {
            "Constant" => {
                self.constant_node(node, &output);
                return Ok(());
            }
            "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Transpose" | "Cast" => {
                if let Some(values) = self.input_whole(node, 0).cloned() {
                    self.whole.insert(output.clone(), values);
                }
                self.input_size(node, 0)
            }
            "Concat" => {
                let parts: Option<Vec<i64>> = node
                    .input
                    .iter()
                    .map(|i| self.whole.get(i).cloned())
                    .collect::<Option<Vec<_>>>()
                    .map(|p| p.concat())
                    .filter(|p| p.len() <= SHAPE_LEN);
                if let Some(values) = parts {
                    self.whole.insert(output.clone(), values);
                }
                node.input
                    .iter()
                    .map(|i| self.sizes.get(i).copied())
                    .try_fold(0u64, |n, s| Some(n.saturating_add(s?)))
            }
            "ConstantOfShape" => self.input_whole(node, 0).map(|d| product(d)),
            "Expand" => self
                .input_whole(node, 1)
                .map(|d| product(d).max(self.input_size(node, 0).unwrap_or(1))),
            "Tile" => self
                .input_whole(node, 1)
                .map(|d| product(d).saturating_mul(self.input_size(node, 0).unwrap_or(1))),
            "OneHot" => self
                .input_whole(node, 1)
                .map(|d| product(d).saturating_mul(self.input_size(node, 0).unwrap_or(1))),
            "Pad" => self.input_whole(node, 1).map(|p| padded(p)),
            "Range" => self.range(node),
            _ => None,
        };
        let Some(size) = size else { return Ok(()) };
        self.sizes.insert(output.clone(), size);
        // Elements may be as small as one byte, but no task works on bytes of this number.
        if size.saturating_mul(4) > self.limit_bytes {
            return Err(Failure::rejected(format!(
                "the node makes a tensor of {size} elements whatever its inputs are, this node allows {} bytes; use smaller constants",
                self.limit_bytes
            )));
        }
        Ok(())
    }

    fn constant_node(&mut self, node: &pb::Node, output: &str) {
        for attribute in &node.attribute {
            if let Some(tensor) = &attribute.t {
                self.record(output, tensor);
            } else if let Some(value) = attribute.i {
                self.whole.insert(output.to_owned(), vec![value]);
            } else if !attribute.ints.is_empty() && attribute.ints.len() <= SHAPE_LEN {
                self.whole.insert(output.to_owned(), attribute.ints.clone());
            }
        }
    }

    fn record(&mut self, name: &str, tensor: &pb::Tensor) {
        let dims: Vec<i64> = tensor.dims.clone();
        self.sizes.insert(name.to_owned(), product(&dims));
        if product(&dims) > u64::try_from(SHAPE_LEN).unwrap_or(0) {
            return;
        }
        let values = match (tensor.data_type.unwrap_or(0), &tensor.raw_data) {
            (element::INT64, Some(raw)) => raw
                .as_chunks::<8>()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b))
                .collect(),
            (element::INT64, None) => tensor.int64_data.clone(),
            (element::INT32, Some(raw)) => raw
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| i64::from(i32::from_le_bytes(*b)))
                .collect(),
            (element::INT32, None) => tensor.int32_data.iter().map(|v| i64::from(*v)).collect(),
            _ => return,
        };
        self.whole.insert(name.to_owned(), values);
    }

    fn range(&self, node: &pb::Node) -> Option<u64> {
        let one = |i| {
            self.input_whole(node, i)
                .and_then(|v| v.first().copied())
                .map(i128::from)
        };
        let (start, limit, delta) = (one(0)?, one(1)?, one(2)?);
        if delta == 0 {
            return Some(u64::MAX);
        }
        Some(u64::try_from(((limit - start) / delta).max(0)).unwrap_or(u64::MAX))
    }

    fn input_whole(&self, node: &pb::Node, index: usize) -> Option<&Vec<i64>> {
        self.whole.get(node.input.get(index)?)
    }

    fn input_size(&self, node: &pb::Node, index: usize) -> Option<u64> {
        self.sizes.get(node.input.get(index)?).copied()
    }
}

/// Product of lengths; a length that is no length counts as 1 (the runtime rejects it), overflow saturates.
fn product(dims: &[i64]) -> u64 {
    if dims.contains(&0) {
        return 0;
    }
    dims.iter()
        .map(|&d| u64::try_from(d).unwrap_or(1))
        .fold(1, u64::saturating_mul)
}

/// Pads come as all beginnings, then all ends; every padded axis is at least as long as its pads.
fn padded(pads: &[i64]) -> u64 {
    let (begin, end) = pads.split_at(pads.len() / 2);
    begin
        .iter()
        .zip(end)
        .map(|(&b, &e)| u64::try_from(b.saturating_add(e)).unwrap_or(1).max(1))
        .fold(1, u64::saturating_mul)
}
