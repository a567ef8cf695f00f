"""Linear models of a number by least squares: all from the same sums of products."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..pandas.symbolic import Symbol, ops, pooled
from ._estimator import MISSING, Estimator, Fit, Parts, Spec, choice, doubt, flags
from ._predict import is_rows, matrix, pick, r_squared, series
from ._quadratic import LeastSquares, Penalised, definite, least_squares, penalised
from ._rows import Sample, number_of_rows, part, refuse, sample, total

Array = npt.NDArray[np.float64]

Self = TypeVar("Self", bound="Linear")

WRONG = "an infinite value, or a weight below 0"
# A number that is right to two digits, and one that is right to eight, if sums are right to 46 bits.
_HOPELESS, _DOUBTFUL = 1e12, 1e6


class Linear(Estimator):
    """What linear models of a number have in common."""

    coef_: Array
    intercept_: float
    n_features_in_: int
    feature_names_in_: Array
    n_samples_: int
    n_missing_: int
    score_: float
    fit_intercept: bool
    positive: bool
    missing: str

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Fit:
        """Fit to the rows of all members, in ``execute``: two rounds, or one without an intercept.

        Parameters
        ----------
        X : DataFrame of rows
            Columns of numbers.
        y : Series of rows
            What is explained.
        sample_weight : Series of rows, optional
            0 or more.

        Returns
        -------
        Fit
            For ``execute`` to return; the result is an estimator of the same kind, with attributes.
        """
        what = type(self).__name__
        s = sample(what, X, y, sample_weight, missing=self.missing)
        return Fit(self, products(s, self.fit_intercept) | s.checks, columns=s.names)

    def predict(self, X: Any) -> Any:
        """Predict ``X @ coef_ + intercept_``.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names.

        Returns
        -------
        ndarray or Series
            ``[rows]``; of rows at the members a column of rows.

        Raises
        ------
        ValueError
            There is no result yet, columns are missing, or values of a table are.
        """
        self._known()
        what, names = type(self).__name__, list(self.feature_names_in_)
        if is_rows(X):
            b, x = pick(what, X, names)
            z = ops.take(ops.matmul(x, self.coef_[:, np.newaxis]), 0, 1)
            return series(b, ops.add(z, self.intercept_), "predicted")
        return matrix(what, X, names) @ self.coef_ + self.intercept_

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the share of ``y``'s variance that is explained, of rows of this machine; ``score_`` is that of those fitted.

        Parameters
        ----------
        X : DataFrame or array of shape [rows, columns]
            Rows.
        y : array
            ``[rows]``.
        sample_weight : array, optional
            ``[rows]``.

        Returns
        -------
        float
            1 at most.
        """
        return r_squared(type(self).__name__, y, self.predict(X), sample_weight)

    def refit(self: Self, **params: Any) -> Self:
        """Fit with other parameters to the same rows, at no cost: their sums are here.

        Parameters
        ----------
        **params : object
            As ``alpha=0.1``; ``fit_intercept`` and ``missing`` cannot change.

        Returns
        -------
        Estimator
            A new one.

        Raises
        ------
        ValueError
            There is no result yet, or a parameter cannot change.
        """
        self._known()
        for name in ("fit_intercept", "missing"):
            if name in params and params[name] != getattr(self, name):
                raise ValueError(f"refit: {name} decides which sums there are; fit again")
        made = type(self)(**self.get_params() | params)
        made.privacy, made.rounds = self.privacy, self.rounds
        made._finish(*self._sums)
        return made

    _sums: tuple[Spec, Parts]

    def _finish(self, spec: Spec, parts: Parts) -> None:
        what, names = type(self).__name__, list(spec["columns"])
        n = float(parts["n"].flat[0])
        self.n_missing_ = refuse(what, parts, self.missing, WRONG, n)
        weight = float(parts.get("weight", parts["n"]).flat[0])
        if not weight > 0:
            raise ValueError(f"{what}: all weights are 0")
        p, mean = len(names), parts["mean"]
        whole = parts["products"]
        if self.fit_intercept:
            # What is left of squared deviations of a constant is rounding.
            still = np.diagonal(whole) <= 1e-28 * weight * np.square(mean)
            whole = np.where(still | still[:, np.newaxis], 0.0, whole)
        whole = definite(whole)
        q, c = whole[:p, :p], whole[:p, p]
        self._sums = spec, parts
        self.n_samples_, self.n_features_in_ = round(n), p
        self.feature_names_in_ = np.asarray(names, object)
        self.coef_ = self._solved(q, c, float(whole[p, p]), weight, n)
        self.intercept_ = float(mean[p] - mean[:p] @ self.coef_) if self.fit_intercept else 0.0
        rest = float(whole[p, p] - 2 * c @ self.coef_ + self.coef_ @ q @ self.coef_)
        spread = float(whole[p, p] - (0.0 if self.fit_intercept else weight * mean[p] ** 2))
        self.score_ = 1 - rest / spread if spread > 0 else float("nan")

    def _solved(self, q: Array, c: Array, yy: float, weight: float, n: float) -> Array:
        """Return the coefficients, of the sums of products."""
        raise NotImplementedError


class LinearRegression(Linear):
    """Least squares, as ``sklearn.linear_model.LinearRegression``.

    Where columns depend on each other it is the shortest of all solutions, as in scikit-learn, and a warning says so.

    Parameters
    ----------
    fit_intercept : bool
        Whether there is a constant.
    positive : bool
        Whether coefficients must be 0 or more.
    missing : {"raise", "drop", "ignore"}
        Whether rows in which a value is missing are refused, as by scikit-learn, left out and counted in ``n_missing_``, or left
        out and not counted.

    Attributes
    ----------
    coef_ : ndarray
        ``[columns]``, of a result.
    intercept_ : float
        0 without one.
    rank_, singular_ : int, ndarray
        Of the columns, less their means with an intercept.
    score_ : float
        The share of variance explained, of the rows fitted.
    n_samples_, n_missing_ : int
        Rows that count, and rows that were left out and counted.
    feature_names_in_, n_features_in_ : ndarray, int
        The columns.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    rank_: int
    singular_: Array

    def __init__(self, *, fit_intercept: bool = True, positive: bool = False, missing: str = "raise") -> None:
        choice("LinearRegression", "missing", missing, MISSING)
        flags("LinearRegression", fit_intercept=fit_intercept, positive=positive)
        self.fit_intercept, self.positive, self.missing = fit_intercept, positive, missing

    def _solved(self, q: Array, c: Array, yy: float, weight: float, n: float) -> Array:
        found = least_squares(q, c)
        self.rank_, self.singular_ = found.rank, found.singular[: max(min(len(c), round(n)), 0)]
        what = "LinearRegression"
        dependent(what, found, self.feature_names_in_, "one" if self.positive else "the shortest")
        if self.positive:
            return converged(what, penalised(q, c, 0.0, 0.0, positive=True)).coef
        return found.coef


def dependent(what: str, found: LeastSquares, names: Array, shown: str = "the shortest") -> None:
    """Warn where columns depend on others, or nearly; ``shown``: which of the solutions that there are then."""
    worst = float(found.inflation.max(initial=0.0))
    if worst <= _DOUBTFUL:
        return
    which = ", ".join(repr(str(names[j])) for j in np.flatnonzero(found.inflation >= 1e-2 * worst)[:6])
    if found.rank < len(found.coef):
        doubt(what, f"columns depend on others, or do not vary ({which}): {shown} of many solutions is shown")
    elif worst > _HOPELESS:
        doubt(what, f"columns nearly depend on others ({which}): coefficients may have no right digit")
    else:
        doubt(what, f"columns nearly depend on others ({which}): coefficients have fewer than 8 right digits")


def products(s: Sample, centre: bool) -> dict[str, Symbol]:
    """Return sums of weights, means, and sums of products of columns and ``y``, less their means if asked for."""
    assert s.y is not None
    both = ops.concat(s.x, s.y, axis=1)
    n = number_of_rows(s)
    weight = n if s.weight is None else total(s.weight, "sum_of_weights")
    mean = ops.div(total(ops.mul(both, s.ones), "sum"), ops.where(ops.greater(weight, 0.0), weight, 1.0))
    d = s.kept(ops.sub(both, mean)) if centre else both
    d = d if s.weight is None else ops.mul(d, ops.sqrt(s.weight))
    made = {"n": n, "mean": mean, "products": total_of_products(d)}
    made |= {} if s.weight is None else {"weight": weight}
    return {name: part(x) for name, x in made.items()}


def total_of_products(d: Any) -> Any:
    """Sum the products of all pairs of columns over all rows."""
    return pooled(ops.gram(d, d), "products_of_deviations")


def converged(what: str, found: Penalised) -> Penalised:
    """Warn where a search has not found the end."""
    if not found.converged:
        doubt(what, f"{found.sweeps} sweeps did not find the end: columns nearly depend on others, and alpha is small")
    return found
