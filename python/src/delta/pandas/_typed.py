"""Columns that are no numbers: texts of declared levels, dates and times.

Nodes write each cell as a number: the place of its level (one more than the last for any other text), days or seconds since
1970-01-01; what a column's texts are never leaves a node. So these columns have what has a meaning for them and nothing else:
no mean of levels, no sum of dates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from ._base import Block, Label, Rows, Symbol, as_number, block, need_bool, truth, wrap
from ._binary import same_rows
from ._expr import Expr, ops
from ._remedies import REMEDIES

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Typed:
    """A column of rows whose numbers stand for something else.

    Parameters
    ----------
    x : Expr
        ``f64 [rows]``: what the node writes for each cell.
    kind : {"category", "date", "time"}
        What it stands for.
    levels : tuple of str
        Of a category.
    """

    x: Expr
    kind: str
    levels: tuple[str, ...] = ()

    def of(self, index: Rows, name: Label) -> Column:
        """Return the column over some rows."""
        return Column.of_kind[self.kind](self, index, name)


def typed(x: Expr, spec: Json) -> Typed:
    """Return a column as a task declares it."""
    return Typed(x, spec["type"], tuple(spec.get("levels", ())))


class Column:
    """What such columns have in common: :class:`~delta.pandas._levels.Category` and :class:`~delta.pandas._moments.Moment`."""

    of_kind: ClassVar[dict[str, type[Column]]] = {}
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 1000

    def __init_subclass__(cls, kinds: Sequence[str] = ()) -> None:
        """Register the class of columns of some kinds."""
        Column.of_kind |= dict.fromkeys(kinds, cls)

    def __init__(self, column: Typed, index: Rows, name: Label) -> None:
        self._typed, self._index, self._name = column, index, name

    @property
    def name(self) -> Label:
        """The column's name."""
        return self._name

    @property
    def _block(self) -> Block:
        """The numbers behind it, for what may be done with them."""
        return Block(self._typed.x, ("float64",), self._index, None, self._name)

    def _bool(self, x: Expr) -> Any:
        return wrap(Block(as_number(x), ("bool",), self._index, None, self._name))

    def _numbers(self, x: Expr) -> Any:
        return wrap(Block(x, ("float64",), self._index, None, self._name))

    def __bool__(self) -> NoReturn:
        raise TypeError("a delta column has no value while the task is written; use & | ~, where(), or a mask")

    def __iter__(self) -> NoReturn:
        raise TypeError("a delta column cannot be iterated: its values are at the nodes")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        told = f"a column of {self._what} has no {name!r}"
        if name in REMEDIES:
            raise AttributeError(f"{told}: {REMEDIES[name]}")
        have = sorted(n for n in dir(type(self)) if not n.startswith("_") and n not in ("groups", "of_kind"))
        raise AttributeError(f"{told}; it has {', '.join(have)}")

    def __len__(self) -> NoReturn:
        raise TypeError("the number of rows is not known while the task is written; count them with .count()")

    _what = "another type"

    def __getitem__(self, mask: Any) -> Any:
        """Select rows by a bool Series."""
        if not isinstance(mask, Symbol):
            raise TypeError("rows at the nodes have no labels; select them by a condition")
        need_bool(block(mask), "selecting by a mask")
        theirs = block(mask).rows
        if theirs is None or theirs.dataset != self._index.dataset or theirs.keep is not None:
            same_rows(self._block, block(mask), "selecting by a mask")
        keep = truth(block(mask).x)
        if self._index.keep is not None:
            keep = ops.and_(self._index.keep, keep)
        return type(self)(self._typed, Rows(self._index.dataset, keep), self._name)

    def isna(self) -> Any:
        """Whether each cell is missing.

        Returns
        -------
        Series
            Of bool.
        """
        return self._bool(ops.is_nan(self._typed.x))

    def notna(self) -> Any:
        """Whether each cell is there.

        Returns
        -------
        Series
            Of bool.
        """
        return self._bool(ops.is_number(self._typed.x))

    isnull, notnull = isna, notna

    def count(self) -> Any:
        """Count the cells that are not missing. One round.

        Returns
        -------
        Scalar
            ``int64``.
        """
        return self.notna().sum()
