"""Counting in categories and bins that the author declares: ``value_counts nunique histogram``, and codes for ``groupby``."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._base import Block, Label, Symbol, block, check_label, is_list, is_number, numbers_of, repeat, wrap
from ._expr import Expr, ops
from ._reduce import Along, rows_only


class Categories:
    """Declared values of one or more keys; rows whose values are none of them are left out, as with ``pandas.Categorical``."""

    def __init__(self, keys: Sequence[Block], declared: Sequence[Any], what: str) -> None:
        """Take the keys (series of the same rows) and a list of values for each."""
        self.values = [_checked(d, what) for d in declared]
        self.labels: tuple[Label, ...] = tuple(
            t[0] if len(self.values) == 1 else t for t in itertools.product(*self.values)
        )
        self.names = [k.name for k in keys]
        hot: Expr | None = None
        for key, values in zip(keys, self.values, strict=True):
            data, _ = numbers_of(values, f"categories in {what}")
            one = ops.equal(ops.unsqueeze(key.x, 1), data)
            if hot is None:
                hot = one
                continue
            pairs = ops.and_(ops.unsqueeze(hot, 2), ops.unsqueeze(one, 1))
            hot = ops.reshape(pairs, key.x.shape[0], int(hot.shape[1]) * len(values))
        assert hot is not None
        rows = keys[0].rows
        assert rows is not None
        self.hot = hot if rows.keep is None else ops.and_(hot, ops.unsqueeze(rows.keep, 1))
        """bool ``[rows, categories]``; no row that was not selected is in any."""


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
        """Count each of the declared ``categories``, in their order; ``normalize``: as shares of all values. One round.

        Values that are none of the categories only count for the shares. pandas sorts by count; here the order must be known
        beforehand, so ``sort=True`` is refused.
        """
        if sort or not dropna:
            raise TypeError(
                "value_counts: sort=False and dropna=True only; sort the result, and count missing values with isna().sum()"
            )
        b = self._counted("value_counts")
        c = Categories([b], [categories], "value_counts")
        a = Along(b.with_(x=ops.cast(c.hot, "f64"), columns=c.labels, dtypes=repeat("float64", c.labels)), 0)
        counts = a.count(c.hot, "count")
        if normalize:
            share = ops.div(counts, Along(b, 0).number)
            return wrap(Block(share, ("float64",), c.labels, None, "proportion", index_name=b.name))
        return wrap(Block(counts, ("int64",), c.labels, None, "count", index_name=b.name))

    def nunique(self, dropna: bool = True, *, categories: Sequence[Any] | None = None) -> Any:
        """Count which of the declared ``categories`` occur; missing if another value occurs. One round."""
        if not dropna:
            raise TypeError("nunique: dropna=True only")
        b = self._counted("nunique")
        c = Categories([b], [categories], "nunique")
        a = Along(b.with_(x=ops.cast(c.hot, "f64"), columns=c.labels, dtypes=repeat("float64", c.labels)), 0)
        present = ops.sum(ops.cast(a.exists(c.hot, "present"), "f64"), 0)
        one = Along(b, 0)
        known = ops.greater(ops.sum(ops.cast(c.hot, "f64"), 1), 0.5)
        other = one.exists(ops.and_(one.valid, ops.not_(known)), "other_value")
        return wrap(Block(ops.where(other, float("nan"), present), ("int64",)))

    def histogram(self, bins: Any = 10, range: Sequence[float] | None = None) -> Any:
        """Count values in bins, as ``numpy.histogram`` does; the result's labels are the bins' left edges. One round.

        ``bins``: rising edges, or a number of even bins over ``range=(low, high)``. A bin holds its left edge, the last one
        both. Values outside and missing ones are not counted.
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
        column = ops.unsqueeze(b.x, 1)
        last = np.arange(len(edges) - 1) == len(edges) - 2
        inside = ops.or_(ops.less(column, edges[1:]), ops.and_(ops.equal(column, edges[1:]), ops.constant(last)))
        inside = ops.and_(ops.greater_equal(column, edges[:-1]), inside)
        labels = tuple(float(e) for e in edges[:-1])
        a = Along(b.with_(x=ops.cast(inside, "f64"), columns=labels, dtypes=repeat("float64", labels)), 0)
        return wrap(Block(a.count(a.kept(inside), "histogram"), ("int64",), labels, None, b.name))

    def _counted(self, what: str) -> Block:
        rows_only(self, what)
        return block(self)
