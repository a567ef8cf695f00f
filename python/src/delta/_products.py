"""What nodes keep of a record's bound for the rounding of sums of products (``docs/task-format.md``, Products)."""

from __future__ import annotations

import math


def least_product_bound(numbers: int) -> int:
    """Return the smallest bound, in steps of the precision, for products of so many numbers in all."""
    return 2 * _root(numbers)


def product_rounding(numbers: int) -> int:
    """Return by how much, in steps of the precision, nodes narrow the bound for the rounding of such products."""
    return _root(numbers)


def _root(numbers: int) -> int:
    return math.isqrt(numbers - 1) + 1 if numbers else 0
