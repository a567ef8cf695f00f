"""Smallest values of quadratic forms, with penalties, from sums of products: what linear models are at their author's.

All minimise ``w Q w / 2 - c w + l1 |w| + l2 w w / 2``, where Q and c are sums or means of products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ROUNDED = 2.0**-46
"""What rounding leaves of a sum, relative to it, at least."""
SWEEPS = 20_000


class LeastSquares(NamedTuple):
    """A solution, the rank of the columns, their singular values, and by what the variance of each is inflated."""

    coef: Array
    rank: int
    singular: Array
    inflation: Array


class Penalised(NamedTuple):
    """A solution, how many sweeps it took, and whether it is one."""

    coef: Array
    sweeps: int
    converged: bool


def definite(q: Array) -> Array:
    """Take away what noise made of a matrix of products: eigenvalues below 0."""
    values, vectors = np.linalg.eigh((q + q.T) / 2)
    if values[0] >= -len(q) * ROUNDED * max(values[-1], 0.0):
        return q
    made: Array = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return made


def least_squares(q: Array, c: Array) -> LeastSquares:
    """Solve ``Q w = c``; of many solutions the shortest, as by a singular value decomposition of the rows."""
    p = len(c)
    scale = np.sqrt(np.maximum(np.diagonal(q), 0.0))
    live = np.flatnonzero(scale > 0)
    unit = scale[live]
    values, vectors = np.linalg.eigh(q[np.ix_(live, live)] / unit / unit[:, np.newaxis])
    right = values > p * ROUNDED * max(float(values[-1]) if len(values) else 0.0, 1.0)
    kept = vectors[:, right]
    coef = np.zeros(p)
    coef[live] = kept @ ((kept.T @ (c[live] / unit)) / values[right]) / unit
    if right.all() and len(live):
        # Once more for what rounding has left over.
        rest = (c[live] - q[np.ix_(live, live)] @ coef[live]) / unit
        coef[live] += kept @ ((kept.T @ rest) / values[right]) / unit
    elif len(live):
        # Directions in which rows do not differ, in units of the columns: nothing of the solution lies along them.
        null = np.linalg.qr(vectors[:, ~right] / unit[:, np.newaxis])[0]
        coef[live] -= null @ (null.T @ coef[live])
    inflation = np.full(p, np.inf)
    within = np.square(vectors[:, ~right]).sum(1) > 1e-8
    inflation[live] = np.where(within, np.inf, np.square(kept) @ (1 / values[right]))
    singular = np.sqrt(np.maximum(np.linalg.eigvalsh((q + q.T) / 2)[::-1], 0.0))
    return LeastSquares(coef, int(right.sum()), singular, inflation)


def penalised(
    q: Array, c: Array, l1: float, l2: float, *, positive: bool = False, start: Array | None = None
) -> Penalised:
    """Minimise with penalties, by coordinates and then exactly on those that are not 0."""
    p = len(c)
    if l1 == 0 and not positive and l2 > 0:
        return Penalised(_solve(q + l2 * np.eye(p), c), 1, True)
    w = np.zeros(p) if start is None else start.copy()
    curve = np.diagonal(q) + l2
    for sweep in range(1, SWEEPS + 1):
        slope = c - q @ w
        largest = 0.0
        for j in range(p):
            if curve[j] <= 0:
                w[j] = 0.0
                continue
            at = slope[j] + q[j, j] * w[j]
            size = at - l1 if positive else abs(at) - l1
            new = max(size, 0.0) / curve[j] * (1.0 if positive else np.sign(at))
            if new != w[j]:
                slope -= q[:, j] * (new - w[j])
                largest = max(largest, abs(new - w[j]) * np.sqrt(curve[j]))
                w[j] = new
        still = largest <= 1e-15 * max(float(np.abs(w * np.sqrt(np.maximum(curve, 0.0))).max(initial=0.0)), 1e-300)
        if still or sweep % 10 == 0:
            exact = _on_support(q, c, l1, l2, w)
            if exact is not None and _is_smallest(q, c, l1, l2, exact, positive):
                return Penalised(exact, sweep, True)
            if still:
                return Penalised(w, sweep, True)
    return Penalised(w, SWEEPS, False)


def _solve(matrix: Array, c: Array) -> Array:
    """Solve a definite system, in units in which its diagonal is 1, and once more for what is left over."""
    unit = np.sqrt(np.diagonal(matrix))
    scaled = matrix / unit / unit[:, np.newaxis]
    made = np.linalg.solve(scaled, c / unit) / unit
    again: Array = made + np.linalg.solve(scaled, (c - matrix @ made) / unit) / unit
    return again


def _on_support(q: Array, c: Array, l1: float, l2: float, w: Array) -> Array | None:
    """Return the solution where the same coefficients are 0 and the others have the same signs, if there is one."""
    on = np.flatnonzero(w)
    made = np.zeros_like(w)
    if not len(on):
        return made
    try:
        made[on] = _solve(q[np.ix_(on, on)] + l2 * np.eye(len(on)), c[on] - l1 * np.sign(w[on]))
    except np.linalg.LinAlgError:
        return None
    return made if np.isfinite(made).all() and (np.sign(made) == np.sign(w)).all() else None


def _is_smallest(q: Array, c: Array, l1: float, l2: float, w: Array, positive: bool) -> bool:
    """Whether no coefficient that is 0 would rather be something else."""
    slope = c - q @ w - l2 * w
    off = w == 0
    pull = slope[off] if positive else np.abs(slope[off])
    allowed = l1 + 1e-12 * (np.abs(c[off]) + np.abs(q[off]) @ np.abs(w))
    return bool((pull <= allowed).all()) and not (positive and (w < 0).any())
