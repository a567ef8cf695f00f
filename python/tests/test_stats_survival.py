"""Survival over three members on a grid of times, against statsmodels on the pooled rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import delta
from delta import stats as ds
from pooled import run
from stats_cases import EXACT, GRID, PEOPLE, SPLIT, Cox, StratifiedCox, ours, same

scipy_stats = pytest.importorskip("scipy.stats")
pytest.importorskip("statsmodels")
pytest.importorskip("sklearn")


def test_survival_curves() -> None:
    from statsmodels.duration.survfunc import SurvfuncRight

    rows = PEOPLE[["days", "died"]].dropna()

    def execute(df: Any) -> Any:
        return (
            ds.kaplan_meier(df["days"], df["died"], times=GRID),
            ds.kaplan_meier(df["days"], df["died"], times=[0, 4, 5, 10, 20]),
            ds.kaplan_meier(df[df.days > 99]["days"], df[df.days > 99]["died"], times=GRID),
            ds.kaplan_meier(df["days"], df["died"], times=[12]),
        )

    with pytest.warns(RuntimeWarning, match="no rows"):
        found, coarse, empty, once = ours(execute)
    theirs = SurvfuncRight(rows.days, rows.died)
    at = np.isin(found.surv_times, theirs.surv_times)
    for name in ("surv_prob", "surv_prob_se", "n_risk", "n_events"):
        np.testing.assert_allclose(getattr(found, name)[at], getattr(theirs, name), err_msg=name, **EXACT)
    assert (found.n_events[~at] == 0).all() and found.n_risk[0] == len(rows)
    assert found.n_censored.sum() == (rows.died == 0).sum()
    assert found.quantile(0.5) == theirs.quantile(0.5) and found.quantile(0.1) == theirs.quantile(0.1)
    mine = found.summary().loc[theirs.surv_times]
    pd.testing.assert_frame_equal(mine, theirs.summary(), check_dtype=False, rtol=1e-8, check_index_type=False)
    low, high = found.confidence_interval()
    p, se = found.surv_prob[5], found.surv_prob_se[5]
    log = np.log(-np.log(p)) + np.array([1, -1]) * scipy_stats.norm.ppf(0.975) * se / (p * np.log(p)) * -1
    np.testing.assert_allclose([low[5], high[5]], np.exp(-np.exp(log)), **EXACT)
    # Between two times of the grid the later one counts; beyond the last, all are there.
    edges = np.array([0, 4, 5, 10, 20, 1e9])
    moved = edges[np.searchsorted(edges, rows.days)]
    theirs = SurvfuncRight(moved, rows.died)
    at = np.isin(coarse.surv_times, theirs.surv_times)
    np.testing.assert_allclose(coarse.surv_prob[at], theirs.surv_prob[:-1], **EXACT)
    np.testing.assert_allclose(coarse.surv_prob_se[at], theirs.surv_prob_se[:-1], **EXACT)
    assert np.isnan(empty.surv_prob).all() and math.isnan(empty.quantile(0.5))
    early = (rows.days <= 12) & (rows.died == 1)
    np.testing.assert_allclose(once.surv_prob, [1 - early.mean()], **EXACT)


def test_a_curve_that_reaches_zero_is_as_in_statsmodels() -> None:
    from statsmodels.duration.survfunc import SurvfuncRight

    frame = pd.DataFrame({"t": [1.0, 2.0, 2.0, 3.0, 5.0, 5.0], "e": [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]})
    found = run(lambda df: ds.kaplan_meier(df["t"], df["e"], times=[1, 2, 3, 5]), frame, split=(2, 4))
    theirs = SurvfuncRight(frame.t, frame.e)
    same(found, theirs, "surv_prob", "surv_prob_se")


@pytest.mark.parametrize(
    "weight", [{}, {"weight_type": "gb"}, {"weight_type": "tw"}, {"weight_type": "fh", "fh_p": 0.7}]
)
def test_comparing_survival(weight: Any) -> None:
    from statsmodels.duration.survfunc import survdiff

    rows = PEOPLE[["days", "died", "arm"]].dropna()

    def execute(df: Any) -> Any:
        return (
            ds.logrank_test(df["days"], df["died"], df["arm"], times=GRID, categories=[0, 1, 2], **weight),
            ds.logrank_test(df["days"], df["died"], df["arm"], times=GRID, categories=[2, 0], **weight),
            ds.logrank_test(df["days"], df["died"], df["arm"], times=GRID, categories=[2, 8], **weight),
        )

    with pytest.warns(RuntimeWarning, match="no row has 8"):
        three, two, empty = ours(execute)
    for found, part in ((three, rows), (two, rows[rows.arm != 1])):
        chisq, pvalue = survdiff(part.days, part.died, part.arm, **weight)
        assert found.statistic == pytest.approx(chisq, rel=1e-9)
        assert found.pvalue == pytest.approx(pvalue, rel=1e-8, abs=1e-14)
    assert three.observed.sum() == rows.died.sum() == pytest.approx(three.expected.sum())
    assert math.isnan(empty.pvalue)


class FarCox(Cox):
    def preprocess(self, df: Any) -> Any:
        df["far"] = df["x"] * 1e-3 + 40
        return df[["far", "likert"]], df["days"], df["died"] == 1


def thirds(frame: pd.DataFrame) -> list[pd.DataFrame]:
    return [frame.iloc[: SPLIT[0]], frame.iloc[SPLIT[0] : SPLIT[1]], frame.iloc[SPLIT[1] :]]


@pytest.mark.parametrize("kind", [Cox, StratifiedCox, FarCox])
def test_proportional_hazards(kind: Any) -> None:
    from statsmodels.duration.hazard_regression import PHReg

    frame = PEOPLE[["x", "y", "likert", "arm", "days", "died"]]
    bundle = kind("cox", 3, 3).build()
    assert "Class: controlled" in bundle.describe()
    found = delta.debug(bundle, df=thirds(frame))
    rows, strata = frame.assign(far=frame.x * 1e-3 + 40), None
    if kind is FarCox:
        rows["died"] = (rows.died == 1).astype(float)
    rows = rows.dropna(subset=["x", "likert", "days", "died"])
    if kind is StratifiedCox:
        rows = rows[rows.arm.isin((0, 2))]
        strata = rows.arm
    x = rows[["far" if kind is FarCox else "x", "likert"]]
    theirs = PHReg(rows.days, x - x.mean(), rows.died, strata=strata, ties="breslow").fit(method="newton", tol=1e-14)
    same(found, theirs, "params", "bse", "tvalues", "pvalues", "llf", rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.conf_int(), theirs.conf_int(), rtol=1e-7)
    np.testing.assert_allclose(found.cov_params(), theirs.cov_params(), rtol=1e-7)
    assert found.converged and found.nobs == len(rows) and found.events == rows.died.sum()
    # statsmodels' curve says at each time what was before it.
    for curve, (times, hazard, _) in zip(
        found.baseline_cumulative_hazard, theirs.baseline_cumulative_hazard, strict=True
    ):
        before = dict(zip(found.times, np.append(0, curve)[:-1], strict=True))
        mine = np.array([before[t] for t in times]) * np.exp(found.params @ x.mean())
        np.testing.assert_allclose(mine, hazard, rtol=1e-7, atol=1e-12)
    assert list(found.summary().index) == list(x.columns)


@pytest.mark.parametrize("stratified", [False, True])
def test_efrons_ties(stratified: bool) -> None:
    """Few events at a time, which are added one by one, and hundreds, of which most are added by a series."""
    from statsmodels.duration.hazard_regression import PHReg

    class Efron(StratifiedCox if stratified else Cox):  # type: ignore[misc]
        ties = "efron"

    class Levels(Efron):  # type: ignore[misc, valid-type]
        strata = ()

        def dataset(self) -> Any:
            columns = ["x", "y", "likert", "arm", "days", "died"]
            return {"df": delta.dataset.DataFrame("t.csv", columns=columns, levels={"arm": ["0", "2"]})}

    rng = np.random.default_rng(2)
    crowd = pd.DataFrame({"x": rng.normal(50, 9, 2400), "likert": rng.integers(1, 6, 2400) * 1.0, "y": 0.0})
    crowd["arm"], crowd["days"] = rng.integers(0, 3, 2400) * 1.0, rng.integers(1, 5, 2400) * 1.0
    crowd["died"] = (rng.uniform(size=2400) < 0.3 + 0.004 * crowd.x) * 1.0
    for frame in (PEOPLE[["x", "y", "likert", "arm", "days", "died"]], crowd):
        found = delta.debug(Efron("cox", 3, 3), df=thirds(frame))
        rows = frame.dropna(subset=["x", "likert", "days", "died"])
        rows = rows[rows.arm.isin((0, 2))] if stratified else rows
        x, strata = rows[["x", "likert"]], rows.arm if stratified else None
        theirs = PHReg(rows.days, x - x.mean(), rows.died, strata=strata, ties="efron").fit(method="newton", tol=1e-14)
        same(found, theirs, "params", "bse", "tvalues", "pvalues", "llf", rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(found.conf_int(), theirs.conf_int(), rtol=1e-7)
        assert found.ties == "efron" and found.converged
        assert found.llnull == pytest.approx(theirs.model.loglike(np.zeros(2)), rel=1e-10)
        assert found.llr_pvalue == pytest.approx(chi2.sf(2 * (theirs.llf - found.llnull), 2), rel=1e-6)
        new, stratum = frame[["likert", "x"]].dropna().iloc[:4], 2.0 if stratified else None
        np.testing.assert_allclose(
            found.predict(new), theirs.predict(exog=new[["x", "likert"]], pred_type="lhr").predicted_values
        )
        ratio = found.predict(new, "hr")
        hazard = found.predict(new, "cumhaz", stratum=stratum)
        np.testing.assert_allclose(hazard, ratio[:, None] * found.baseline_cumulative_hazard[-1], rtol=1e-12)
        np.testing.assert_allclose(found.predict(new, "surv", stratum=stratum), np.exp(-hazard), rtol=1e-12)
    if stratified:
        texts = crowd.assign(arm=crowd.arm.astype(int).astype(str))
        same(
            delta.debug(Levels("cox", 3, 3), df=thirds(texts)),
            found,
            "params",
            "bse",
            "llf",
            "baseline_cumulative_hazard",
        )
        with pytest.raises(ValueError, match=r"stratum must be one of \[0.0, 2.0\]"):
            found.predict(new, "surv", stratum=1)
    with pytest.raises(ValueError, match="pred_type='risk'"):
        found.predict(new, "risk")


def test_hazards_that_cannot_be_found_say_so() -> None:
    frame = PEOPLE[["x", "y", "likert", "arm", "days", "died"]].copy()
    with pytest.warns(RuntimeWarning, match="does not vary"):
        constant = delta.debug(Cox("cox", 3, 3), df=thirds(frame.assign(x=3.5)))
    assert np.isnan(constant.bse).all()
    with pytest.raises(ValueError, match="rows of all members have an event that is not 0 or 1"):
        delta.debug(Cox("cox", 3, 3), df=thirds(frame.assign(died=2.0)))
    with pytest.raises(ValueError, match="no event is on the grid"):
        delta.debug(Cox("cox", 3, 3), df=thirds(frame.assign(died=0.0)))
    with pytest.raises(ValueError, match="no form with noise"):
        Cox("cox", 3, 3, privacy=delta.Privacy(epsilon=1, delta=1e-5, clip=1.0))
