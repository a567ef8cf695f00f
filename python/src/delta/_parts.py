"""One number in several, so that sums of records keep the digits of a double.

A node rounds each record's numbers to 10^-precision and keeps every sum below 2^52 of these steps: sixteen digits, of which a
million rows take six. Squares of incomes are larger, and those of rates need more digits. So a number travels in parts,

    x = 2^18 * top + 2^-17 * middle + 2^-53 * low        or, in two,        x = 2^-16 * high + 2^-48 * low,

each a whole number of either sign. Powers of two make the split exact. It is fixed, so no scale depends on anybody's data.
Parts go as ``part / 10^precision``, which uses the digits behind the point for whole steps.

What fits a member in two parts: sums of up to 6.8e10 over two million rows, all digits down to 4e-15. In three: sums of up to
1e21, all digits down to 1e-16, over 130,000 rows for certain, and many more where not all rows have the same digits.
"""

from __future__ import annotations

from ._operators import Operators, V

UNITS = {2: (2.0**-16, 2.0**-48), 3: (2.0**18, 2.0**-17, 2.0**-53)}
"""By the number of parts, what one of each is worth."""


def split(g: Operators[V], x: V, precision: int, parts: int) -> V:
    """Return the parts of each record's numbers: ``[rows, ...]`` to ``[rows, parts, ...]``, at a member."""
    steps, rest, made = 10.0**precision, x, []
    for unit in UNITS[parts]:
        whole = g.round(g.mul(rest, 1.0 / unit))
        rest = g.sub(rest, g.mul(whole, unit))
        made.append(g.div(whole, steps))
    return g.stack(*made, axis=1)


def join(g: Operators[V], sums: V, precision: int, parts: int) -> V:
    """Return the numbers that summed parts ``[parts, ...]`` stand for."""
    steps, total = 10.0**precision, None
    # The small ones first, so that they are not lost one by one.
    for i in reversed(range(parts)):
        part = g.mul(g.take(sums, i, 0), steps * UNITS[parts][i])
        total = part if total is None else g.add(total, part)
    assert total is not None
    return total
