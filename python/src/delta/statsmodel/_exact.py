"""Sums that keep all digits of a double, through a channel of fixed point.

Nodes send every number rounded to 10^-precision and below 9e18 * 10^-precision. Sums of squares of people's incomes are
larger, and those of rates need more digits. So a number travels in three parts, for precision 8:

    |x| = 1e6 * high + middle + 1e-8 * low,   high whole, middle a multiple of 1e-8 below 1e6, low in [0, 1)

each with the sign of x, and high as ``high * 1e-8``, which uses the digits behind the point that a whole number leaves
free. Numbers up to 9e24 over the members' number fit, to 1e-16. The split is fixed, and the parts are summed apart: no
scale depends on anybody's data.
"""

from __future__ import annotations

from ..graph import Graph, Value

PARTS = 3
"""How many numbers stand for one."""


def _units(precision: int) -> tuple[float, float]:
    # The middle parts of thousands of members still fit: 1e6 * 1e8 * 9e4 < 2^63.
    return 10.0 ** max(14 - precision, 0), 10.0**precision


def split(g: Graph, x: Value, precision: int) -> Value:
    """Return the parts of each number of ``x``, ``[3, ...]``, at a member."""
    unit, steps = _units(precision)
    size, sign = g.abs(x), g.sign(x)
    high = g.floor(size / unit)
    # Not exact for large numbers, whose rest has no digits that count; then it may also be below 0.
    rest = size - high * unit
    middle = g.floor(rest * steps) / steps
    return g.stack(*(sign * part for part in (high / steps, middle, (rest - middle) * steps)), axis=0)


def join(g: Graph, parts: Value, precision: int) -> Value:
    """Return the numbers that summed parts ``[3, ...]`` stand for."""
    unit, steps = _units(precision)
    high, middle, low = (g.take(parts, i, 0) for i in range(PARTS))
    return high * (unit * steps) + (middle + low / steps)
