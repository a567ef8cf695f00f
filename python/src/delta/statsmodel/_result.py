"""What a regression found, with the names of statsmodels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import _distributions as tails
from .. import _trust, results
from ..certificate import Certificate
from . import _formula, _robust
from ._printed import Printed

Array = npt.NDArray[np.float64]


class RegressionResult(Printed):
    """Parameters and what is known of their errors.

    Names, shapes and definitions are those of statsmodels' ``LogitResults``, ``MultinomialResults`` and ``RegressionResults``.
    ``numpy.asarray(result)`` is ``params``.

    Parameters
    ----------
    spec : mapping
        The task's ``options.result`` entry.
    arrays : mapping of str to ndarray
        The task's outputs by name.

    Attributes
    ----------
    params, bse, tvalues, pvalues : ndarray
        ``[columns]``, for ``MNLogit`` ``[columns, classes - 1]``: estimates, standard errors, and their tests.
    hessian : ndarray
        ``[P, P]``: the second derivatives of the log-likelihood.
    nobs, df_model, df_resid, llf, aic, bic, scale : float
        As in statsmodels.
    llnull, llr, llr_pvalue, prsquared : float
        Of ``Logit``, ``Probit`` and ``MNLogit``, as in statsmodels.
    rsquared, rsquared_adj, fvalue, f_pvalue, ssr, ess, centered_tss, uncentered_tss, mse_model, mse_resid : float
        Of ``OLS``, as in statsmodels.
    cov_type : str
        What standard errors are made of, see :meth:`RegressionTask.options`.
    n_groups : float or None
        How many groups have rows, of ``cov_type="cluster"``.
    missing : int
        How many rows were left out because a value was missing; 0 where they were not counted.
    counts : ndarray or None
        How many rows each class has.
    privacy : dict or None
        What was asked of noise: epsilon, delta, multiplier, clip, unit and rounds. Standard errors and tests know nothing of it.
    rounds : list of dict
        For each round how many ``members`` its sum has, and how many of them ``failed`` to compute (None under noise, where
        nobody says so). They are the same members in all rounds, and everything here is of the rows of those that did not fail.
    certificate : delta.certificate.Certificate or None
        Of a task with ``enable_verify``: what members have proven. It may be there and not hold; see its ``holds``.
    uncertified : str
        Why such a task has none.
    converged, iterations, norm, step : bool, int, float, float
        How the search ended: whether below ``tol``, after how many steps, the norm of the mean score, and the length of the
        last move.

    Raises
    ------
    ValueError
        The task found rows that cannot be explained, or none at all; nothing was estimated.

    Warns
    -----
    RuntimeWarning
        The search did not end; classes are told apart without error; standard errors have fewer than 6 right digits, or none and
        are NaN, for columns that nearly depend on others or vary little for how far from zero they are; or the sums do not tell
        whether there is a constant.
    """

    def __init__(self, spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        self.model: str = spec["model"]
        self.exog_names: list[str] = list(spec["x"])
        self.endog_names: str = spec["y"]
        self.privacy: dict[str, Any] | None = None
        self.rounds = []
        self.certificate: Certificate | None = None
        self.uncertified = ""
        self._design: Mapping[str, Any] | None = spec.get("design")
        tally = np.rint(arrays["tally"])
        self.nobs, self.missing = float(tally[0]), int(tally[1])
        self._refuse(spec, int(tally[2]))
        shape = (len(self.exog_names), max(spec["classes"] - 1, 1))
        self._shape: tuple[int, ...] = shape if self.model == "MNLogit" else shape[:1]
        self._flat = np.asarray(arrays["params"], np.float64)
        self.params = self._shaped(self._flat)
        self.converged = bool(arrays["converged"])
        self.iterations = int(arrays["iterations"])
        self.norm = float(arrays["norm"])
        self.hessian = -np.asarray(arrays["hessian"], np.float64)
        self.counts = np.rint(arrays["counts"]) if spec["classes"] else None
        self.step = float(arrays["step"])
        noise = bool(spec.get("noise"))
        self._inverse, self._inflation = _trust.inverse(-self.hessian, noise)
        self.scale, self.use_t = 1.0, False
        self.cov_type: str = spec.get("cov_type", "nonrobust")
        self.n_groups: float | None = None
        self._robust: Array | None = None
        if self.cov_type != "nonrobust":
            self._robust, self.n_groups = _robust.covariance(self.cov_type, self._inverse, arrays, self._rows(arrays))
        self._still: list[int] = []
        self._estimate(spec, arrays)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.bse = self._shaped(np.sqrt(np.diagonal(self.cov_params())))
            self.tvalues = self.params / self.bse
        self.pvalues = _each(self._two_sided, self.tvalues)
        self._warn([] if noise else self._doubts(spec, arrays))

    def _rows(self, arrays: Mapping[str, Array]) -> float:
        """Return how many rows there are where some stand for several."""
        return self.nobs

    def _estimate(self, spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        if self.counts is None:
            self._least_squares(np.asarray(arrays["sums"], np.float64))
        else:
            self._likelihood(float(arrays["loglike"]), self.counts)

    def _allowed(self, spec: Mapping[str, Any]) -> str:
        """Say what a row must have."""
        binary = "0 or 1"
        whole = f"whole and from 0 to {spec['classes'] - 1}"
        what = {"Logit": binary, "Probit": binary, "MNLogit": whole}.get(self.model, "finite")
        groups = ", a group that is no declared level" if spec.get("cov_type") == "cluster" else ""
        return f"a {self.endog_names!r} that is not {what}{groups}{self._undeclared()}, or an infinite value"

    def _undeclared(self) -> str:
        return "" if self._design is None else _formula.checked_words(self._design)

    def _refuse(self, spec: Mapping[str, Any], invalid: int) -> None:
        task = spec["task"]
        if invalid:
            raise ValueError(
                f"task {task!r}: {invalid} rows of all members have {self._allowed(spec)}; nothing was estimated: select the "
                "rows or recode the column in preprocess"
            )
        if self.missing and spec["missing"] == "raise":
            raise ValueError(
                f"task {task!r}: {self.missing} rows of all members have a missing value, and options say missing='raise'; "
                "nothing was estimated"
            )
        if not self.nobs:
            raise ValueError(f"task {task!r}: no member has a row that counts ({self.missing} have a missing value)")

    # What a search without an end tells apart.
    _apart: ClassVar[str] = "some classes"

    def _doubts(self, spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> list[str]:
        """Say what is not right of what was found."""
        said = []
        if self.model != "OLS" and self._endless(spec, arrays):
            said.append(
                f"the columns tell {self._apart} apart without error, and then there is no best estimate: parameters would move "
                f"for ever, lastly by {self.step:.2g}; errors and tests mean nothing"
            )
        if near := _trust.dependent(self._inflation, self.exog_names):
            said.append(near)
        elif self.use_t and self.df_resid <= 0:
            said.append("there are no more rows than parameters: errors are NaN")
        if self._robust is not None and np.isnan(self._robust).any() and not np.isnan(self._inverse).any():
            said.append(f"cov_type={self.cov_type!r} cannot be told of so few rows or groups, and errors are NaN")
        if self._still:
            names = ", ".join(repr(self.exog_names[i]) for i in self._still)
            said.append(
                f"its sums do not tell whether {names} varies at all, and it is taken for a constant: rsquared, fvalue and the "
                "like are those of a model with one; subtract a constant near its mean in preprocess and add a constant"
            )
        return said

    def _endless(self, spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> bool:
        # First moves may gain little by little, whatever the columns are.
        if not self.converged and self.iterations < 15:
            return False
        if "rate" in arrays and self.iterations > 1 and not spec.get("ridge"):
            least = float(spec.get("least", 1e-28))
            return _trust.endless(self._inflation, float(arrays["gained"]), float(arrays["rate"]), least)
        # Of one move, and under a ridge of the author's that makes moves short, only the length tells.
        return self.step > 1e-4 * max(1.0, float(np.abs(self.params).max()))

    def _warn(self, said: list[str]) -> None:
        if not self.converged:
            first = f"did not converge in {self.iterations} steps (norm of the score {self.norm:.2g})"
            said = [first, *(said or ["raise maxiter"])]
        if said:
            text = "; ".join(said)
            warnings.warn(f"{self.model} of {self.endog_names!r}: {text}", RuntimeWarning, stacklevel=4)

    def _shaped(self, flat: Array) -> Array:
        return flat.reshape(self._shape, order="F")

    def _likelihood(self, loglike: float, counts: Array) -> None:
        columns, groups = len(self.exog_names), len(counts) - 1 if self.model == "MNLogit" else 1
        self.llf = loglike
        # As statsmodels: one of the columns is taken for a constant.
        self.df_model = float((columns - 1) * groups)
        self.df_resid = self.nobs - self.df_model - groups
        there = counts[counts > 0]
        self.llnull = float(np.sum(there * np.log(there / self.nobs)))
        self.llr = 2 * (self.llf - self.llnull)
        self.llr_pvalue = tails.chi2_upper(self.llr, self.df_model)
        self.prsquared = 1 - self.llf / self.llnull if self.llnull else math.nan
        self._information(self.df_model + groups)

    def _least_squares(self, sums: Array) -> None:
        n, columns = self.nobs, len(self.exog_names)
        self.ssr, self.centered_tss, self.uncentered_tss = map(float, sums[1:4])
        has, self._still = _trust.constant(n, sums[4:], -self.hessian)
        self.k_constant = int(has)
        self.use_t, self.df_resid, self.df_model = True, n - columns, float(columns - self.k_constant)
        self.scale = self.ssr / self.df_resid if self.df_resid > 0 else math.nan
        total = self.centered_tss if self.k_constant else self.uncentered_tss
        self.ess = total - self.ssr
        self.rsquared = 1 - self.ssr / total if total else math.nan
        free = (n - self.k_constant) / self.df_resid if self.df_resid > 0 else math.nan
        self.rsquared_adj = 1 - free * (1 - self.rsquared)
        self.mse_model = self.ess / self.df_model if self.df_model else math.nan
        self.mse_resid = self.scale
        self.fvalue = self.mse_model / self.mse_resid if self.mse_resid else math.nan
        self.f_pvalue = tails.f_upper(self.fvalue, self.df_model, self.df_resid)
        if self._robust is not None:
            self.use_t = False
            self._wald(self._robust, _trust.constants(n, sums[4:], -self.hessian))
        self.llf = -n / 2 * (math.log(2 * math.pi * self.ssr / n) + 1) if self.ssr > 0 else math.inf
        self._information(columns)

    def _wald(self, covariance: Array, constants: list[int]) -> None:
        """Test all parameters but the constant's together; as in statsmodels not where columns only add up to a constant."""
        others = [i for i in range(len(self.params)) if i not in constants]
        self.fvalue = self.f_pvalue = math.nan
        if not others or len(constants) != self.k_constant or np.isnan(covariance).any():
            return
        some = self.params[others]
        self.fvalue = float(some @ np.linalg.solve(covariance[np.ix_(others, others)], some)) / len(others)
        free = self.df_resid if self.n_groups is None else self.n_groups - 1
        self.f_pvalue = tails.f_upper(self.fvalue, len(others), free)

    def _information(self, parameters: float) -> None:
        self.aic = -2 * self.llf + 2 * parameters
        self.bic = -2 * self.llf + math.log(self.nobs) * parameters

    def _two_sided(self, t: float) -> float:
        return tails.t_two_sided(t, self.df_resid) if self.use_t else tails.normal_two_sided(t)

    def cov_params(self) -> Array:
        """Return the covariance of the parameters.

        Returns
        -------
        ndarray
            ``[P, P]``, class by class for ``MNLogit``; NaN when the Hessian has no inverse.
        """
        made: Array = self._inverse * self.scale if self._robust is None else self._robust.copy()
        return made

    def predict(self, exog: Any) -> Array:
        """Say what is expected of rows that are here.

        Parameters
        ----------
        exog : DataFrame or array
            ``[rows, columns]``, the columns as ``exog_names`` has them, the constant too if there is one. Of a task made by
            ``from_formula`` also rows with the columns that its formula reads.

        Returns
        -------
        ndarray
            ``[rows]``: the mean of ``y``, for ``Logit`` and ``Probit`` the probability of 1; for ``MNLogit`` ``[rows, classes]``.

        Raises
        ------
        ValueError
            There are other columns, or as many as do not fit.
        """
        return self._mean(self._linear(exog))

    def _linear(self, exog: Any) -> Array:
        made = None if self._design is None else _formula.predictors(self._design, exog)
        return np.asarray((_trust.exog_matrix(exog, self.exog_names) if made is None else made) @ self.params)

    def _mean(self, linear: Array) -> Array:
        if self.model == "Logit":
            return np.asarray(np.exp(-np.logaddexp(0.0, -linear)))
        if self.model == "Probit":
            return np.array([tails.normal_upper(-float(v)) for v in linear])
        if self.model == "MNLogit":
            every = np.column_stack([np.zeros(len(linear)), linear])
            powers = np.exp(every - every.max(1, keepdims=True))
            return np.asarray(powers / powers.sum(1, keepdims=True))
        return linear

    def conf_int(self, alpha: float = 0.05) -> Array:
        """Return intervals of confidence.

        Parameters
        ----------
        alpha : float
            One minus the confidence.

        Returns
        -------
        ndarray
            Lower and upper bounds: ``[columns, 2]``, for ``MNLogit`` ``[classes - 1, columns, 2]``.
        """
        width = tails.t_quantile(alpha, self.df_resid) if self.use_t else tails.normal_quantile(alpha)
        bounds = np.stack([self.params - width * self.bse, self.params + width * self.bse], axis=-1)
        return bounds.transpose(1, 0, 2) if self.model == "MNLogit" else bounds

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the parameters: what delta-task's regressions returned."""
        return np.array(self.params, dtype=dtype)


def _each(function: Callable[[float], float], values: Array) -> Array:
    return np.array([function(float(v)) for v in values.ravel()]).reshape(values.shape)


def _made(spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> RegressionResult:
    from ._glm_result import GLMResult

    return (GLMResult if spec["model"] == "GLM" else RegressionResult)(spec, arrays)


results.register("regression", _made)
