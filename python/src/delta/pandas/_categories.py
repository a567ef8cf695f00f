"""Counting in categories and bins that the author declares: ``value_counts nunique histogram``, and codes for ``groupby``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._along import Along, rows_only
from ._base import Block, Label, Symbol, block, check_label, is_list, is_number, numbers_of, wrap
from ._expr import Expr, ops, pooled
from ._levels import Category


class Categories:
    """Declared values of one or more keys; rows whose values are none of them are left out, as with ``pandas.Categorical``."""

    def __init__(
        self, keys: Sequence[Block], declared: Sequence[Any], what: str, levels: Mapping[int, Category] | None = None
    ) -> None:
        """Take the keys (series of the same rows) and a list of values for each; none is needed where levels are declared."""
        values: list[list[Any]] = []
        shown: list[list[Label]] = []
        for number, one in enumerate(declared):
            known = (levels or {}).get(number)
            numbers, labels = (v := _checked(one, what), v) if known is None else known.groups(one)
            values.append(numbers)
            shown.append(labels)
        self.labels: tuple[Label, ...] = tuple(t[0] if len(shown) == 1 else t for t in itertools.product(*shown))
        self.names = [k.name for k in keys]
        rows = keys[0].rows
        assert rows is not None
        code: Expr | None = None
        known_rows: Expr | None = rows.keep
        for key, one in zip(keys, values, strict=True):
            place, found = _place(key.x, numbers_of(one, f"categories in {what}")[0])
            code = place if code is None else ops.add(ops.mul(code, float(len(one))), place)
            known_rows = found if known_rows is None else ops.and_(known_rows, found)
        assert code is not None and known_rows is not None
        self.known = known_rows
        """bool ``[rows]``: rows that are selected and in a category."""
        self._code = ops.where(known_rows, code, float(len(self.labels)))

    def add(self, values: Expr) -> Expr:
        """Sum values over the rows of each category: ``[rows, columns]`` to ``[categories, columns]``, at a member."""
        width = int(values.shape[1])
        into = np.zeros((len(self.labels) + 1, width))
        # Not of the values: what is infinite must get into its sum, where nodes refuse it.
        codes = ops.add(ops.unsqueeze(self._code, 1), np.zeros((1, width)))
        return ops.slice(ops.scatter_add(into, ops.cast(codes, "i64"), values), 0, len(self.labels), 0)

    def count(self) -> Expr:
        """Count the rows in each category, ``[categories]``, at a member."""
        ones = ops.cast(ops.equal(self._code, self._code), "f64")
        sums = ops.scatter_add(np.zeros(len(self.labels) + 1), ops.cast(self._code, "i64"), ones)
        return ops.slice(sums, 0, len(self.labels), 0)

    def spread(self, values: Expr) -> Expr:
        """Give each row what is known of its category: ``[categories, columns]`` to ``[rows, columns]``; 0 for the others."""
        padded = ops.concat(values, np.zeros((1, int(values.shape[1]))), axis=0)
        return ops.take(padded, ops.cast(self._code, "i64"), 0)


def _place(x: Expr, values: Any) -> tuple[Expr, Expr]:
    """Each value's position among the declared ones, and whether it is one of them."""
    if (values == values[0] + np.arange(len(values))).all() and (values == np.floor(values)).all():
        inside = ops.and_(ops.greater_equal(x, float(values[0])), ops.less_equal(x, float(values[-1])))
        found = ops.and_(inside, ops.equal(x, ops.floor(x)))
        return ops.where(found, ops.sub(x, float(values[0])), 0.0), found
    place, found = ops.constant(0.0), ops.equal(x, float(values[0]))
    for i, v in enumerate(values[1:], 1):
        here = ops.equal(x, float(v))
        place, found = ops.where(here, float(i), place), ops.or_(found, here)
    return place, found


def _checked(values: Any, what: str) -> list[Label]:
    if not is_list(values) or len(values) == 0:
        raise TypeError(
            f"{what}: declare the categories, categories=[...]: which values occur is not known beforehand, and not shown"
        )
    labels = [check_label(v) for v in values]
    data, _ = numbers_of(labels, f"categories in {what}")
    if np.isnan(data).any() or len(np.unique(data)) != len(data):
        raise ValueError(f"{what}: each category must be a number and stand once, not {list(values)}")
    return labels


class Countable(Symbol):
    """Counts of a series by value."""

    def value_counts(
        self,
        normalize: bool = False,
        sort: bool = False,
        dropna: bool = True,
        *,
        categories: Sequence[Any] | None = None,
    ) -> Any:
        """Count the rows of each of the declared categories, in their order. One round.

        Parameters
        ----------
        normalize : bool
            Whether shares of all values are wanted; values that are none of the categories count for the whole.
        sort : {False}
            The order must be known beforehand: sort the result.
        dropna : {True}
            Count missing values with ``isna().sum()``.
        categories : sequence of number
            All values that are counted; which ones occur is not known beforehand, and not shown.

        Returns
        -------
        Series
            By category, ``int64``, or ``float64`` for shares.

        Raises
        ------
        TypeError
            ``sort`` or ``dropna`` has another value, or no categories are declared.
        """
        if sort or not dropna:
            raise TypeError(
                "value_counts: sort=False and dropna=True only; sort the result, and count missing values with isna().sum()"
            )
        b = self._counted("value_counts")
        c = Categories([b], [categories], "value_counts")
        counts = pooled(c.count(), "count")
        if normalize:
            share = ops.div(counts, Along(b, 0).number)
            return wrap(Block(share, ("float64",), c.labels, None, "proportion", index_name=b.name))
        return wrap(Block(counts, ("int64",), c.labels, None, "count", index_name=b.name))

    def nunique(self, dropna: bool = True, *, categories: Sequence[Any] | None = None) -> Any:
        """Count which of the declared categories occur; missing if another value occurs. One round.

        Parameters
        ----------
        dropna : {True}
            Missing values are not counted.
        categories : sequence of number
            All values that are counted; which ones occur is not known beforehand, and not shown.

        Returns
        -------
        Scalar
            ``int64``.

        Raises
        ------
        TypeError
            ``dropna`` has another value, or no categories are declared.
        """
        if not dropna:
            raise TypeError("nunique: dropna=True only")
        b = self._counted("nunique")
        c = Categories([b], [categories], "nunique")
        present = ops.sum(ops.cast(ops.greater(pooled(c.count(), "count"), 0.5), "f64"), 0)
        one = Along(b, 0)
        other = one.exists(ops.and_(one.valid, ops.not_(c.known)), "other_value")
        return wrap(Block(ops.where(other, float("nan"), present), ("int64",)))

    def histogram(self, bins: Any = 10, range: Sequence[float] | None = None) -> Any:
        """Count values in bins, as ``numpy.histogram`` does. One round.

        Parameters
        ----------
        bins : int or sequence of float
            Rising edges, or a number of even bins. A bin holds its left edge, the last one both.
        range : (float, float)
            The extent of even bins.

        Returns
        -------
        Series
            Counts, by the bins' left edges. Values outside and missing ones are not counted.

        Raises
        ------
        TypeError
            A number of bins comes without ``range``, or the values are bool.
        ValueError
            The edges do not rise.
        """
        b = self._counted("histogram")
        if is_list(bins):
            edges, _ = numbers_of(bins, "edges in histogram")
        else:
            if (
                not isinstance(bins, int)
                or bins < 1
                or range is None
                or len(range) != 2
                or not all(map(is_number, range))
            ):
                raise TypeError(
                    "histogram: give the edges, or a number of bins and range=(low, high): the extent of the data is not known"
                )
            edges = np.linspace(float(range[0]), float(range[1]), bins + 1)
        if len(edges) < 2 or not (np.diff(edges) > 0).all() or not np.isfinite(edges).all():
            raise ValueError("histogram: edges must rise, and there must be at least two")
        if b.dtype == "bool":
            raise TypeError("histogram: bool has no bins; use value_counts")
        labels = tuple(float(e) for e in edges[:-1])
        counts = pooled(_bins(Along(b, 0), edges), "histogram")
        return wrap(Block(counts, ("int64",), labels, None, b.name))

    def _counted(self, what: str) -> Block:
        rows_only(self, what)
        return block(self)


def _bins(a: Along, edges: Any) -> Expr:
    """Count a member's values in bins, ``[bins]``."""
    n = len(edges) - 1
    x = ops.where(a.there, a.x, 0.0)
    inside = ops.and_(ops.greater_equal(x, float(edges[0])), ops.less_equal(x, float(edges[-1])))
    if np.allclose(np.diff(edges), (edges[-1] - edges[0]) / n, rtol=1e-9, atol=0):
        # Even bins: divide, then put right what rounding moved over an edge, as numpy does.
        at = ops.floor(
            ops.div(ops.sub(ops.where(inside, x, float(edges[0])), float(edges[0])), (edges[-1] - edges[0]) / n)
        )
        at = ops.maximum(ops.minimum(at, float(n - 1)), 0.0)
        table = ops.constant(edges)
        low = ops.less(x, ops.take(table, ops.cast(at, "i64"), 0))
        high = ops.greater_equal(x, ops.take(table, ops.cast(ops.add(at, 1.0), "i64"), 0))
        at = ops.add(ops.sub(at, ops.cast(low, "f64")), ops.cast(high, "f64"))
    else:
        at = ops.constant(0.0)
        for e in edges[1:-1]:
            at = ops.add(at, ops.cast(ops.greater_equal(x, float(e)), "f64"))
    at = ops.maximum(ops.minimum(ops.where(inside, at, 0.0), float(n - 1)), 0.0)
    counted = ops.cast(ops.and_(a.valid, inside), "f64")
    return ops.scatter_add(np.zeros(n), ops.cast(at, "i64"), counted)
