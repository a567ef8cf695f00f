"""One aggregation: what is added up, where, and which values count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._base import Block, DType, Rows, Symbol, block, check_axis, need_numbers, wrap
from ._expr import Expr, ops, pooled, walk

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
        need_numbers(b, "an aggregate of a whole frame")
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
        """Whether a condition holds anywhere; members contribute how often, which is a sum over rows."""
        return ops.greater(self.count(cond, label), 0.5)

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
        raise TypeError(f"{what}: numeric_only={numeric_only!r}; use True or False")
    if axis is None:
        raise TypeError(
            f"{what}: axis=None aggregates over both axes; write .{what}().{what}() if that is what you mean"
        )
    direction = check_axis(axis)
    if direction == 1 and block(symbol).columns is None:
        raise ValueError(f"{what}: a Series has only axis 0")
    b = block(symbol)
    if b.columns == ():
        raise TypeError(f"{what}: none of the columns has numbers; choose one by its name")
    return Along(b.with_() if numeric_only else b, direction)


def rows_only(symbol: Symbol, what: str) -> Rows:
    """Refuse results: they are few numbers, which pandas can treat when they are there."""
    rows = block(symbol).rows
    if rows is None:
        raise TypeError(f"{what} is for rows at the nodes; return this result from execute() and use pandas on it")
    return rows
