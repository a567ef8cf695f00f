"""Means and scales of columns, and their principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..pandas.symbolic import Recipe
from ._arguments import frame as frame_of
from ._outcome import Array, Outcome, Spec, doubt, finishes, recipe
from ._show import Table


@dataclass(kw_only=True, repr=False)
class ScalerResult(Outcome):
    """Means and scales, with the names of scikit-learn.

    Parameters
    ----------
    mean_, var_, scale_ : ndarray
        ``[columns]``; the scale of a constant column is 1.
    n_samples_seen_ : ndarray
        ``[columns]``: how many values are there.
    feature_names_in_ : list
        The columns.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "feature_names_in_",
            (
                "mean_",
                "var_",
                "scale_",
                "n_samples_seen_",
            ),
        ),
    )
    mean_: Array
    var_: Array
    scale_: Array
    n_samples_seen_: Array
    feature_names_in_: list[Any]


@dataclass(kw_only=True, repr=False)
class PCAResult(Outcome):
    """Principal components, with the names of scikit-learn.

    Parameters
    ----------
    components_ : ndarray
        ``[components, columns]``; the largest number of each is above 0.
    explained_variance_, explained_variance_ratio_, singular_values_ : ndarray
        ``[components]``.
    mean_ : ndarray
        ``[columns]``.
    noise_variance_ : float
        The mean variance of what is left.
    n_samples_ : float
        How many rows.
    feature_names_in_ : list
        The columns.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "",
            (
                "explained_variance_",
                "explained_variance_ratio_",
                "singular_values_",
            ),
        ),
        Table("", ("components_",), "feature_names_in_"),
        Table("feature_names_in_", ("mean_",)),
    )
    components_: Array
    explained_variance_: Array
    explained_variance_ratio_: Array
    singular_values_: Array
    mean_: Array
    noise_variance_: float
    n_samples_: float
    feature_names_in_: list[Any]


def standard_scaler(frame: Any) -> Recipe:
    """Compute what ``sklearn.preprocessing.StandardScaler`` learns: means and scales of columns. Two rounds.

    Parameters
    ----------
    frame : DataFrame of rows
        Missing values of a column are left out. Inside a task, ``(df - df.mean()) / df.std(ddof=0)`` scales the rows.

    Returns
    -------
    Recipe
        Of a :class:`ScalerResult`.
    """
    df = frame_of(frame, "standard_scaler")
    parts = {"n": df.count(), "mean": df.mean(), "var": df.var(ddof=0)}
    return recipe("standard_scaler", parts, columns=list(parts["n"].index))


def pca(frame: Any, n_components: int | None = None) -> Recipe:
    """Find principal components by the covariance of columns, as ``sklearn.decomposition.PCA``. Two rounds.

    Parameters
    ----------
    frame : DataFrame of rows
        Rows in which a value is missing are left out; scikit-learn refuses them.
    n_components : int, optional
        How many; by default as many as there are columns.

    Returns
    -------
    Recipe
        Of a :class:`PCAResult`; NaN with fewer than two rows.

    Raises
    ------
    ValueError
        There are not so many columns.
    """
    df = frame_of(frame, "pca").dropna()
    parts = {"n": df.count(), "mean": df.mean(), "cov": df.cov()}
    columns = list(parts["n"].index)
    k = len(columns) if n_components is None else n_components
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= len(columns):
        raise ValueError(f"pca: n_components={n_components!r} must be 1 to {len(columns)}, the number of columns")
    return recipe("pca", parts, columns=columns, n_components=k)


@finishes("standard_scaler")
def _scales(spec: Spec, parts: dict[str, Array]) -> ScalerResult:
    n, mean, var = parts["n"], parts["mean"], parts["var"]
    eps = np.finfo(np.float64).eps
    # As scikit-learn tells a constant column.
    constant = var <= n * eps * var + (n * mean * eps) ** 2
    scale = np.where(constant, 1.0, np.sqrt(var))
    return ScalerResult(mean_=mean, var_=var, scale_=scale, n_samples_seen_=n, feature_names_in_=list(spec["columns"]))


@finishes("pca")
def _components(spec: Spec, parts: dict[str, Array]) -> PCAResult:
    n, cov, k = float(parts["n"].flat[0]), parts["cov"], spec["n_components"]
    if np.isnan(cov).any():
        doubt("pca", "fewer than two rows have all values: there are no components")
        values, vectors = np.full(len(cov), np.nan), np.full_like(cov, np.nan)
    else:
        values, vectors = np.linalg.eigh((cov + cov.T) / 2)
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1].T
        largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, np.newaxis], 1)
        vectors = vectors * np.sign(largest)
    return PCAResult(
        components_=vectors[:k],
        explained_variance_=values[:k],
        explained_variance_ratio_=values[:k] / values.sum(),
        singular_values_=np.sqrt(values[:k] * (n - 1)),
        mean_=parts["mean"],
        noise_variance_=float(values[k:].mean()) if k < len(values) else 0.0,
        n_samples_=n,
        feature_names_in_=list(spec["columns"]),
    )
