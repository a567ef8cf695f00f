"""Building ONNX graphs by hand: operators as typed methods, everything computed once, always the same bytes.

    g = Graph()
    x = g.input("x", "f64", ["rows", 3])
    g.output("mean", g.mean(x, 0))
    model = g.bytes()

Values know their dtype (the manifest's names: ``f64``, ``i64``, ``bool``, ...) and shape; a dimension is a number, or a name
when only the data tell (``"rows"``). Operands may be values, numpy arrays, or Python numbers, which take the dtype of the
other operand. Equal constants and equal subexpressions are stored once, unused ones not at all. Opset 17, IR version 8.

Methods use only operators that both of the nodes' runtimes execute in ``f64``; where one of them lacks an operator
(``Sigmoid``, ``Round``, ``IsNaN``), the method is written with others. :class:`Operators` is shared with ``delta.pandas``,
whose expressions are recorded first and become graphs later.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from .version import __version__

Array = npt.NDArray[Any]
Dim = int | str
Attributes = Mapping[str, Any]

NUMPY: dict[str, str] = {
    "f32": "float32",
    "f64": "float64",
    "i32": "int32",
    "i64": "int64",
    "u8": "uint8",
    "bool": "bool",
}
"""The manifest's names of dtypes to numpy's."""
_DTYPES = {v: k for k, v in NUMPY.items()}
_ONNX = {
    "f32": TensorProto.FLOAT,
    "f64": TensorProto.DOUBLE,
    "i32": TensorProto.INT32,
    "i64": TensorProto.INT64,
    "u8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}
OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True)
class Type:
    """What is known of a value before anything runs: ``dtype`` and ``shape``, with names for unknown dimensions."""

    dtype: str
    shape: tuple[Dim, ...]

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def __str__(self) -> str:
        """Show as ``f64 [rows, 3]``."""
        return f"{self.dtype} [{', '.join(map(str, self.shape))}]"


# ---------------------------------------------------------------- types of results


def _same(op: str, types: Sequence[Type]) -> str:
    dtypes = {t.dtype for t in types}
    if len(dtypes) != 1:
        raise ValueError(f"{op}: the operands differ in dtype, {' and '.join(map(str, types))}; cast one of them")
    return types[0].dtype


def broadcast(op: str, *shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """Return the shape of an element-wise result.

    Raises ``ValueError`` when two lengths differ and neither is 1.
    """
    out: list[Dim] = []
    for i in range(-max(map(len, shapes)), 0):
        dims = {s[i] for s in shapes if len(s) >= -i} - {1}
        if len(dims) > 1:
            raise ValueError(f"{op}: shapes {' and '.join(str(list(s)) for s in shapes)} do not fit together")
        out.append(dims.pop() if dims else 1)
    return tuple(out)


def _axis(op: str, type: Type, axis: int) -> int:
    if not -type.rank <= axis < type.rank:
        raise ValueError(f"{op}: there is no axis {axis} in {type}")
    return axis % type.rank


def _arithmetic(op: str, types: Sequence[Type], a: Attributes) -> Type:
    dtype = _same(op, types)
    if dtype == "bool":
        raise ValueError(f"{op}: bool has no arithmetic; cast to a number")
    return Type(dtype, broadcast(op, *(t.shape for t in types)))


def _comparison(op: str, types: Sequence[Type], a: Attributes) -> Type:
    _same(op, types)
    return Type("bool", broadcast(op, *(t.shape for t in types)))


def _logical(op: str, types: Sequence[Type], a: Attributes) -> Type:
    if _same(op, types) != "bool":
        raise ValueError(f"{op}: the operands must be bool, not {types[0]}")
    return Type("bool", broadcast(op, *(t.shape for t in types)))


def _where(op: str, types: Sequence[Type], a: Attributes) -> Type:
    if types[0].dtype != "bool":
        raise ValueError(f"{op}: the condition must be bool, not {types[0]}")
    return Type(_same(op, types[1:]), broadcast(op, *(t.shape for t in types)))


def _unary(op: str, types: Sequence[Type], a: Attributes) -> Type:
    if types[0].dtype == "bool" and op not in ("Identity",):
        raise ValueError(f"{op}: bool has no arithmetic; cast to a number")
    return types[0]


def _cast(op: str, types: Sequence[Type], a: Attributes) -> Type:
    return Type(a["to"], types[0].shape)


def _reduce(op: str, types: Sequence[Type], a: Attributes) -> Type:
    (t,) = types
    axes = {_axis(op, t, i) for i in a["axes"]}
    if not axes:
        raise ValueError(f"{op}: name at least one axis")
    dims = [1 if i in axes else d for i, d in enumerate(t.shape) if a["keepdims"] or i not in axes]
    return Type(_unary(op, types, a).dtype, tuple(dims))


def _matmul(op: str, types: Sequence[Type], a: Attributes) -> Type:
    x, y = types
    dtype = _same(op, types)
    if dtype not in ("f64", "f32"):
        raise ValueError(f"{op}: only f64 and f32 can be multiplied as matrices on every node, not {dtype}")
    if x.rank < 2 or y.rank < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(f"{op}: {x} and {y} are no matrices that fit together")
    return Type(dtype, (*broadcast(op, x.shape[:-2], y.shape[:-2], ()), x.shape[-2], y.shape[-1]))


def _transpose(op: str, types: Sequence[Type], a: Attributes) -> Type:
    (t,) = types
    if sorted(a["perm"]) != list(range(t.rank)):
        raise ValueError(f"{op}: {list(a['perm'])} is no order of the axes of {t}")
    return Type(t.dtype, tuple(t.shape[i] for i in a["perm"]))


def _reshape(op: str, types: Sequence[Type], a: Attributes) -> Type:
    (t,) = types
    return Type(t.dtype, tuple(a["result"]))


def _expand(op: str, types: Sequence[Type], a: Attributes) -> Type:
    (t,) = types
    return Type(t.dtype, broadcast(op, t.shape, a["shape"]))


def _unsqueeze(op: str, types: Sequence[Type], a: Attributes) -> Type:
    (t,) = types
    rank = t.rank + len(a["axes"])
    axes = {i % rank for i in a["axes"]}
    rest = iter(t.shape)
    return Type(t.dtype, tuple(1 if i in axes else next(rest) for i in range(rank)))


def _concat(op: str, types: Sequence[Type], a: Attributes) -> Type:
    dtype, first = _same(op, types), types[0]
    axis = _axis(op, first, a["axis"])
    rest = {t.shape[:axis] + t.shape[axis + 1 :] for t in types}
    if len(rest) != 1:
        raise ValueError(f"{op}: {', '.join(map(str, types))} differ beyond axis {axis}")
    lengths = [t.shape[axis] for t in types]
    known = [n for n in lengths if isinstance(n, int)]
    joined: Dim = sum(known) if len(known) == len(lengths) else "+".join(map(str, lengths))
    return Type(dtype, (*first.shape[:axis], joined, *first.shape[axis + 1 :]))


def _gather(op: str, types: Sequence[Type], a: Attributes) -> Type:
    x, i = types
    axis = _axis(op, x, a["axis"])
    if i.dtype != "i64":
        raise ValueError(f"{op}: indices must be i64, not {i}")
    return Type(x.dtype, (*x.shape[:axis], *i.shape, *x.shape[axis + 1 :]))


def _slice(op: str, types: Sequence[Type], a: Attributes) -> Type:
    (t,) = types
    dims = list(t.shape)
    for start, end, axis in zip(a["starts"], a["ends"], a["axes"], strict=True):
        length = dims[_axis(op, t, axis)]
        if isinstance(length, str):
            raise ValueError(f"{op}: axis {axis} of {t} has an unknown length")
        dims[axis] = len(range(*slice(start, end).indices(length)))
    return Type(t.dtype, tuple(dims))


def _first(op: str, types: Sequence[Type], a: Attributes) -> Type:
    return types[0]


_INFER: dict[str, Callable[[str, Sequence[Type], Attributes], Type]] = (
    dict.fromkeys(["Add", "Sub", "Mul", "Div", "Pow", "Mod", "Min", "Max"], _arithmetic)
    | dict.fromkeys(["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"], _comparison)
    | dict.fromkeys(["And", "Or", "Xor"], _logical)
    | dict.fromkeys(["Neg", "Abs", "Sqrt", "Exp", "Log", "Floor", "Ceil", "Sign", "Identity"], _unary)
    | dict.fromkeys(["Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh"], _unary)
    | dict.fromkeys(["ReduceSum", "ReduceMax", "ReduceMin"], _reduce)
    | {"Not": _logical, "Where": _where, "Cast": _cast, "MatMul": _matmul, "Transpose": _transpose, "Reshape": _reshape}
    | {"Expand": _expand, "Unsqueeze": _unsqueeze, "Concat": _concat, "Gather": _gather, "Slice": _slice}
    | {"CumSum": _first, "ScatterElements": _first}
)
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


def infer(op: str, types: Sequence[Type], attributes: Attributes) -> Type:
    """Return the type of an operator's result.

    Raises ``ValueError`` naming the operator when the operands do not fit.
    """
    return _INFER[op](op, types, attributes)


# ---------------------------------------------------------------- operators


class Typed(Protocol):
    """A value that knows its type."""

    @property
    def type(self) -> Type:
        """The dtype and shape."""


V = TypeVar("V", bound=Typed)


class Operators(abc.ABC, Generic[V]):
    """All operators, over anything that can apply one and hold a constant.

    Every method takes values of this builder, numpy arrays or Python numbers.
    """

    @abc.abstractmethod
    def apply(self, op: str, inputs: Sequence[V], **attributes: Any) -> V:
        """Apply one ONNX operator of the table above; attributes are numbers, texts or tuples of them."""

    @abc.abstractmethod
    def constant(self, value: Array | float | Sequence[Any], dtype: str | None = None) -> V:
        """Hold a constant; ``dtype`` in the manifest's names."""

    def lift(self, *operands: Any) -> list[V]:
        """Turn numbers and arrays into constants; Python numbers take the dtype of the first operand that has one."""
        fixed = [
            o.dtype.name
            if isinstance(o, (np.ndarray, np.generic))
            else getattr(getattr(o, "type", None), "dtype", None)
            for o in operands
        ]
        known = next((_DTYPES.get(d, d) for d in fixed if d is not None), "f64")
        return [
            o if hasattr(o, "type") else self.constant(o, None if d else known)
            for o, d in zip(operands, fixed, strict=True)
        ]

    def _do(self, op: str, *operands: Any, **attributes: Any) -> V:
        return self.apply(op, self.lift(*operands), **attributes)

    # Arithmetic.
    def add(self, a: Any, b: Any) -> V:
        """``a + b``."""
        return self._do("Add", a, b)

    def sub(self, a: Any, b: Any) -> V:
        """``a - b``."""
        return self._do("Sub", a, b)

    def mul(self, a: Any, b: Any) -> V:
        """``a * b``."""
        return self._do("Mul", a, b)

    def div(self, a: Any, b: Any) -> V:
        """``a / b``; floats follow IEEE 754."""
        return self._do("Div", a, b)

    def pow(self, a: Any, b: Any) -> V:
        """``a ** b``."""
        return self._do("Pow", a, b)

    def fmod(self, a: Any, b: Any) -> V:
        """Take the remainder with the sign of ``a``, as C's ``fmod``."""
        return self._do("Mod", a, b, fmod=1)

    def minimum(self, a: Any, b: Any) -> V:
        """Take the smaller one, element by element. NaN is not handled alike by all runtimes: mask it first."""
        return self._do("Min", a, b)

    def maximum(self, a: Any, b: Any) -> V:
        """Take the larger one, element by element. NaN is not handled alike by all runtimes: mask it first."""
        return self._do("Max", a, b)

    def neg(self, a: Any) -> V:
        """``-a``."""
        return self._do("Neg", a)

    def abs(self, a: Any) -> V:
        """``|a|``."""
        return self._do("Abs", a)

    def sqrt(self, a: Any) -> V:
        """Take the square root."""
        return self._do("Sqrt", a)

    def exp(self, a: Any) -> V:
        """``e ** a``."""
        return self._do("Exp", a)

    def log(self, a: Any) -> V:
        """Take the natural logarithm."""
        return self._do("Log", a)

    def floor(self, a: Any) -> V:
        """Take the largest whole number that is not larger."""
        return self._do("Floor", a)

    def ceil(self, a: Any) -> V:
        """Take the smallest whole number that is not smaller."""
        return self._do("Ceil", a)

    def sign(self, a: Any) -> V:
        """-1, 0 or 1."""
        return self._do("Sign", a)

    def round(self, a: Any) -> V:
        """Round to a whole number, ties to even (no node has ``Round`` in f64 for certain)."""
        (a,) = self.lift(a)
        low = self.floor(a)
        rest = self.sub(a, low)
        odd = self.greater(self.sub(low, self.mul(self.floor(self.mul(low, 0.5)), 2.0)), 0.5)
        up = self.or_(self.greater(rest, 0.5), self.and_(self.equal(rest, 0.5), odd))
        return self.add(low, self.cast(up, a.type.dtype))

    def square(self, a: Any) -> V:
        """``a * a``."""
        return self.mul(a, a)

    def sigmoid(self, a: Any) -> V:
        """``1 / (1 + exp(-a))``, without overflow to NaN."""
        return self.div(1.0, self.add(1.0, self.exp(self.neg(a))))

    def softplus(self, a: Any) -> V:
        """``log(1 + exp(a))``, without overflow."""
        return self.add(self.maximum(a, 0.0), self.log(self.add(1.0, self.exp(self.neg(self.abs(a))))))

    def tanh(self, a: Any) -> V:
        """Take the hyperbolic tangent."""
        return self._do("Tanh", a)

    # Comparison and logic.
    def equal(self, a: Any, b: Any) -> V:
        """``a == b``."""
        return self._do("Equal", a, b)

    def not_equal(self, a: Any, b: Any) -> V:
        """``a != b``."""
        return self.not_(self.equal(a, b))

    def less(self, a: Any, b: Any) -> V:
        """``a < b``."""
        return self._do("Less", a, b)

    def less_equal(self, a: Any, b: Any) -> V:
        """``a <= b``."""
        return self._do("LessOrEqual", a, b)

    def greater(self, a: Any, b: Any) -> V:
        """``a > b``."""
        return self._do("Greater", a, b)

    def greater_equal(self, a: Any, b: Any) -> V:
        """``a >= b``."""
        return self._do("GreaterOrEqual", a, b)

    def and_(self, a: Any, b: Any) -> V:
        """``a and b``, both bool."""
        return self._do("And", a, b)

    def or_(self, a: Any, b: Any) -> V:
        """``a or b``, both bool."""
        return self._do("Or", a, b)

    def xor(self, a: Any, b: Any) -> V:
        """Either ``a`` or ``b``, both bool."""
        return self._do("Xor", a, b)

    def not_(self, a: Any) -> V:
        """``not a``, bool."""
        return self._do("Not", a)

    def is_nan(self, a: Any) -> V:
        """Whether a float is NaN (``IsNaN`` is typed wrongly on some nodes)."""
        return self.not_(self.equal(a, a))

    def is_number(self, a: Any) -> V:
        """Whether a float is not NaN."""
        return self.equal(a, a)

    def where(self, condition: V, a: Any, b: Any) -> V:
        """Take ``a`` where the condition holds, else ``b``."""
        a, b = self.lift(a, b)
        return self.apply("Where", [condition, a, b])

    def cast(self, a: V, dtype: str) -> V:
        """Convert to another dtype; nothing is done when it is that dtype."""
        return a if a.type.dtype == dtype else self.apply("Cast", [a], to=dtype)

    # Reductions.
    def sum(self, a: V, *axes: int, keepdims: bool = False) -> V:
        """Sum over the axes (all of them when none is named). The sum over no rows is 0."""
        return self._reduce("ReduceSum", a, axes, keepdims)

    def max(self, a: V, *axes: int, keepdims: bool = False) -> V:
        """Take the maximum over the axes. Not over rows: a member may have none."""
        return self._reduce("ReduceMax", a, axes, keepdims)

    def min(self, a: V, *axes: int, keepdims: bool = False) -> V:
        """Take the minimum over the axes. Not over rows: a member may have none."""
        return self._reduce("ReduceMin", a, axes, keepdims)

    def _reduce(self, op: str, a: V, axes: tuple[int, ...], keepdims: bool) -> V:
        axes = axes or tuple(range(a.type.rank))
        if not axes:
            return a
        if op != "ReduceSum" and any(isinstance(a.type.shape[i], str) for i in axes):
            raise ValueError(
                f"{op}: a member may have no rows, and then there is no extreme; add a row with a neutral value first"
            )
        return self.apply(op, [a], axes=axes, keepdims=int(keepdims))

    def cumsum(self, a: V, axis: int) -> V:
        """Sum up to and including each element along an axis."""
        return self.apply("CumSum", [a], axis=axis)

    def count(self, a: V, axis: int = 0, dtype: str = "f64") -> V:
        """Count what holds along an axis of a bool value, as a float (whole outputs trouble one of the runtimes)."""
        return self.sum(self.cast(a, dtype), axis)

    def matmul(self, a: Any, b: Any) -> V:
        """Multiply matrices (f64 or f32, two dimensions or more)."""
        return self._do("MatMul", a, b)

    def gram(self, a: V, b: V) -> V:
        """``a.T @ b`` for two matrices with the same rows."""
        return self.matmul(self.transpose(a), b)

    # Shapes.
    def transpose(self, a: V, perm: Sequence[int] | None = None) -> V:
        """Reorder the axes; by default all of them backwards."""
        return self.apply("Transpose", [a], perm=tuple(perm if perm is not None else reversed(range(a.type.rank))))

    def reshape(self, a: V, *shape: Dim) -> V:
        """Give another shape with as many elements; at most one dimension may be a name."""
        names = [d for d in shape if isinstance(d, str)]
        if len(names) > 1:
            raise ValueError(f"Reshape: at most one dimension of {list(shape)} may be unknown")
        return self.apply(
            "Reshape", [a], shape=tuple(-1 if isinstance(d, str) else d for d in shape), result=tuple(shape)
        )

    def expand(self, a: Any, *shape: int) -> V:
        """Repeat along dimensions of length 1, and new ones in front."""
        return self._do("Expand", a, shape=tuple(shape))

    def unsqueeze(self, a: V, *axes: int) -> V:
        """Insert dimensions of length 1."""
        return self.apply("Unsqueeze", [a], axes=axes)

    def concat(self, *values: Any, axis: int) -> V:
        """Put values behind each other along an axis."""
        lifted = self.lift(*values)
        return lifted[0] if len(lifted) == 1 else self.apply("Concat", lifted, axis=axis)

    def stack(self, *values: Any, axis: int) -> V:
        """Put values of one shape behind each other along a new axis."""
        return self.concat(*(self.unsqueeze(v, axis) for v in self.lift(*values)), axis=axis)

    def take(self, a: V, indices: Any, axis: int) -> V:
        """Select along an axis, by whole numbers known now or an i64 value."""
        if not hasattr(indices, "type"):
            indices = self.constant(np.asarray(indices, np.int64))
        return self.apply("Gather", [a, indices], axis=axis)

    def slice(self, a: V, start: int, end: int, axis: int) -> V:
        """Select a range along an axis of known length."""
        return self.apply("Slice", [a], starts=(start,), ends=(end,), axes=(axis % a.type.rank,))

    def scatter_add(self, into: Any, indices: V, updates: V, axis: int = 0) -> V:
        """Add each update to the element that its index names along an axis; indices are i64, of the updates' shape."""
        (into,) = self.lift(into)
        return self.apply("ScatterElements", [into, indices, updates], axis=axis, reduction="add")


# ---------------------------------------------------------------- graphs


@dataclass(frozen=True, eq=False)
class Value:
    """A value of one graph; arithmetic operators and ``@`` work on it."""

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
        return self.graph.add(self, o)

    def __radd__(self, o: Any) -> Value:
        return self.graph.add(o, self)

    def __sub__(self, o: Any) -> Value:
        return self.graph.sub(self, o)

    def __rsub__(self, o: Any) -> Value:
        return self.graph.sub(o, self)

    def __mul__(self, o: Any) -> Value:
        return self.graph.mul(self, o)

    def __rmul__(self, o: Any) -> Value:
        return self.graph.mul(o, self)

    def __truediv__(self, o: Any) -> Value:
        return self.graph.div(self, o)

    def __rtruediv__(self, o: Any) -> Value:
        return self.graph.div(o, self)

    def __matmul__(self, o: Any) -> Value:
        return self.graph.matmul(self, o)

    def __neg__(self) -> Value:
        return self.graph.neg(self)

    def __str__(self) -> str:
        return f"{self.name}: {self.type}"


class Graph(Operators[Value]):
    """One ONNX graph under construction."""

    def __init__(self, name: str = "step") -> None:
        """Start an empty graph."""
        self.name = name
        self._inputs: list[Value] = []
        self._outputs: list[tuple[str, Value]] = []
        self._nodes: list[tuple[onnx.NodeProto, Type]] = []
        self._constants: dict[str, Array] = {}
        self._known: dict[Any, Value] = {}

    def input(self, name: str, dtype: str, shape: Sequence[Dim] = ()) -> Value:
        """Declare an input."""
        value = Value(self, name, Type(dtype, tuple(shape)))
        self._claim(name)
        self._inputs.append(value)
        return value

    def output(self, name: str, value: Value) -> str:
        """Make a value an output under a name; return the name."""
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
        """Hold a constant, once for equal ones."""
        array = np.array(value, NUMPY[dtype] if dtype else None, order="C")
        if array.dtype.name not in _DTYPES:
            raise ValueError(f"graphs have no {array.dtype}; use one of {', '.join(_DTYPES)}")
        key = ("constant", array.dtype.name, array.shape, array.tobytes())
        if key not in self._known:
            name = f"~c{len(self._constants)}"
            self._constants[name] = array
            self._known[key] = Value(self, name, Type(_DTYPES[array.dtype.name], array.shape))
        return self._known[key]

    def apply(self, op: str, inputs: Sequence[Value], **attributes: Any) -> Value:
        """Append a node, or return the value of an equal one."""
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

        Raises ``ValueError`` when it has no output.
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
        """Check the graph against the standard and return its file, always the same bytes.

        Raises ``ValueError`` when it is not valid ONNX, or when the standard infers other types than we do.
        """
        model = self.model()
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ValueError(f"graph {self.name!r} is not valid: {error}") from error
        return bytes(model.SerializeToString(deterministic=True))


def _port(name: str, type: Type) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _ONNX[type.dtype], list(type.shape))
