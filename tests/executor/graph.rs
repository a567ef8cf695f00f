//! Tiny ONNX files, written field by field: an encoder that shares nothing with the one under test.

/// Element types of ONNX.
#[derive(Clone, Copy)]
pub(crate) enum Elem {
    F32 = 1,
    I64 = 7,
    F64 = 11,
}

/// A dimension: a length, or any.
pub(crate) const ANY: i64 = -1;

/// A graph being built.
#[derive(Default)]
pub(crate) struct Onnx {
    nodes: Vec<u8>,
    constants: Vec<u8>,
    inputs: Vec<u8>,
    outputs: Vec<u8>,
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

fn number(field: u64, value: i64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value.cast_unsigned(), out);
}

fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

fn value_info(name: &str, elem: Elem, dims: &[i64]) -> Vec<u8> {
    let mut shape = Vec::new();
    for &dim in dims {
        let mut one = Vec::new();
        if dim == ANY {
            bytes(2, b"rows", &mut one);
        } else {
            number(1, dim, &mut one);
        }
        bytes(1, &one, &mut shape);
    }
    let (mut tensor, mut ty, mut out) = (Vec::new(), Vec::new(), Vec::new());
    number(1, elem as i64, &mut tensor);
    bytes(2, &shape, &mut tensor);
    bytes(1, &tensor, &mut ty);
    bytes(1, name.as_bytes(), &mut out);
    bytes(2, &ty, &mut out);
    out
}

impl Onnx {
    pub(crate) fn input(mut self, name: &str, elem: Elem, dims: &[i64]) -> Self {
        bytes(11, &value_info(name, elem, dims), &mut self.inputs);
        self
    }

    pub(crate) fn output(mut self, name: &str, elem: Elem, dims: &[i64]) -> Self {
        bytes(12, &value_info(name, elem, dims), &mut self.outputs);
        self
    }

    /// A constant vector of whole numbers.
    pub(crate) fn ints(mut self, name: &str, values: &[i64]) -> Self {
        let mut tensor = Vec::new();
        number(1, values.len() as i64, &mut tensor);
        number(2, 7, &mut tensor);
        bytes(8, name.as_bytes(), &mut tensor);
        bytes(
            9,
            &values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<_>>(),
            &mut tensor,
        );
        bytes(5, &tensor, &mut self.constants);
        self
    }

    /// A constant vector of doubles.
    pub(crate) fn doubles(mut self, name: &str, values: &[f64]) -> Self {
        let mut tensor = Vec::new();
        number(1, values.len() as i64, &mut tensor);
        number(2, 11, &mut tensor);
        bytes(8, name.as_bytes(), &mut tensor);
        let all: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        bytes(9, &all, &mut tensor);
        bytes(5, &tensor, &mut self.constants);
        self
    }

    pub(crate) fn node(self, op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        self.node_with(op, inputs, outputs, &[])
    }

    /// A node with whole-number attributes.
    pub(crate) fn node_with(
        mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, i64)],
    ) -> Self {
        let mut node = Vec::new();
        inputs
            .iter()
            .for_each(|i| bytes(1, i.as_bytes(), &mut node));
        outputs
            .iter()
            .for_each(|o| bytes(2, o.as_bytes(), &mut node));
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

    pub(crate) fn file(self) -> Vec<u8> {
        let mut graph = self.nodes;
        bytes(2, b"g", &mut graph);
        graph.extend(self.constants);
        graph.extend(self.inputs);
        graph.extend(self.outputs);
        let (mut opset, mut model) = (Vec::new(), Vec::new());
        number(2, 17, &mut opset);
        number(1, 8, &mut model);
        bytes(7, &graph, &mut model);
        bytes(8, &opset, &mut model);
        model
    }
}
