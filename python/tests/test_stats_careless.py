"""Careless and hostile uses of ``delta.stats``: what is infinite, invalid, undeclared or without an end."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

import delta
from delta import _distributions as tails
from delta import stats as ds
from delta.dataset import DataFrame as Table
from delta.task import HorizontalAnalytics
from pooled import run
from stats_cases import PEOPLE, Cox, ours

THIRDS = [0.0, 1.0, 2.0]


@pytest.mark.parametrize("value", [math.inf, -math.inf])
@pytest.mark.parametrize(
    "execute",
    [
        lambda d: d["x"].groupby(d["g"], categories=THIRDS).sum(),
        lambda d: d.groupby("g", categories=THIRDS).mean(),
        lambda d: d["x"].groupby(d["g"], categories=THIRDS).var(),
        lambda d: ds.f_oneway(d["x"], d["g"], categories=THIRDS),
        lambda d: ds.kmeans(d[["x"]], [[1.0], [7.0]], 2),
        lambda d: ds.kmeans(d[["x", "g"]], [[1.0, 0.0], [7.0, 1.0]], 1),
        lambda d: ds.pca(d),
        lambda d: ds.standard_scaler(d),
        lambda d: ds.ttest_1samp(d["x"], 1.0),
    ],
)
def test_infinite_values_are_refused(execute: Callable[[Any], Any], value: float) -> None:
    frame = pd.DataFrame({"x": [1.0, 2, value, 4, 5, 6, 7, 8, 9], "g": np.repeat(THIRDS, 3)})
    with pytest.raises(ValueError, match="infinit"):
        run(execute, frame, split=(3, 6))


def test_what_stands_in_rows_that_do_not_count_says_nothing() -> None:
    """A label of 9, as codes for missing values are, in rows that are left out anyway."""
    columns = ["score", "label", "days", "died", "arm"]
    clean = PEOPLE[columns].dropna()
    left_out = clean.iloc[:6].assign(label=9.0, died=9.0)
    left_out["score"] = left_out["days"] = np.nan
    frame = pd.concat([clean, left_out], ignore_index=True)
    far = pd.concat([clean, clean.iloc[:6].assign(label=np.nan, score=7.0)], ignore_index=True)
    other = pd.concat([clean, clean.iloc[:6].assign(died=9.0, arm=8.0)], ignore_index=True)

    def execute(d: Any) -> Any:
        return (
            ds.calibration(d["score"], d["label"], 5),
            ds.roc_auc(d["score"], d["label"], 5),
            ds.kaplan_meier(d["days"], d["died"], times=[5, 10, 30]),
            ds.logrank_test(d["days"], d["died"], d["arm"], times=[5, 10, 30], categories=[0, 1]),
        )

    for mine, theirs in zip(ours(execute, frame), ours(execute, clean), strict=True):
        assert mine.summary() is not None and repr(mine) == repr(theirs)
    assert repr(ours(lambda d: execute(d)[0], far)) == repr(ours(lambda d: execute(d)[0], clean))
    assert repr(ours(lambda d: execute(d)[3], other)) == repr(ours(lambda d: execute(d)[3], clean))
    with pytest.raises(ValueError, match="6 rows of all members have an event"):
        ours(lambda d: execute(d)[2], other)


def test_counts_of_levels_are_tested_without_the_cell_of_other_texts() -> None:
    class Wards(HorizontalAnalytics):
        def dataset(self) -> dict[str, Table]:
            return {"d": Table("t.csv", columns=["ward"], levels={"ward": ["a", "b", "other"]})}

        def execute(self, d: Any) -> Any:
            counts = d["ward"].value_counts()
            return ds.chisquare(counts), ds.chisquare(d["ward"]), ds.chisquare(counts[["a", "(other)"]]), counts

    rows = pd.DataFrame({"ward": ["a"] * 20 + ["b"] * 12 + ["other"] * 9 + ["z"] * 3})
    counted, levels, chosen, counts = delta.debug(Wards("wards", 2, 3), d=rows)
    theirs = scipy_stats.chisquare([20, 12, 9])
    for found in (counted, levels):
        assert found.statistic == pytest.approx(theirs.statistic, rel=1e-12) and found.index == ["a", "b", "other"]
        assert found.pvalue == pytest.approx(theirs.pvalue, rel=1e-10)
    assert chosen.index == ["a", "(other)"] and list(counts.index) == ["a", "b", "other", "(other)"]


@pytest.mark.parametrize(("ties", "moves"), [("breslow", 60), ("efron", 25)])
def test_hazards_without_a_best_estimate_are_never_found(ties: str, moves: int) -> None:
    """All of one group have the event before any of the other; the likelihood rises for ever."""
    first = np.arange(1.0, 31.0)
    frame = PEOPLE.iloc[:30].assign(x=np.repeat([1.0, 0.0], 15), likert=np.tile([1.0, 2, 3], 10), days=first, died=1.0)
    kind: Any = type("Separated", (Cox,), {"ties": ties, "maxiter": moves})
    with pytest.warns(RuntimeWarning, match="no best estimate"):
        found = delta.debug(kind("cox", 2, 3), df=frame[["x", "y", "likert", "arm", "days", "died"]])
    assert not found.converged


def test_tails_at_huge_degrees_of_freedom() -> None:
    for df in (0.5, 1.0, 7.0, 30.5, 1e3, 1e6, 1e9, 1e12):
        for f in (0.1, 0.9, 1.0, 1.1, 3.0, 30.0):
            # With 2 or 4 degrees of freedom above, powers tell (DLMF 8.17.8 and what follows by parts).
            power = math.exp(-df / 2 * math.log1p(2 * f / df))
            assert tails.f_upper(f, 2, df) == pytest.approx(power, rel=1e-12)
            more = 4 * f / df
            expected = math.exp(-df / 2 * math.log1p(more)) * (1 + df / 2 * more / (1 + more))
            assert tails.f_upper(f, 4, df) == pytest.approx(expected, rel=1e-12)
        for z in (-3.0, -0.5, 0.0, 1.0, 6.0, 20.0):
            x = df + z * math.sqrt(2 * df)
            if x > 0 and df < 1e7 and scipy_stats.chi2.sf(x, df) > 1e-290:
                assert tails.chi2_upper(x, df) == pytest.approx(scipy_stats.chi2.sf(x, df), rel=1e-12)
        for t in (0.3, 1.96, 5.0, 30.0):
            if scipy_stats.t.sf(t, df) > 1e-290:
                assert tails.t_upper(t, df) == pytest.approx(scipy_stats.t.sf(t, df), rel=1e-12)
    assert tails.t_two_sided(1e-8, 1) == pytest.approx(1 - 2 / math.pi * math.atan(1e-8), rel=1e-15)


def test_results_are_readable() -> None:
    def execute(d: Any) -> Any:
        return (
            ds.ttest_ind(d[d.arm == 0]["x"], d[d.arm == 1]["x"]),
            ds.f_oneway(d["x"], d["arm"], categories=[0, 1, 2]),
            ds.chi2_contingency(d, "arm", "died", categories={"arm": [0, 1, 2], "died": [0, 1]}),
            ds.chisquare(d["arm"].value_counts(categories=[0, 1, 2])),
            ds.kaplan_meier(d["days"], d["died"], times=[5, 10, 30]),
            ds.logrank_test(d["days"], d["died"], d["arm"], times=[5, 10, 30], categories=[0, 1]),
            ds.kmeans(d[["x", "y"]], [[100, 40], [130, 50]], 2),
            ds.pca(d[["x", "y"]]),
            ds.standard_scaler(d[["x", "y"]]),
            ds.calibration(d["score"], d["label"], 5),
            ds.roc_auc(d["score"], d["label"], 10),
            ds.mannwhitneyu(d[d.arm == 0]["likert"], d[d.arm == 1]["likert"], [1, 2, 3, 4, 5, 6]),
            ds.pearsonr(d["x"], d["y"]),
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = (
            *run(execute, PEOPLE[:90], split=(30, 60)),
            delta.debug(Cox("cox", 2, 3), df=PEOPLE[:60][["x", "y", "likert", "arm", "days", "died"]]),
        )
    for found in results:
        line, page, told = repr(found), found._repr_html_(), str(found.summary())
        assert line.startswith(type(found).__name__) and "\n" not in line and len(line) < 1000
        assert "<table>" in page and page.count("<div>") == page.count("</div>")
        # Every public number is in the page; the summary says what the table is of.
        assert all(f"{name}" in page for name in vars(found) if name in ("statistic", "pvalue", "auc", "inertia_"))
        assert len(told.splitlines()) >= 3
    assert "cluster_centers_" in results[6].summary() and "0.1" not in results[6].summary().splitlines()[0]


@pytest.mark.parametrize(("middle", "said"), [(1e12, "few digits are right"), (1e15, "nothing is known")])
def test_values_far_from_zero_say_so(middle: float, said: str) -> None:
    frame = pd.DataFrame({"x": middle + np.arange(30.0), "g": np.repeat(THIRDS, 10)})
    groups = [frame.x[frame.g == g] for g in THIRDS]

    def execute(d: Any) -> Any:
        return ds.ttest_ind(d[d.g == 0]["x"], d[d.g == 1]["x"]), ds.f_oneway(d["x"], d["g"], categories=THIRDS)

    with pytest.warns(RuntimeWarning, match=said):
        t, f = run(execute, frame, split=(10, 20))
    if middle < 1e15:
        assert t.statistic == pytest.approx(scipy_stats.ttest_ind(*groups[:2]).statistic, rel=1e-3)
        assert f.statistic == pytest.approx(scipy_stats.f_oneway(*groups).statistic, rel=1e-3)
    else:
        assert math.isnan(t.pvalue) and math.isnan(f.pvalue)


def test_durations_below_zero_are_refused() -> None:
    frame = PEOPLE[["x", "y", "likert", "arm", "days", "died"]].copy()
    frame.loc[[0, 1], ["days", "died", "arm", "x", "likert"]] = [-3.0, 1.0, 0.0, 120.0, 3.0]
    for execute in (
        lambda d: ds.kaplan_meier(d["days"], d["died"], times=[5, 30]),
        lambda d: ds.logrank_test(d["days"], d["died"], d["arm"], times=[5, 30], categories=[0, 1]),
    ):
        with pytest.raises(ValueError, match="2 rows of all members have a duration below 0"):
            ours(execute, frame)
    with pytest.raises(ValueError, match="2 rows of all members have an event that is not 0 or 1, a duration below 0"):
        delta.debug(Cox("cox", 2, 3), df=frame)
    # A grid that begins below 0 means them.
    early = ours(lambda d: ds.kaplan_meier(d["days"], d["died"], times=[-4, 0, 30]), frame)
    assert early.n_events[1] == 2


def test_likelihoods_of_hazards_are_compared() -> None:
    class Less(Cox):
        def preprocess(self, df: Any) -> Any:
            return df[["x"]], df["days"], df["died"]

    frame = PEOPLE[["x", "y", "likert", "arm", "days", "died"]].dropna()
    full, less = (delta.debug(kind("cox", 2, 3), df=frame) for kind in (Cox, Less))
    test = delta.statsmodel.likelihood_ratio_test(full, less)
    assert test.statistic == pytest.approx(2 * (full.llf - less.llf)) and test.df_diff == 1
    assert test.pvalue == pytest.approx(scipy_stats.chi2.sf(test.statistic, 1), rel=1e-10)
    with pytest.raises(ValueError, match="give the larger model first"):
        delta.statsmodel.likelihood_ratio_test(less, full)


def test_rows_without_a_group_are_gaps() -> None:
    class Clustered(delta.statsmodel.LinearTask):
        def dataset(self) -> dict[str, Table]:
            return {"d": Table("t.csv", columns=["x", "y", "ward"], levels={"ward": ["a", "b", "c"]})}

        def preprocess(self, d: Any) -> Any:
            return delta.statsmodel.add_constant(d[["x"]]), d["y"], {"groups": d["ward"]}

        def options(self) -> dict[str, Any]:
            return {"cov_type": "cluster", "missing": "ignore"}

    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.normal(size=90), "y": rng.normal(size=90), "ward": rng.choice(["a", "b", "c"], 90)})
    gaps = frame.assign(ward=np.where(frame.index < 5, None, frame.ward))
    mine, clean = (delta.debug(Clustered("c", 2, 3), d=d) for d in (gaps, frame.iloc[5:]))
    np.testing.assert_allclose(mine.bse, clean.bse, rtol=1e-12)
    assert mine.nobs == 85
    with pytest.raises(ValueError, match=r"5 rows of all members have .*a group that is no declared level"):
        delta.debug(Clustered("c", 2, 3), d=frame.assign(ward=np.where(frame.index < 5, "z", frame.ward)))
