"""One number in several, so that sums of records keep the digits of a double.

A node rounds each record's numbers to 10^-precision and keeps every sum below 2^52 of these steps: sixteen digits, of which a
million rows take six. Squares of incomes are larger, and those of rates need more digits. So a number travels in parts,

    x = 2^18 * top + 2^-16 * middle + 2^-50 * low,

each a whole number of either sign and, but for the first, at most 2^33. Powers of two make the split exact. It is fixed, so no
scale depends on anybody's data. Parts go as ``part / 10^precision``, which uses the digits behind the point for whole steps.

What fits a member: half a million rows; with two parts (without top) sums of up to 6.8e10, with three up to 1.1e21; and all
digits down to 9e-16.
"""

from __future__ import annotations

from ._operators import Operators, V

UNITS = (2.0**18, 2.0**-16, 2.0**-50)


def split(g: Operators[V], x: V, precision: int, parts: int) -> V:
    """Return the parts of each record's numbers: ``[rows, ...]`` to ``[rows, parts, ...]``, at a member."""
    steps, rest, made = 10.0**precision, x, []
    for unit in UNITS[-parts:]:
        whole = g.round(g.mul(rest, 1.0 / unit))
        rest = g.sub(rest, g.mul(whole, unit))
        made.append(g.div(whole, steps))
    return g.stack(*made, axis=1)


def join(g: Operators[V], sums: V, precision: int, parts: int) -> V:
    """Return the numbers that summed parts ``[parts, ...]`` stand for."""
    steps, total = 10.0**precision, None
    # The small ones first, so that they are not lost one by one.
    for i in reversed(range(parts)):
        part = g.mul(g.take(sums, i, 0), steps * UNITS[i - parts])
        total = part if total is None else g.add(total, part)
    assert total is not None
    return total
