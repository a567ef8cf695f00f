"""Pearson's correlation and its p value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .. import _distributions as tails
from ..pandas.symbolic import Recipe
from ._arguments import ALTERNATIVES, level, one_of, rows
from ._outcome import Array, Spec, TestOutcome, finishes, recipe


@dataclass(kw_only=True, repr=False)
class PearsonRResult(TestOutcome):
    """A correlation, with the names of scipy; ``statistic`` is r.

    Parameters
    ----------
    statistic, pvalue : float
        As of :class:`TestOutcome`.
    n : float
        How many pairs there are.
    """

    n: float
    _alternative: str = field(default="two-sided", repr=False)

    @property
    def correlation(self) -> float:
        """The correlation, r."""
        return self.statistic

    def confidence_interval(self, confidence_level: float = 0.95) -> tuple[float, float]:
        """Compute an interval for the correlation, by Fisher's transformation.

        Parameters
        ----------
        confidence_level : float
            How often such intervals hold the true value.

        Returns
        -------
        (float, float)
            The lower and the upper end.
        """
        if math.isnan(self.statistic):
            return math.nan, math.nan
        if self.n <= 3.5:
            return -1.0, 1.0
        z = math.copysign(math.inf, self.statistic) if abs(self.statistic) >= 1 else math.atanh(self.statistic)
        beyond = 1 - level(confidence_level)
        reach = tails.normal_quantile(beyond if self._alternative == "two-sided" else 2 * beyond)
        reach /= math.sqrt(self.n - 3)
        low = -1.0 if self._alternative == "less" else math.tanh(z - reach)
        return low, 1.0 if self._alternative == "greater" else math.tanh(z + reach)


def pearsonr(a: Any, b: Any, alternative: str = "two-sided") -> Recipe:
    """Compute Pearson's correlation and test whether there is one, as ``scipy.stats.pearsonr``. Two rounds.

    Parameters
    ----------
    a, b : Series of the same rows
        The pairs. Those in which a value is missing are left out.
    alternative : {"two-sided", "less", "greater"}
        What the correlation is suspected to be, compared with 0.

    Returns
    -------
    Recipe
        Of a :class:`PearsonRResult`; NaN where one of the columns is constant, or there are fewer than two pairs.
    """
    one_of(alternative, ALTERNATIVES, "pearsonr", "alternative")
    x, y = rows(a, "pearsonr", "a"), rows(b, "pearsonr", "b")
    parts = {"r": x.corr(y), "n": (x.notna() & y.notna()).sum()}
    return recipe("pearsonr", parts, alternative=alternative)


@finishes("pearsonr")
def _correlation(spec: Spec, parts: dict[str, Array]) -> PearsonRResult:
    r, n, alternative = float(parts["r"]), float(parts["n"]), spec["alternative"]
    if math.isnan(r) or n < 1.5:
        r = pvalue = math.nan
    elif n < 2.5:
        r, pvalue = math.copysign(1.0, r), 1.0
    else:
        both = tails.beta_inc(n / 2 - 1, 0.5, (1 - r) * (1 + r), r * r)
        up = alternative == "two-sided" or (r >= 0) == (alternative == "greater")
        pvalue = both if alternative == "two-sided" else both / 2 if up else 1 - both / 2
    return PearsonRResult(statistic=r, pvalue=pvalue, n=n, _alternative=alternative)
