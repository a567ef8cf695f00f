"""Principal components and clusters: faces of :mod:`delta.stats` in scikit-learn's manner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import results
from ..pandas.symbolic import Recipe, Rows, Symbol, ops
from ..stats import kmeans, pca
from ._estimator import MISSING, Parts, Spec, at_least, choice, flags
from ._predict import frame, is_rows, matrix, pick
from ._rows import number_of_rows, part, refuse, sample, table
from ._transform import Apply, Transformer

Array = npt.NDArray[np.float64]

WRONG = "an infinite value"


class Statistic(Transformer):
    """What is made of a function of :mod:`delta.stats`."""

    n_samples_: int
    n_missing_: int
    missing: str

    def _recipe(self, x: Any) -> Recipe:
        raise NotImplementedError

    def _prepare(self, X: Any) -> tuple[Apply, dict[str, Symbol], dict[str, Any]]:
        s = sample(type(self).__name__, X, missing=self.missing)
        kept = Rows(s.index.dataset, ops.take(s.valid, 0, 1))
        made = self._recipe(table(kept, s.x, s.names))
        parts = {f"of.{name}": p for name, p in made.parts.items()} | {"rows": part(number_of_rows(s))} | s.checks
        return self.fit_transform, parts, {"columns": s.names, "of": made.spec}

    def fit_transform(self, X: Any) -> None:
        """Refuse: what is found is known when the task is over, and rows can be turned into it in the next one.

        Parameters
        ----------
        X : DataFrame of rows
            The columns.

        Raises
        ------
        TypeError
            Always; it says what to do.
        """
        raise TypeError(
            f"{type(self).__name__}.fit_transform: the result is made on its author's machine, when the task is over; return "
            "fit(X), and use transform() of the result on the rows of the next task"
        )

    def _begin(self, spec: Spec, parts: Parts) -> Any:
        """Set what all have; return the result of the function."""
        what = type(self).__name__
        rows = float(parts["rows"].flat[0])
        self.n_missing_ = refuse(what, parts, self.missing, WRONG, rows)
        self.n_samples_, self.n_features_in_ = round(rows), len(spec["columns"])
        self.feature_names_in_ = np.asarray(spec["columns"], object)
        arrays = {n.removeprefix("of."): a for n, a in parts.items() if n.startswith("of.")}
        told = dict(spec["of"]) | {"kind": "statistic", "values": {n: n for n in arrays}}
        return results.build({"options": {"result": [told]}}, arrays)


class PCA(Statistic):
    """Principal components, as ``sklearn.decomposition.PCA``. Two rounds.

    Parameters
    ----------
    n_components : int or float, optional
        How many, or, below 1, which share of the variance they must have; by default all.
    whiten : bool
        Whether :meth:`transform` gives columns of variance 1.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    components_ : ndarray
        ``[components, columns]``, with scikit-learn's signs: the number furthest from 0 is above it.
    explained_variance_, explained_variance_ratio_, singular_values_ : ndarray
        ``[components]``.
    mean_ : ndarray
        ``[columns]``.
    noise_variance_ : float
        The mean variance of what is left.
    n_components_, n_samples_, n_missing_, n_features_in_ : int
        How many there are.
    feature_names_in_ : ndarray
        The columns.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    components_: Array
    explained_variance_: Array
    explained_variance_ratio_: Array
    singular_values_: Array
    mean_: Array
    noise_variance_: float
    n_components_: int

    def __init__(self, n_components: float | None = None, *, whiten: bool = False, missing: str = "raise") -> None:
        choice("PCA", "missing", missing, MISSING)
        flags("PCA", whiten=whiten)
        if n_components is not None:
            share = isinstance(n_components, float) and 0 < n_components < 1
            at_least("PCA", "n_components", n_components, 0 if share else 1, whole=not share)
        self.n_components, self.whiten, self.missing = n_components, whiten, missing

    def _recipe(self, x: Any) -> Recipe:
        return pca(x)

    def _finish(self, spec: Spec, parts: Parts) -> None:
        found = self._begin(spec, parts)
        most = min(self.n_features_in_, self.n_samples_)
        variance, ratio = found.explained_variance_[:most], found.explained_variance_ratio_[:most]
        k = most if self.n_components is None else self.n_components
        if isinstance(k, float):
            k = int(np.searchsorted(np.cumsum(ratio), k, side="right")) + 1
        if k > most:
            raise ValueError(f"PCA: n_components={k} must be {most} at most, the smaller number of rows and columns")
        self.n_components_, self.mean_ = int(k), found.mean_
        self.components_, self.singular_values_ = found.components_[:k], found.singular_values_[:k]
        self.explained_variance_, self.explained_variance_ratio_ = variance[:k], ratio[:k]
        self.noise_variance_ = float(variance[k:].mean()) if k < most else 0.0

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the components, ``pca0`` and so on.

        Parameters
        ----------
        input_features : None
            As in scikit-learn.

        Returns
        -------
        ndarray
            Of texts.
        """
        self._known()
        return np.array([f"pca{i}" for i in range(self.n_components_)], object)

    def transform(self, X: Any) -> Any:
        """Project rows onto the components.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names.

        Returns
        -------
        ndarray or delta DataFrame
            ``[rows, components]``; of rows at the members a frame of rows.

        Raises
        ------
        ValueError
            There is no result yet, columns are missing, or values of a table are.
        """
        self._known()
        names = list(self.feature_names_in_)
        turn = self.components_.T / (np.sqrt(self.explained_variance_) if self.whiten else 1.0)
        if is_rows(X):
            b, x = pick("PCA", X, names)
            return frame(b, ops.matmul(ops.sub(x, self.mean_), turn), self.get_feature_names_out().tolist())
        return (matrix("PCA", X, names) - self.mean_) @ turn

    def inverse_transform(self, X: Any) -> Array:
        """Return the rows whose projections are given.

        Parameters
        ----------
        X : array of shape [rows, components]
            Projections.

        Returns
        -------
        ndarray
            ``[rows, columns]``.

        Raises
        ------
        ValueError
            There is no result yet, or ``X`` has another shape.
        """
        self._known()
        x = matrix("PCA", X, self.get_feature_names_out().tolist())
        x = x * np.sqrt(self.explained_variance_) if self.whiten else x
        return x @ self.components_ + self.mean_


class KMeans(Statistic):
    """Clusters by Lloyd's rounds, as ``sklearn.cluster.KMeans(init=init, n_init=1)``: ``max_iter + 1`` rounds.

    Parameters
    ----------
    init : sequence of sequence of float
        ``[clusters, columns]``: where centres begin. Nothing is drawn at random, as no row may be shown.
    max_iter : int
        How often centres are moved, 1 to 100.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    cluster_centers_ : ndarray
        ``[clusters, columns]``.
    inertia_ : float
        The squared distances of all rows from their centres.
    n_iter_ : int
        How many moves there were.
    counts_ : ndarray
        ``[clusters]``: how many rows are nearest to each centre, in place of ``labels_``.
    n_clusters, n_samples_, n_missing_, n_features_in_ : int
        How many there are.
    feature_names_in_ : ndarray
        The columns.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    cluster_centers_: Array
    inertia_: float
    n_iter_: int
    counts_: Array

    def __init__(self, init: Sequence[Sequence[float]], *, max_iter: int = 10, missing: str = "raise") -> None:
        choice("KMeans", "missing", missing, MISSING)
        at_least("KMeans", "max_iter", max_iter, 1, whole=True)
        try:
            start = np.asarray(init, np.float64)
        except (TypeError, ValueError):
            start = np.zeros(0)
        if start.ndim != 2 or not start.size or not np.isfinite(start).all():
            raise ValueError(
                "KMeans: init must be the centres to begin with, finite numbers [clusters, columns]; nothing is drawn at random"
            )
        self.init, self.max_iter, self.missing = init, max_iter, missing

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return len(self.init)

    def _recipe(self, x: Any) -> Recipe:
        return kmeans(x, np.asarray(self.init, np.float64).tolist(), self.max_iter)

    def _finish(self, spec: Spec, parts: Parts) -> None:
        found = self._begin(spec, parts)
        self.cluster_centers_, self.inertia_ = found.cluster_centers_, found.inertia_
        self.n_iter_, self.counts_ = found.n_iter_, found.counts

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the distances, ``kmeans0`` and so on.

        Parameters
        ----------
        input_features : None
            As in scikit-learn.

        Returns
        -------
        ndarray
            Of texts.
        """
        self._known()
        return np.array([f"kmeans{i}" for i in range(len(self.cluster_centers_))], object)

    def transform(self, X: Any) -> Any:
        """Compute the distance of each row from each centre.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names.

        Returns
        -------
        ndarray or delta DataFrame
            ``[rows, clusters]``; of rows at the members a frame of rows.

        Raises
        ------
        ValueError
            There is no result yet, columns are missing, or values of a table are.
        """
        self._known()
        if is_rows(X):
            b, x = pick("KMeans", X, list(self.feature_names_in_))
            away = [ops.sum(ops.square(ops.sub(x, c)), 1, keepdims=True) for c in self.cluster_centers_]
            all_ = away[0] if len(away) == 1 else ops.concat(*away, axis=1)
            return frame(b, ops.sqrt(all_), self.get_feature_names_out().tolist())
        rows = matrix("KMeans", X, list(self.feature_names_in_))
        return np.sqrt(np.square(rows[:, np.newaxis, :] - self.cluster_centers_).sum(2))

    def predict(self, X: Any) -> Any:
        """Find the nearest centre of each row.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names.

        Returns
        -------
        ndarray or Series
            ``[rows]``: numbers of centres; of rows at the members a column of rows.
        """
        away = self.transform(X)
        if not is_rows(X):
            return away.argmin(1).astype(np.int32)
        columns = [away[c] for c in away.columns]
        nearest, least = columns[0] * 0, columns[0]
        for j, one in enumerate(columns[1:], 1):
            closer = one < least
            nearest, least = nearest.mask(closer, float(j)), least.mask(closer, one)
        return nearest

    def score(self, X: Any, y: Any = None) -> float:
        """Compute minus the squared distances of rows of this machine from their centres.

        Parameters
        ----------
        X : DataFrame or array of shape [rows, columns]
            Rows.
        y : None
            As in scikit-learn.

        Returns
        -------
        float
            0 at most.
        """
        return -float(np.square(self.transform(X).min(1)).sum())
