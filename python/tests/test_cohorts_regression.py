"""One cohort, one answer, of regressions: all rounds are of the first one's members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import delta
from cohort_cases import CHANGING, PARTS, bound, changes
from delta.bundle import Bundle
from delta.statsmodel import LinearTask, LogitTask, MNLogitTask, RegressionTask
from regression_cases import LEAST_SQUARES, LIKELIHOOD, agrees, task

ROWS = 60
MNLOGIT = "params bse llf llnull aic bic prsquared llr df_model df_resid nobs"
BASES: dict[str, tuple[type[RegressionTask], str, dict[str, Any]]] = {
    "OLS": (LinearTask, LEAST_SQUARES, {}),
    "Logit": (LogitTask, LIKELIHOOD, {}),
    "MNLogit": (MNLogitTask, MNLOGIT, {"n_classes": 3}),
}


def rows(model: str, seed: int = 3) -> pd.DataFrame:
    """Rows of all parts; those of the one that comes and goes follow another law, in another range."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(2, 1, PARTS * ROWS), "b": rng.normal(-1, 2, PARTS * ROWS)})
    mine = frame.index // ROWS == CHANGING
    frame.loc[mine, "a"] = frame.loc[mine, "a"] * 2 + 5
    z = np.where(mine, 3 - 0.4 * frame["a"] + frame["b"], 0.5 * frame["a"] - 0.3 * frame["b"] - 1)
    if model == "OLS":
        return frame.assign(y=1e3 + 10 * z + rng.normal(size=len(frame)))
    if model == "Logit":
        return frame.assign(y=(rng.random(len(frame)) < 1 / (1 + np.exp(-z))).astype(float))
    weights = np.exp(np.stack([0 * z, z, -0.5 * z + 0.2 * frame["b"]], axis=1))
    edges = (weights / weights.sum(1, keepdims=True)).cumsum(1)
    return frame.assign(y=(rng.random((len(frame), 1)) > edges).sum(1).astype(float))


def pieces(frame: pd.DataFrame) -> list[pd.DataFrame]:
    return [frame.iloc[p * ROWS : (p + 1) * ROWS] for p in range(PARTS)]


def made(model: str, options: Mapping[str, Any] | None = None) -> Bundle:
    base, _, arguments = BASES[model]
    return task(base, ["a", "b", "y"], "y", options=options, members=PARTS, **arguments).build()


def run(bundle: Bundle, frame: pd.DataFrame, absent: dict[int, list[int]] | None = None) -> Any:
    return delta.debug(bundle, data=pieces(frame), parts=PARTS, threads=1, absent=absent)


def theirs(model: str, frame: pd.DataFrame, members: list[int]) -> Any:
    pooled = pd.concat([pieces(frame)[p] for p in members]).dropna()
    x = sm.add_constant(pooled[["a", "b"]])
    if model == "OLS":
        return sm.OLS(pooled["y"], x).fit()
    return (sm.Logit if model == "Logit" else sm.MNLogit)(pooled["y"], x).fit(disp=0, tol=1e-12)


@pytest.mark.parametrize("missing", ["drop", "ignore"])
@pytest.mark.parametrize("model", BASES)
def test_a_regression_is_of_one_cohort(model: str, missing: str) -> None:
    frame = rows(model)
    frame.loc[[3, ROWS + 4, ROWS + 5, 3 * ROWS], "a"] = np.nan
    bundle = made(model, {"missing": missing})
    assert bound(bundle)
    for change in changes(len(run(bundle, frame).rounds)):
        absent = change.absent(bundle.rounds)
        if (sentence := change.ends(bundle)) is not None:
            with pytest.raises(RuntimeError, match=sentence):
                run(bundle, frame, absent)
            continue
        found = run(bundle, frame, absent)
        members = change.members(bundle)
        agrees(found, theirs(model, frame, members), BASES[model][1])
        assert found.rounds == [{"members": len(members), "failed": 0, "dropped": 0}] * len(found.rounds)
        mine = [pieces(frame)[p] for p in members]
        assert found.missing == (sum(int(p["a"].isna().sum()) for p in mine) if missing == "drop" else 0)
        if found.counts is not None:
            assert found.counts.tolist() == pd.concat(mine).dropna()["y"].value_counts().sort_index().tolist()


@pytest.mark.parametrize("model", BASES)
def test_rows_that_stop_a_regression_are_those_of_its_cohort(model: str) -> None:
    holed, wrong = rows(model), rows(model)
    holed.loc[ROWS + 4, "a"] = wrong.loc[ROWS + 4, "y"] = np.nan
    wrong.loc[ROWS + 4, "y"] = np.inf
    for frame, options, says in (
        (holed, {"missing": "raise"}, "1 rows .* missing"),
        (wrong, {}, "1 rows of all members"),
    ):
        bundle = made(model, options)
        for change in changes(3):
            if change.lost:
                # The first round finds them, and is the last.
                with pytest.raises(ValueError, match=says):
                    run(bundle, frame, change.absent(bundle.rounds))
            else:
                found = run(bundle, frame, change.absent(bundle.rounds))
                agrees(found, theirs(model, frame, change.members(bundle)), BASES[model][1])


@pytest.mark.parametrize("unit", [{}, {"member": True}], ids=["records", "members"])
@pytest.mark.parametrize("model", BASES)
def test_steps_under_noise_are_of_one_cohort(model: str, unit: Mapping[str, Any]) -> None:
    base, _, arguments = BASES[model]
    privacy = delta.Privacy(multiplier=2.0, clip=5.0, delta=1e-5, **unit)
    assert bound(task(base, ["a", "b", "y"], "y", privacy=privacy, **arguments).build())
