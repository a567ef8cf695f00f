"""``Series``: one column of the members' rows, or a result with labels; ``Scalar``: one number."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ._arithmetic import add_methods
from ._base import Block, Label, Labels, Symbol, block, need_bool, wrap
from ._categories import Countable
from ._cells import select
from ._describe import Describable
from ._elementwise import Elementwise
from ._expr import ops
from ._frame import labels, mask_for
from ._groupable import Groupable
from ._order import Searches
from ._pairs import SeriesPairs
from ._reduce import Reductions


class Series(Reductions, Searches, SeriesPairs, Countable, Groupable, Describable, Elementwise, kind="series"):
    """A series of ``pandas`` that exists only as an expression: the same names, arguments and treatment of missing values.

    It is one column of the members' rows, or a result with labels. What is not supported raises an error that says so while the
    task is written.
    """

    @property
    def name(self) -> Label:
        """The name."""
        return block(self).name

    @property
    def dtype(self) -> str:
        """``float64``, ``int64`` or ``bool``."""
        return block(self).dtype

    @property
    def index(self) -> Labels:
        """The labels of a result; rows at the nodes have none."""
        return labels(self)

    def __getitem__(self, key: Any) -> Any:
        """Select rows by a bool Series; from a result one value by its label, or several by a list of labels."""
        b = block(self)
        if isinstance(key, Symbol):
            need_bool(block(key), "selecting by a mask")
            return wrap(select(b, mask_for(b, block(key))))
        if not isinstance(b.index, tuple):
            raise TypeError("rows at the nodes have no labels; select them by a condition, s[s > 0]")
        if isinstance(key, list):
            at = [self._at(k) for k in key]
            return wrap(b.with_(x=ops.take(b.x, at, 0), index=tuple(key)))
        return wrap(Block(ops.take(b.x, self._at(key), 0), b.dtypes))

    def _at(self, key: Label) -> int:
        index = self.index
        if not isinstance(key, Hashable) or key not in index:
            raise KeyError(f"no label {key!r}; there are {', '.join(map(repr, index))}")
        return index.index(key)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Series is not changed in place; use rename(), where() or mask(), which return another")

    def rename(self, index: Label) -> Any:
        """Return a copy with another name.

        Parameters
        ----------
        index : label
            The name.

        Returns
        -------
        Series
            The copy.
        """
        return wrap(block(self).with_(name=index))

    def dropna(self) -> Any:
        """Keep rows that are not missing.

        Returns
        -------
        Series
            The rows that are left.
        """
        b = block(self)
        return wrap(select(b, ops.is_number(b.x)))

    def between(self, left: Any, right: Any, inclusive: str = "both") -> Any:
        """Whether each value lies between two.

        Parameters
        ----------
        left, right : number, Scalar, or Series of the same rows
            The bounds.
        inclusive : {"both", "neither", "left", "right"}
            Which of them belong to it.

        Returns
        -------
        Series
            Of bool.

        Raises
        ------
        ValueError
            ``inclusive`` is none.
        """
        if inclusive not in ("both", "neither", "left", "right"):
            raise ValueError(f"between: inclusive={inclusive!r}; use both, neither, left or right")
        low = self >= left if inclusive in ("both", "left") else self > left
        return low & (self <= right if inclusive in ("both", "right") else self < right)

    def to_frame(self, name: Label = None) -> Any:
        """Return a DataFrame of this one column.

        Parameters
        ----------
        name : label, optional
            Its name; by default the Series' own, or 0.

        Returns
        -------
        DataFrame
            Of the same rows.
        """
        b = block(self)
        called = name if name is not None else b.name if b.name is not None else 0
        return wrap(b.with_(x=ops.unsqueeze(b.x, 1), columns=(called,), name=None))


add_methods(Series, series=True)


class Scalar(Elementwise, kind="scalar"):
    """One number of the result, such as ``df["a"].mean()``: arithmetic works, its value does not exist yet."""

    @property
    def dtype(self) -> str:
        """``float64``, ``int64`` or ``bool``."""
        return block(self).dtype

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a number of the result has no attributes to set")
