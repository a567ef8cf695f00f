"""Aggregates down the rows (over all members) and across columns: ``all any count sum mean std var sem min max`` and more.

An aggregate down the rows is a secure sum of what each member finds in its own rows. Values are rounded to the strategy's
``precision`` decimal digits there, and each member's share must stay below ``2**63 / 10**precision / members`` (9e10 for the
default precision and one member; a node refuses larger ones): scale values that are tiny or huge. A cell that is infinite in
a table is refused by its node; infinities that arise in the computation are counted and come out as in pandas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._base import Block, DType, Label, Rows, Symbol, block, check_axis, truth, wrap
from ._expr import Expr, columns, ops, pooled, walk

NAN = float("nan")
INFINITY = float("inf")


def may_be_infinite(x: Expr) -> bool:
    """Whether an expression can be infinite although the tables' cells are not."""
    for e in walk([x]):
        if e.op in ("Exp", "Log", "Pow"):
            return True
        if e.op == "Div" and (e.args[1].data is None or not (e.args[1].data != 0).all()):
            return True
        if e.data is not None and e.type.dtype == "f64" and (abs(e.data) == INFINITY).any():
            return True
    return False


class Along:
    """One direction of aggregation of one block: down the rows (0) or across the columns (1)."""

    def __init__(self, b: Block, axis: int) -> None:
        """Prepare; a series only has axis 0."""
        self.b, self.axis = b, axis
        self.x = b.x
        self.there = ops.is_number(b.x)
        keep = b.rows.keep if axis == 0 and b.rows is not None else None
        self.keep = keep if keep is None or b.columns is None else ops.unsqueeze(keep, 1)
        self.valid = self.kept(self.there)

    def kept(self, cond: Expr) -> Expr:
        """Restrict a condition to the selected rows."""
        return cond if self.keep is None else ops.and_(cond, self.keep)

    def add(self, values: Expr, valid: Expr | None = None) -> Expr:
        """Sum values where they count; infinities come out as IEEE 754 has it."""
        valid = self.valid if valid is None else valid
        if not self.pools or not may_be_infinite(values):
            return self._pool(ops.sum(ops.where(valid, values, 0.0), self.axis), "sum")
        finite = ops.less(ops.abs(values), INFINITY)
        part = self._pool(ops.sum(ops.where(ops.and_(valid, finite), values, 0.0), self.axis), "sum")
        up, down = (self.count(ops.and_(valid, ops.equal(values, s * INFINITY)), "infinite") for s in (1, -1))
        infinite = ops.add(
            ops.where(ops.greater(up, 0.5), INFINITY, 0.0), ops.where(ops.greater(down, 0.5), -INFINITY, 0.0)
        )
        return ops.add(part, infinite)

    @property
    def pools(self) -> bool:
        """Whether members contribute to this."""
        return self.axis == 0 and self.b.x.local

    def _pool(self, x: Expr, label: str) -> Expr:
        return pooled(x, label) if self.axis == 0 else x

    def count(self, cond: Expr, label: str = "count") -> Expr:
        """Count where a condition holds."""
        return self._pool(ops.sum(ops.cast(cond, "f64"), self.axis), label)

    def exists(self, cond: Expr, label: str) -> Expr:
        """Whether a condition holds anywhere; each member contributes 0 or 1."""
        here = ops.greater(ops.sum(ops.cast(cond, "f64"), self.axis), 0.5)
        return ops.greater(self._pool(ops.cast(here, "f64"), label), 0.5)

    def missing(self) -> Expr:
        """Whether a value is missing."""
        return self.exists(self.kept(ops.is_nan(self.x)), "missing")

    @property
    def number(self) -> Expr:
        """How many values there are."""
        return self.count(self.valid)

    def spread(self, v: Expr) -> Expr:
        """Shape an aggregate so that it meets every cell that it was made of."""
        return ops.unsqueeze(v, 1) if self.axis == 1 else v

    def centred(self) -> tuple[Expr, Expr, Expr]:
        """The number of values, the mean, and the sum of squared deviations from it (one round more than the mean)."""
        n = self.number
        mean = ops.div(self.add(self.x), n)
        deviation = ops.sub(self.x, self.spread(mean))
        known = ops.less(ops.abs(deviation), INFINITY)
        squares = self._pool(
            ops.sum(ops.where(ops.and_(self.valid, known), ops.square(deviation), 0.0), self.axis), "squared_deviations"
        )
        return n, mean, ops.where(ops.equal(ops.sub(mean, mean), 0.0), squares, NAN)

    def result(self, x: Expr, dtypes: Sequence[DType]) -> Any:
        """Make the aggregate's symbol: a number for a series, else a series."""
        if self.b.columns is None:
            return wrap(Block(x, (dtypes[0],)))
        like = self.b.with_(dtypes=tuple(dtypes))
        return wrap(Block(x, (like.common,), self.b.columns if self.axis == 0 else self.b.index))


def whole(dtypes: Sequence[DType]) -> list[DType]:
    """The dtypes of sums: bool becomes int64."""
    return ["int64" if d == "bool" else d for d in dtypes]


def along(symbol: Symbol, axis: Any, what: str, numeric_only: Any = False) -> Along:
    """Check the arguments that all aggregates have."""
    if not isinstance(numeric_only, bool):
        raise TypeError(f"{what}: numeric_only={numeric_only!r}; use True or False (all columns are numeric here)")
    if axis is None:
        raise TypeError(
            f"{what}: axis=None aggregates over both axes; write .{what}().{what}() if that is what you mean"
        )
    direction = check_axis(axis)
    if direction == 1 and block(symbol).columns is None:
        raise ValueError(f"{what}: a Series has only axis 0")
    return Along(block(symbol), direction)


class Reductions(Symbol):
    """Aggregates of frames and series."""

    def count(self, axis: Any = 0, numeric_only: bool = False) -> Any:
        """Count the values that are not missing. One round."""
        a = along(self, axis, "count", numeric_only)
        return a.result(a.number, ["int64"] * len(a.b.dtypes))

    def sum(self, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, min_count: int = 0) -> Any:
        """Add up; missing if fewer than ``min_count`` values are there. One round."""
        a = along(self, axis, "sum", numeric_only)
        x = a.add(a.x)
        if min_count > 0:
            x = ops.where(ops.greater(a.number, min_count - 0.5), x, NAN)
        return a.result(_skip(a, x, skipna), whole(a.b.dtypes))

    def mean(self, axis: Any = 0, skipna: bool = True, numeric_only: bool = False) -> Any:
        """Compute the mean. One round."""
        a = along(self, axis, "mean", numeric_only)
        return a.result(_skip(a, ops.div(a.add(a.x), a.number), skipna), ["float64"])

    def var(self, axis: Any = 0, skipna: bool = True, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the variance, from deviations from the pooled mean: two rounds."""
        a, variance, _ = self._variance("var", axis, skipna, ddof, numeric_only)
        return a.result(variance, ["float64"])

    def std(self, axis: Any = 0, skipna: bool = True, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the standard deviation. Two rounds."""
        a, variance, _ = self._variance("std", axis, skipna, ddof, numeric_only)
        return a.result(ops.sqrt(variance), ["float64"])

    def sem(self, axis: Any = 0, skipna: bool = True, ddof: int = 1, numeric_only: bool = False) -> Any:
        """Compute the standard error of the mean. Two rounds."""
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
        """Whether any value is not zero. One round; each member contributes 0 or 1."""
        return self._logical("any", axis, bool_only, skipna)

    def all(self, axis: Any = 0, bool_only: bool = False, skipna: bool = True) -> Any:
        """Whether all values are not zero. One round; each member contributes 0 or 1."""
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


def rows_only(symbol: Symbol, what: str) -> Rows:
    """Refuse results: they are few numbers, which pandas can treat when they are there."""
    rows = block(symbol).rows
    if rows is None:
        raise TypeError(f"{what} is for rows at the nodes; return this result from execute() and use pandas on it")
    return rows
