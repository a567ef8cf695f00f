"""Expressions: what a frame stands for, recorded as an immutable graph of operators whose equal parts are one object.

Every expression is an array. Where it lives follows from what it is made of:

- *constant*: known while the task is written;
- *rows*: one entry for each row of a member's table (its first dimension is named after the dataset);
- *client*: a value of its own at each member, such as the sum of the member's rows; it may not be shown;
- *server*: known to the coordinator, after a secure sum (:func:`total`) over the members.

``round`` is the number of rounds after which the expression is known to whoever lives there: 0 for columns and constants, one
more than its operand's for a secure sum.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .._operators import Operators
from .._shapes import DTYPES, NUMPY, Dim, Type, infer

Array = npt.NDArray[Any]
Place = Literal["constant", "rows", "client", "server"]


class Expr:
    """One operator applied to expressions; compare with ``is``: equal expressions are the same object. They come from symbols.

    Parameters
    ----------
    op : str
        An operator of ONNX, or ``Columns``, ``Column`` (of a dataset), ``Total`` (the sum over the members), ``Constant``.
    args : tuple of Expr
        The operands.
    attributes : tuple of (str, object)
        The operator's.
    type : Type
        dtype and shape; the dimension of rows is a text.
    data : ndarray, optional
        A constant's value.

    Attributes
    ----------
    local : bool
        Whether members have a value each.
    round : int
        After how many rounds it is known to whoever lives there.
    """

    __slots__ = ("__weakref__", "args", "attributes", "data", "local", "op", "round", "type")
    local: bool
    round: int

    def __init__(
        self,
        op: str,
        args: tuple[Expr, ...],
        attributes: tuple[tuple[str, Any], ...],
        type: Type,
        data: Array | None = None,
    ) -> None:
        self.op, self.args, self.attributes, self.type, self.data = op, args, attributes, type, data
        self.local = op in ("Columns", "Column") or (op != "Total" and any(a.local for a in args))
        self.round = max((a.round for a in args), default=0) + (op == "Total")

    def get(self, attribute: str) -> Any:
        """Return an attribute.

        Parameters
        ----------
        attribute : str
            Its name.

        Returns
        -------
        object
            Its value.

        Raises
        ------
        KeyError
            The operator has none of that name.
        """
        return dict(self.attributes)[attribute]

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The shape; the dimension of rows is a text."""
        return self.type.shape

    @property
    def place(self) -> Place:
        """Where the expression lives."""
        if self.local:
            return "rows" if any(isinstance(d, str) for d in self.shape) else "client"
        return "server" if self.round else "constant"

    def __repr__(self) -> str:
        """Show operator, type and place."""
        return f"Expr({self.op}, {self.type}, {self.place}, round {self.round})"


_known: weakref.WeakValueDictionary[Any, Expr] = weakref.WeakValueDictionary()


def _intern(
    op: str, args: tuple[Expr, ...], attributes: dict[str, Any], type: Type | None = None, data: Array | None = None
) -> Expr:
    kept = tuple(sorted(attributes.items()))
    key = (op, args, kept) if data is None else (op, data.dtype.name, data.shape, data.tobytes())
    found = _known.get(key)
    if found is None:
        found = Expr(op, args, kept, type or infer(op, [a.type for a in args], attributes), data)
        _known[key] = found
    return found


class _Ops(Operators[Expr]):
    """The operators of :mod:`delta.graph` on expressions."""

    def apply(self, op: str, inputs: Sequence[Expr], **attributes: Any) -> Expr:
        return _intern(op, tuple(inputs), attributes)

    def constant(self, value: Array | float | Sequence[Any], dtype: str | None = None) -> Expr:
        array = np.array(value, NUMPY[dtype] if dtype else None, order="C")
        return _intern("Constant", (), {}, Type(DTYPES[array.dtype.name], array.shape), array)


ops = _Ops()


def rows_of(dataset: str) -> str:
    """Return the name of a dataset's dimension of rows."""
    return f"rows of {dataset}"


def source(dataset: str, names: Sequence[str]) -> Expr:
    """Columns of a dataset, ``f64 [rows, columns]``."""
    return _intern(
        "Columns", (), {"dataset": dataset, "names": tuple(names)}, Type("f64", (rows_of(dataset), len(names)))
    )


def total(x: Expr, label: str) -> Expr:
    """Sum over the members, securely: one contribution of ``x`` (a client expression, finite, f64).

    ``label``: a word for what it is, which the owners of the data read.
    """
    if x.place != "client" or x.type.dtype != "f64":
        raise AssertionError(f"only client values can be summed over the members, not {x!r}")
    return _intern("Total", (x,), {"label": label}, x.type)


def pooled(x: Expr, label: str) -> Expr:
    """Sum a member's expression over the members; what the coordinator or the author knows already is returned as it is.

    Parameters
    ----------
    x : Expr
        ``f64``, with no axis of rows: a sum over a member's rows, where records are to be kept apart.
    label : str
        A word for what it is, which the owners of the data read.

    Returns
    -------
    Expr
        Known to the coordinator one round later.
    """
    return total(x, label) if x.place == "client" else x


ELEMENTWISE = {
    *(
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Mod",
        "Min",
        "Max",
        "Equal",
        "Less",
        "Greater",
        "LessOrEqual",
        "GreaterOrEqual",
    ),
    *("And", "Or", "Xor", "Not", "Where", "Cast", "Neg", "Abs", "Sqrt", "Exp", "Log", "Floor", "Ceil", "Sign"),
    *("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh"),
}


def column(x: Expr, i: int) -> Expr:
    """Column ``i`` of a matrix, ``[rows]``; pushed down to the source, so that only columns that are used are read."""
    if x.op == "Columns":
        name = x.get("names")[i]
        return _intern("Column", (), {"dataset": x.get("dataset"), "name": name}, Type("f64", x.shape[:1]))
    if x.op == "Concat" and x.get("axis") == 1:
        for part in x.args:
            width = part.shape[1]
            assert isinstance(width, int)
            if i < width:
                return column(part, i)
            i -= width
    if x.op == "Unsqueeze" and x.get("axes") == (1,):
        return x.args[0]
    if x.op in ELEMENTWISE and x.local:
        return ops.apply(x.op, [_column_of_operand(a, i) for a in x.args], **dict(x.attributes))
    return ops.take(x, i, 1)


def _column_of_operand(a: Expr, i: int) -> Expr:
    """Return the part of a broadcast operand that belongs to column ``i``, ``[rows]`` or a number."""
    if a.type.rank == 0:
        return a
    last = 0 if a.shape[-1] == 1 else i
    if a.type.rank == 1:
        return ops.constant(a.data[last]) if a.data is not None else ops.take(a, last, 0)
    return column(a, last) if a.local else ops.take(a, last, 1)


def columns(x: Expr, wanted: Sequence[int]) -> Expr:
    """Some columns of a matrix, in the order named."""
    if list(wanted) == list(range(int(x.shape[1]))):
        return x
    if x.op == "Columns":
        return source(x.get("dataset"), [x.get("names")[i] for i in wanted])
    if x.local:
        return side_by_side([column(x, i) for i in wanted])
    return ops.take(x, list(wanted), 1)


def side_by_side(parts: Sequence[Expr]) -> Expr:
    """Put series ``[rows]`` side by side as a matrix; columns of one dataset in a row become one source."""
    if all(p.op == "Column" for p in parts) and len({p.get("dataset") for p in parts}) == 1:
        return source(parts[0].get("dataset"), [p.get("name") for p in parts])
    return ops.concat(*(ops.unsqueeze(p, 1) for p in parts), axis=1)


def walk(roots: Iterable[Expr]) -> Iterator[Expr]:
    """Every expression below, operands before what uses them, each once."""
    seen: set[Expr] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            x, done = stack.pop()
            if done:
                yield x
            elif x not in seen:
                seen.add(x)
                stack.append((x, True))
                stack.extend((a, False) for a in reversed(x.args))
