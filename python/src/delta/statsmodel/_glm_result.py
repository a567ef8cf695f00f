"""What a generalised linear model found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from .. import _trust
from . import _families, _family, _robust
from ._result import RegressionResult

Array = npt.NDArray[np.float64]


class GLMResult(RegressionResult):
    """Parameters and what is known of their errors, with the names and definitions of statsmodels' ``GLMResults``.

    Parameters
    ----------
    spec : mapping
        The task's ``options.result`` entry.
    arrays : mapping of str to ndarray
        The task's outputs by name.

    Attributes
    ----------
    params, bse, tvalues, pvalues : ndarray
        ``[columns]``: estimates, standard errors, and their tests, by the normal distribution.
    hessian : ndarray
        ``[columns, columns]``: the second derivatives of the log-likelihood, as observed, times ``scale``.
    nobs, df_model, df_resid, scale : float
        As in statsmodels; ``nobs`` counts rows, ``df_resid`` what they stand for by ``freq_weights``.
    llf, llnull, deviance, null_deviance, pearson_chi2 : float
        As in statsmodels; the null model has a constant alone, beside offset and weights.
    aic, bic, bic_deviance : float
        As in statsmodels 0.15, where ``bic`` is of the log-likelihood.
    family, link : str
        Of the model.
    alpha : float or None
        Of NegativeBinomial.

    Raises
    ------
    ValueError
        The task found rows that cannot be explained, or none at all; nothing was estimated.

    Warns
    -----
    RuntimeWarning
        As of :class:`RegressionResult`, and where the search ended with rows whose mean is no mean of the family.
    """

    _apart: ClassVar[str] = "some rows"

    def __init__(self, spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        size = len(spec["x"])
        self._family = _families.of_result(spec)
        self.family, self.link, self.alpha = self._family.name, self._family.link, spec.get("alpha")
        mine = {"params": arrays["params"][:size], "hessian": arrays["hessian"][:size, :size]}
        super().__init__(spec, {**arrays, **mine})

    def _rows(self, arrays: Mapping[str, Array]) -> float:
        # Clusters count rows, as in statsmodels.
        return self.nobs if self.cov_type == "cluster" else float(arrays["sums"][1])

    def _allowed(self, spec: Mapping[str, Any]) -> str:
        must = {"exposure": "above 0", "var_weights": "above 0", "freq_weights": "0 or more"}
        more = [f"{n} that is not {must[n]}" for n in spec["more"] if n in must]
        more += ["a group that is no declared level"] if "groups" in spec["more"] else []
        said = ", ".join([f"a {self.endog_names!r} that is not {self._family.allowed}", *more])
        return f"{said}{self._undeclared()}, or an infinite value"

    def _estimate(self, spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        pearson, weight, null, off, *rest = map(float, arrays["sums"])
        columns, noise = len(self.exog_names), bool(spec.get("noise"))
        self.deviance, self.null_deviance, self.pearson_chi2 = -2 * float(arrays["loglike"]), null, pearson
        self.df_model, self.df_resid = float(columns - 1), weight - columns
        free = self._family.free or spec.get("scale") == "X2"
        if free:
            self.scale = pearson / self.df_resid if self.df_resid > 0 else math.nan
        if "expected" in arrays:
            expected = _robust.square(np.asarray(arrays["expected"], np.float64), columns)
            self._inverse, self._inflation = _trust.inverse(expected, noise)
        self._off = 0 if noise else round(off)
        if self._off:
            self.converged = False
        constant = rest[0] if rest else 0.0
        self.llf = self._loglike(self.deviance, self._profiled(weight), weight, constant, spec)
        self.llnull = self._loglike(null, self.scale, weight, constant, spec)
        self.aic = -2 * self.llf + 2 * columns
        self.bic = -2 * self.llf + math.log(weight) * columns if weight > 0 else math.nan
        self.bic_deviance = self.deviance - self.df_resid * math.log(weight) if weight > 0 else math.nan

    def _profiled(self, weight: float) -> float:
        plain = self.family == "Gaussian" and self.link == "identity"
        return self.deviance / weight if plain and weight > 0 else self.scale

    def _loglike(self, deviance: float, scale: float, weight: float, constant: float, spec: Mapping[str, Any]) -> float:
        if self.family == "Binomial":
            # As in statsmodels, whatever the scale.
            return constant - deviance / 2
        if not scale > 0:
            return math.nan
        if self.family == "Gaussian":
            return constant - deviance / (2 * scale) - weight / 2 * math.log(2 * math.pi * scale)
        if self.family == "Gamma":
            known = 0.0 if "var_weights" in spec["more"] else weight * _family.balance_of(1 / scale)
            return constant + known - deviance / (2 * scale)
        return (constant - deviance / 2) / scale

    def _doubts(self, spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> list[str]:
        said = super()._doubts(spec, arrays)
        if self._off:
            said.append(
                f"{self._off} rows have a predictor at which {self.family} has no mean, or none that fits them: nothing here is "
                "right; use another link, or another start_params"
            )
        if math.isnan(self.scale):
            said.append("there are no more rows than parameters: errors are NaN")
        return said

    def pseudo_rsquared(self, kind: Literal["cs", "mcf"] = "cs") -> float:
        """Return how much better the model explains than a constant does.

        Parameters
        ----------
        kind : {"cs", "mcf"}
            Of Cox and Snell, or of McFadden.

        Returns
        -------
        float
            As in statsmodels.

        Raises
        ------
        ValueError
            There is no such kind.
        """
        if kind not in ("cs", "mcf"):
            raise ValueError(f"kind={kind!r}: must be 'cs' or 'mcf'")
        if kind == "mcf":
            return 1 - self.llf / self.llnull
        return 1 - math.exp((self.llnull - self.llf) * 2 / self.nobs)

    def predict(self, exog: Any, *, offset: Any = None, exposure: Any = None) -> Array:
        """Say what is expected of rows that are here.

        Parameters
        ----------
        exog : DataFrame or array
            ``[rows, columns]``, the columns as ``exog_names`` has them, the constant too if there is one. Of a task made by
            ``from_formula`` also rows with the columns that its formula reads.
        offset, exposure : number or array, optional
            One for all rows, or ``[rows]``: as the task has them; by default none.

        Returns
        -------
        ndarray
            ``[rows]``: the mean of ``y``.

        Raises
        ------
        ValueError
            There are other columns, as many offsets as do not fit, or an exposure where the link is no logarithm.
        """
        linear = self._linear(exog)
        if offset is not None:
            linear = linear + _beside("offset", offset, len(linear))
        if exposure is not None:
            if self.link != "log":
                raise ValueError(f"predict: exposure is for the link 'log', not {self.link!r}; use offset")
            linear = linear + np.log(_beside("exposure", exposure, len(linear)))
        return self._mean(linear)

    def _mean(self, linear: Array) -> Array:
        return np.asarray(self._family.mean(linear))

    def _own_facts(self) -> list[tuple[str, Any]]:
        return [
            ("Model Family", self.family),
            ("Link Function", self.link),
            ("Scale", f"{self.scale:.5g}"),
            ("Deviance", f"{self.deviance:.5g}"),
            ("Pearson chi2", f"{self.pearson_chi2:.4g}"),
            ("Null deviance", f"{self.null_deviance:.5g}"),
            ("Converged", self.converged),
            ("Iterations", self.iterations),
        ]


def _beside(name: str, given: Any, rows: int) -> Array:
    """Return one number a row, or one for all of them."""
    made = np.asarray(given, np.float64)
    if made.ndim == 2 and made.shape[1] == 1:
        made = made[:, 0]
    if made.ndim > 1 or (made.ndim == 1 and len(made) not in (1, rows)):
        raise ValueError(
            f"predict: {name} has shape {list(made.shape)}; it must be one number, or [{rows}] as exog has rows"
        )
    return made
