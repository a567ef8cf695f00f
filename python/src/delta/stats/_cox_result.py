"""What Cox's proportional hazards found, with the names of statsmodels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _distributions as tails
from .. import _trust
from .._trust import exog_matrix
from ._outcome import Array, Outcome, Spec, doubt, finishes
from ._show import Table


@dataclass(kw_only=True, repr=False)
class CoxResult(Outcome):
    """Hazard ratios' logarithms and what is known of their errors, with the names of statsmodels' ``PHRegResults``.

    Parameters
    ----------
    params, bse, tvalues, pvalues : ndarray
        ``[columns]``: estimates, standard errors, and their tests.
    llf, llnull, llr, llr_pvalue : float
        The log partial likelihood, that of a model without columns, twice the difference, and its p value by the chi-squared
        distribution.
    hessian : ndarray
        ``[columns, columns]``: its second derivatives.
    nobs, missing, events : int
        Rows that count, rows that were left out because a value was missing, and events on the grid.
    converged : bool
        Whether the last move gained nothing, and there is a best estimate.
    iterations : int
        How many moves there were.
    exog_names : list of str
        The columns.
    strata : list of float or str, or None
        The strata.
    ties : str
        How events at one time are taken.
    times : ndarray
        The grid.
    baseline_cumulative_hazard : ndarray
        ``[strata, times]``: Breslow's, of a row whose ``x`` are all 0.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "exog_names",
            (
                "params",
                "bse",
                "tvalues",
                "pvalues",
            ),
        ),
        Table("exog_names", ("hessian",), "exog_names"),
        Table("strata", ("baseline_cumulative_hazard",), "times"),
    )
    params: Array
    bse: Array
    tvalues: Array
    pvalues: Array
    llf: float
    llnull: float
    llr: float
    llr_pvalue: float
    hessian: Array
    nobs: int
    missing: int
    events: int
    converged: bool
    iterations: int
    exog_names: list[str]
    strata: list[float | str] | None
    ties: str
    times: Array
    baseline_cumulative_hazard: Array

    def cov_params(self) -> Array:
        """Compute the covariance of the estimates.

        Returns
        -------
        ndarray
            ``[columns, columns]``; NaN where columns depend on each other.
        """
        made: Array = _trust.inverse(-self.hessian)[0]
        return made

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

    def predict(self, exog: Any, pred_type: str = "lhr", stratum: Any = None) -> Array:
        """Say what is expected of rows that are here, as ``PHRegResults.predict``.

        Parameters
        ----------
        exog : DataFrame or array
            ``[rows, columns]``, the columns as ``exog_names`` has them.
        pred_type : {"lhr", "hr", "cumhaz", "surv"}
            The logarithm of the hazard ratio to a row with zeros; that ratio; the cumulative hazard; or the share that is left.
        stratum : value or sequence of them, optional
            Of the rows, for ``"cumhaz"`` and ``"surv"`` where there are strata.

        Returns
        -------
        ndarray
            ``[rows]``, or by the grid ``[rows, times]``.

        Raises
        ------
        ValueError
            There are other columns, no such kind, or no such stratum.
        """
        if pred_type not in ("lhr", "hr", "cumhaz", "surv"):
            raise ValueError(f"predict: pred_type={pred_type!r}; use 'lhr', 'hr', 'cumhaz' or 'surv'")
        linear = exog_matrix(exog, self.exog_names) @ self.params
        if pred_type == "lhr":
            return np.asarray(linear)
        if pred_type == "hr":
            return np.asarray(np.exp(linear))
        known: list[Any] = self.strata or [None]
        wanted = (
            list(stratum) if isinstance(stratum, (list, tuple, np.ndarray)) or hasattr(stratum, "iloc") else [stratum]
        )
        wanted = wanted * len(linear) if len(wanted) == 1 else wanted
        if len(wanted) != len(linear) or any(s not in known for s in wanted):
            raise ValueError(
                f"predict: stratum must be one of {known}, for each of the {len(linear)} rows or for all of them"
            )
        hazard = self.baseline_cumulative_hazard[[known.index(s) for s in wanted]] * np.exp(linear)[:, np.newaxis]
        return np.asarray(hazard if pred_type == "cumhaz" else np.exp(-hazard))

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


@finishes("cox")
def _fitted(spec: Spec, parts: dict[str, Array]) -> CoxResult:
    task, (kept, missing, wrong) = spec["task"], (round(float(v)) for v in parts["tally"])
    if wrong:
        raise ValueError(
            f"task {task!r}: {wrong} rows of all members have an event that is not 0 or 1, a duration below 0, or an infinite "
            "value; nothing was estimated: select the rows or recode the column in preprocess"
        )
    strata = 1 if spec["strata"] is None else len(spec["strata"])
    deaths, risk = (parts[n].reshape(strata, -1)[:, :-1] for n in ("deaths", "risk"))
    if not deaths.sum() > 0.5:
        raise ValueError(f"task {task!r}: no event is on the grid ({kept} rows count, {missing} have a missing value)")
    params, curvature, converged = parts["params"], parts["hessian"], bool(parts["converged"] > 0.5)
    inverse, inflation = _trust.inverse(curvature)
    bse = np.sqrt(np.diagonal(inverse))
    moved = float(parts["gained"]) / float(deaths.sum())
    if int(parts["iterations"]) >= 15 and _trust.endless(inflation, moved, float(parts["rate"])):
        converged = False
        doubt(
            f"task {task!r}",
            "the columns tell without error who has the event first, and then there is no best estimate: parameters would move "
            "for ever; errors and tests mean nothing",
        )
    elif np.isnan(bse).any():
        doubt(f"task {task!r}", "columns depend on each other, or one does not vary: errors and tests are NaN")
    elif said := _trust.dependent(inflation, spec["x"]):
        doubt(f"task {task!r}", said)
    elif not converged:
        doubt(
            f"task {task!r}",
            f"{int(parts['iterations'])} moves did not find the end: more of them, maxiter, or a column that tells who has the "
            "event first without error",
        )
    tvalues = params / bse
    loglike, null = float(parts["loglike"]), float(parts["llnull"])
    # Columns were centred: a row with zeros is that far from the middle.
    hazard = np.where(deaths > 0.5, deaths / risk, 0.0) * np.exp(-float(params @ parts["mean"]))
    return CoxResult(
        params=params,
        bse=bse,
        tvalues=tvalues,
        pvalues=np.array([tails.normal_two_sided(z) for z in tvalues]),
        llf=loglike,
        llnull=null,
        llr=2 * (loglike - null),
        llr_pvalue=tails.chi2_upper(2 * (loglike - null), len(params)),
        hessian=-curvature,
        nobs=kept,
        missing=missing,
        events=round(float(deaths.sum())),
        converged=converged,
        iterations=int(parts["iterations"]),
        exog_names=list(spec["x"]),
        strata=spec["strata"],
        ties=spec.get("ties", "breslow"),
        times=np.asarray(spec["times"]),
        baseline_cumulative_hazard=np.cumsum(hazard, axis=1),
    )
