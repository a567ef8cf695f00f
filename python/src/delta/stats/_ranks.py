"""Ranks by declared bins: the Mann-Whitney U test, and the area under the ROC curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _distributions as tails
from ..pandas.symbolic import Recipe
from ._arguments import ALTERNATIVES, binned, edges, one_of, refuse, rows, yes_or_no
from ._outcome import Array, Outcome, Spec, TestOutcome, doubt, finishes, recipe
from ._show import Table


@dataclass(kw_only=True, repr=False)
class MannWhitneyUResult(TestOutcome):
    """A test of ranks; ``statistic`` is U of the first sample.

    Parameters
    ----------
    statistic, pvalue : float
        As of :class:`TestOutcome`.
    n : (float, float)
        How many values the samples have.
    zscore : float
        The standardised U; without the correction for continuity where there was to be none.
    """

    n: tuple[float, float]
    zscore: float


@dataclass(kw_only=True, repr=False)
class RocResult(Outcome):
    """How well a score tells two classes apart.

    Parameters
    ----------
    auc : float
        The area under the curve.
    fpr, tpr : ndarray
        ``[bins + 1]``: shares of the labels 0 and 1 whose score is at or above each threshold.
    thresholds : ndarray
        The left edges of the bins, from the highest, after infinity.
    n : (float, float)
        How many rows have the label 0, and 1.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "thresholds",
            (
                "fpr",
                "tpr",
            ),
        ),
    )
    auc: float
    fpr: Array
    tpr: Array
    thresholds: Array
    n: tuple[float, float]


def mannwhitneyu(
    a: Any,
    b: Any,
    bins: Any,
    *,
    range: Sequence[float] | None = None,
    alternative: str = "two-sided",
    use_continuity: bool = True,
) -> Recipe:
    """Test whether values of one sample tend to be larger than those of another, by bins. One round.

    Equal to ``scipy.stats.mannwhitneyu(method="asymptotic")`` of the numbers of the bins, with the correction for ties. Of
    whole numbers with a bin each, that is the test of the values themselves.

    Parameters
    ----------
    a, b : Series of rows
        The samples. Missing values are left out.
    bins : int or sequence of float
        Rising edges, or a number of even bins. A bin holds its left edge, the last one both; values beyond the ends count in
        the first bin and the last.
    range : (float, float), optional
        The extent of even bins.
    alternative : {"two-sided", "less", "greater"}
        What ``a`` is suspected to be, compared with ``b``.
    use_continuity : bool
        Whether U is corrected for continuity.

    Returns
    -------
    Recipe
        Of a :class:`MannWhitneyUResult`; NaN where a sample is empty.
    """
    one_of(alternative, ALTERNATIVES, "mannwhitneyu", "alternative")
    one_of(use_continuity, (True, False), "mannwhitneyu", "use_continuity")
    at = edges(bins, range, "mannwhitneyu")
    parts = {"first": binned(rows(a, "mannwhitneyu", "a"), at), "second": binned(rows(b, "mannwhitneyu", "b"), at)}
    return recipe("mannwhitneyu", parts, alternative=alternative, use_continuity=use_continuity)


def roc_auc(score: Any, label: Any, bins: Any = 100, *, range: Sequence[float] | None = (0.0, 1.0)) -> Recipe:
    """Compute the ROC curve and the area under it, by bins of the score. One round.

    Equal to ``sklearn.metrics.roc_auc_score`` of the numbers of the bins; with ``bins`` fine enough for every score to have one
    of its own, of the scores themselves.

    Parameters
    ----------
    score : Series of rows
        The higher, the likelier the label 1.
    label : Series of the same rows
        0 and 1, or bool. Rows in which the score or the label is missing are left out.
    bins : int or sequence of float
        Rising edges, or a number of even bins. A bin holds its left edge, the last one both; scores beyond the ends count in
        the first bin and the last.
    range : (float, float)
        The extent of even bins.

    Returns
    -------
    Recipe
        Of a :class:`RocResult`; the area is NaN, with a warning, where a label has no rows. Another label than 0 and 1 is a
        ``ValueError`` when the result is read.
    """
    at = edges(bins, range, "roc_auc")
    x = rows(score, "roc_auc", "score")
    y, other = yes_or_no(label, "roc_auc", "label", x.notna())
    parts = {"no": binned(x[y == 0], at), "yes": binned(x[y == 1], at)}
    if other is not None:
        parts["invalid"] = other.sum()
    return recipe("roc_auc", parts, edges=at)


def _pairs(first: Array, second: Array) -> float:
    """Count the pairs in which the first is larger, and half of those in which both are in one bin."""
    return float((first * (np.cumsum(second) - second / 2)).sum())


@finishes("mannwhitneyu")
def _test(spec: Spec, parts: dict[str, Array]) -> MannWhitneyUResult:
    first, second = parts["first"], parts["second"]
    n1, n2 = float(first.sum()), float(second.sum())
    if not (n1 > 0.5 and n2 > 0.5):
        return MannWhitneyUResult(statistic=math.nan, pvalue=math.nan, n=(n1, n2), zscore=math.nan)
    u, n, ties = _pairs(first, second), n1 + n2, first + second
    chosen = {"greater": u, "less": n1 * n2 - u, "two-sided": max(u, n1 * n2 - u)}[spec["alternative"]]
    spread = n1 * n2 / 12 * ((n + 1) - float((ties**3 - ties).sum()) / (n * (n - 1)))
    off = chosen - n1 * n2 / 2 - (0.5 if spec["use_continuity"] else 0.0)
    # Where all values are in one bin nothing varies, and z is 0 / 0 or infinite, as scipy has it.
    z = float(np.float64(off) / np.sqrt(spread if spread > 1e-12 * n1 * n2 * n else 0.0))
    pvalue = tails.normal_upper(z) * (2 if spec["alternative"] == "two-sided" else 1)
    return MannWhitneyUResult(statistic=u, pvalue=float(np.minimum(pvalue, 1.0)), n=(n1, n2), zscore=z)


@finishes("roc_auc")
def _curve(spec: Spec, parts: dict[str, Array]) -> RocResult:
    refuse(parts, "invalid", "roc_auc: {n} rows of all members have a label that is not 0 or 1")
    no, yes = parts["no"], parts["yes"]
    n = float(no.sum()), float(yes.sum())
    if min(n) < 0.5:
        doubt("roc_auc", f"{n[0]:.0f} rows have the label 0, {n[1]:.0f} the label 1: there is no curve")
    fpr, tpr = (np.append(0.0, np.cumsum(counts[::-1])) / counts.sum() for counts in (no, yes))
    auc = _pairs(yes, no) / (n[0] * n[1]) if min(n) > 0.5 else math.nan
    thresholds = np.append(np.inf, np.asarray(spec["edges"])[:-1][::-1])
    return RocResult(auc=auc, fpr=fpr, tpr=tpr, thresholds=thresholds, n=n)
