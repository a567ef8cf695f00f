"""Aggregates down the rows (over all members) and across columns: ``all any count sum mean std var sem``.

An aggregate down the rows is a secure sum of what each row adds to it. Sums are as exact as doubles, whatever the scale of a
column: from 2**-265 to 2**175, squares too, and what is beyond is refused. With a ``precision`` of 4 or less, or under
``privacy``, rows are rounded to ``10**-precision``, and a member's sum stays below ``2**52`` of these steps. A cell that is
infinite in a table is refused by its node; infinities that arise in the computation are counted and come out as in pandas.
"""

from __future__ import annotations

from typing import Any

from ._along import NAN, Along, along, whole
from ._base import Label, Symbol, block, truth, wrap
from ._expr import Expr, columns, ops


class Reductions(Symbol):
    """Aggregates of frames and series."""

    def count(self, axis: Any = 0, numeric_only: bool = False) -> Any:
        """Count the values that are not missing. One round.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``).
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        Series or Scalar
            A value for each column (``axis=0``) or row (``axis=1``); of a Series one number.
        """
        a = along(self, axis, "count", numeric_only)
        return a.result(a.number, ["int64"] * len(a.b.dtypes))

    def sum(self, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, min_count: int = 0) -> Any:
        """Add up. One round.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``).
        skipna : bool
            Whether missing values are left out; otherwise one of them makes the result missing.
        numeric_only : bool
            As in pandas; all columns are numeric here.
        min_count : int
            With fewer values than this the sum is missing.

        Returns
        -------
        Series or Scalar
            A value for each column (``axis=0``) or row (``axis=1``); of a Series one number.

        Notes
        -----
        A row is rounded to less than 2**-47 of the largest at its member, and a member's sum to a double. With a ``precision``
        of 4 or less, or under ``privacy``, what rows add is rounded to ``10**-precision``, and a member's sum stays below 2**52
        of these steps; nodes refuse larger ones. This holds for all aggregates but order statistics.
        """
        a = along(self, axis, "sum", numeric_only)
        x = a.add(a.x)
        if min_count > 0:
            x = ops.where(ops.greater(a.number, min_count - 0.5), x, NAN)
        return a.result(_skip(a, x, skipna), whole(a.b.dtypes))

    def mean(self, axis: Any = 0, skipna: bool = True, numeric_only: bool = False) -> Any:
        """Compute the mean. One round.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``).
        skipna : bool
            Whether missing values are left out; otherwise one of them makes the result missing.
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        Series or Scalar
            A value for each column (``axis=0``) or row (``axis=1``); of a Series one number.
        """
        a = along(self, axis, "mean", numeric_only)
        return a.result(_skip(a, ops.div(a.add(a.x), a.number), skipna), ["float64"])

    def var(self, axis: Any = 0, skipna: bool = True, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the variance, from deviations from the mean over all members. Two rounds.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``).
        skipna : bool
            Whether missing values are left out; otherwise one of them makes the result missing.
        ddof : int
            What is taken off the number of values in the divisor.
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        Series or Scalar
            A value for each column (``axis=0``) or row (``axis=1``); of a Series one number.
        """
        a, variance, _ = self._variance("var", axis, skipna, ddof, numeric_only)
        return a.result(variance, ["float64"])

    def std(self, axis: Any = 0, skipna: bool = True, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the standard deviation. Two rounds.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``).
        skipna : bool
            Whether missing values are left out; otherwise one of them makes the result missing.
        ddof : int
            What is taken off the number of values in the divisor.
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        Series or Scalar
            A value for each column (``axis=0``) or row (``axis=1``); of a Series one number.
        """
        a, variance, _ = self._variance("std", axis, skipna, ddof, numeric_only)
        return a.result(ops.sqrt(variance), ["float64"])

    def sem(self, axis: Any = 0, skipna: bool = True, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the standard error of the mean. Two rounds.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``).
        skipna : bool
            Whether missing values are left out; otherwise one of them makes the result missing.
        ddof : int
            What is taken off the number of values in the divisor.
        numeric_only : bool
            As in pandas; all columns are numeric here.

        Returns
        -------
        Series or Scalar
            A value for each column (``axis=0``) or row (``axis=1``); of a Series one number.
        """
        a, variance, n = self._variance("sem", axis, skipna, ddof, numeric_only)
        return a.result(ops.div(ops.sqrt(variance), ops.sqrt(n)), ["float64"])

    def _variance(self, what: str, axis: Any, skipna: bool, ddof: int, numeric_only: bool) -> tuple[Along, Expr, Expr]:
        if not isinstance(ddof, int) or isinstance(ddof, bool):
            raise TypeError(f"{what}: ddof={ddof!r} must be a whole number")
        a = along(self, axis, what, numeric_only)
        n, _, squares = a.centred()
        free = ops.sub(n, float(ddof))
        variance = ops.where(
            ops.greater(free, 0.5), ops.div(squares, ops.where(ops.greater(free, 0.5), free, 1.0)), NAN
        )
        return a, _skip(a, variance, skipna), n

    def any(self, axis: Any = 0, bool_only: bool = False, skipna: bool = True) -> Any:
        """Whether any value is not zero. One round; each member contributes how many are.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``). None is both.
        bool_only : bool
            Whether only columns of bool are looked at.
        skipna : bool
            Whether missing values count as nothing; otherwise they are not zero.

        Returns
        -------
        Series or Scalar
            Of bool.
        """
        return self._logical("any", axis, bool_only, skipna)

    def all(self, axis: Any = 0, bool_only: bool = False, skipna: bool = True) -> Any:
        """Whether all values are not zero. One round; each member contributes how many are not.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``). None is both.
        bool_only : bool
            Whether only columns of bool are looked at.
        skipna : bool
            As in pandas: a missing value is not zero in either case.

        Returns
        -------
        Series or Scalar
            Of bool.
        """
        return self._logical("all", axis, bool_only, skipna)

    def _logical(self, what: str, axis: Any, bool_only: Any, skipna: bool) -> Any:
        if axis is None and block(self).columns is not None:
            return getattr(getattr(self, what)(0, bool_only, skipna), what)()
        a = along(_only_bool(self, what) if bool_only else self, axis, what)
        zero = ops.not_(truth(a.x)) if set(a.b.dtypes) == {"bool"} else ops.equal(a.x, 0.0)
        if what == "all":
            x = ops.not_(a.exists(a.kept(zero), "any_zero"))
        else:
            nonzero = ops.not_(zero)
            x = a.exists(ops.and_(a.valid, nonzero) if skipna else a.kept(nonzero), "any_nonzero")
        return a.result(ops.cast(x, "f64"), ["bool"])


def _skip(a: Along, x: Expr, skipna: Any) -> Expr:
    if not isinstance(skipna, bool):
        raise TypeError(f"skipna={skipna!r}: use True or False")
    return x if skipna else ops.where(a.missing(), NAN, x)


def _only_bool(symbol: Symbol, what: str) -> Symbol:
    b = block(symbol)
    if b.columns is None:
        return symbol
    at = [i for i, d in enumerate(b.dtypes) if d == "bool"]
    if not at:
        raise TypeError(f"{what}: bool_only=True, but no column is bool")
    names: tuple[Label, ...] = tuple(b.columns[i] for i in at)
    return wrap(b.with_(x=columns(b.x, at), dtypes=("bool",) * len(at), columns=names))  # type: ignore[no-any-return]
