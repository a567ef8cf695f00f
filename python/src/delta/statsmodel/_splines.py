"""``bs`` of formulas: B-splines between declared bounds."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _factors as factors
from ._factors import FormulaError


@dataclass(frozen=True)
class Spline:
    """B-splines of a number, as ``bs`` of patsy.

    Parameters
    ----------
    of : str
        The expression of the number.
    knots : tuple of float
        All of them, the bounds as often as they stand.
    degree : int
        Of the polynomials between knots.
    first : int
        0 with the first column, 1 without it.
    """

    of: str
    knots: tuple[float, ...]
    degree: int
    first: int

    @property
    def columns(self) -> int:
        """How many there are."""
        return len(self.knots) - self.degree - 1 - self.first

    def values(self, x: Any, number: Callable[[Any], Any]) -> list[Any]:
        """Return the columns, by de Boor's recursion; ``number``: of a condition 0 and 1. Missing stays missing."""
        t, last = self.knots, max(i for i in range(len(self.knots) - 1) if self.knots[i] < self.knots[i + 1])
        basis = []
        for i in range(len(t) - 1):
            inside = (x >= t[i]) & ((x <= t[i + 1]) if i == last else (x < t[i + 1]))
            basis.append(number(inside) if t[i] < t[i + 1] else None)
        for d in range(1, self.degree + 1):
            basis = [self._next(x, basis, i, d) for i in range(len(basis) - 1)]
        return [b + x * 0.0 for b in basis[self.first :] if b is not None]

    def _next(self, x: Any, basis: list[Any], i: int, d: int) -> Any:
        t, made = self.knots, None
        if basis[i] is not None and t[i + d] > t[i]:
            made = basis[i] * ((x - t[i]) / (t[i + d] - t[i]))
        if basis[i + 1] is not None and t[i + d + 1] > t[i + 1]:
            other = basis[i + 1] * ((t[i + d + 1] - x) / (t[i + d + 1] - t[i + 1]))
            made = other if made is None else made + other
        return made

    def outside(self, x: Any) -> Any:
        """Whether each value is beyond the bounds."""
        return (x < self.knots[0]) | (x > self.knots[-1])


def spline_of(call: ast.Call) -> Spline:
    """Return what a call of ``bs`` says.

    Raises :class:`FormulaError` for what needs the data.
    """
    shown = ast.unparse(call)
    order = ("x", "df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound")
    given = factors.arguments(call, order, "bs")
    if "x" not in given or "df" in given or not {"knots", "lower_bound", "upper_bound"} <= given.keys():
        raise FormulaError(
            f"{shown}: places of knots and bounds would be made of all rows, which no node knows; declare them: "
            f"bs({ast.unparse(call.args[0]) if call.args else 'x'}, knots=[30, 50], lower_bound=0, upper_bound=100)"
        )
    read = {n: factors.constants(given[n], n) for n in order[2:] if n in given}
    degree, whole = read.get("degree", 3), bool(read.get("include_intercept", False))
    try:
        low, high = float(read["lower_bound"]), float(read["upper_bound"])
        inner = sorted(float(v) for v in read["knots"])
    except (TypeError, ValueError):
        raise FormulaError(f"{shown}: knots are a list of numbers, bounds are numbers") from None
    if not isinstance(degree, int) or not 0 <= degree <= 9:
        raise FormulaError(f"{shown}: degree={degree!r} must be 0 to 9")
    if not np.isfinite([low, *inner, high]).all() or not low < high or not all(low <= k <= high for k in inner):
        raise FormulaError(f"{shown}: knots must be between lower_bound and upper_bound, which rises")
    if degree == 0 and not inner and not whole:
        raise FormulaError(f"{shown}: there is no column")
    knots = (*[low] * (degree + 1), *inner, *[high] * (degree + 1))
    return Spline(ast.unparse(given["x"]), knots, degree, 0 if whole else 1)
