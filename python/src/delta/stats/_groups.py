"""Analysis of variance, of counts, means and variances of groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _distributions as tails
from ..pandas.symbolic import Recipe
from ._arguments import is_levels, one_of, rows
from ._outcome import Array, Spec, TestOutcome, doubt, finishes, recipe
from ._show import Table
from ._ttest import FEW_DIGITS, LITTLE, NEAR, NOTHING, UNKNOWN


@dataclass(kw_only=True, repr=False)
class FOnewayResult(TestOutcome):
    """An analysis of variance; ``statistic`` is F.

    Parameters
    ----------
    statistic, pvalue : float
        As of :class:`TestOutcome`.
    df : (float, float)
        The degrees of freedom between and within the groups.
    n, mean, var : ndarray
        Of each group: how many values, their mean, their variance.
    groups : list
        The categories.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "groups",
            (
                "n",
                "mean",
                "var",
            ),
        ),
    )
    df: tuple[float, float]
    n: Array
    mean: Array
    var: Array
    groups: list[Any]


def f_oneway(values: Any, groups: Any, *, categories: Any = None, equal_var: bool = True) -> Recipe:
    """Test whether groups have the same mean, as ``scipy.stats.f_oneway`` (one-way ANOVA). Two rounds.

    Parameters
    ----------
    values : Series of rows
        What is compared. Missing values are left out.
    groups : Series of the same rows, or column of levels
        The group of each row. Rows whose group is missing, or none of the categories, are left out.
    categories : sequence, optional
        The groups; of a column of levels by default all.
    equal_var : bool
        Whether groups are taken to vary alike; with False Welch's test.

    Returns
    -------
    Recipe
        Of a :class:`FOnewayResult`; NaN where a group has no values, which a warning names.

    Raises
    ------
    ValueError
        There are fewer than two groups.
    """
    one_of(equal_var, (True, False), "f_oneway", "equal_var")
    x, key = rows(values, "f_oneway", "values"), groups if is_levels(groups) else rows(groups, "f_oneway", "groups")
    grouped = x.groupby(key, categories=categories)
    parts = {"n": grouped.count(), "mean": grouped.mean(), "var": grouped.var(ddof=0)}
    labels = list(parts["n"].index)
    if len(labels) < 2:
        raise ValueError("f_oneway: there must be at least two groups")
    return recipe("f_oneway", parts, groups=labels, equal_var=equal_var)


@finishes("f_oneway")
def _compare(spec: Spec, parts: dict[str, Array]) -> FOnewayResult:
    n, mean, labels = parts["n"], parts["mean"], spec["groups"]
    squares = n * parts["var"]
    var = np.where(n > 1.5, squares / (n - 1), np.nan)
    k, whole = len(labels), n.sum()
    if empty := [g for g, m in zip(labels, n, strict=True) if not m > 0.5]:
        doubt("f_oneway", f"no row has {', '.join(map(repr, empty))} and a value: there is no test; leave it out")
        f, df = np.nan, (np.nan, np.nan)
    elif spec["equal_var"]:
        f, df = _student(n, mean, squares), (float(k - 1), float(whole - k))
    else:
        f, df = _welch(n, mean, var)
    return FOnewayResult(
        statistic=float(f), pvalue=tails.f_upper(float(f), *df), df=df, n=n, mean=mean, var=var, groups=list(labels)
    )


def _student(n: Array, mean: Array, squares: Array) -> float:
    centre = (n * mean).sum() / n.sum()
    between, within = float((n * (mean - centre) ** 2).sum()), float(squares.sum())
    nothing = NOTHING * float((n * mean**2).sum())
    if nothing < within < nothing * (LITTLE / NOTHING):
        doubt("f_oneway", FEW_DIGITS)
    if within <= nothing:
        return _still(between, nothing)
    free = n.sum() - len(n)
    return between / (len(n) - 1) / (within / free) if free > 0.5 else np.nan


def _still(between: float, nothing: float) -> float:
    """Return F where nothing varies within the groups, as far as sums tell."""
    if nothing < between <= nothing * (NEAR / NOTHING):
        doubt("f_oneway", UNKNOWN)
        return np.nan
    return np.nan if between <= nothing else np.inf


def _welch(n: Array, mean: Array, var: Array) -> tuple[float, tuple[float, float]]:
    k = len(n)
    if (var <= NOTHING * mean**2).all():
        return _still(float(((mean - mean[0]) ** 2).max()), NOTHING * float((mean**2).max())), (k - 1.0, np.nan)
    weight = n / var
    centre = (weight * mean).sum() / weight.sum()
    spread = ((1 - weight / weight.sum()) ** 2 / (n - 1)).sum()
    f = (weight * (mean - centre) ** 2).sum() / (k - 1) / (1 + 2 * (k - 2) / (k**2 - 1) * spread)
    return float(f), (k - 1.0, float((k**2 - 1) / (3 * spread)))
