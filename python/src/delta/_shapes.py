"""What is known of a graph's values before anything runs: dtypes and shapes, and how operators change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
DTYPES = {v: k for k, v in NUMPY.items()}
"""numpy's names of dtypes to the manifest's."""


@dataclass(frozen=True)
class Type:
    """What is known of a value before anything runs.

    Parameters
    ----------
    dtype : str
        ``f32``, ``f64``, ``i32``, ``i64``, ``u8`` or ``bool``.
    shape : tuple of int or str
        The dimensions; a name where only the data tell.
    """

    dtype: str
    shape: tuple[Dim, ...]

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def __str__(self) -> str:
        """Show as ``f64 [rows, 3]``."""
        return f"{self.dtype} [{', '.join(map(str, self.shape))}]"


def _same(op: str, types: Sequence[Type]) -> str:
    dtypes = {t.dtype for t in types}
    if len(dtypes) != 1:
        raise ValueError(f"{op}: the operands differ in dtype, {' and '.join(map(str, types))}; cast one of them")
    return types[0].dtype


def broadcast(op: str, *shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """Return the shape of an element-wise result.

    Parameters
    ----------
    op : str
        What the error calls the operator.
    *shapes : sequence of int or str
        Those of the operands; missing dimensions in front count as 1.

    Returns
    -------
    tuple of int or str
        The shape.

    Raises
    ------
    ValueError
        Two lengths differ and neither is 1.
    """
    out: list[Dim] = []
    for i in range(-max(map(len, shapes)), 0):
        dims = {s[i] for s in shapes if len(s) >= -i} - {1}
        if len(dims) > 1:
            raise ValueError(f"{op}: shapes {' and '.join(str(list(s)) for s in shapes)} do not fit together")
        out.append(dims.pop() if dims else 1)
    return tuple(out)


def axis_of(op: str, type: Type, axis: int) -> int:
    """Return the axis counted from the front.

    Raises ``ValueError`` when there is none.
    """
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
    axes = {axis_of(op, t, i) for i in a["axes"]}
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
    axis = axis_of(op, first, a["axis"])
    rest = {t.shape[:axis] + t.shape[axis + 1 :] for t in types}
    if len(rest) != 1:
        raise ValueError(f"{op}: {', '.join(map(str, types))} differ beyond axis {axis}")
    lengths = [t.shape[axis] for t in types]
    known = [n for n in lengths if isinstance(n, int)]
    joined: Dim = sum(known) if len(known) == len(lengths) else "+".join(map(str, lengths))
    return Type(dtype, (*first.shape[:axis], joined, *first.shape[axis + 1 :]))


def _gather(op: str, types: Sequence[Type], a: Attributes) -> Type:
    x, i = types
    axis = axis_of(op, x, a["axis"])
    if i.dtype != "i64":
        raise ValueError(f"{op}: indices must be i64, not {i}")
    return Type(x.dtype, (*x.shape[:axis], *i.shape, *x.shape[axis + 1 :]))


def _slice(op: str, types: Sequence[Type], a: Attributes) -> Type:
    (t,) = types
    dims = list(t.shape)
    for start, end, axis in zip(a["starts"], a["ends"], a["axes"], strict=True):
        length = dims[axis_of(op, t, axis)]
        if isinstance(length, str):
            raise ValueError(f"{op}: axis {axis} of {t} has an unknown length")
        dims[axis] = len(range(*slice(start, end).indices(length)))
    return Type(t.dtype, tuple(dims))


def _first(op: str, types: Sequence[Type], a: Attributes) -> Type:
    return types[0]


_Infer = Callable[[str, Sequence[Type], Attributes], Type]
_INFER: Mapping[str, _Infer] = (
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


def infer(op: str, types: Sequence[Type], attributes: Attributes) -> Type:
    """Return the type of an operator's result.

    Raises ``ValueError`` naming the operator when the operands do not fit.
    """
    return _INFER[op](op, types, attributes)
