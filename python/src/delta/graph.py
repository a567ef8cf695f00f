"""Building ONNX graphs by hand: operators as typed methods, everything computed once, always the same bytes.

    g = Graph()
    x = g.input("x", "f64", ["rows", 3])
    g.output("total", g.sum(x, 0))
    model = g.bytes()

Values know their dtype (the manifest's names: ``f64``, ``i64``, ``bool``, ...) and shape; a dimension is a number, or a name
when only the data tell (``"rows"``). Operands may be values, numpy arrays, or Python numbers, which take the dtype of the
other operand. Equal constants and equal subexpressions are stored once, unused ones not at all. Opset 17, IR version 8.

The operators are the methods of :class:`Operators`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ._operators import Operators
from ._shapes import DTYPES, NUMPY, Dim, Type, broadcast, infer
from ._version import __version__

__all__ = ["Graph", "Operators", "Type", "Value", "broadcast"]

Array = npt.NDArray[Any]
_ONNX = {
    "f32": TensorProto.FLOAT,
    "f64": TensorProto.DOUBLE,
    "i32": TensorProto.INT32,
    "i64": TensorProto.INT64,
    "u8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}
OPSET, IR_VERSION = 17, 8
# Attributes that opset 17 takes as further inputs, in that order.
_AS_INPUTS = {
    "ReduceSum": ("axes",),
    "Unsqueeze": ("axes",),
    "Reshape": ("shape",),
    "Expand": ("shape",),
    "Slice": ("starts", "ends", "axes"),
    "CumSum": ("axis",),
}
_OURS = {"Reshape": ("result",)}


@dataclass(frozen=True, eq=False)
class Value:
    """A value of one graph; arithmetic operators and ``@`` work on it.

    Parameters
    ----------
    graph : Graph
        Where it belongs.
    name : str
        Its name there.
    type : Type
        Its dtype and shape.
    """

    graph: Graph
    name: str
    type: Type

    @property
    def dtype(self) -> str:
        """The dtype in the manifest's names."""
        return self.type.dtype

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The shape."""
        return self.type.shape

    def __add__(self, o: Any) -> Value:
        """``self + o``."""
        return self.graph.add(self, o)

    def __radd__(self, o: Any) -> Value:
        """``o + self``."""
        return self.graph.add(o, self)

    def __sub__(self, o: Any) -> Value:
        """``self - o``."""
        return self.graph.sub(self, o)

    def __rsub__(self, o: Any) -> Value:
        """``o - self``."""
        return self.graph.sub(o, self)

    def __mul__(self, o: Any) -> Value:
        """``self * o``."""
        return self.graph.mul(self, o)

    def __rmul__(self, o: Any) -> Value:
        """``o * self``."""
        return self.graph.mul(o, self)

    def __truediv__(self, o: Any) -> Value:
        """``self / o``."""
        return self.graph.div(self, o)

    def __rtruediv__(self, o: Any) -> Value:
        """``o / self``."""
        return self.graph.div(o, self)

    def __matmul__(self, o: Any) -> Value:
        """``self @ o``."""
        return self.graph.matmul(self, o)

    def __neg__(self) -> Value:
        """``-self``."""
        return self.graph.neg(self)

    def __str__(self) -> str:
        """Show name and type."""
        return f"{self.name}: {self.type}"


class Graph(Operators[Value]):
    """One ONNX graph under construction.

    Parameters
    ----------
    name : str
        The graph's name in its file.

    Examples
    --------
    >>> g = Graph()
    >>> x = g.input("x", "f64", ["rows", 3])
    >>> g.output("mean", g.sum(x, 0) / g.sum(g.cast(g.equal(x, x), "f64"), 0))
    'mean'
    >>> print(g.outputs["mean"])
    f64 [3]
    """

    def __init__(self, name: str = "step") -> None:
        self.name = name
        self._inputs: list[Value] = []
        self._outputs: list[tuple[str, Value]] = []
        self._nodes: list[tuple[onnx.NodeProto, Type]] = []
        self._constants: dict[str, Array] = {}
        self._known: dict[Any, Value] = {}

    def input(self, name: str, dtype: str, shape: Sequence[Dim] = ()) -> Value:
        """Declare an input.

        Parameters
        ----------
        name : str
            Its name in the file.
        dtype : str
            ``f32``, ``f64``, ``i32``, ``i64``, ``u8`` or ``bool``.
        shape : sequence of int or str
            Its dimensions; a name, such as ``"rows"``, where only the data tell.

        Returns
        -------
        Value
            The input.

        Raises
        ------
        ValueError
            The name is taken, is empty, or begins with ``~``.
        """
        value = Value(self, name, Type(dtype, tuple(shape)))
        self._claim(name)
        self._inputs.append(value)
        return value

    def output(self, name: str, value: Value) -> str:
        """Make a value an output.

        Parameters
        ----------
        name : str
            Its name in the file.
        value : Value
            A value of this graph.

        Returns
        -------
        str
            The name.

        Raises
        ------
        ValueError
            The name is taken, is empty, or begins with ``~``; or the value belongs to another graph.
        """
        self._own(value)
        self._claim(name)
        self._outputs.append((name, value))
        return name

    @property
    def inputs(self) -> dict[str, Type]:
        """The inputs declared so far."""
        return {v.name: v.type for v in self._inputs}

    @property
    def outputs(self) -> dict[str, Type]:
        """The outputs declared so far."""
        return {n: v.type for n, v in self._outputs}

    def _claim(self, name: str) -> None:
        if not name or name.startswith("~") or name in self.inputs or name in self.outputs:
            raise ValueError(f"the name {name!r} is taken by another input or output, is empty, or begins with '~'")

    def _own(self, value: Value) -> Value:
        if value.graph is not self:
            raise ValueError(f"{value} belongs to another graph")
        return value

    def constant(self, value: Array | float | Sequence[Any], dtype: str | None = None) -> Value:
        """Hold a constant, once for equal ones.

        Parameters
        ----------
        value : array, number or nested sequence
            What it is.
        dtype : str, optional
            ``f32``, ``f64``, ``i32``, ``i64``, ``u8`` or ``bool``; by default the array's own.

        Returns
        -------
        Value
            Of that dtype and the array's shape.

        Raises
        ------
        ValueError
            Graphs do not have the array's dtype.
        """
        array = np.array(value, NUMPY[dtype] if dtype else None, order="C")
        if array.dtype.name not in DTYPES:
            raise ValueError(f"graphs have no {array.dtype}; use one of {', '.join(DTYPES)}")
        key = ("constant", array.dtype.name, array.shape, array.tobytes())
        if key not in self._known:
            name = f"~c{len(self._constants)}"
            self._constants[name] = array
            self._known[key] = Value(self, name, Type(DTYPES[array.dtype.name], array.shape))
        return self._known[key]

    def apply(self, op: str, inputs: Sequence[Value], **attributes: Any) -> Value:
        """Append a node, or return the value of an equal one.

        Parameters
        ----------
        op : str
            An operator's name in ONNX, such as ``Add``.
        inputs : sequence of Value
            Values of this graph.
        **attributes : number, str, or tuple of them
            As ONNX names them; what opset 17 takes as a further input (``axes``, ``shape``) is given as an attribute.

        Returns
        -------
        Value
            The operator's one output.

        Raises
        ------
        ValueError
            An input belongs to another graph, or the inputs do not fit the operator.
        """
        for value in inputs:
            self._own(value)
        key = (op, tuple(v.name for v in inputs), tuple(sorted(attributes.items())))
        if key in self._known:
            return self._known[key]
        type = infer(op, [v.type for v in inputs], attributes)
        wired = [v.name for v in inputs]
        for attribute in _AS_INPUTS.get(op, ()):
            wired.append(self.constant(np.array(attributes[attribute], np.int64)).name)
        rest = {k: v for k, v in attributes.items() if k not in (*_AS_INPUTS.get(op, ()), *_OURS.get(op, ()))}
        if op == "Cast":
            rest["to"] = _ONNX[attributes["to"]]
        name = f"~{len(self._nodes)}"
        self._nodes.append((helper.make_node(op, wired, [name], **rest), type))
        self._known[key] = Value(self, name, type)
        return self._known[key]

    def model(self) -> onnx.ModelProto:
        """Return the graph with what its outputs need.

        Returns
        -------
        onnx.ModelProto
            Opset 17, IR version 8.

        Raises
        ------
        ValueError
            It has no output.
        """
        if not self._outputs:
            raise ValueError(f"graph {self.name!r} has no output")
        needed = {v.name for _, v in self._outputs}
        nodes: list[onnx.NodeProto] = []
        for node, _ in reversed(self._nodes):
            if node.output[0] in needed:
                needed.update(node.input)
                nodes.append(node)
        nodes.reverse()
        # Outputs are the node's own where possible; an Identity where a value is an input, a constant or an output twice.
        renamed: dict[str, str] = {}
        made = {n.output[0] for n in nodes}
        ends = []
        for name, value in self._outputs:
            if value.name in made and value.name not in renamed:
                renamed[value.name] = name
            else:
                ends.append(helper.make_node("Identity", [value.name], [name]))
        short = {old: f"v{i}" for i, old in enumerate(n.output[0] for n in nodes)} | renamed
        short |= {old: f"c{i}" for i, old in enumerate(c for c in self._constants if c in needed)}
        taken = {*self.inputs, *self.outputs}
        short = {k: v if k in renamed or v not in taken else f"{v}_" for k, v in short.items()}
        out = []
        for node in [*nodes, *ends]:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [short.get(n, n) for n in node.input]
            copy.output[:] = [short.get(n, n) for n in node.output]
            out.append(copy)
        constants = [numpy_helper.from_array(a, short[n]) for n, a in self._constants.items() if n in needed]
        ports = [_port(v.name, v.type) for v in self._inputs], [_port(n, v.type) for n, v in self._outputs]
        graph = helper.make_graph(out, self.name, ports[0], ports[1], constants)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="delta", producer_version=__version__
        )

    def bytes(self) -> bytes:
        """Check the graph against the standard and return its file.

        Returns
        -------
        bytes
            Always the same for the same calls.

        Raises
        ------
        ValueError
            It has no output, it is not valid ONNX, or the standard infers other types than we do.
        """
        model = self.model()
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ValueError(f"graph {self.name!r} is not valid: {error}") from error
        return bytes(model.SerializeToString(deterministic=True))


def _port(name: str, type: Type) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _ONNX[type.dtype], list(type.shape))
