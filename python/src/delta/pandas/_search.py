"""Order statistics over all members: ``min max quantile median``, by counting in buckets that get finer from round to round.

A value's place on a grid is written with digits: with ``buckets`` B, the first digit says in which of B buckets of the whole
grid it lies, the second in which of B buckets of that bucket, and so on. A round finds one more digit of the wanted value:
each member contributes how many of its values lie in each of B buckets (for min and max: only in which one its own extreme
lies), the coordinator picks the bucket from the sums.

The grid is ``bounds=(low, high)`` cut evenly (values outside count as the nearer bound), or all numbers, cut by
``sign(x) * log2(1 + |x| * 2**30)``: even in magnitude, with a resolution relative to the value. After R rounds a bucket is
``(high - low) / B**R`` wide, or ``1464 / B**R`` of the value (plus 1e-9 of that): 1.4e-9 for the 1024 buckets and four rounds
that are the default without bounds. The result is then rounded to the fewest decimal digits that this width allows, so that
values with up to eight significant digits come out exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from ._along import INFINITY, NAN, Along
from ._base import is_list, is_number
from ._expr import Expr, ops, pooled

SMALL = 2.0**-30
"""Below this magnitude the logarithmic grid is even."""
REACH = 1056.0
"""The grid's coordinate of the largest double is below this."""
SEARCH = "bucket_counts"
"""What the counts of a search are called. They single out few rows, so that owners' rules for controlled releases refuse them."""
Extreme = Literal["min", "max"]


class Grid(NamedTuple):
    """How finely is searched, and where."""

    buckets: int
    rounds: int
    bounds: tuple[float, float] | None

    def place(self, x: Expr) -> Expr:
        """Return the place of finite values on the grid, in [0, 1)."""
        if self.bounds:
            low, high = self.bounds
            at = ops.div(ops.sub(x, low), high - low)
        else:
            # log2(1 + |x| / SMALL), without overflow.
            magnitude = ops.sub(ops.div(ops.log(ops.add(ops.abs(x), SMALL)), math.log(2.0)), math.log2(SMALL))
            at = ops.mul(ops.add(ops.div(ops.mul(ops.sign(x), magnitude), REACH), 1.0), 0.5)
        return ops.maximum(ops.minimum(at, 1.0 - 2.0**-53), 0.0)

    def value(self, at: Expr) -> Expr:
        """Return the value at a place."""
        if self.bounds:
            low, high = self.bounds
            return ops.add(ops.mul(at, high - low), low)
        key = ops.mul(ops.sub(ops.mul(at, 2.0), 1.0), REACH)
        return ops.mul(ops.sign(key), ops.sub(ops.pow(2.0, ops.add(ops.abs(key), math.log2(SMALL))), SMALL))


def grid(what: str, bounds: Any, buckets: Any, rounds: Any, bounded_rounds: int) -> Grid:
    """Check the arguments of a search."""
    if bounds is not None:
        if (
            not is_list(bounds)
            or len(bounds) != 2
            or not all(is_number(v) and math.isfinite(v) for v in bounds)
            or bounds[0] >= bounds[1]
        ):
            raise ValueError(f"{what}: bounds={bounds!r}; give two numbers, (low, high), low below high")
        bounds = (float(bounds[0]), float(bounds[1]))
    rounds = rounds if rounds is not None else bounded_rounds if bounds else 4
    if not isinstance(buckets, int) or not 2 <= buckets <= 65536:
        raise ValueError(f"{what}: buckets={buckets!r} must lie between 2 and 65536")
    if not isinstance(rounds, int) or not 1 <= rounds <= 20 or buckets**rounds > 2**52:
        raise ValueError(
            f"{what}: rounds={rounds!r} must be at least 1, and buckets**rounds at most 2**52, the resolution of a double"
        )
    return Grid(buckets, rounds, bounds)


class Digits:
    """A search by digits over the rows of one block; all searches of the block and grid share the first round."""

    def __init__(self, a: Along, g: Grid) -> None:
        """Prepare the first digit."""
        self.grid, self.valid = g, a.valid
        x = ops.where(a.there, a.x, 0.0)
        self.rest = g.place(x)
        self.zeros = ops.constant(
            [0.0] * g.buckets if a.x.type.rank == 1 else [[0.0] * int(a.x.shape[1])] * g.buckets, "f64"
        )
        self.shape = (g.buckets, *self.zeros.shape[1:])

    def split(self, rest: Expr) -> tuple[Expr, Expr]:
        """Return the next digit and what is left behind it."""
        scaled = ops.mul(rest, float(self.grid.buckets))
        digit = ops.minimum(ops.floor(scaled), float(self.grid.buckets - 1))
        return digit, ops.minimum(ops.sub(scaled, digit), 1.0 - 2.0**-53)

    def histogram(self, digit: Expr, valid: Expr) -> Expr:
        """Count a member's values in each bucket, ``[buckets]`` or ``[buckets, columns]``."""
        return ops.scatter_add(self.zeros, ops.cast(digit, "i64"), ops.cast(valid, "f64"))

    def search(
        self, pick: Callable[[Expr, Expr], tuple[Expr, Expr]], share: Callable[[Expr], Expr], label: str, goal: Expr
    ) -> tuple[Expr, Expr]:
        """Find the digits of a value; return its place (the lower edge of its last bucket), and the first round's sums.

        ``share(histogram)`` is what a member contributes; ``pick(sums, goal)`` returns the digit and the goal within it.
        """
        rest, valid, place, width = self.rest, self.valid, None, 1.0
        first = None
        for _ in range(self.grid.rounds):
            digit, rest = self.split(rest)
            sums = pooled(share(self.histogram(digit, valid)), label)
            first = sums if first is None else first
            found, goal = pick(sums, goal)
            valid = ops.and_(valid, ops.equal(digit, found))
            width /= self.grid.buckets
            step = ops.mul(found, width)
            place = step if place is None else ops.add(place, step)
        assert place is not None and first is not None
        return place, first


def extreme_of(d: Digits, which: Extreme) -> Expr:
    """The edge of the bucket of the least or largest value; NaN when there is none."""

    def before(counts: Expr) -> Expr:
        return ops.sub(ops.cumsum(counts, 0), counts)

    def after(counts: Expr) -> Expr:
        return ops.sub(ops.sum(counts, 0, keepdims=True), ops.cumsum(counts, 0))

    beyond = before if which == "min" else after

    def share(counts: Expr) -> Expr:
        outermost = ops.and_(ops.greater(counts, 0.5), ops.less(beyond(counts), 0.5))
        return ops.cast(outermost, "f64")

    def pick(sums: Expr, goal: Expr) -> tuple[Expr, Expr]:
        if which == "min":
            found = ops.sum(ops.cast(ops.less(ops.cumsum(sums, 0), 0.5), "f64"), 0)
        else:
            found = ops.sub(
                float(d.grid.buckets - 1), ops.sum(ops.cast(ops.less(ops.add(after(sums), sums), 0.5), "f64"), 0)
            )
        return ops.minimum(ops.maximum(found, 0.0), float(d.grid.buckets - 1)), goal

    place, first = d.search(pick, share, f"bucket_of_{which}", ops.constant(0.0))
    width = d.grid.buckets ** -float(d.grid.rounds)
    edge = place if which == "min" else ops.add(place, width)
    value = d.grid.value(edge) if d.grid.bounds else snapped(d.grid, place)
    return ops.where(ops.greater(ops.sum(first, 0), 0.5), value, NAN)


def _ranked(d: Digits, rank: Callable[[Expr], Expr]) -> tuple[Expr, Expr]:
    """The value of a rank (from 1) that is computed from the number of values; and that number."""
    digit, _ = d.split(d.rest)
    n = ops.sum(pooled(d.histogram(digit, d.valid), SEARCH), 0)

    def pick(sums: Expr, goal: Expr) -> tuple[Expr, Expr]:
        lower = ops.cast(ops.less(ops.cumsum(sums, 0), ops.sub(goal, 0.5)), "f64")
        found = ops.minimum(ops.sum(lower, 0), float(d.grid.buckets - 1))
        return found, ops.sub(goal, ops.sum(ops.mul(sums, lower), 0))

    place, _ = d.search(pick, lambda counts: counts, SEARCH, rank(n))
    return snapped(d.grid, place), n


def snapped(g: Grid, place: Expr) -> Expr:
    """The value in the middle of the last bucket, rounded to the fewest decimal digits that its width allows."""
    width = g.buckets ** -float(g.rounds)
    low, high = g.value(place), g.value(ops.add(place, width))
    middle = ops.mul(ops.add(low, high), 0.5)
    wide = ops.maximum(ops.sub(high, low), 1e-300)
    digits = ops.neg(ops.ceil(ops.div(ops.log(wide), math.log(10.0))))
    fine = ops.greater(digits, -0.5)
    scale = ops.pow(10.0, ops.minimum(ops.abs(digits), 300.0))
    value = ops.where(
        fine, ops.div(ops.round(ops.mul(middle, scale)), scale), ops.mul(ops.round(ops.div(middle, scale)), scale)
    )
    usable = ops.less(ops.abs(value), INFINITY)
    return ops.where(usable, value, middle)


def quantile_of(d: Digits, q: float, interpolation: str) -> Expr:
    """One quantile, from one or two ranks; ``middle`` is the mean of both neighbours, for medians."""

    def exact(n: Expr) -> Expr:
        return ops.mul(ops.maximum(ops.sub(n, 1.0), 0.0), q)

    def at(shift: Callable[[Expr], Expr]) -> tuple[Expr, Expr]:
        return _ranked(d, lambda n: ops.minimum(ops.add(shift(exact(n)), 1.0), ops.maximum(n, 1.0)))

    if interpolation in ("lower", "higher", "nearest"):
        value, n = at({"lower": ops.floor, "higher": ops.ceil, "nearest": ops.round}[interpolation])
    else:
        (low, n), (high, _) = at(ops.floor), at(ops.ceil)
        if interpolation == "middle":
            value = ops.mul(ops.add(low, high), 0.5)
        else:
            weight = ops.sub(exact(n), ops.floor(exact(n)))
            if interpolation == "midpoint":
                weight = ops.where(ops.greater(weight, 0.0), 0.5, 0.0)
            # From the nearer end, as numpy does it.
            gap = ops.sub(high, low)
            near_high = ops.sub(high, ops.mul(gap, ops.sub(1.0, weight)))
            value = ops.where(ops.greater_equal(weight, 0.5), near_high, ops.add(low, ops.mul(gap, weight)))
    return ops.where(ops.greater(n, 0.5), value, NAN)
