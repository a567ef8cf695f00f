//! ONNX files that no node may run, and a [`Graph`] for those that it may, written field by field: an encoder that shares nothing with
//! the node's own.

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn number(field: u64, value: u64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value, out);
}

fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

fn port(name: &str, len: u64) -> Vec<u8> {
    let (mut dim, mut shape, mut tensor, mut ty, mut out) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    number(1, len, &mut dim);
    bytes(1, &dim, &mut shape);
    number(1, 1, &mut tensor);
    bytes(2, &shape, &mut tensor);
    bytes(1, &tensor, &mut ty);
    bytes(1, name.as_bytes(), &mut out);
    bytes(2, &ty, &mut out);
    out
}

fn node(op: &str, domain: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for input in inputs {
        bytes(1, input.as_bytes(), &mut out);
    }
    bytes(2, b"next", &mut out);
    bytes(4, op.as_bytes(), &mut out);
    for attribute in attributes {
        bytes(5, attribute, &mut out);
    }
    bytes(7, domain.as_bytes(), &mut out);
    out
}

/// A graph with one node from `w` to `next`, and one initialiser.
fn model(nodes: &[Vec<u8>], initialiser: Option<Vec<u8>>) -> Vec<u8> {
    let mut graph = Vec::new();
    for node in nodes {
        bytes(1, node, &mut graph);
    }
    bytes(2, b"g", &mut graph);
    if let Some(tensor) = initialiser {
        bytes(5, &tensor, &mut graph);
    }
    bytes(11, &port("w", 4), &mut graph);
    bytes(12, &port("next", 4), &mut graph);
    let (mut opset, mut model) = (Vec::new(), Vec::new());
    number(2, 17, &mut opset);
    number(1, 8, &mut model);
    bytes(7, &graph, &mut model);
    bytes(8, &opset, &mut model);
    model
}

/// An initialiser `c` whose values are said to be in a file of the reader's.
pub(super) fn external_data() -> Vec<u8> {
    let (mut place, mut tensor) = (Vec::new(), Vec::new());
    bytes(1, b"location", &mut place);
    bytes(2, b"/etc/hostname", &mut place);
    number(1, 4, &mut tensor);
    number(2, 1, &mut tensor);
    bytes(8, b"c", &mut tensor);
    bytes(13, &place, &mut tensor);
    number(14, 1, &mut tensor);
    model(&[node("Add", "", &["w", "c"], &[])], Some(tensor))
}

/// An operator of somebody's own.
pub(super) fn custom_operator() -> Vec<u8> {
    model(&[node("Shell", "com.attacker", &["w"], &[])], None)
}

/// A loop, whose body is a graph of its own.
pub(super) fn endless_loop() -> Vec<u8> {
    let mut body = Vec::new();
    let mut attribute = Vec::new();
    bytes(1, b"body", &mut attribute);
    bytes(2, b"inner", &mut body);
    bytes(6, &body, &mut attribute);
    number(20, 5, &mut attribute);
    model(&[node("Loop", "", &["", "", "w"], &[attribute])], None)
}

/// An initialiser of a tebibyte, without its content.
pub(super) fn terabyte() -> Vec<u8> {
    let mut tensor = Vec::new();
    number(1, 1 << 38, &mut tensor);
    number(2, 1, &mut tensor);
    bytes(8, b"c", &mut tensor);
    model(&[node("Add", "", &["w", "c"], &[])], Some(tensor))
}

/// Element types of ONNX.
#[derive(Clone, Copy)]
pub(super) enum Elem {
    F32 = 1,
    I64 = 7,
    F64 = 11,
}

/// A graph that is being built.
#[derive(Default)]
pub(super) struct Graph {
    nodes: Vec<u8>,
    rest: Vec<u8>,
}

impl Graph {
    /// An input of these lengths; `None` is any number of rows.
    pub(super) fn input(mut self, name: &str, elem: Elem, dims: &[Option<u64>]) -> Self {
        bytes(11, &typed(name, elem, dims), &mut self.rest);
        self
    }

    pub(super) fn output(mut self, name: &str, elem: Elem, dims: &[Option<u64>]) -> Self {
        bytes(12, &typed(name, elem, dims), &mut self.rest);
        self
    }

    /// A constant vector of whole numbers.
    pub(super) fn ints(mut self, name: &str, values: &[i64]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut tensor = Vec::new();
        number(1, values.len() as u64, &mut tensor);
        number(2, Elem::I64 as u64, &mut tensor);
        bytes(8, name.as_bytes(), &mut tensor);
        bytes(9, &raw, &mut tensor);
        bytes(5, &tensor, &mut self.rest);
        self
    }

    pub(super) fn op(self, op: &str, inputs: &[&str], output: &str) -> Self {
        self.op_with(op, inputs, output, &[])
    }

    /// An operator with whole-number attributes.
    pub(super) fn op_with(
        mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, u64)],
    ) -> Self {
        let mut node = Vec::new();
        inputs
            .iter()
            .for_each(|input| bytes(1, input.as_bytes(), &mut node));
        bytes(2, output.as_bytes(), &mut node);
        bytes(4, op.as_bytes(), &mut node);
        for (name, value) in attributes {
            let mut attribute = Vec::new();
            bytes(1, name.as_bytes(), &mut attribute);
            number(3, *value, &mut attribute);
            number(20, 2, &mut attribute);
            bytes(5, &attribute, &mut node);
        }
        bytes(1, &node, &mut self.nodes);
        self
    }

    pub(super) fn file(self) -> Vec<u8> {
        let mut graph = self.nodes;
        bytes(2, b"g", &mut graph);
        graph.extend(self.rest);
        let (mut opset, mut model) = (Vec::new(), Vec::new());
        number(2, 17, &mut opset);
        number(1, 8, &mut model);
        bytes(7, &graph, &mut model);
        bytes(8, &opset, &mut model);
        model
    }
}

fn typed(name: &str, elem: Elem, dims: &[Option<u64>]) -> Vec<u8> {
    let (mut shape, mut tensor, mut ty, mut out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for dim in dims {
        let mut one = Vec::new();
        match dim {
            Some(len) => number(1, *len, &mut one),
            None => bytes(2, b"rows", &mut one),
        }
        bytes(1, &one, &mut shape);
    }
    number(1, elem as u64, &mut tensor);
    bytes(2, &shape, &mut tensor);
    bytes(1, &tensor, &mut ty);
    bytes(1, name.as_bytes(), &mut out);
    bytes(2, &ty, &mut out);
    out
}

/// A chain of products of what nobody knows before it runs: hours of work.
pub(super) fn endless() -> Vec<u8> {
    let mut graph = Graph::default()
        .ints("side", &[1024, 1024])
        .op_with("ReduceSum", &["w"], "s", &[("keepdims", 1)])
        .op("Expand", &["s", "side"], "m0");
    for i in 0..20_000 {
        let (from, to) = (format!("m{i}"), format!("m{}", i + 1));
        graph = graph.op("MatMul", &[&from, "m0"], &to);
    }
    graph
        .op_with("ReduceSum", &["m20000"], "t", &[("keepdims", 0)])
        .op("Add", &["w", "t"], "next")
        .input("w", Elem::F32, &[Some(4)])
        .output("next", Elem::F32, &[Some(4)])
        .file()
}

/// A chain of products of constants, which both runtimes compute when they load it: hours of work in a few kilobytes of nodes.
pub(super) fn folds_for_ever() -> Vec<u8> {
    const SIDE: usize = 512;
    let mut graph = Graph::default()
        .ints("ones", &vec![1; SIDE * SIDE])
        .ints("square", &[512, 512])
        .op_with("Cast", &["ones"], "flat", &[("to", Elem::F32 as u64)])
        .op("Reshape", &["flat", "square"], "m0");
    for i in 0..20_000 {
        let (from, to) = (format!("m{i}"), format!("m{}", i + 1));
        graph = graph.op("MatMul", &[&from, "m0"], &to);
    }
    graph
        .op_with("ReduceSum", &["m20000"], "s", &[("keepdims", 0)])
        .op("Add", &["s", "w"], "next")
        .input("w", Elem::F32, &[Some(4)])
        .output("next", Elem::F32, &[Some(4)])
        .file()
}
