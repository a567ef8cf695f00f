"""What Cox's proportional hazards found, with the names of statsmodels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _distributions as tails
from ._outcome import Array, Outcome, Spec, doubt, finishes

_SINGULAR = 1e-10
"""Below this share, in units of their own spread, columns depend on each other."""


@dataclass(kw_only=True)
class CoxResult(Outcome):
    """Hazard ratios' logarithms and what is known of their errors, with the names of statsmodels' ``PHRegResults``.

    Parameters
    ----------
    params, bse, tvalues, pvalues : ndarray
        ``[columns]``: estimates, standard errors, and their tests.
    llf : float
        The log partial likelihood.
    hessian : ndarray
        ``[columns, columns]``: its second derivatives.
    nobs, missing, events : int
        Rows that count, rows that were left out because a value was missing, and events on the grid.
    converged : bool
        Whether the last move gained nothing.
    iterations : int
        How many moves there were.
    exog_names : list of str
        The columns.
    strata : list of float or None
        The strata.
    times : ndarray
        The grid.
    baseline_cumulative_hazard : ndarray
        ``[strata, times]``: Breslow's, of a row whose ``x`` are all 0.
    """

    params: Array
    bse: Array
    tvalues: Array
    pvalues: Array
    llf: float
    hessian: Array
    nobs: int
    missing: int
    events: int
    converged: bool
    iterations: int
    exog_names: list[str]
    strata: list[float] | None
    times: Array
    baseline_cumulative_hazard: Array

    def cov_params(self) -> Array:
        """Compute the covariance of the estimates.

        Returns
        -------
        ndarray
            ``[columns, columns]``; NaN where columns depend on each other.
        """
        return _inverse(-self.hessian)

    def conf_int(self, alpha: float = 0.05) -> Array:
        """Compute intervals for the parameters.

        Parameters
        ----------
        alpha : float
            How often such an interval does not hold the true value.

        Returns
        -------
        ndarray
            ``[columns, 2]``.
        """
        reach = tails.normal_quantile(alpha) * self.bse
        return np.stack([self.params - reach, self.params + reach], axis=1)

    def summary(self) -> Any:
        """Make a table of it.

        Returns
        -------
        pandas.DataFrame
            By column: log hazard ratio, its error, hazard ratio, z, p value, and the hazard ratio's interval.
        """
        import pandas

        low, high = np.exp(self.conf_int()).T
        table = {"log HR": self.params, "log HR SE": self.bse, "HR": np.exp(self.params), "z": self.tvalues}
        table |= {"P>|z|": self.pvalues, "[0.025": low, "0.975]": high}
        return pandas.DataFrame(table, index=pandas.Index(self.exog_names))


def _inverse(matrix: Array) -> Array:
    unit = np.sqrt(np.diagonal(matrix))
    scaled = matrix / unit / unit[:, np.newaxis]
    if not np.isfinite(scaled).all() or np.linalg.eigvalsh(scaled)[0] < _SINGULAR:
        return np.full_like(matrix, np.nan)
    inverse: Array = np.linalg.inv(scaled) / unit / unit[:, np.newaxis]
    return inverse


@finishes("cox")
def _fitted(spec: Spec, parts: dict[str, Array]) -> CoxResult:
    task, (kept, missing, wrong) = spec["task"], (round(float(v)) for v in parts["tally"])
    if wrong:
        raise ValueError(
            f"task {task!r}: {wrong} rows of all members have an event that is not 0 or 1, or an infinite value; nothing was "
            "estimated: select the rows or recode the column in preprocess"
        )
    strata = 1 if spec["strata"] is None else len(spec["strata"])
    deaths, risk = (parts[n].reshape(strata, -1)[:, :-1] for n in ("deaths", "risk"))
    if not deaths.sum() > 0.5:
        raise ValueError(f"task {task!r}: no event is on the grid ({kept} rows count, {missing} have a missing value)")
    params, curvature, converged = parts["params"], parts["hessian"], bool(parts["converged"] > 0.5)
    bse = np.sqrt(np.diagonal(_inverse(curvature)))
    if np.isnan(bse).any():
        doubt(f"task {task!r}", "columns depend on each other, or one does not vary: errors and tests are NaN")
    elif not converged:
        doubt(
            f"task {task!r}",
            f"{int(parts['iterations'])} moves did not find the end: more of them, maxiter, or a column that tells who has the "
            "event first without error",
        )
    tvalues = params / bse
    # Columns were centred: a row with zeros is that far from the middle.
    hazard = np.where(deaths > 0.5, deaths / risk, 0.0) * np.exp(-float(params @ parts["mean"]))
    return CoxResult(
        params=params,
        bse=bse,
        tvalues=tvalues,
        pvalues=np.array([tails.normal_two_sided(z) for z in tvalues]),
        llf=float(parts["loglike"]),
        hessian=-curvature,
        nobs=kept,
        missing=missing,
        events=round(float(deaths.sum())),
        converged=converged,
        iterations=int(parts["iterations"]),
        exog_names=list(spec["x"]),
        strata=spec["strata"],
        times=np.asarray(spec["times"]),
        baseline_cumulative_hazard=np.cumsum(hazard, axis=1),
    )
