"""Order statistics over all members: ``min max quantile median``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._along import INFINITY, NAN, along, rows_only
from ._base import Block, Symbol, block, check_axis, is_list, is_number, repeat, wrap
from ._expr import ops
from ._search import Digits, Extreme, extreme_of, grid, quantile_of

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


class Searches(Symbol):
    """Order statistics of frames and series."""

    def min(
        self,
        axis: Any = 0,
        skipna: bool = True,
        numeric_only: bool = False,
        *,
        bounds: Sequence[float] | None = None,
        buckets: int = 1024,
        rounds: int | None = None,
    ) -> Any:
        """Find the least value: with ``bounds`` in one round, else in four.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``).
        skipna : bool
            Whether missing values are left out; otherwise one of them makes the result missing.
        numeric_only : bool
            As in pandas; all columns are numeric here.
        bounds : (float, float), optional
            Where the values lie; values outside count as the nearer one. By default anywhere.
        buckets : int
            How many a round tells apart, 2 to 65536.
        rounds : int, optional
            How often buckets are cut again, 1 to 20; by default 4, and 1 with ``bounds``.

        Returns
        -------
        Series or Scalar
            With ``bounds`` the lower edge of the bucket in which the value lies, else the value rounded.

        Notes
        -----
        A least or largest value is one person's: think before you ask. Without ``bounds`` it is found to 1e-8 of itself, see
        :meth:`quantile`.
        """
        return self._extreme("min", axis, skipna, numeric_only, bounds, buckets, rounds)

    def max(
        self,
        axis: Any = 0,
        skipna: bool = True,
        numeric_only: bool = False,
        *,
        bounds: Sequence[float] | None = None,
        buckets: int = 1024,
        rounds: int | None = None,
    ) -> Any:
        """Find the largest value: with ``bounds`` in one round, else in four.

        Parameters
        ----------
        axis : {0, 1}
            Down the rows (0 or ``"index"``), or across the columns (1 or ``"columns"``).
        skipna : bool
            Whether missing values are left out; otherwise one of them makes the result missing.
        numeric_only : bool
            As in pandas; all columns are numeric here.
        bounds : (float, float), optional
            Where the values lie; values outside count as the nearer one. By default anywhere.
        buckets : int
            How many a round tells apart, 2 to 65536.
        rounds : int, optional
            How often buckets are cut again, 1 to 20; by default 4, and 1 with ``bounds``.

        Returns
        -------
        Series or Scalar
            With ``bounds`` the upper edge of the bucket in which the value lies, else the value rounded.

        Notes
        -----
        A least or largest value is one person's: think before you ask. Without ``bounds`` it is found to 1e-8 of itself, see
        :meth:`quantile`.
        """
        return self._extreme("max", axis, skipna, numeric_only, bounds, buckets, rounds)

    def _extreme(
        self, which: Extreme, axis: Any, skipna: Any, numeric_only: Any, bounds: Any, buckets: Any, rounds: Any
    ) -> Any:
        a = along(self, axis, which, numeric_only)
        _no_mixture(a.b, which)
        if not isinstance(skipna, bool):
            raise TypeError(f"skipna={skipna!r}: use True or False")
        if a.pools:
            x = extreme_of(Digits(a, grid(which, bounds, buckets, rounds, 1)), which)
        else:
            edge = INFINITY if which == "min" else -INFINITY
            reduce = ops.min if which == "min" else ops.max
            x = ops.where(ops.greater(a.number, 0.5), reduce(ops.where(a.valid, a.x, edge), a.axis), NAN)
        return a.result(x if skipna else ops.where(a.missing(), NAN, x), a.b.dtypes)

    def quantile(
        self,
        q: Any = 0.5,
        axis: Any = 0,
        numeric_only: bool = False,
        interpolation: str = "linear",
        *,
        bounds: Sequence[float] | None = None,
        buckets: int = 1024,
        rounds: int | None = None,
    ) -> Any:
        """Find quantiles by counting in buckets that get finer from round to round.

        Parameters
        ----------
        q : float or list of float
            Which, 0 to 1.
        axis : {0}
            Down the rows.
        numeric_only : bool
            As in pandas; all columns are numeric here.
        interpolation : {"linear", "lower", "higher", "midpoint", "nearest"}
            What is taken between two values.
        bounds : (float, float), optional
            Where the values lie; values outside count as the nearer one. By default anywhere.
        buckets : int
            How many a round tells apart, 2 to 65536.
        rounds : int, optional
            How often buckets are cut again, 1 to 20; by default 4, and 3 with ``bounds``.

        Returns
        -------
        Scalar, Series or DataFrame
            A number for each column; for a list of ``q`` one row each.

        Raises
        ------
        ValueError
            ``q`` or ``interpolation`` is none, or the buckets cannot work.
        TypeError
            The values are bool, or a result and not rows.

        Notes
        -----
        Values are counted on a grid: ``bounds`` cut evenly, or all numbers cut evenly in magnitude. After R rounds a bucket is
        ``(high - low) / buckets**R`` wide, or ``1464 / buckets**R`` of the value plus 1e-9 of it: 1.4e-9 by default. The
        result is the middle of the bucket, rounded to the fewest decimal digits that its width allows, so that values of up
        to eight significant digits come out exactly. In each round a member contributes ``buckets`` counts for each column
        and rank.
        """
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"quantile: interpolation={interpolation!r}; use one of {', '.join(INTERPOLATIONS)}")
        return self._quantiles(q, axis, numeric_only, interpolation, bounds, buckets, rounds)

    def _quantiles(
        self, q: Any, axis: Any, numeric_only: Any, interpolation: str, bounds: Any, buckets: Any, rounds: Any
    ) -> Any:
        if check_axis(axis) != 0:
            raise TypeError("quantile: only down the rows, axis=0")
        rows_only(self, "quantile")
        several = is_list(q)
        qs = [float(v) for v in (q if several else [q]) if is_number(v)]
        if len(qs) != (len(q) if several else 1) or not qs or not all(0 <= v <= 1 for v in qs):
            raise ValueError(f"quantile: q={q!r} must lie between 0 and 1")
        b = block(self)
        if "bool" in b.dtypes:
            raise TypeError("quantile: bool has no quantiles; use astype(int)")
        d = Digits(along(self, axis, "quantile", numeric_only), grid("quantile", bounds, buckets, rounds, 3))
        found = [quantile_of(d, v, interpolation) for v in qs]
        if several:
            return wrap(
                Block(
                    ops.stack(*found, axis=0),
                    repeat("float64", b.dtypes),
                    tuple(qs),
                    b.columns,
                    None if b.columns else b.name,
                )
            )
        return wrap(Block(found[0], ("float64",), b.columns, None, qs[0] if b.columns else None))

    def median(
        self,
        axis: Any = 0,
        skipna: bool = True,
        numeric_only: bool = False,
        *,
        bounds: Sequence[float] | None = None,
        buckets: int = 1024,
        rounds: int | None = None,
    ) -> Any:
        """Find the median, as :meth:`quantile` does.

        Parameters
        ----------
        axis : {0}
            Down the rows.
        skipna : bool
            Whether missing values are left out; otherwise one of them makes the result missing.
        numeric_only : bool
            As in pandas; all columns are numeric here.
        bounds : (float, float), optional
            Where the values lie; values outside count as the nearer one. By default anywhere.
        buckets : int
            How many a round tells apart, 2 to 65536.
        rounds : int, optional
            How often buckets are cut again, 1 to 20; by default 4, and 3 with ``bounds``.

        Returns
        -------
        Scalar or Series
            A number for each column.
        """
        half = block(self._quantiles(0.5, axis, numeric_only, "middle", bounds, buckets, rounds))
        a = along(self, axis, "median")
        return wrap(half.with_(name=None, x=half.x if skipna else ops.where(a.missing(), NAN, half.x)))


def _no_mixture(b: Block, what: str) -> None:
    if "bool" in b.dtypes and len(set(b.dtypes)) > 1:
        raise TypeError(f"{what}: bool and numbers have no common result; select columns, or use astype()")
