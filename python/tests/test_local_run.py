"""delta.debug on the bundles that the node's own tests run, and on data that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
from delta import manifest as m
from delta._local.members import quantised
from delta._local.steps import Position, Scope, Walk, solve

FIXTURES = Path(__file__).parents[2] / "tests/fixtures"
DATA = Path(__file__).parents[2] / "assets"
WAGES = delta.Bundle.load(FIXTURES / "wages-means.delta")


def test_the_mean_is_the_pooled_mean_however_rows_are_spread() -> None:
    wages = np.array([3000.0, np.nan, 5000.0, 100.0, 7.5])
    for data in (
        pd.DataFrame({"wage": wages}),
        {"wage": wages},
        [{"wage": wages[:1]}, {"wage": wages[1:4]}, {"wage": wages[4:]}],
    ):
        result = delta.debug(WAGES, wages=data)
        assert result["mean"] == pytest.approx(np.nanmean(wages), abs=1e-8)
        assert result["rows"] == 4


def test_a_task_that_stops_early_stops() -> None:
    rounds: list[int] = []
    bundle = delta.Bundle.load(FIXTURES / "iris-logistic.delta")
    flowers = pd.read_csv(DATA / "iris.csv").sample(frac=1, random_state=0)
    delta.debug(bundle, iris=flowers, on_round=lambda number, _: rounds.append(number))
    assert 10 < len(rounds) < bundle.rounds


def test_training_over_members_learns() -> None:
    digits = np.load(DATA / "digits.npz")
    accuracy: list[float] = []
    bundle = delta.Bundle.load(DATA / "digits-cnn.delta")
    delta.debug(
        bundle, parts=2, digits=(digits["x"], digits["y"]), on_round=lambda _, shown: accuracy.append(shown["accuracy"])
    )
    assert accuracy[0] < 0.3
    assert accuracy[-1] > 0.9


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"no data for wages\.csv: pass it as wages=\.\.\."),
        ({"wages": {"pay": [1.0]}}, "the task reads column 'wage', the data has pay"),
        ({"wages": [{"wage": [1.0]}], "parts": 3}, r"a list of 1 for 3 members; the task needs 2 \(min_clients\)"),
        ({"wages": [{"wage": [1.0]}] * 4, "parts": 3}, "a list of 4 for 3 members; pass parts=4"),
        ({"wages": {"wage": [1e12, 1.0, 2.0]}}, "contribution sum: above 3.07e.10.*lower strategy.precision"),
        ({"wages": {"wage": [np.inf, 1.0, 2.0]}}, "contribution sum: has NaN or infinity"),
    ],
)
def test_data_that_does_not_fit_is_refused_by_name(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        delta.debug(WAGES, **data)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (-1, r"digits: label -1 of sample 3 is none of the 10 classes \(0 to 9\)"),
        (10, r"digits: label 10 of sample 3 is none of the 10 classes \(0 to 9\)"),
        (0.5, "digits: label 0.5 of sample 3 is no whole number"),
        (np.nan, "digits: label nan of sample 3 is no whole number"),
    ],
)
def test_labels_are_those_that_nodes_take(label: float, message: str) -> None:
    digits, bundle = np.load(DATA / "digits.npz"), delta.Bundle.load(DATA / "digits-cnn.delta")
    y = digits["y"].astype(type(label))
    y[3] = label
    with pytest.raises(ValueError, match=message):
        delta.debug(bundle, digits=(digits["x"], y))
    with pytest.raises(ValueError, match=r"its labels must be \d+ whole numbers; they have shape \[\d+, 2\]"):
        delta.debug(bundle, digits=(digits["x"], np.stack([y, y], 1)))


def test_sums_are_rounded_as_nodes_round() -> None:
    spec = {"name": "x", "shape": [4]}
    manifest = {"strategy": {"precision": 0}}
    assert quantised(np.array([0.5, 1.5, -2.5, 2.6]), spec, manifest, 3).tolist() == [0, 2, -2, 3]
    with pytest.raises(ValueError, match="shape"):
        quantised(np.zeros(3), spec, manifest, 3)


def test_batches_go_on_where_the_last_round_stopped() -> None:
    driver = {"dataset": "d", "batch_size": 2, "length": {"iterations": 2}, "resume": True}
    first = Walk(np.arange(5), driver, Position())
    assert [first.next()[1].tolist() for _ in range(2)] == [[0, 1], [2, 3]]  # type: ignore[index]
    assert first.next() is None
    second = Walk(np.arange(5), driver, first.position)
    assert [second.next()[1].tolist() for _ in range(2)] == [[4], [0, 1]]  # type: ignore[index]
    assert vars(second.position) == {"epoch": 1, "position": 2, "batches": 4}


def test_fewer_rows_than_a_batch_is_an_error_not_an_endless_loop() -> None:
    driver = {"dataset": "d", "batch_size": 8, "length": {"epochs": 1}, "drop_last": True}
    with pytest.raises(ValueError, match="3 rows, fewer than one batch of 8"):
        Walk(np.arange(3), driver, Position())


def test_solving_adds_the_ridge_and_names_a_singular_matrix() -> None:
    step = m.Step(None, {"a": m.variable("a"), "b": m.variable("b")}, {"x": "x"}, m.solve(1.0)).json()
    scope = Scope({"a": np.zeros((2, 2)), "b": np.array([3.0, 4.0])})
    solve(step, step["driver"], scope)
    assert scope.values["x"].tolist() == [3.0, 4.0]
    with pytest.raises(ValueError, match=r"matrix a is singular: its column 0 \(counted from 0\)"):
        solve(step, {"kind": "solve"}, scope)
