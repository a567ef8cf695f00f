"""Survival on a declared grid of times: Kaplan and Meier's curve, and the logrank test."""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _distributions as tails
from ..pandas.symbolic import Recipe
from ._arguments import groups, is_real, level, one_of, refuse, rising, rows, yes_or_no
from ._outcome import Array, Outcome, Spec, TestOutcome, doubt, finishes, recipe
from ._show import Table

WEIGHTS = (None, "gb", "tw", "fh")


@dataclass(kw_only=True, repr=False)
class KaplanMeierResult(Outcome):
    """A survival curve, with the names of statsmodels' ``SurvfuncRight``; at all times of the grid.

    Parameters
    ----------
    surv_times : ndarray
        The grid.
    surv_prob, surv_prob_se : ndarray
        The share that is left after each time, and its standard error (Greenwood's).
    n_risk, n_events, n_censored : ndarray
        How many are there just before each time, how many events it has, and how many are lost from sight at it.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "surv_times",
            (
                "surv_prob",
                "surv_prob_se",
                "n_risk",
                "n_events",
                "n_censored",
            ),
        ),
    )
    surv_times: Array
    surv_prob: Array
    surv_prob_se: Array
    n_risk: Array
    n_events: Array
    n_censored: Array

    def quantile(self, p: float) -> float:
        """Find the time by which a share has had the event.

        Parameters
        ----------
        p : float
            The share; 0.5 for the median.

        Returns
        -------
        float
            A time of the grid; NaN where the curve does not get there.
        """
        beyond = np.flatnonzero(self.surv_prob < 1 - p)
        return float(self.surv_times[beyond[0]]) if len(beyond) else math.nan

    def confidence_interval(self, confidence_level: float = 0.95) -> tuple[Array, Array]:
        """Compute an interval for each time's share, by the complementary log-log of it.

        Parameters
        ----------
        confidence_level : float
            How often such an interval holds the true share.

        Returns
        -------
        (ndarray, ndarray)
            The lower and the upper ends; NaN where nobody or everybody has had the event.
        """
        z = tails.normal_quantile(1 - level(confidence_level))
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(self.surv_prob)
            reach = z * self.surv_prob_se / (self.surv_prob * np.abs(log))
            low, high = self.surv_prob ** np.exp(reach), self.surv_prob ** np.exp(-reach)
        known = (self.surv_prob > 0) & (self.surv_prob < 1)
        return np.where(known, low, np.nan), np.where(known, high, np.nan)

    def summary(self) -> Any:
        """Make a table of it, as statsmodels does.

        Returns
        -------
        pandas.DataFrame
            By time.
        """
        import pandas

        table = {
            "Surv prob": self.surv_prob,
            "Surv prob SE": self.surv_prob_se,
            "num at risk": self.n_risk,
            "num events": self.n_events,
        }
        return pandas.DataFrame(table, index=pandas.Index(self.surv_times, name="Time"))


@dataclass(kw_only=True, repr=False)
class LogrankResult(TestOutcome):
    """A comparison of survival curves; ``statistic`` is chi-squared.

    Parameters
    ----------
    statistic, pvalue : float
        As of :class:`TestOutcome`.
    df : int
        The degrees of freedom.
    observed, expected : ndarray
        ``[groups]``: events, and how many there would be if the groups were alike.
    n_risk, n_events : ndarray
        ``[groups, times]``: how many are there just before each time, and how many events it has.
    groups : list
        The categories.
    surv_times : ndarray
        The grid.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "groups",
            (
                "observed",
                "expected",
            ),
        ),
        Table(
            "groups",
            (
                "n_risk",
                "n_events",
            ),
            "surv_times",
        ),
    )
    df: int
    observed: Array
    expected: Array
    n_risk: Array
    n_events: Array
    groups: list[Any]
    surv_times: Array


def kaplan_meier(duration: Any, event: Any, *, times: Any) -> Recipe:
    """Estimate the survival curve on a grid of times, as statsmodels' ``SurvfuncRight``. One round.

    Parameters
    ----------
    duration : Series of rows
        How long each row was watched.
    event : Series of the same rows
        Whether it ended with the event: 1 or True; 0 or False where it was lost from sight. Rows in which one of the two is
        missing are left out.
    times : sequence of float
        The grid, which rises. A duration between two of its times counts as the later one; one beyond the last is there at all
        of them. The curve is exact where all durations are on the grid.

    Returns
    -------
    Recipe
        Of a :class:`KaplanMeierResult`. Another event than 0 and 1, and a duration below 0 where the grid has none, is a
        ``ValueError`` when the result is read.

    Notes
    -----
    Twice as many counts leave a node as there are times. Few rows end at one time: a coarse grid tells less of each.
    """
    grid = rising(times, "kaplan_meier", "times", 1)
    t = rows(duration, "kaplan_meier", "duration")
    e, other = yes_or_no(event, "kaplan_meier", "event", t.notna())
    parts = {"events": _at_times(t[e == 1], grid), "lost": _at_times(t[e == 0], grid)}
    if grid[0] >= 0:
        parts["outside"] = ((t < 0) & e.notna()).sum()
    if other is not None:
        parts["invalid"] = other.sum()
    return recipe("kaplan_meier", parts, times=grid)


def logrank_test(
    duration: Any,
    event: Any,
    group: Any,
    *,
    times: Any,
    categories: Any = None,
    weight_type: str | None = None,
    fh_p: float | None = None,
) -> Recipe:
    """Test whether groups have the same survival curve, as statsmodels' ``survdiff``. One round.

    Parameters
    ----------
    duration, event : Series of rows
        As of :func:`kaplan_meier`.
    group : Series of the same rows, or column of levels
        The group of each row. Rows whose group is missing, or none of the categories, are left out.
    times : sequence of float
        The grid, as of :func:`kaplan_meier`.
    categories : sequence, optional
        The groups; of a column of levels by default all.
    weight_type : {None, "gb", "tw", "fh"}
        Weights of the times: all the same (logrank), how many are there (Gehan and Breslow), the root of that (Tarone and
        Ware), a power of the share that is left (Fleming and Harrington).
    fh_p : float, optional
        The power for ``"fh"``.

    Returns
    -------
    Recipe
        Of a :class:`LogrankResult`; NaN, with a warning, where a group has no rows or nothing happens. Another event than 0
        and 1, and a duration below 0 where the grid has none, is a ``ValueError`` when the result is read.

    Raises
    ------
    TypeError
        ``"fh"`` comes without ``fh_p``, or ``fh_p`` without ``"fh"``.
    """
    one_of(weight_type, WEIGHTS, "logrank_test", "weight_type")
    if (weight_type == "fh") != (fh_p is not None) or not (fh_p is None or is_real(fh_p)):
        raise TypeError("logrank_test: weight_type='fh' needs fh_p, a number, and nothing else does")
    grid = rising(times, "logrank_test", "times", 1)
    t = rows(duration, "logrank_test", "duration")
    labelled = groups(t, group, categories, "logrank_test")
    known = functools.reduce(operator.or_, (inside for _, inside in labelled))
    e, other = yes_or_no(event, "logrank_test", "event", known & t.notna())
    parts: dict[str, Any] = {"outside": ((t < 0) & e.notna() & known).sum()} if grid[0] >= 0 else {}
    for i, (_, inside) in enumerate(labelled):
        parts[f"events{i}"], parts[f"lost{i}"] = (_at_times(t[inside & (e == v)], grid) for v in (1, 0))
    if other is not None:
        parts["invalid"] = other.sum()
    labels = [label for label, _ in labelled]
    return recipe(
        "logrank_test",
        parts,
        times=grid,
        groups=labels,
        weight_type=weight_type,
        fh_p=None if fh_p is None else float(fh_p),
    )


def _at_times(t: Any, grid: list[float]) -> Any:
    """Count durations by the first time that is not before them; the last count is of those beyond.

    Bins hold their left edge, and so of durations that are turned round their right one.
    """
    first = grid[1] - grid[0] if len(grid) > 1 else max(1.0, abs(grid[0]))
    last = grid[-1] - grid[-2] if len(grid) > 1 else first
    edges = [-(grid[-1] + last), *(-v for v in reversed(grid)), first - grid[0]]
    return (-t).clip(edges[0], edges[-1]).histogram(edges)


def _risks(events: Array, lost: Array) -> tuple[Array, Array, Array]:
    """Return how many are at risk, have the event and are lost at each time, of the counts that the nodes make."""
    d, c = events[::-1], lost[::-1]
    at_risk = np.cumsum((d + c)[::-1])[::-1]
    return at_risk[:-1], d[:-1], c[:-1]


_BAD = "{n} rows of all members have an event that is not 0 or 1"
_BEFORE = "{n} rows of all members have a duration below 0"


@finishes("kaplan_meier")
def _curve(spec: Spec, parts: dict[str, Array]) -> KaplanMeierResult:
    refuse(parts, "invalid", f"kaplan_meier: {_BAD}")
    refuse(parts, "outside", f"kaplan_meier: {_BEFORE}")
    n, d, c = _risks(parts["events"], parts["lost"])
    if not n[0] > 0.5:
        doubt("kaplan_meier", "there are no rows: there is no curve")
    # Where nobody is left nothing happens any more.
    there = n > 0.5
    left = np.where(there, 1 - d / np.where(there, n, 1.0), 1.0)
    prob = np.where(there[0], np.cumprod(left, dtype=np.float64), np.nan)
    open_ = n - d > 0.5
    terms = np.where(open_, d / np.where(open_, n * (n - d), 1.0), np.where(d > 0.5, np.nan, 0.0))
    error = prob * np.sqrt(np.cumsum(terms))
    return KaplanMeierResult(
        surv_times=np.asarray(spec["times"]), surv_prob=prob, surv_prob_se=error, n_risk=n, n_events=d, n_censored=c
    )


@finishes("logrank_test")
def _compare(spec: Spec, parts: dict[str, Array]) -> LogrankResult:
    refuse(parts, "invalid", f"logrank_test: {_BAD}")
    refuse(parts, "outside", f"logrank_test: {_BEFORE}")
    labels = spec["groups"]
    each = [_risks(parts[f"events{i}"], parts[f"lost{i}"]) for i in range(len(labels))]
    n, d = np.array([r for r, _, _ in each]), np.array([e for _, e, _ in each])
    at_risk, events = n.sum(0), d.sum(0)
    share = n / np.maximum(at_risk, 1e-10)
    expected = share * events
    result = LogrankResult(
        statistic=math.nan,
        pvalue=math.nan,
        df=len(labels) - 1,
        observed=d.sum(1),
        expected=expected.sum(1),
        n_risk=n,
        n_events=d,
        groups=list(labels),
        surv_times=np.asarray(spec["times"]),
    )
    if empty := [g for g, r in zip(labels, n, strict=True) if not r[0] > 0.5]:
        doubt("logrank_test", f"no row has {', '.join(map(repr, empty))}: there is no test; leave it out")
        return result
    counted = at_risk > 1
    weights = _weights(spec, at_risk, events)
    off = (weights * (d - expected))[1:, counted].sum(1)
    chance = weights**2 * events * (at_risk - events) / np.maximum(at_risk - 1, 1e-10)
    absent = [g for g, e in zip(labels, expected[:, counted].sum(1), strict=True) if not e > 0]
    if absent:
        doubt(
            "logrank_test",
            f"{', '.join(map(repr, absent))}: nobody is there when something happens: there is no test; leave it out",
        )
        return result
    s, chance = share[1:, counted], chance[counted]
    variance = np.diag((chance * s).sum(1)) - (chance * s) @ s.T
    try:
        result.statistic = float(off @ np.linalg.solve(variance, off))
    except np.linalg.LinAlgError:
        doubt("logrank_test", "the groups are never there together when something happens: there is no test")
        return result
    result.pvalue = tails.chi2_upper(result.statistic, result.df)
    return result


def _weights(spec: Spec, at_risk: Array, events: Array) -> Array:
    kind = spec["weight_type"]
    if kind is None:
        return np.ones_like(at_risk)
    if kind == "fh":
        left = np.cumprod(1 - events / np.maximum(at_risk, 1.0))
        return np.append(1.0, left[:-1] ** spec["fh_p"])
    return at_risk if kind == "gb" else np.sqrt(at_risk)
