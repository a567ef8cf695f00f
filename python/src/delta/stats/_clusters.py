"""Clusters by Lloyd's rounds, from given centres."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..pandas.symbolic import Recipe
from ._arguments import frame as frame_of
from ._arguments import refuse
from ._outcome import Array, Outcome, Spec, doubt, finishes, recipe
from ._show import Table

INFINITY = float("inf")


@dataclass(kw_only=True, repr=False)
class KMeansResult(Outcome):
    """Clusters, with the names of scikit-learn.

    Parameters
    ----------
    cluster_centers_ : ndarray
        ``[clusters, columns]``.
    inertia_ : float
        The squared distances of all rows from their centres.
    n_iter_ : int
        How many times the centres were moved.
    counts : ndarray
        ``[clusters]``: how many rows are nearest to each centre.
    converged : bool
        Whether the last move was nothing.
    feature_names_in_ : list
        The columns.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table("", ("counts",)),
        Table("", ("cluster_centers_",), "feature_names_in_"),
    )
    cluster_centers_: Array
    inertia_: float
    n_iter_: int
    counts: Array
    converged: bool
    feature_names_in_: list[Any]


def kmeans(frame: Any, centers: Sequence[Sequence[float]], max_iter: int = 10) -> Recipe:
    """Find clusters by Lloyd's rounds, as ``sklearn.cluster.KMeans(init=centers, n_init=1)``. ``max_iter + 1`` rounds.

    Parameters
    ----------
    frame : DataFrame of rows
        Rows in which a value is missing are left out; scikit-learn refuses them.
    centers : sequence of sequence of float
        ``[clusters, columns]``: where to begin. Nothing is drawn at random.
    max_iter : int
        How many times the centres are moved, each a round, 1 to 100; a centre without rows stays where it is, which a warning
        says (scikit-learn moves it to a far row).

    Returns
    -------
    Recipe
        Of a :class:`KMeansResult`; a warning says where more rounds would move the centres further. An infinite value is a
        ``ValueError`` when the result is read.

    Raises
    ------
    ValueError
        The centres do not fit the columns, or the number of rounds does not.
    """
    df = frame_of(frame, "kmeans").dropna()
    start, columns = np.asarray(centers, np.float64), list(df.columns)
    if start.ndim != 2 or start.shape[1] != len(columns) or not len(start) or not np.isfinite(start).all():
        raise ValueError(f"kmeans: centers must be finite numbers, [clusters, {len(columns)}]")
    if isinstance(max_iter, bool) or not isinstance(max_iter, int) or not 1 <= max_iter <= 100:
        raise ValueError(f"kmeans: max_iter={max_iter!r} must be 1 to 100")
    k, series = len(start), [df[c] for c in columns]
    places: list[list[Any]] = start.tolist()
    before: list[list[Any]] = places
    for _ in range(max_iter):
        before = places
        nearest, _distance = _nearest(series, places)
        grouped = df.groupby(nearest, categories=list(range(k)))
        sums, counts = grouped.sum(), grouped.size()
        # A centre without rows stays where it is.
        places = [
            [(sums[c][j] / counts[j].clip(1, None)).where(counts[j] > 0.5, places[j][i]) for i, c in enumerate(columns)]
            for j in range(k)
        ]
    nearest, distance = _nearest(series, places)
    parts: dict[str, Any] = {
        "counts": df.groupby(nearest, categories=list(range(k))).size(),
        "inertia": distance.sum(),
        "outside": functools.reduce(operator.or_, (s.abs() == INFINITY for s in series)).sum(),
    }
    for j in range(k):
        parts |= {f"center{j}_{i}": places[j][i] for i in range(len(columns))}
        if max_iter > 1:
            parts |= {f"before{j}_{i}": before[j][i] for i in range(len(columns))}
    return recipe("kmeans", parts, columns=columns, start=start.tolist(), moves=max_iter)


def _nearest(series: list[Any], places: list[list[Any]]) -> tuple[Any, Any]:
    """Return the number of each row's nearest centre, and the squared distance."""
    each: list[Any] = [sum((s - p) ** 2 for s, p in zip(series, place, strict=True)) for place in places]
    nearest, least = each[0].notna().astype(float) * 0.0, each[0]
    for j, distance in enumerate(each[1:], 1):
        closer = distance < least
        nearest, least = nearest.mask(closer, float(j)), least.mask(closer, distance)
    return nearest, least


@finishes("kmeans")
def _clusters(spec: Spec, parts: dict[str, Array]) -> KMeansResult:
    refuse(parts, "outside", "kmeans: {n} rows of all members have an infinite value")
    start = np.asarray(spec["start"])
    shape = start.shape
    centers = np.array([[float(parts[f"center{j}_{i}"]) for i in range(shape[1])] for j in range(shape[0])])
    before = start
    if "before0_0" in parts:
        before = np.array([[float(parts[f"before{j}_{i}"]) for i in range(shape[1])] for j in range(shape[0])])
    moved = float(np.abs(centers - before).max())
    converged = moved <= 1e-12 * max(1.0, float(np.abs(centers).max()))
    if not converged:
        doubt("kmeans", f"the last of {spec['moves']} moves was {moved:.3g}: more rounds, max_iter, may move further")
    if empty := [j for j, n in enumerate(parts["counts"]) if not n > 0.5]:
        doubt("kmeans", f"no row is nearest to the centres {', '.join(map(str, empty))}")
    return KMeansResult(
        cluster_centers_=centers,
        inertia_=float(parts["inertia"]),
        n_iter_=spec["moves"],
        counts=parts["counts"],
        converged=converged,
        feature_names_in_=list(spec["columns"]),
    )
