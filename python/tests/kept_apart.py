"""Whether a graph keeps records apart, by the rules of docs/protocol/graphs.md as far as our graphs need them.

The node's own proof is in Rust; this one is smaller and stricter, so that what we build passes there.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import numpy_helper

ROWS = "rows"
UNARY = set(
    [
        "Abs",
        "Acos",
        "Asin",
        "Atan",
        "Ceil",
        "Cos",
        "Cosh",
        "Exp",
        "Floor",
        "Identity",
        "Log",
        "Neg",
        "Not",
        "Sign",
        "Sin",
        "Sinh",
        "Sqrt",
        "Tan",
        "Tanh",
        "Cast",
    ]
)
MANY = set(
    [
        "Add",
        "And",
        "Div",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Or",
        "Pow",
        "Sub",
        "Where",
        "Xor",
    ]
)
Shape = list[Any]


def outputs(model: bytes) -> dict[str, Shape]:
    """The shapes of a graph's outputs, records as ``"rows"``; fails at the first node that cannot be followed."""
    graph = onnx.load_from_string(model).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    shapes: dict[str, Shape] = {name: list(a.shape) for name, a in constants.items()}
    for port in graph.input:
        dims = port.type.tensor_type.shape.dim
        shapes[port.name] = [ROWS if d.dim_param else d.dim_value for d in dims]
    read = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    for node in graph.node:
        assert all(name in read for name in node.output), f"{node.op_type} leads nowhere"
        made = _follow(node, [shapes[n] for n in node.input], [constants.get(n) for n in node.input])
        assert made.count(ROWS) <= 1, node
        assert ROWS in made or not any(ROWS in shapes[n] for n in node.input), f"{node.op_type} loses the records"
        shapes[node.output[0]] = made
    for port in graph.output:
        assert shapes[port.name][0] == ROWS, f"{port.name}: {shapes[port.name]}"
    return {port.name: shapes[port.name] for port in graph.output}


def _follow(node: onnx.NodeProto, shapes: list[Shape], constants: list[Any]) -> Shape:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    op, first = node.op_type, shapes[0]
    if op in UNARY:
        return first
    if op in MANY:
        return _broadcast(shapes)
    if op in ("ReduceSum", "ReduceMax", "ReduceMin"):
        axes = constants[1].tolist() if op == "ReduceSum" else attributes["axes"]
        axes = [a % len(first) for a in axes]
        assert all(first[a] != ROWS for a in axes), f"{op} over the records"
        return [1 if i in axes else d for i, d in enumerate(first) if attributes.get("keepdims", 1) or i not in axes]
    if op == "Gather":
        axis = attributes.get("axis", 0) % len(first)
        assert first[axis] != ROWS and not (ROWS in first and ROWS in shapes[1]), "picks among records"
        return [*first[:axis], *shapes[1], *first[axis + 1 :]]
    if op == "Unsqueeze":
        out = list(first)
        for axis in sorted(a % (len(first) + len(constants[1])) for a in constants[1].tolist()):
            out.insert(axis, 1)
        return out
    if op == "Concat":
        axis = attributes["axis"] % len(first)
        assert all(s.index(ROWS) == first.index(ROWS) != axis for s in shapes) or not any(ROWS in s for s in shapes)
        return [*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :]]
    if op == "Slice":
        out = list(first)
        for start, end, axis in zip(*(c.tolist() for c in constants[1:4]), strict=True):
            assert out[axis] != ROWS, "cuts the records"
            out[axis] = len(range(*slice(start, end).indices(out[axis])))
        return out
    if op == "Transpose":
        return [first[i] for i in attributes["perm"]]
    if op == "Reshape":
        return _reshape(first, constants[1].tolist())
    if op == "MatMul":
        assert first[-1] != ROWS and shapes[1][-2] != ROWS, "sums products over the records"
        assert ROWS not in shapes[1] and len(shapes[1]) == 2
        return [*first[:-1], shapes[1][-1]]
    raise AssertionError(f"{op} is not followed")


def _broadcast(shapes: list[Shape]) -> Shape:
    rank = max(map(len, shapes))
    out: Shape = []
    for i in range(rank, 0, -1):
        here = {s[-i] for s in shapes if len(s) >= i} - {1}
        assert len(here) <= 1, f"records meet {here}"
        out.append(here.pop() if here else 1)
    return out


def _reshape(shape: Shape, wanted: list[int]) -> Shape:
    if ROWS not in shape:
        return wanted
    assert shape[0] == ROWS and wanted[0] == -1, "records must stay first"
    sizes = [1, 1]
    for i, dims in enumerate((shape[1:], wanted[1:])):
        for d in dims:
            sizes[i] *= d
    assert sizes[0] == sizes[1], "records do not keep an axis of their own"
    return [ROWS, *wanted[1:]]
