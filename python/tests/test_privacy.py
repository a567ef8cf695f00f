"""Noise that an author asks for: what it costs, where it goes, and what results say of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
from delta.privacy import epsilon_of, multiplier_of
from delta.statsmodel import LinearTask, LogitTask
from pooled import sample, task
from regression_cases import task as regression


@pytest.mark.parametrize(
    ("z", "rounds", "expected"),
    # docs/privacy.md, rounded up there.
    [(1, 1, 5.23), (1, 1000, 678), (2, 10, 8.85), (8, 1, 0.55), (8, 100, 6.74), (64, 1000, 2.39)],
)
def test_the_cost_is_that_of_the_nodes(z: float, rounds: int, expected: float) -> None:
    assert epsilon_of(z, 1e-6, rounds) == pytest.approx(expected, rel=0.02)
    assert epsilon_of(z, 1e-6, rounds) <= expected * 1.001


def test_one_query_at_sigma_one() -> None:
    assert epsilon_of(1.0, 1e-5) == pytest.approx(4.7285, abs=2e-3)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("rounds", [1, 6, 100])
def test_the_noise_is_the_least_that_keeps_the_promise(epsilon: float, rounds: int) -> None:
    z = multiplier_of(epsilon, 1e-6, rounds)
    assert epsilon_of(z, 1e-6, rounds) <= epsilon < epsilon_of(z * 0.999, 1e-6, rounds)
    plan = delta.Privacy(epsilon=epsilon, delta=1e-6).plan(rounds)
    assert plan.epsilon <= epsilon and len(plan.multiplier.partition(".")[2]) <= 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "epsilon or multiplier"),
        ({"epsilon": 1.0, "multiplier": 2.0}, "epsilon or multiplier"),
        ({"epsilon": 0.0}, "epsilon=0.0"),
        ({"multiplier": 1000.0}, "multiplier=1000.0"),
        ({"epsilon": 1.0, "delta": 0.0}, "delta=0.0"),
        ({"epsilon": 1.0, "clip": np.inf}, "clip=inf"),
    ],
)
def test_what_cannot_be_asked(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        delta.Privacy(**arguments)
    with pytest.raises(ValueError, match="more noise than nodes make"):
        delta.Privacy(epsilon=1e-3).plan(10_000)


def test_every_round_of_analytics_has_bound_and_noise() -> None:
    privacy = delta.Privacy(epsilon=1.0, delta=1e-6, clip=50.0, unit="j", linf=40.0)
    bundle = task(lambda df: df["a"].std(), ["a"], privacy=privacy).build()
    drivers = [s["driver"] for r in bundle.manifest["rounds"] for s in r["map"]["steps"]]
    z = privacy.plan(2).multiplier
    assert len(drivers) == 2
    for d in drivers:
        assert d["clip"] == {"l2": 50.0, "linf": 40.0} and d["unit"] == {"key": "j"}
        assert d["noise"] == {"multiplier": z, "delta": 1e-6}
    assert bundle.manifest["datasets"]["data.csv"]["columns"] == ["a", "j"]
    assert bundle.privacy is not None
    assert (bundle.privacy["rounds"], bundle.privacy["multiplier"]) == (2, float(z))


def noisy(execute: Any, frame: pd.DataFrame, privacy: delta.Privacy) -> Any:
    return delta.debug(task(execute, list(frame.columns), privacy=privacy).build(), data=frame, parts=3)


def test_results_are_as_far_off_as_the_noise_and_say_why() -> None:
    frame = pd.DataFrame({"x": np.linspace(-1, 1, 3000), "y": np.ones(3000)})
    privacy = delta.Privacy(multiplier=4.0, clip=2.0)
    found = noisy(lambda df: df.sum(), frame, privacy)
    assert 0 < np.abs(found.to_numpy() - [0.0, 3000.0]).max() < 8 * 6
    assert found.attrs["privacy"]["multiplier"] == 4.0
    assert found.attrs["privacy"]["epsilon"] == pytest.approx(epsilon_of(4.0, 1e-6, 1))


def test_a_bound_that_is_too_tight_shows() -> None:
    frame = pd.DataFrame({"x": np.full(3000, 100.0)})
    # Of (100, 1), scaled to length 1, the sum and the count keep their ratio.
    mean = noisy(lambda df: df["x"].sum(), frame, delta.Privacy(multiplier=0.01, clip=1.0))
    assert mean == pytest.approx(3000, rel=0.01)


def test_medians_under_noise_are_near() -> None:
    frame = sample(3000)[["a"]].dropna()
    found = noisy(
        lambda df: df["a"].median(bounds=(-20, 20), buckets=64, rounds=1),
        frame,
        delta.Privacy(multiplier=2.0, clip=1.0),
    )
    assert found == pytest.approx(frame["a"].median(), abs=40 / 64 + 0.1)


@pytest.mark.parametrize("how", ["min", "max", "describe"])
def test_extremes_have_no_form_for_noise(how: str) -> None:
    privacy = delta.Privacy(epsilon=1.0)
    with pytest.raises(ValueError, match=r"privacy: .* is no sum over rows"):
        task(lambda df: getattr(df, how)(), ["a"], privacy=privacy).build()


def rows(count: int = 6000) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": rng.normal(size=count), "b": rng.normal(size=count)})
    frame["y"] = 0.5 + frame["a"] - 0.5 * frame["b"] + rng.normal(size=count)
    frame["yes"] = (rng.random(count) < 1 / (1 + np.exp(-frame["a"]))).astype(float)
    return frame


def test_a_linear_model_under_noise() -> None:
    built = regression(LinearTask, ["a", "b", "y"], "y", privacy=delta.Privacy(epsilon=3.0, clip=12.0)).build()
    assert built.rounds == 3 and built.privacy is not None and built.privacy["rounds"] == 3
    found = delta.debug(built, data=rows()[["a", "b", "y"]])
    np.testing.assert_allclose(found.params, [0.5, 1.0, -0.5], atol=0.15)
    assert found.privacy == built.privacy


def test_a_logistic_model_under_noise_takes_a_fixed_number_of_steps() -> None:
    made = regression(LogitTask, ["a", "yes"], "yes", privacy=delta.Privacy(epsilon=5.0, clip=4.0))
    bundle = made.build()
    assert bundle.rounds == 6
    found = delta.debug(bundle, data=rows()[["a", "yes"]])
    np.testing.assert_allclose(found.params, [0.0, 1.0], atol=0.2)
    tally = {c["name"]: c["shape"] for c in bundle.manifest["rounds"][0]["map"]["contribute"]}["tally"]
    assert tally == [1], "neither missing nor impossible rows are counted"
    chosen = regression(
        LogitTask, ["a", "yes"], "yes", privacy=delta.Privacy(epsilon=5.0, clip=4.0), options={"maxiter": 3}
    )
    assert chosen.build().rounds == 4
    with pytest.raises(ValueError, match="missing='raise' needs a count without noise"):
        regression(
            LogitTask, ["a", "yes"], "yes", privacy=delta.Privacy(epsilon=5.0), options={"missing": "raise"}
        ).build()


def test_rows_with_gaps_can_go_uncounted() -> None:
    frame = rows(90)
    frame.loc[[3, 4], "a"] = np.nan
    built = regression(LinearTask, ["a", "b", "y"], "y", options={"missing": "ignore"}).build()
    shapes = {c["name"]: c["shape"] for c in built.manifest["rounds"][0]["map"]["contribute"]}
    found = delta.debug(built, data=frame[["a", "b", "y"]])
    assert shapes["tally"] == [2] and (found.nobs, found.missing) == (88.0, 0)
