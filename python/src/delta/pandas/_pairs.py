"""Covariance and correlation, of the rows in which both columns are there, as in pandas. Two rounds each."""

from __future__ import annotations

from typing import Any

from ._along import INFINITY, NAN, Along, rows_only
from ._base import Block, Symbol, block, repeat, wrap
from ._binary import same_rows
from ._expr import Expr, ops, pooled

NOTHING = 1e-28
"""Squared deviations below this share of the squared mean are rounding: the column is constant."""


class Products:
    """Sums over rows of deviations from the pooled means, for all pairs of columns, ``[columns, columns]``."""

    def __init__(self, b: Block) -> None:
        """Find the means (first round), and the products (second round)."""
        a = Along(b, 0)
        mean = ops.div(a.add(a.x), ops.maximum(a.number, 1.0))
        deviation = ops.sub(a.x, mean)
        usable = ops.and_(a.valid, ops.less(ops.abs(deviation), INFINITY))
        d, there = ops.where(usable, deviation, 0.0), ops.cast(a.valid, "f64")
        self.n = pooled(ops.gram(there, there), "count_of_pairs")
        products = pooled(ops.gram(d, d), "products_of_deviations")
        # The sum of one column's deviations over the rows in which the other is there too; the mean of those rows differs.
        self._sums = pooled(ops.gram(d, there), "sums_of_deviations")
        self._squares = ops.gram(ops.square(d), there)
        count = ops.maximum(self.n, 1.0)
        self.products = ops.sub(products, ops.div(ops.mul(self._sums, ops.transpose(self._sums)), count))
        self._mean = mean
        finite = ops.equal(ops.sub(mean, mean), 0.0)
        self.usable = ops.and_(ops.unsqueeze(finite, 0), ops.unsqueeze(finite, 1))

    def varies(self, squares: Expr) -> Expr:
        """Whether the row's column is not constant there."""
        rounding = ops.mul(ops.mul(ops.unsqueeze(ops.square(self._mean), 1), self.n), NOTHING)
        return ops.greater(squares, rounding)

    def squares(self) -> Expr:
        """Squared deviations of the row's column over the rows in which the column's column is there too."""
        return ops.sub(
            pooled(self._squares, "squared_deviations_of_pairs"),
            ops.div(ops.square(self._sums), ops.maximum(self.n, 1.0)),
        )


def _covariance(b: Block, min_periods: int | None, ddof: int) -> Expr:
    p = Products(b)
    free = ops.sub(p.n, float(ddof))
    enough = ops.and_(ops.greater(free, 0.5), ops.greater(p.n, (min_periods or 1) - 0.5))
    return ops.where(ops.and_(enough, p.usable), ops.div(p.products, ops.where(ops.greater(free, 0.5), free, 1.0)), NAN)


def _correlation(b: Block, min_periods: int | None) -> Expr:
    p = Products(b)
    squares = p.squares()
    varies = p.varies(squares)
    varies = ops.and_(varies, ops.transpose(varies))
    norm = ops.sqrt(ops.where(varies, ops.mul(squares, ops.transpose(squares)), 1.0))
    r = ops.maximum(ops.minimum(ops.div(p.products, norm), 1.0), -1.0)
    enough = ops.greater(p.n, (min_periods or 1) - 0.5)
    return ops.where(ops.and_(ops.and_(enough, varies), p.usable), r, NAN)


def _need(what: str, min_periods: Any, method: Any = "pearson") -> None:
    if method != "pearson":
        raise NotImplementedError(f"{what}: only method='pearson'; ranks over all members cannot be had from sums")
    if min_periods is not None and (not isinstance(min_periods, int) or min_periods < 0):
        raise ValueError(f"{what}: min_periods={min_periods!r} must be a whole number")


class FramePairs(Symbol):
    """Covariance and correlation of a frame's columns."""

    def cov(self, min_periods: int | None = None, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the covariances of all pairs of columns, each over the rows in which both are there. Two rounds.

        Parameters
        ----------
        min_periods : int, optional
            With fewer rows than this the result is missing.
        ddof : {1}
            pandas ignores another one when a value is missing.
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        DataFrame
            ``[columns, columns]``.

        Raises
        ------
        NotImplementedError
            ``ddof`` is not 1.
        """
        _need("cov", min_periods)
        if ddof != 1:
            raise NotImplementedError(
                "cov: pandas ignores ddof for a DataFrame when a value is missing; use Series.cov(other, ddof=...)"
            )
        return self._square("cov", lambda b: _covariance(b, min_periods, 1))

    def corr(self, method: str = "pearson", min_periods: int = 1, numeric_only: bool = False) -> Any:
        """Compute Pearson's correlation of all pairs of columns, each over the rows in which both are there. Two rounds.

        Parameters
        ----------
        method : {"pearson"}
            Ranks over all members cannot be had from sums.
        min_periods : int
            With fewer rows than this the result is missing.
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        DataFrame
            ``[columns, columns]``; missing where a column is constant.
        """
        _need("corr", min_periods, method)
        return self._square("corr", lambda b: _correlation(b, min_periods))

    def _square(self, what: str, compute: Any) -> Any:
        rows_only(self, what)
        b = block(self)
        return wrap(Block(compute(b), repeat("float64", b.dtypes), b.columns, b.columns))


class SeriesPairs(Symbol):
    """Covariance and correlation with another series."""

    def cov(self, other: Any, min_periods: int | None = None, ddof: int | None = 1) -> Any:
        """Compute the covariance with a Series of the same rows, over the rows in which both are there. Two rounds.

        Parameters
        ----------
        other : Series
            Of the same rows.
        min_periods : int, optional
            With fewer rows than this the result is missing.
        ddof : int or None
            What is taken off the number of values in the divisor; None is 1.

        Returns
        -------
        Scalar
            The covariance.
        """
        _need("cov", min_periods)
        return self._pair(other, "cov", lambda b: _covariance(b, min_periods, 1 if ddof is None else ddof))

    def corr(self, other: Any, method: str = "pearson", min_periods: int | None = None) -> Any:
        """Compute Pearson's correlation with a Series of the same rows, over the rows in which both are there. Two rounds.

        Parameters
        ----------
        other : Series
            Of the same rows.
        method : {"pearson"}
            Ranks over all members cannot be had from sums.
        min_periods : int, optional
            With fewer rows than this the result is missing.

        Returns
        -------
        Scalar
            The correlation; missing where one is constant.
        """
        _need("corr", min_periods, method)
        return self._pair(other, "corr", lambda b: _correlation(b, min_periods))

    def _pair(self, other: Any, what: str, compute: Any) -> Any:
        rows_only(self, what)
        if not isinstance(other, Symbol) or block(other).columns is not None or block(other).index is None:
            raise TypeError(f"{what}: the other one must be a delta Series")
        b, o = block(self), block(other)
        same_rows(b, o, what)
        both = Block(ops.stack(b.x, o.x, axis=1), (b.dtype, o.dtype), b.index, (0, 1))
        return wrap(Block(ops.take(ops.take(compute(both), 0, 0), 1, 0), ("float64",)))
