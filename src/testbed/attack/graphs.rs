//! ONNX files that no node may run, written field by field: an encoder that shares nothing with the node's own.

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
