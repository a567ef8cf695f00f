//! Graphs for tests, drawn node by node, with the task around them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use serde_json::{Value as Json, json};

use crate::guard::{CheckedGraph, GraphLimits, check};
use crate::pb::{
    self, Attribute, Dim, Graph, Model, Node, Opset, Shape, TensorType, Type, ValueInfo, element,
    kind,
};
use crate::records::prove;
use delta_domain::manifest::Manifest;
use delta_domain::records::proof::{ReleaseProof, Unproven};

/// Columns of the table that all sketches read from.
pub(crate) const COLUMNS: [&str; 5] = ["wage", "id", "age", "sex", "a"];

/// A graph in the making. Names of values are given by the sketch: `x0` for inputs, `v1` for what nodes make.
pub(crate) struct Sketch {
    inputs: Vec<(ValueInfo, Json)>,
    nodes: Vec<Node>,
    constants: RefCell<Vec<pb::Tensor>>,
    variables: RefCell<BTreeMap<String, Json>>,
    fed: RefCell<Vec<(ValueInfo, Json)>>,
    opset: i64,
}

impl Sketch {
    pub(crate) fn new() -> Self {
        Self {
            inputs: Vec::new(),
            nodes: Vec::new(),
            constants: RefCell::default(),
            variables: RefCell::default(),
            fed: RefCell::default(),
            opset: 17,
        }
    }

    pub(crate) fn opset(mut self, version: i64) -> Self {
        self.opset = version;
        self
    }

    /// Columns of the table, `f64` `[n, columns]`.
    pub(crate) fn table(&mut self, columns: &[&str]) -> String {
        let count = i64::try_from(columns.len()).unwrap();
        let source = json!({"from": "data", "dataset": "a.csv", "field": {"columns": columns}});
        self.input(element::DOUBLE, &[-1, count], source)
    }

    /// One column, `i64` `[n]`.
    pub(crate) fn column(&mut self, name: &str) -> String {
        let source = json!({"from": "data", "dataset": "a.csv", "field": {"column_i64": name}});
        self.input(element::INT64, &[-1], source)
    }

    fn input(&mut self, elem: i32, dims: &[i64], source: Json) -> String {
        let name = format!("x{}", self.inputs.len());
        self.inputs.push((port(&name, elem, dims), source));
        name
    }

    /// A server variable, `f64`.
    pub(crate) fn variable(&self, name: &str, dims: &[i64]) -> String {
        self.fed(name, element::DOUBLE, "f64", dims)
    }

    /// A server variable of whole numbers.
    pub(crate) fn variable_ints(&self, name: &str, dims: &[i64]) -> String {
        self.fed(name, element::INT64, "i64", dims)
    }

    fn fed(&self, name: &str, elem: i32, dtype: &str, dims: &[i64]) -> String {
        let spec = json!({"location": "server", "dtype": dtype, "shape": dims});
        self.variables.borrow_mut().insert(name.to_owned(), spec);
        let source = json!({"from": "variable", "name": name});
        self.fed.borrow_mut().push((port(name, elem, dims), source));
        name.to_owned()
    }

    /// A list of whole numbers.
    pub(crate) fn ints(&self, values: &[i64]) -> String {
        self.constant(
            element::INT64,
            &[i64::try_from(values.len()).unwrap()],
            bytes(values),
        )
    }

    /// A single whole number.
    pub(crate) fn single(&self, value: i64) -> String {
        self.constant(element::INT64, &[], bytes(&[value]))
    }

    /// Floating-point numbers of a shape.
    pub(crate) fn floats(&self, dims: &[i64], values: &[f64]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(element::DOUBLE, dims, raw)
    }

    fn constant(&self, elem: i32, dims: &[i64], raw: Vec<u8>) -> String {
        let mut all = self.constants.borrow_mut();
        let name = format!("c{}", all.len());
        all.push(pb::Tensor {
            name: Some(name.clone()),
            dims: dims.to_vec(),
            data_type: Some(elem),
            raw_data: Some(raw),
            ..pb::Tensor::default()
        });
        name
    }

    /// A node with one output.
    pub(crate) fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.op_with(op, inputs, Vec::new())
    }

    /// A node with attributes and one output.
    pub(crate) fn op_with(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        self.many(op, inputs, attributes, 1).remove(0)
    }

    /// A node with several outputs.
    pub(crate) fn many(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
        outputs: usize,
    ) -> Vec<String> {
        let made: usize = self.nodes.iter().map(|n| n.output.len()).sum();
        let names: Vec<String> = (1..=outputs).map(|i| format!("v{}", made + i)).collect();
        self.nodes.push(Node {
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|s| (*s).to_owned()).collect(),
            output: names.clone(),
            attribute: attributes,
            ..Node::default()
        });
        names
    }

    /// Swaps two names of made values.
    pub(crate) fn rename(&mut self, a: &str, b: &str) {
        let swap = |name: &mut String| {
            if name == a {
                b.clone_into(name);
            } else if name == b {
                a.clone_into(name);
            }
        };
        for node in &mut self.nodes {
            node.input.iter_mut().chain(&mut node.output).for_each(swap);
        }
    }

    /// The graph, as the check passes it.
    pub(crate) fn checked(&self, outputs: &[&str]) -> CheckedGraph {
        let any = |name: &&str| ValueInfo {
            name: Some((*name).to_owned()),
            ty: Some(Type {
                tensor: Some(TensorType {
                    elem: Some(element::DOUBLE),
                    shape: None,
                }),
            }),
        };
        let fed = self.fed.borrow();
        let model = Model {
            ir_version: Some(8),
            opset_import: vec![Opset {
                domain: None,
                version: Some(self.opset),
            }],
            graph: Some(Graph {
                node: self.nodes.clone(),
                name: Some("g".to_owned()),
                initializer: self.constants.borrow().clone(),
                input: self
                    .inputs
                    .iter()
                    .chain(&*fed)
                    .map(|(port, _)| port.clone())
                    .collect(),
                output: outputs.iter().map(any).collect(),
                sparse_initializer: vec![],
            }),
            training_info: vec![],
            functions: vec![],
        };
        check(&model.encode_to_vec(), &GraphLimits::default()).unwrap()
    }

    /// The step that runs the graph.
    pub(crate) fn step(&self, outputs: &[&str]) -> Json {
        let fed = self.fed.borrow();
        let inputs: BTreeMap<String, Json> = self
            .inputs
            .iter()
            .chain(&*fed)
            .map(|(port, source)| (port.name.clone().unwrap(), source.clone()))
            .collect();
        let sums = outputs
            .iter()
            .map(|o| ((*o).to_owned(), json!({"to": "sum", "name": o})));
        json!({
            "graph": "graphs/map.onnx",
            "driver": {"kind": "records", "dataset": "a.csv"},
            "inputs": inputs,
            "outputs": sums.collect::<BTreeMap<_, _>>(),
        })
    }

    /// A task of this step alone.
    pub(crate) fn task(&self, step: Json, outputs: &[&str]) -> Manifest {
        let mut variables = self.variables.borrow().clone();
        variables.insert(
            "out".to_owned(),
            json!({"location": "server", "dtype": "f64", "shape": []}),
        );
        let contribute: Vec<Json> = outputs
            .iter()
            .map(|o| json!({"name": o, "dtype": "f64", "shape": []}))
            .collect();
        serde_json::from_value(json!({
            "format": "delta-task/1", "name": "sketch", "type": "horizontal",
            "datasets": {"a.csv": {"kind": "table", "columns": COLUMNS}},
            "variables": variables,
            "rounds": [{"map": {"steps": [step], "contribute": contribute}, "reduce": {"steps": [], "assign": {}}}],
            "outputs": ["out"]
        }))
        .unwrap()
    }

    /// The columns that reach the outputs, or why nothing is proven.
    pub(crate) fn proof(&self, outputs: &[&str]) -> Result<BTreeSet<String>, Vec<Unproven>> {
        self.proof_with(outputs, None)
    }

    /// The same, with a second form of the graph.
    pub(crate) fn proof_with(
        &self,
        outputs: &[&str],
        second: Option<&Self>,
    ) -> Result<BTreeSet<String>, Vec<Unproven>> {
        let mut graphs = BTreeMap::from([("graphs/map.onnx".to_owned(), self.checked(outputs))]);
        let mut step = self.step(outputs);
        if let Some(second) = second {
            step["graph_onnxruntime"] = json!("graphs/second.onnx");
            graphs.insert("graphs/second.onnx".to_owned(), second.checked(outputs));
        }
        let task = self.task(step, outputs);
        assert_eq!(task.errors(), [], "the task must be one");
        match prove(&task, &graphs).unwrap() {
            ReleaseProof::Proven(steps) => Ok(steps.into_iter().flat_map(|s| s.columns).collect()),
            ReleaseProof::Unproven(reasons) => Err(reasons),
        }
    }
}

fn bytes(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn port(name: &str, elem: i32, dims: &[i64]) -> ValueInfo {
    let dim = |d: &i64| match *d {
        -1 => Dim {
            value: None,
            param: Some("n".to_owned()),
        },
        d => Dim {
            value: Some(d),
            param: None,
        },
    };
    ValueInfo {
        name: Some(name.to_owned()),
        ty: Some(Type {
            tensor: Some(TensorType {
                elem: Some(elem),
                shape: Some(Shape {
                    dim: dims.iter().map(dim).collect(),
                }),
            }),
        }),
    }
}

/// A whole-number attribute.
pub(crate) fn int(name: &str, i: i64) -> Attribute {
    Attribute {
        name: Some(name.to_owned()),
        kind: Some(kind::INT),
        i: Some(i),
        ..Attribute::default()
    }
}

/// The attribute `axis`.
pub(crate) fn axis(i: i64) -> Attribute {
    int("axis", i)
}

/// An attribute of whole numbers.
pub(crate) fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute {
        name: Some(name.to_owned()),
        kind: Some(kind::INTS),
        ints: values.to_vec(),
        ..Attribute::default()
    }
}

/// An attribute that is one floating-point or whole number as a tensor.
pub(crate) fn filled(elem: i32, raw: Vec<u8>) -> Attribute {
    Attribute {
        name: Some("value".to_owned()),
        kind: Some(kind::TENSOR),
        t: Some(pb::Tensor {
            dims: vec![1],
            data_type: Some(elem),
            raw_data: Some(raw),
            ..pb::Tensor::default()
        }),
        ..Attribute::default()
    }
}

/// The attribute `to` of a cast.
pub(crate) fn to(elem: i32) -> Vec<Attribute> {
    vec![int("to", i64::from(elem))]
}

/// A set of names.
pub(crate) fn columns(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}
