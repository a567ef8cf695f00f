"""``groupby`` over declared categories: sums over the rows of each group, added up by each row's place among the categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._along import INFINITY, NAN, may_be_infinite, whole
from ._base import Block, DType, Label, check_label, need_numbers, position, wrap
from ._categories import Categories
from ._expr import Expr, column, columns, ops, pooled

AGGREGATES = ("count", "mean", "sem", "size", "std", "sum", "var")


class GroupBy:
    """Rows in groups, from ``df.groupby(...)``; select columns by ``[...]``, then aggregate.

    Groups stand in the order of the declared categories; a group without rows is there, as in pandas for a ``Categorical`` key
    with ``observed=False``. Rows whose key is no category, or missing, are left out.

    Parameters
    ----------
    values, categories
        What ``groupby`` makes of its frame and arguments.
    """

    def __init__(self, values: Block, categories: Categories) -> None:
        self._b, self._c = values, categories

    def __getitem__(self, key: Any) -> GroupBy:
        """Select a column or a list of columns to aggregate."""
        b = self._b
        if b.columns is None:
            raise TypeError("a grouped Series has no columns to select")
        if isinstance(key, list):
            at = [position(b.columns, k, "grouped DataFrame") for k in key]
            kept = b.with_(x=columns(b.x, at), dtypes=tuple(b.dtypes[i] for i in at), columns=tuple(key))
            return GroupBy(kept, self._c)
        i = position(b.columns, key, "grouped DataFrame")
        return GroupBy(Block(column(b.x, i), (b.dtypes[i],), b.index, None, key), self._c)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in (self._b.columns or ()):
            return self[name]
        raise AttributeError(
            f"a delta groupby has no {name!r}; it supports agg, {', '.join(AGGREGATES)}; for others, filter the rows of a group "
            "(df[df.key == 1]) and aggregate them"
        )

    def __iter__(self) -> Any:
        raise TypeError("groups cannot be iterated: their rows are at the nodes; use agg()")

    # ------------------------------------------------ sums over groups
    @property
    def _x(self) -> Expr:
        """The values as a matrix, ``[rows, columns]``."""
        need_numbers(self._b, "an aggregate of groups")
        return ops.unsqueeze(self._b.x, 1) if self._b.columns is None else self._b.x

    def _add(self, values: Expr, valid: Expr) -> Expr:
        """Sum the columns in each group, ``[groups, columns]``."""
        if not may_be_infinite(values):
            return pooled(self._c.add(ops.where(valid, values, 0.0)), "group_sum")
        finite = ops.less(ops.abs(values), INFINITY)
        part = pooled(self._c.add(ops.where(ops.and_(valid, finite), values, 0.0)), "group_sum")
        for sign in (INFINITY, -INFINITY):
            cells = ops.cast(ops.and_(valid, ops.equal(values, sign)), "f64")
            found = pooled(self._c.add(cells), "group_infinite")
            part = ops.add(part, ops.where(ops.greater(found, 0.5), sign, 0.0))
        return part

    @property
    def _number(self) -> Expr:
        return pooled(self._c.add(ops.cast(ops.is_number(self._x), "f64")), "group_count")

    @property
    def _size(self) -> Expr:
        return pooled(self._c.count(), "group_size")

    def _squares(self) -> tuple[Expr, Expr]:
        """The number of values and the sum of squared deviations from the group's mean."""
        x, there, n = self._x, ops.is_number(self._x), self._number
        mean = ops.div(self._add(x, there), n)
        usable = ops.less(ops.abs(mean), INFINITY)
        deviation = ops.sub(x, self._c.spread(ops.where(usable, mean, 0.0)))
        known = ops.and_(there, ops.less(ops.abs(deviation), INFINITY))
        squares = pooled(self._c.add(ops.where(known, ops.square(deviation), 0.0)), "group_squared_deviations")
        return n, ops.where(usable, squares, NAN)

    def _one(self, how: str, ddof: int = 1, min_count: int = 0) -> tuple[Expr, list[DType]]:
        """One aggregate as ``[groups, columns]``."""
        k = len(self._b.dtypes)
        if how == "count":
            return self._number, ["int64"] * k
        if how == "sum":
            x = self._add(self._x, ops.is_number(self._x))
            if min_count > 0:
                x = ops.where(ops.greater(self._number, min_count - 0.5), x, NAN)
            return x, whole(self._b.dtypes)
        if how == "mean":
            return ops.div(self._add(self._x, ops.is_number(self._x)), self._number), ["float64"] * k
        if how == "size":
            size = ops.unsqueeze(self._size, 1)
            return ops.concat(*[size] * k, axis=1), ["int64"] * k
        if how not in ("var", "std", "sem"):
            raise AttributeError(f"agg: {how!r} is not supported; use one of {', '.join(AGGREGATES)}")
        n, squares = self._squares()
        free = ops.sub(n, float(ddof))
        enough = ops.greater(free, 0.5)
        variance = ops.where(enough, ops.div(squares, ops.where(enough, free, 1.0)), NAN)
        x = variance if how == "var" else ops.sqrt(variance)
        return (ops.div(x, ops.sqrt(n)) if how == "sem" else x), ["float64"] * k

    def _wrap(self, x: Expr, dtypes: Sequence[DType], names: tuple[Label, ...] | None) -> Any:
        keys: Any = self._c.names[0] if len(self._c.names) == 1 else tuple(self._c.names)
        if names is None:
            return wrap(Block(ops.take(x, 0, 1), (dtypes[0],), self._c.labels, None, self._b.name, index_name=keys))
        return wrap(Block(x, tuple(dtypes), self._c.labels, names, index_name=keys))

    def _aggregate(self, how: str, numeric_only: bool, **options: int) -> Any:
        return self._wrap(*self._one(how, **options), self._b.columns)

    # ------------------------------------------------ aggregates
    def count(self) -> Any:
        """Count the values of each group that are not missing. One round.

        Returns
        -------
        DataFrame or Series
            One row for each group, in the order of the categories.
        """
        return self._aggregate("count", False)

    def sum(self, numeric_only: bool = False, min_count: int = 0) -> Any:
        """Add up each group. One round.

        Parameters
        ----------
        numeric_only : bool
            As in pandas; all columns are numeric here.
        min_count : int
            With fewer values than this a sum is missing.

        Returns
        -------
        DataFrame or Series
            One row for each group, in the order of the categories.
        """
        return self._aggregate("sum", numeric_only, min_count=min_count)

    def mean(self, numeric_only: bool = False) -> Any:
        """Compute the mean of each group. One round.

        Parameters
        ----------
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        DataFrame or Series
            One row for each group, in the order of the categories.
        """
        return self._aggregate("mean", numeric_only)

    def var(self, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the variance of each group. Two rounds.

        Parameters
        ----------
        ddof : int
            What is taken off the number of values in the divisor.
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        DataFrame or Series
            One row for each group, in the order of the categories.
        """
        return self._aggregate("var", numeric_only, ddof=ddof)

    def std(self, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the standard deviation of each group. Two rounds.

        Parameters
        ----------
        ddof : int
            What is taken off the number of values in the divisor.
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        DataFrame or Series
            One row for each group, in the order of the categories.
        """
        return self._aggregate("std", numeric_only, ddof=ddof)

    def sem(self, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the standard error of each group's mean. Two rounds.

        Parameters
        ----------
        ddof : int
            What is taken off the number of values in the divisor.
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        DataFrame or Series
            One row for each group, in the order of the categories.
        """
        return self._aggregate("sem", numeric_only, ddof=ddof)

    def size(self) -> Any:
        """Count the rows of each group, missing values or not. One round.

        Returns
        -------
        Series
            One count for each group.
        """
        keys: Any = self._c.names[0] if len(self._c.names) == 1 else tuple(self._c.names)
        name = self._b.name if self._b.columns is None else None
        return wrap(Block(self._size, ("int64",), self._c.labels, None, name, index_name=keys))

    def agg(self, func: Any = None, **named: tuple[Label, str]) -> Any:
        """Compute several aggregates of each group.

        Parameters
        ----------
        func : str, list of str, or dict of label to str or list of str, optional
            Of ``count mean sem size std sum var``; a dict says for which column which.
        **named : (label, str)
            New columns: a column and an aggregate.

        Returns
        -------
        DataFrame or Series
            One row for each group, in the order of the categories.

        Raises
        ------
        TypeError
            Nothing is named, or something else than names of aggregates.
        """
        b = self._b
        if func is None:
            if not named or b.columns is None:
                raise TypeError('agg: name what to compute, such as agg("mean") or agg(total=("column", "sum"))')
            return self._join([(new, self[c], how) for new, (c, how) in named.items()])
        if isinstance(func, str):
            return self.size() if func == "size" else self._aggregate(func, False)
        if b.columns is None:
            if isinstance(func, Mapping):
                raise TypeError("agg: a grouped Series takes a name or a list of names")
            return self._join([(how, self, how) for how in func])
        if isinstance(func, Mapping):
            flat = all(isinstance(how, str) for how in func.values())
            pairs = [(c, how) for c, hows in func.items() for how in ([hows] if isinstance(hows, str) else hows)]
            return self._join([(c if flat else (c, how), self[c], how) for c, how in pairs])
        return self._join([((c, how), self[c], how) for c in b.columns for how in func])

    aggregate = agg

    def _join(self, parts: Sequence[tuple[Label, GroupBy, str]]) -> Any:
        if not parts or not all(isinstance(how, str) for _, _, how in parts):
            raise TypeError(f"agg: use names of aggregates: {', '.join(AGGREGATES)}")
        made = [g._one(how) for _, g, how in parts]
        dtypes = [d for _, ds in made for d in ds]
        return self._wrap(
            ops.concat(*(x for x, _ in made), axis=1), dtypes, tuple(check_label(name) for name, _, _ in parts)
        )
