"""Student's and Welch's t tests, of counts, means and variances."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .. import _distributions as tails
from ..pandas.symbolic import Recipe
from ._arguments import ALTERNATIVES, is_real, level, one_of, rows
from ._outcome import Array, Spec, TestOutcome, doubt, finishes, recipe

NOTHING, LITTLE = 1e-28, 1e-23
"""Squares below the first share of the squared mean are rounding: there is no spread. Below the other few digits are right."""
NEAR = 1e-24
"""Where there is no spread, a squared difference below this share may be of values that vary: nobody can tell."""

FEW_DIGITS = (
    "values vary little for how far from zero they are, and few digits are right; subtract a constant near them"
)

UNKNOWN = "values vary so little for how far from zero they are that nothing is known; subtract a constant near them"


@dataclass(kw_only=True, repr=False)
class TTestResult(TestOutcome):
    """A t test, with the names of scipy.

    Parameters
    ----------
    statistic, pvalue : float
        As of :class:`TestOutcome`.
    df : float
        The degrees of freedom.
    estimate : float
        The difference of the means, or of the mean from ``popmean``.
    standard_error : float
        Of the estimate.
    n, mean, var : tuple of float
        Of each sample: how many values, their mean, their variance.
    """

    df: float
    estimate: float
    standard_error: float
    n: tuple[float, ...]
    mean: tuple[float, ...]
    var: tuple[float, ...]
    _alternative: str = field(default="two-sided", repr=False)
    _offset: float = field(default=0.0, repr=False)

    def confidence_interval(self, confidence_level: float = 0.95) -> tuple[float, float]:
        """Compute an interval for the difference of the means, or for the mean.

        Parameters
        ----------
        confidence_level : float
            How often such intervals hold the true value.

        Returns
        -------
        (float, float)
            The lower and the upper end.
        """
        beyond = 1 - level(confidence_level)
        middle = self.estimate + self._offset
        if self._alternative == "two-sided":
            reach = tails.t_quantile(beyond, self.df) * self.standard_error
            return middle - reach, middle + reach
        quantile = (
            tails.t_quantile(2 * beyond, self.df) if beyond <= 0.5 else -tails.t_quantile(2 - 2 * beyond, self.df)
        )
        reach = quantile * self.standard_error
        return (-math.inf, middle + reach) if self._alternative == "less" else (middle - reach, math.inf)


def ttest_ind(a: Any, b: Any, equal_var: bool = True, alternative: str = "two-sided") -> Recipe:
    """Test whether two independent samples have the same mean, as ``scipy.stats.ttest_ind``. Two rounds.

    Parameters
    ----------
    a, b : Series of rows
        The samples, such as ``df[df.arm == 0]["x"]``; of one table or of two. Missing values are left out.
    equal_var : bool
        Student's test, or with False Welch's.
    alternative : {"two-sided", "less", "greater"}
        What the mean of ``a`` is suspected to be, compared with that of ``b``.

    Returns
    -------
    Recipe
        Of a :class:`TTestResult`; NaN where a sample is empty, or nothing varies and the means are equal.
    """
    one_of(alternative, ALTERNATIVES, "ttest_ind", "alternative")
    one_of(equal_var, (True, False), "ttest_ind", "equal_var")
    x, y = rows(a, "ttest_ind", "a"), rows(b, "ttest_ind", "b")
    parts = {"n1": x.count(), "mean1": x.mean(), "var1": x.var(), "n2": y.count(), "mean2": y.mean(), "var2": y.var()}
    return recipe("ttest_ind", parts, equal_var=equal_var, alternative=alternative)


def ttest_1samp(a: Any, popmean: float, alternative: str = "two-sided") -> Recipe:
    """Test whether a sample has a given mean, as ``scipy.stats.ttest_1samp``. Two rounds.

    Parameters
    ----------
    a : Series of rows
        The sample. Missing values are left out.
    popmean : float
        The mean to be compared with.
    alternative : {"two-sided", "less", "greater"}
        What the mean is suspected to be, compared with ``popmean``.

    Returns
    -------
    Recipe
        Of a :class:`TTestResult`.

    Raises
    ------
    TypeError
        ``popmean`` is no number.
    """
    one_of(alternative, ALTERNATIVES, "ttest_1samp", "alternative")
    if not is_real(popmean):
        raise TypeError(f"ttest_1samp: popmean={popmean!r} must be a number")
    x = rows(a, "ttest_1samp", "a")
    parts = {"n": x.count(), "mean": x.mean(), "var": x.var()}
    return recipe("ttest_1samp", parts, popmean=float(popmean), alternative=alternative)


def ttest_rel(a: Any, b: Any, alternative: str = "two-sided") -> Recipe:
    """Test whether two values of the same rows have the same mean, as ``scipy.stats.ttest_rel``. Two rounds.

    Parameters
    ----------
    a, b : Series of the same rows
        The pairs. Those in which a value is missing are left out.
    alternative : {"two-sided", "less", "greater"}
        What ``a`` is suspected to be, compared with ``b``.

    Returns
    -------
    Recipe
        Of a :class:`TTestResult`.
    """
    one_of(alternative, ALTERNATIVES, "ttest_rel", "alternative")
    difference = rows(a, "ttest_rel", "a") - rows(b, "ttest_rel", "b")
    parts = {"n": difference.count(), "mean": difference.mean(), "var": difference.var()}
    return recipe("ttest_1samp", parts, popmean=0.0, alternative=alternative)


@finishes("ttest_1samp")
def _one(spec: Spec, parts: dict[str, Array]) -> TTestResult:
    n, mean, var = (float(parts[k]) for k in ("n", "mean", "var"))
    squared = var / n if n > 0 else math.nan
    return _result(spec, mean - spec["popmean"], squared, n - 1, (n,), (mean,), (var,), spec["popmean"])


@finishes("ttest_ind")
def _two(spec: Spec, parts: dict[str, Array]) -> TTestResult:
    n, mean, var = (tuple(float(parts[f"{k}{i}"]) for i in (1, 2)) for k in ("n", "mean", "var"))
    if min(n) < 1:
        squared = df = math.nan
    elif spec["equal_var"]:
        df = sum(n) - 2
        # One value has no variance, and adds nothing to the spread of both.
        squares = sum((m - 1) * v for m, v in zip(n, var, strict=True) if m > 1.5)
        squared = squares / df * (1 / n[0] + 1 / n[1]) if df > 0 else math.nan
    else:
        each = [v / m for v, m in zip(var, n, strict=True)]
        squared = sum(each)
        below = sum(e**2 / (m - 1) if m > 1 else math.nan for e, m in zip(each, n, strict=True))
        df = squared**2 / below if below > 0 else 1.0 if below == 0 else math.nan
    return _result(spec, mean[0] - mean[1], squared, df, n, mean, var)


def _result(
    spec: Spec,
    estimate: float,
    squared: float,
    df: float,
    n: tuple[float, ...],
    mean: tuple[float, ...],
    var: tuple[float, ...],
    offset: float = 0.0,
) -> TTestResult:
    size = max(m * m for m in (*mean, offset))
    if any(NOTHING * size < v < LITTLE * size for v in var):
        doubt("t test", FEW_DIGITS)
    if squared >= 0 and not any(v > NOTHING * size for v in var):
        squared = 0.0
        if NOTHING * size < estimate * estimate <= NEAR * size:
            doubt("t test", UNKNOWN)
            squared = math.nan
        estimate = 0.0 if estimate * estimate <= NOTHING * size else estimate
    error = math.sqrt(squared) if squared >= 0 else math.nan
    t = estimate / error if error > 0 else math.copysign(math.inf, estimate) if error == 0 and estimate else math.nan
    pvalue = _beyond(t, df, spec["alternative"])
    return TTestResult(
        statistic=t,
        pvalue=pvalue,
        df=df,
        estimate=estimate,
        standard_error=error,
        n=n,
        mean=mean,
        var=var,
        _alternative=spec["alternative"],
        _offset=offset,
    )


def _beyond(t: float, df: float, alternative: str) -> float:
    """Return the p value of a t."""
    if math.isnan(t) or math.isnan(df):
        return math.nan
    if alternative == "two-sided":
        return tails.t_two_sided(t, df)
    return tails.t_upper(t if alternative == "greater" else -t, df)
