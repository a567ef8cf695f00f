"""Linear models with penalties: ridge, lasso and elastic net, and their paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._estimator import MISSING, at_least, choice, flags
from ._linear import Linear, converged, dependent
from ._quadratic import least_squares, penalised

Array = npt.NDArray[np.float64]


class Ridge(Linear):
    """Least squares with a penalty on squared coefficients, as ``sklearn.linear_model.Ridge``.

    It minimises ``|y - X w|^2 + alpha |w|^2``; the constant has no penalty.

    Parameters
    ----------
    alpha : float
        The penalty, 0 or more.
    fit_intercept : bool
        Whether there is a constant.
    positive : bool
        Whether coefficients must be 0 or more.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    coef_, intercept_, score_, n_samples_, n_missing_, feature_names_in_, n_features_in_ : object
        As in :class:`LinearRegression`.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, positive: bool = False, missing: str = "raise"
    ) -> None:
        at_least("Ridge", "alpha", alpha, 0)
        choice("Ridge", "missing", missing, MISSING)
        flags("Ridge", fit_intercept=fit_intercept, positive=positive)
        self.alpha, self.fit_intercept, self.positive, self.missing = alpha, fit_intercept, positive, missing

    def path(self, alphas: Sequence[float]) -> tuple[Array, Array, Array]:
        """Compute coefficients for several penalties, of the sums that are here.

        Parameters
        ----------
        alphas : sequence of float
            The penalties.

        Returns
        -------
        alphas : ndarray
            ``[n]``, falling.
        coefs : ndarray
            ``[columns, n]``.
        intercepts : ndarray
            ``[n]``.
        """
        return _path(self, alphas)

    def _solved(self, q: Array, c: Array, yy: float, weight: float, n: float) -> Array:
        if self.alpha == 0:
            found = least_squares(q, c)
            dependent("Ridge", found, self.feature_names_in_, "one" if self.positive else "the shortest")
            if not self.positive:
                return found.coef
        return converged("Ridge", penalised(q, c, 0.0, float(self.alpha), positive=self.positive)).coef


class ElasticNet(Linear):
    """Least squares with penalties on sizes and squares of coefficients, as ``sklearn.linear_model.ElasticNet``.

    It minimises ``|y - X w|^2 / 2 n + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio) |w|^2 / 2``, far beyond scikit-learn's
    ``tol``: coefficients that are not 0 are those of their own equations.

    Parameters
    ----------
    alpha : float
        The penalty, 0 or more.
    l1_ratio : float
        How much of it is on sizes, 0 to 1.
    fit_intercept : bool
        Whether there is a constant.
    positive : bool
        Whether coefficients must be 0 or more.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    coef_, intercept_, score_, n_samples_, n_missing_, feature_names_in_, n_features_in_ : object
        As in :class:`LinearRegression`.
    n_iter_ : int
        How often all coefficients were visited.
    dual_gap_ : float
        How far the result is from the smallest value at most, as in scikit-learn.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    n_iter_: int
    dual_gap_: float
    l1_ratio: float = 0.5

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        positive: bool = False,
        missing: str = "raise",
    ) -> None:
        at_least("ElasticNet", "alpha", alpha, 0)
        at_least("ElasticNet", "l1_ratio", l1_ratio, 0)
        if l1_ratio > 1:
            raise ValueError(f"ElasticNet: l1_ratio={l1_ratio!r} must be 0 to 1")
        choice("ElasticNet", "missing", missing, MISSING)
        flags("ElasticNet", fit_intercept=fit_intercept, positive=positive)
        self.alpha, self.l1_ratio, self.fit_intercept = alpha, l1_ratio, fit_intercept
        self.positive, self.missing = positive, missing

    def path(self, alphas: int | Sequence[float] = 100, *, eps: float = 1e-3) -> tuple[Array, Array, Array]:
        """Compute coefficients for several penalties, of the sums that are here.

        Parameters
        ----------
        alphas : int or sequence of float
            The penalties, or how many: then from the least one at which all coefficients are 0 down, as in scikit-learn.
        eps : float
            The last of so many as a share of the first.

        Returns
        -------
        alphas : ndarray
            ``[n]``, falling.
        coefs : ndarray
            ``[columns, n]``.
        intercepts : ndarray
            ``[n]``.

        Raises
        ------
        ValueError
            ``l1_ratio`` is 0, where no penalty makes all coefficients 0.
        """
        self._known()
        if not isinstance(alphas, int):
            return _path(self, alphas)
        if self.l1_ratio == 0:
            raise ValueError("path: with l1_ratio=0 give the alphas")
        products, p = self._sums[1]["products"], self.n_features_in_
        weight = float(self._sums[1].get("weight", self._sums[1]["n"]).flat[0])
        highest = float(np.abs(products[:p, p]).max()) / weight / self.l1_ratio
        return _path(self, np.geomspace(highest, highest * eps, alphas).tolist())

    def _solved(self, q: Array, c: Array, yy: float, weight: float, n: float) -> Array:
        what, q, c = type(self).__name__, q / weight, c / weight
        l1, l2 = self.alpha * self.l1_ratio, self.alpha * (1 - self.l1_ratio)
        if self.alpha == 0:
            dependent(what, least_squares(q, c), self.feature_names_in_, "one")
        found = converged(what, penalised(q, c, l1, l2, positive=self.positive))
        self.n_iter_, w = found.sweeps, found.coef
        slope = c - q @ w - l2 * w
        pull = float((slope if self.positive else np.abs(slope)).max(initial=0.0))
        shrink = min(1.0, l1 / pull) if pull > 0 else 1.0
        rest = max(float(yy / weight - 2 * c @ w + w @ q @ w), 0.0)
        left = float(yy / weight - c @ w)
        gap = 0.5 * rest * (1 + shrink**2) + l1 * float(np.abs(w).sum()) - shrink * left
        self.dual_gap_ = max(gap + 0.5 * l2 * (1 + shrink**2) * float(w @ w), 0.0)
        return w


class Lasso(ElasticNet):
    """Least squares with a penalty on sizes of coefficients, as ``sklearn.linear_model.Lasso``.

    Parameters
    ----------
    alpha : float
        The penalty, 0 or more.
    fit_intercept : bool
        Whether there is a constant.
    positive : bool
        Whether coefficients must be 0 or more.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    coef_, intercept_, n_iter_, dual_gap_, score_ : object
        As in :class:`ElasticNet`.
    n_samples_, n_missing_, feature_names_in_, n_features_in_ : object
        As in :class:`LinearRegression`.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    l1_ratio: ClassVar[float] = 1.0  # type: ignore[misc]

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, positive: bool = False, missing: str = "raise"
    ) -> None:
        at_least("Lasso", "alpha", alpha, 0)
        choice("Lasso", "missing", missing, MISSING)
        flags("Lasso", fit_intercept=fit_intercept, positive=positive)
        self.alpha, self.fit_intercept, self.positive, self.missing = alpha, fit_intercept, positive, missing


def _path(model: Any, alphas: Sequence[float]) -> tuple[Array, Array, Array]:
    falling = np.sort(np.asarray(alphas, np.float64))[::-1]
    models = [model.refit(alpha=float(a)) for a in falling]
    return falling, np.stack([m.coef_ for m in models], axis=1), np.array([m.intercept_ for m in models])
