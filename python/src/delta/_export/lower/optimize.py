"""Makes a lowered graph small: dead nodes, needless copies, unused constants."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from .builder import Builder


def optimize(
    builder: Builder, inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The nodes that the outputs need, in order, and the constants that they use."""
    nodes = _without_copies(_live(builder.nodes, outputs), set(outputs), builder)
    used = {name for node in nodes for name in node.input}
    return nodes, builder.initializers(used)


def _live(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    needed = set(outputs)
    kept = []
    for node in reversed(nodes):
        if any(name in needed for name in node.output):
            kept.append(node)
            needed.update(node.input)
    kept.reverse()
    return kept


def _without_copies(nodes: list[onnx.NodeProto], outputs: set[str], builder: Builder) -> list[onnx.NodeProto]:
    """Lets the producer of an output carry its name, instead of a node that copies."""
    computed = {name for node in nodes for name in node.output}
    renamed: dict[str, str] = {}
    for node in nodes:
        if node.op_type == "Identity" and node.output[0] in outputs:
            source = node.input[0]
            if source in computed and source not in outputs:
                renamed.setdefault(source, node.output[0])
    result = []
    for node in nodes:
        if node.op_type == "Identity" and renamed.get(node.input[0]) == node.output[0]:
            continue
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for names in (copy.input, copy.output):
            for i, name in enumerate(names):
                names[i] = renamed.get(name, name)
        result.append(copy)
    return result
