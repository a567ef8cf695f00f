"""What frames, series and single numbers have in common: an expression and labels.

Numbers are ``f64`` throughout, as nodes read tables; ``int64`` and ``bool`` are noted beside and decide what an operation
means and how a result is shown. Whole numbers are exact up to 2**53. A missing value is NaN.
"""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from ._expr import Expr, ops
from ._remedies import REMEDIES, called_by_numpy

DType = Literal["float64", "int64", "bool"]
Label = Hashable


@dataclass(frozen=True)
class Rows:
    """The rows of each member's table.

    Parameters
    ----------
    dataset : str
        Whose rows.
    keep : Expr, optional
        ``bool [rows]``: only those where it holds.
    """

    dataset: str
    keep: Expr | None = None

    def __str__(self) -> str:
        """Describe for messages."""
        return f"rows of {self.dataset!r}" + (" that were selected" if self.keep else "")


Index = Rows | tuple[Label, ...]
"""What the first axis counts: rows at the members, or labels known now."""


@dataclass(frozen=True)
class Block:
    """Everything about a frame (``index`` and ``columns``), a series (``index``) or a single number (neither).

    Parameters
    ----------
    x : Expr
        The values, ``f64``: ``[rows, columns]``, ``[rows]`` or ``[]``, or with labels in place of rows.
    dtypes : tuple of {"float64", "int64", "bool"}
        One for each column of a frame, and one for a series or number: what the values mean.
    index : Rows or tuple of label, optional
        What the first axis counts: rows at the members, or labels known now.
    columns : tuple of label, optional
        The names of a frame's columns.
    name : label, optional
        The name of a series.
    index_name : label, optional
        The name of a result's labels, a tuple of names when its labels are tuples.
    typed : tuple of (label, Typed)
        Columns of a frame of rows that are no numbers.
    rest : label, optional
        The last label of counts of levels: that of all other texts.
    """

    x: Expr
    dtypes: tuple[DType, ...]
    index: Index | None = None
    columns: tuple[Label, ...] | None = None
    name: Label = None
    index_name: Label = None
    typed: tuple[tuple[Label, Any], ...] = ()
    rest: Label = None

    @property
    def dtype(self) -> DType:
        """The dtype of a series or number."""
        return self.dtypes[0]

    @property
    def rows(self) -> Rows | None:
        """The rows, when the first axis counts them."""
        return self.index if isinstance(self.index, Rows) else None

    @property
    def common(self) -> DType:
        """The dtype that all columns fit."""
        if set(self.dtypes) == {"bool"}:
            return "bool"
        return "float64" if "float64" in self.dtypes else "int64"

    def with_(self, **changes: Any) -> Block:
        """Return a changed copy, without ``rest`` and the columns that are no numbers unless they are named.

        Parameters
        ----------
        **changes : object
            Fields by name.

        Returns
        -------
        Block
            The copy.
        """
        return replace(self, **({"typed": (), "rest": None} | changes))


class Symbol:
    """A frame, series or number that exists only as an expression; nothing is computed while the task is written.

    It has no truth value, no length (unless it is a result with labels) and no numbers, cannot be iterated, and is not made from
    values: what asks for these raises ``TypeError``.

    Raises
    ------
    TypeError
        Always: symbols come from datasets, see :func:`~delta.pandas.symbolic.table`, and from other symbols.
    """

    _classes: ClassVar[dict[str, type[Symbol]]] = {}
    _supported: ClassVar[str] = ""
    _block: Block
    __array_priority__ = 1000
    __hash__ = None  # type: ignore[assignment]

    def __init_subclass__(cls, kind: str | None = None) -> None:
        """Register the class of frames, series or numbers."""
        if kind is not None:
            Symbol._classes[kind] = cls

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError(
            f"a delta {type(self).__name__} is not made from values: execute() gets one for each dataset that dataset() names, "
            "and all others are computed from those"
        )

    def __bool__(self) -> bool:
        raise TypeError(
            f"a delta {type(self).__name__} has no value while the task is written, so Python cannot decide on it; "
            "use & | ~, where(), or a mask, which the nodes evaluate"
        )

    def __float__(self) -> float:
        raise TypeError(
            f"a delta {type(self).__name__} has no value while the task is written; return it from execute() to see it"
        )

    __int__ = __index__ = __float__

    def __len__(self) -> int:
        if isinstance(self._block.index, tuple):
            return len(self._block.index)
        raise TypeError(
            "the number of rows is not known while the task is written; count them with .count() or, grouped, .size()"
        )

    def __iter__(self) -> Any:
        raise TypeError(
            f"a delta {type(self).__name__} cannot be iterated: its values are at the nodes; use operations on whole columns"
        )

    def __contains__(self, item: Any) -> bool:
        raise TypeError("ask `name in df.columns` for columns; values are at the nodes, use isin()")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"a delta {type(self).__name__} has no values while the task is written, so numpy and pandas cannot use it here; "
            "write it with its methods: where(), histogram(), groupby(), isin() and the like"
        )

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Compute ``np.mean(df.x)`` and the like."""
        return called_by_numpy(function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._missing(name)

    def _missing(self, name: str) -> Any:
        told = f"delta's {type(self).__name__} has no {name!r}"
        if name in REMEDIES:
            raise AttributeError(f"{told}: {REMEDIES[name]}")
        have = sorted(n for n in dir(type(self)) if not n.startswith("_"))
        near = difflib.get_close_matches(name, have, 3)
        raise AttributeError(told + (f"; did you mean {' or '.join(near)}?" if near else ""))

    def __repr__(self) -> str:
        b = self._block
        where = {
            "constant": "known now",
            "rows": "at the nodes",
            "client": "at the nodes",
            "server": f"known after round {b.x.round}",
        }
        what = f", columns {list(b.columns)}" if b.columns is not None else f", {b.dtype}"
        return f"<delta {type(self).__name__} {where[b.x.place]}{what}>"


class Labels(list[Label]):
    """Names of columns or labels of a result: a list, with the methods of ``pandas.Index`` that authors use most."""

    def tolist(self) -> list[Label]:
        """Return a plain list.

        Returns
        -------
        list
            The same labels.
        """
        return list(self)

    to_list = tolist

    def __getitem__(self, key: Any) -> Any:
        """Return one, or some as Labels."""
        found = super().__getitem__(key)
        return Labels(found) if isinstance(key, slice) else found


def repeat(dtype: DType, like: Collection[Any]) -> tuple[DType, ...]:
    """Return one dtype for each of some columns."""
    return (dtype,) * len(like)


def wrap(block: Block) -> Any:
    """Make the symbol of a block.

    Parameters
    ----------
    block : Block
        An expression and labels.

    Returns
    -------
    DataFrame, Series or Scalar
        A DataFrame where it has columns and an index, a Series where it has an index, else a Scalar.
    """
    kind = "scalar" if block.index is None else "series" if block.columns is None else "frame"
    made = object.__new__(Symbol._classes[kind])
    object.__setattr__(made, "_block", block)
    return made


def block(value: Any) -> Block:
    """Return what a symbol stands for.

    Parameters
    ----------
    value : DataFrame, Series or Scalar
        The symbol.

    Returns
    -------
    Block
        Its expression and labels.
    """
    return value._block  # type: ignore[no-any-return]


def is_number(value: Any) -> bool:
    """Whether a value is a Python or numpy number, or a bool."""
    return isinstance(value, (numbers.Real, np.bool_)) and not isinstance(value, Symbol)


def number(value: Any, what: str = "operand") -> Block:
    """Make a constant block of a Python or numpy number."""
    if value is None:
        value = float("nan")
    if not is_number(value):
        raise TypeError(
            f"the {what} is a {type(value).__name__}; use a number, a list of numbers, or a delta Series or DataFrame"
        )
    if isinstance(value, (bool, np.bool_)):
        dtype: DType = "bool"
    elif isinstance(value, numbers.Integral):
        dtype = "int64"
        if abs(int(value)) > 2**53:
            raise ValueError(
                f"the {what} {value} is beyond 2**53, up to which nodes compute with whole numbers exactly"
            )
    else:
        dtype = "float64"
    return Block(ops.constant(float(value), "f64"), (dtype,))


def numbers_of(values: Iterable[Any], what: str) -> tuple[np.ndarray[Any, np.dtype[np.float64]], DType]:
    """Turn a list of numbers into ``f64`` and its dtype; an empty list is float64."""
    blocks = [number(v, what) for v in values]
    data = np.array([float(b.x.data) for b in blocks if b.x.data is not None], np.float64)
    dtypes = {b.dtype for b in blocks}
    if len(dtypes) > 1 and "bool" in dtypes:
        raise TypeError(f"the {what} mixes bool with numbers")
    return data, dtypes.pop() if len(dtypes) == 1 else "float64"


def is_list(value: Any) -> bool:
    """Whether a value is a list of numbers: a list, tuple, range or array of one dimension."""
    return isinstance(value, (list, tuple, range)) or (isinstance(value, np.ndarray) and value.ndim == 1)


def truth(x: Expr) -> Expr:
    """Turn 0 and 1 in ``f64`` into ``bool``."""
    if x.op == "Cast" and x.args[0].type.dtype == "bool":
        return x.args[0]
    return ops.not_equal(x, 0.0)


def as_number(x: Expr) -> Expr:
    """Turn ``bool`` into 0 and 1 in ``f64``."""
    return ops.cast(x, "f64")


def need_numbers(b: Block, what: str) -> None:
    """Refuse a frame with columns that are no numbers, which would be left out without a word."""
    if b.typed:
        names = ", ".join(repr(name) for name, _ in b.typed)
        raise TypeError(
            f"{what}: {names}: no numbers; select the columns that have some, df[[...]], or a column by itself"
        )


def need_bool(b: Block, what: str) -> None:
    """Refuse anything but bool."""
    if set(b.dtypes) != {"bool"}:
        raise TypeError(
            f"{what} needs bool, not {', '.join(sorted(set(b.dtypes)))}; compare first, or use astype(bool)"
        )


def check_axis(axis: Any, default: int = 0) -> int:
    """Return 0 or 1."""
    names = {0: 0, 1: 1, "index": 0, "rows": 0, "columns": 1}
    if axis is None:
        return default
    if isinstance(axis, bool) or axis not in names:
        raise ValueError(f"axis={axis!r}: must be 0 or 'index', or 1 or 'columns'")
    return names[axis]


def check_label(label: Any) -> Label:
    """Refuse labels that results cannot carry."""
    if isinstance(label, tuple):
        return tuple(check_label(part) for part in label)
    if isinstance(label, (str, bool, int)) or (isinstance(label, float) and np.isfinite(label)):
        return label
    if isinstance(label, np.generic):
        return check_label(label.item())
    raise TypeError(f"label {label!r}: use a text or a number")


def position(columns: Sequence[Label], name: Label, where: str = "DataFrame") -> int:
    """Find a column.

    Raises ``KeyError`` with the columns there are.
    """
    for i, c in enumerate(columns):
        if c == name:
            return i
    near = difflib.get_close_matches(str(name), [str(c) for c in columns], 1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise KeyError(f"this {where} has no column {name!r}{hint}; it has {', '.join(map(repr, columns))}")
