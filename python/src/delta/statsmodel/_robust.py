"""Standard errors that hold where variances differ, or where rows of a group hang together.

The parameters' covariance is ``A M A``: ``A`` the inverse of the second derivatives, ``M`` the sum over rows of the score's
products with itself (``HC0`` to ``HC3``), or over groups of those of their sums (``cluster``). ``HC2`` and ``HC3`` divide each
row's by what its leverage leaves, so members need ``A`` first, which is of one more round.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..graph import Graph, Value
from ._sample import Moments, Sample

Array = npt.NDArray[np.float64]
# What a row's leverage leaves, less than which it is taken for a row that a parameter has for itself.
_LEAST = 1e-8
_POWERS = {"HC2": 0.5, "HC3": 1.0}


def shapes(cov_type: str, size: int, levels: int) -> dict[str, tuple[int, ...]]:
    """Return the further sums that a kind needs, by name, with shapes."""
    if cov_type == "nonrobust":
        return {}
    if cov_type == "cluster":
        return {"meat": (levels * size,), "clusters": (levels,)}
    made: dict[str, tuple[int, ...]] = {"meat": (size * (size + 1) // 2,)}
    return made | ({"alone": (1,)} if cov_type in _POWERS else {})


def needs_inverse(cov_type: str) -> bool:
    """Whether members need the inverse of the second derivatives."""
    return cov_type in _POWERS


def blocks(
    cov_type: str, s: Sample, moments: Moments, size: int, inverse: Value | None, groups: Value | None
) -> dict[str, Value]:
    """Return what each row adds to them; ``size``: of so many parameters, the first ones."""
    g: Graph = s.graph
    score = _first(g, moments.score, size)
    if cov_type == "nonrobust":
        return {}
    if groups is not None:
        flat = score.shape[0], int(groups.shape[1]) * size
        products = g.reshape(g.unsqueeze(groups, 2) * g.unsqueeze(score, 1), *flat)
        return {"meat": products, "clusters": g.where(g.greater(s.weight, 0.0), groups, 0.0)}
    freq = 1.0 if s.freq is None else g.where(g.greater(s.freq, 0.0), s.freq, 1.0)
    out: dict[str, Value] = {}
    if inverse is not None:
        triangle = np.triu_indices(size)
        twice = np.where(triangle[0] == triangle[1], 1.0, 2.0)
        at = triangle[0] * int(inverse.shape[1]) + triangle[1]
        a = g.take(g.reshape(inverse, int(inverse.shape[0]) * int(inverse.shape[1])), at, 0) * twice
        leverage = _first(g, moments.hessian, len(twice)) @ g.reshape(a, len(twice), 1) / freq
        left = 1.0 - leverage
        alone = g.less(left, _LEAST)
        left = g.where(alone, 1.0, left)
        score = score / (g.sqrt(left) if _POWERS[cov_type] == 0.5 else left)
        out["alone"] = g.cast(g.and_(alone, g.greater(s.weight, 0.0)), "f64")
    return {"meat": s.pairs(score / freq, score)} | out


def covariance(cov_type: str, inverse: Array, arrays: Mapping[str, Array], count: float) -> tuple[Array, float | None]:
    """Return the parameters' covariance, and the number of groups that have rows.

    ``inverse``: of the second derivatives; ``count``: of rows. NaN where a row has a parameter for itself.
    """
    size = len(inverse)
    if cov_type == "cluster":
        found = float((np.rint(arrays["clusters"]) > 0).sum())
        sums = np.asarray(arrays["meat"]).reshape(-1, size)
        made = inverse @ (sums.T @ sums) @ inverse
        if found < 2 or count <= size:
            return np.full_like(made, np.nan), found
        return made * (found / (found - 1) * (count - 1) / (count - size)), found
    meat = square(np.asarray(arrays["meat"]), size)
    made = inverse @ meat @ inverse
    if cov_type == "HC1":
        made = made * (count / (count - size)) if count > size else np.full_like(made, np.nan)
    if cov_type in _POWERS and np.rint(arrays["alone"]).sum() > 0:
        made = np.full_like(made, np.nan)
    return made, None


def square(triangle: Array, size: int) -> Array:
    """Return the symmetric matrix of an upper triangle."""
    made = np.zeros((size, size))
    made[np.triu_indices(size)] = triangle
    return np.asarray(made + np.triu(made, 1).T)


def _first(g: Graph, v: Value, columns: int) -> Value:
    return v if v.shape[1] == columns else g.slice(v, 0, columns, 1)
