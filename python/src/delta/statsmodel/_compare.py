"""Two models of the same rows, one of which has more columns."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple, Protocol

from .. import _distributions as tails
from ._glm_result import GLMResult


class LikelihoodRatio(NamedTuple):
    """What a test of likelihoods says.

    Parameters
    ----------
    statistic : float
        Twice what the full model has more in log-likelihood.
    pvalue : float
        How often chance alone would give as much.
    df_diff : float
        How many parameters it has more.
    """

    statistic: float
    pvalue: float
    df_diff: float


class Fitted(Protocol):
    """What a test of likelihoods needs of a result: of a regression, or of Cox's model."""

    llf: float
    nobs: float


def likelihood_ratio_test(full: Fitted, restricted: Fitted) -> LikelihoodRatio:
    """Test whether the parameters that a model has more are all 0, as ``compare_lr_test`` of statsmodels.

    Where a generalised linear model estimates its scale, likelihoods with two scales are not compared: the statistic is the
    difference of the deviances over the full model's scale, as in ``anova(..., test = "LRT")`` of R.

    Both must be of the same rows, and the restricted model's columns combinations of the full one's: nobody checks the latter.

    Parameters
    ----------
    full, restricted : RegressionResult or CoxResult
        Of two tasks.

    Returns
    -------
    LikelihoodRatio
        The statistic, its p value by the chi-squared distribution, and the degrees of freedom.

    Raises
    ------
    ValueError
        They are not of one kind of model, of one ``y``, of as many rows, the first one has no more parameters, or fits worse.

    Warns
    -----
    RuntimeWarning
        A model has robust standard errors: then the test is likely invalid, as it knows nothing of these.
    """
    for what in ("model", "family", "link", "alpha", "endog_names", "nobs", "events", "ties", "strata"):
        ours, theirs = getattr(full, what, None), getattr(restricted, what, None)
        if ours != theirs:
            raise ValueError(f"likelihood_ratio_test: {what} is {ours!r} and {theirs!r}; it must be the same")
    more = float(_parameters(full) - _parameters(restricted))
    if not more > 0:
        raise ValueError(
            f"likelihood_ratio_test: the full model has {more:g} parameters more; give the larger model first"
        )
    if {getattr(r, "cov_type", "nonrobust") for r in (full, restricted)} != {"nonrobust"}:
        warnings.warn(
            "likelihood_ratio_test: likely invalid for models with robust standard errors", RuntimeWarning, stacklevel=2
        )
    statistic = 2 * (full.llf - restricted.llf)
    if isinstance(full, GLMResult) and isinstance(restricted, GLMResult) and full.scale != 1.0:
        statistic = (restricted.deviance - full.deviance) / full.scale
    if statistic < -1e-6 * max(1.0, abs(full.llf)):
        raise ValueError(
            "likelihood_ratio_test: the full model fits worse than the restricted one; is the latter a part of it, and are "
            "both of the same rows?"
        )
    statistic = max(statistic, 0.0) if not math.isnan(statistic) else statistic
    pvalue = math.nan if math.isnan(statistic) else tails.chi2_upper(statistic, more)
    return LikelihoodRatio(statistic, pvalue, more)


def _parameters(result: Any) -> float:
    """Return how many parameters there are, but for a number that both models have in common."""
    return len(result.params) if not hasattr(result, "df_resid") else -float(result.df_resid)
