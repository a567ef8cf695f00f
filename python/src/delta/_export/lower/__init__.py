"""Translates a traced ATen graph to ONNX: opset 17, IR version 8, operators of the standard domain alone.

The graph is what `make_fx` yields under `export.decompositions.decomposition_table`: functional, with fake tensors in
`node.meta["val"]` whose only symbolic size is the batch. The result keeps to what both runtimes of a node can do:

* no operator outside the node's list (`src/adapters/onnx/guard/ops.rs`), no subgraphs, no randomness;
* nothing that tract gets wrong (float64 Sigmoid and Round, integer MatMul, ConstantOfShape of a computed shape), and for
  the portable form no kernel as large as the batch;
* sizes come from the shape of one input, so a graph serves every batch size.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import sympy  # type: ignore[import-untyped]
import torch
from onnx import TensorProto, helper
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_leaves

from ..errors import ExportError, author_of
from . import elementwise, indexing, neural, reductions, selection, shapes
from .batch import GraphInput, batch_symbol, refuse_fixed_batch
from .builder import ELEMENT
from .context import Lowering, Runtime, fixed
from .optimize import optimize
from .registry import translate

__all__ = ["GraphInput", "lower"]
_ = (elementwise, indexing, neural, reductions, selection, shapes)  # imported for their entries in the table

OPSET, IR_VERSION = 17, 8


def lower(
    graph: GraphModule,
    inputs: Sequence[GraphInput],
    outputs: Sequence[str],
    *,
    batch: str = "batch",
    float_outputs: bool = False,
    runtime: Runtime = "portable",
) -> bytes:
    """The ONNX file of a traced graph.

    Parameters
    ----------
    graph : torch.fx.GraphModule
        Traced with fake tensors; its placeholders in the order of `inputs`, its outputs in that of `outputs`.
    inputs : sequence of GraphInput
        Name, example and batch dimensions of each input.
    outputs : sequence of str
        Names; values keep the types and shapes of the graph.
    batch : str
        The name of the batch dimension in the file.
    float_outputs : bool
        Outputs of whole numbers and truth values become float64 (analytics: every partial sum is one).
    runtime : str
        `portable` for both runtimes, `onnxruntime` for the faster form that only onnxruntime runs.

    Raises
    ------
    ExportError
        An operator that has no translation, or a graph that fits one batch size only.
    """
    placeholders = [n for n in graph.graph.nodes if n.op == "placeholder"]
    if len(placeholders) != len(inputs):
        raise ValueError(f"the graph has {len(placeholders)} inputs, {len(inputs)} are described")
    symbol, source = batch_symbol(placeholders, inputs)
    refuse_fixed_batch(placeholders, symbol)
    lowering = Lowering(runtime, source, symbol)
    for node, described in zip(placeholders, inputs, strict=True):
        lowering.values[node] = described.name
    described_outputs: list[onnx.ValueInfoProto] = []
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            value = _attribute(graph, str(node.target))
            node.meta.setdefault("val", value)
            lowering.values[node] = lowering.constant(value.detach().cpu().numpy(), value.dtype)
        elif node.op == "call_function":
            lowering.values[node] = _call(lowering, node)
        elif node.op == "output":
            leaves = tree_leaves(node.args[0])
            if len(leaves) != len(outputs):
                raise ValueError(f"the graph has {len(leaves)} outputs, {len(outputs)} are named")
            described_outputs = [
                _output(lowering, value, name, batch, float_outputs)
                for value, name in zip(leaves, outputs, strict=True)
            ]
    nodes, constants = optimize(lowering.builder, [i.name for i in inputs], list(outputs))
    model = helper.make_model(
        helper.make_graph(nodes, "step", [_input(i, batch) for i in inputs], described_outputs, constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="delta",
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()  # type: ignore[no-any-return]


def _attribute(graph: GraphModule, target: str) -> torch.Tensor:
    value: object = graph
    for part in target.split("."):
        value = getattr(value, part)
    if not isinstance(value, torch.Tensor):
        raise ExportError(target, "the graph holds something that is not a tensor")
    return value


def _call(lowering: Lowering, node: Node) -> str | list[str] | None:
    try:
        return translate(lowering, node)
    except ExportError as error:
        raise error.at(author_of(node.meta.get("stack_trace"))) from None


def _input(described: GraphInput, batch: str) -> onnx.ValueInfoProto:
    if described.tensor.dtype not in ELEMENT:
        raise ExportError(
            f"input {described.name}", f"nodes do not read {described.tensor.dtype}", instead="use float32 or int64"
        )
    sizes = [batch if d in described.batch_dims else int(s) for d, s in enumerate(described.tensor.shape)]
    return helper.make_tensor_value_info(described.name, ELEMENT[described.tensor.dtype], sizes)


def _output(lowering: Lowering, value: Node, name: str, batch: str, float_outputs: bool) -> onnx.ValueInfoProto:
    if not isinstance(value, Node):
        raise ExportError(f"output {name}", f"it is {value!r}, not a tensor", instead="return a tensor")
    tensor = value.meta["val"]
    source, builder = lowering.name(value), lowering.builder
    element: int = ELEMENT.get(tensor.dtype, TensorProto.UNDEFINED)
    if float_outputs and not tensor.dtype.is_floating_point:
        builder.output("Cast", source, name, to=TensorProto.DOUBLE)
        element = int(TensorProto.DOUBLE)
    else:
        builder.output("Identity", source, name)
    sizes: list[int | str | None] = []
    for size in map(fixed, tensor.shape):
        symbol = isinstance(size, torch.SymInt) and isinstance(size.node.expr, sympy.Symbol)
        sizes.append(size if isinstance(size, int) else batch if symbol else None)
    return helper.make_tensor_value_info(name, element, sizes)
