"""Sums are exact whatever the scale of a column: against fractions, against pandas, and as nodes make them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
import delta.pandas
from conftest import Network
from delta._local.exact import exact_sums, on_scale, step_sums
from delta.statsmodel import LinearTask, LogitTask
from delta.task import HorizontalAnalytics

SCALES = [1e-24, 1e-9, 1e-5, 1.0, 1e4, 1e9, 1e15]


def test_sums_are_those_of_fractions() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(60, 9)) * 10 ** rng.uniform(-60, 45, size=(60, 9))
    numbers = np.concatenate([numbers, -numbers[:30], [[0.0] * 9]])
    expected = [float(sum(map(Fraction, column))) for column in numbers.T]
    assert exact_sums(numbers).tolist() == expected


@pytest.mark.parametrize(
    ("numbers", "said"),
    [([2.0**174] * 2, "2.175"), ([1e300], "2.175"), ([1e-90, 1e-100], "2.-265"), ([1.0, -1e-90], "2.-265")],
)
def test_what_does_not_fit_is_refused(numbers: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        exact_sums(np.array(numbers)[:, None])


def test_a_member_whose_sum_is_faint_is_refused_beside_others() -> None:
    # As its node would, which does not see the others.
    parts = [pd.DataFrame({"x": [value] * 40, "y": 1.0, "w": 1.0, "c": 1.0}) for value in (1.0, 1e-90, 2.0)]
    with pytest.raises(ValueError, match="a member's number is below"):
        delta.debug(Statistics("s", max_clients=3), d=parts)


def test_rules_see_what_is_summed() -> None:
    seen, steps = on_scale(np.array([[1e-9, 0.0], [-4e-9, 0.0], [1e-40, 0.0], [0.0, 0.0]]))
    assert 2**46 <= abs(seen[1, 0]) <= 2**51 and seen[2:, 0].tolist() == [0, 0] and not seen[:, 1].any()
    assert step_sums(seen, steps)[0] == pytest.approx(-3e-9, rel=1e-12)
    # What is lost beside a huge number is not summed either.
    seen, steps = on_scale(np.array([[2.0**150], [20750.29], [-(2.0**150)]]))
    assert step_sums(seen, steps)[0] == 0 and seen[1, 0] == 0


def frame(scale: float, rows: int = 900) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.uniform(1, 9, rows)
    y = 2 + 3 * x + rng.normal(0, 0.5, rows)
    return pd.DataFrame({"x": x * scale, "y": y, "w": rng.uniform(0.1, 2, rows), "c": np.full(rows, 0.3 * scale)})


class Statistics(HorizontalAnalytics):
    """What a table of results has."""

    def dataset(self) -> Any:
        return {"d": delta.dataset.DataFrame("d.csv", columns=["x", "y", "w", "c"])}

    def execute(self, d: Any) -> Any:
        x, w = d["x"], d["w"]
        sums = d.sum(), d.mean(), d.std(), d.var()
        return (*sums, d[["x", "y"]].corr(), d[["x", "y"]].cov(), (x * w).sum() / w.sum(), d.corr()["c"])


def expected(d: pd.DataFrame) -> list[Any]:
    both = d[["x", "y"]]
    return [d.sum(), d.mean(), d.std(), d.var(), both.corr(), both.cov(), (d.x * d.w).sum() / d.w.sum()]


@pytest.mark.parametrize("scale", SCALES)
def test_statistics_are_those_of_pandas(scale: float) -> None:
    d = frame(scale)
    made = delta.debug(Statistics("s", max_clients=3), d=d, parts=3, strict=True)
    for got, want in zip(made[:-1], expected(d), strict=True):
        # The spread of a column that is constant is 0, and what pandas rounds.
        rounding = 1e-14 * np.array([0, 0, 0, scale]) if np.shape(got) == (4,) else 0.0
        np.testing.assert_array_less(
            np.abs(np.asarray(got) - want), 1e-9 * np.abs(np.asarray(want)) + rounding + 1e-300
        )
    assert float(made[2]["c"]) < 1e-14 * scale
    assert np.isnan(np.asarray(made[-1])).all()


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e7])
def test_a_small_spread_far_from_zero_is_kept(offset: float) -> None:
    d = frame(1e-3)
    d["x"] += offset
    made = delta.debug(Statistics("s", max_clients=3), d=d, parts=3)
    assert float(made[2]["x"]) == pytest.approx(d.x.std(), rel=1e-6)


class Line(LinearTask):
    def dataset(self) -> Any:
        return {"d": delta.dataset.DataFrame("d.csv", columns=["x", "y"])}

    def preprocess(self, d: Any) -> Any:
        return d.drop(["y"], axis=1), d["y"]


class Odds(LogitTask):
    def dataset(self) -> Any:
        return {"d": delta.dataset.DataFrame("d.csv", columns=["x", "y"])}

    def preprocess(self, d: Any) -> Any:
        return d.drop(["y"], axis=1), d["y"] > 17.0


@pytest.mark.parametrize("scale", SCALES)
def test_regressions_do_not_hang_on_units(scale: float) -> None:
    d = frame(scale)
    for task in (Line("l", max_clients=3), Odds("o", max_clients=3)):
        here = delta.debug(task, d=d[["x", "y"]], parts=3)
        unit = delta.debug(task, d=frame(1.0)[["x", "y"]], parts=3)
        assert here.converged and here.iterations == unit.iterations
        np.testing.assert_allclose(np.asarray(here.params) * scale, np.asarray(unit.params), rtol=1e-9)
        np.testing.assert_allclose(np.asarray(here.tvalues), np.asarray(unit.tvalues), rtol=1e-7)


class Table(Statistics):
    def __init__(self, name: str, file: str) -> None:
        super().__init__(name, min_clients=3, max_clients=3, connection_timeout=10, wait_timeout=30)
        self.file = file

    def dataset(self) -> Any:
        return {"d": delta.dataset.DataFrame(self.file, columns=["x", "y", "w", "c"])}


@pytest.mark.parametrize("scale", [1e-9, 1e12])
def test_nodes_sum_exactly(network: Network, scale: float) -> None:
    file, d = f"scale{scale:g}.csv", frame(scale)
    parts = [d.iloc[:250], d.iloc[250:600], d.iloc[600:]]
    for folder, part in zip(network.folders, parts, strict=True):
        part.to_csv(folder / file, index=False)
    node, task = network.node, Table("scale", file)
    task_id = node.create_task(task)
    assert node.wait(task_id, timeout=120, progress=False), node.progress(task_id).error
    made = node.get_result(task_id)
    here = delta.debug(task, d=parts)
    for got, want, pandas in zip(made[:-1], here[:-1], expected(d), strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-13)
        rounding = 1e-14 * np.array([0, 0, 0, scale]) if np.shape(got) == (4,) else 0.0
        np.testing.assert_array_less(
            np.abs(np.asarray(got) - pandas), 1e-9 * np.abs(np.asarray(pandas)) + rounding + 1e-300
        )


@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_a_logit_far_from_zero_is_right_or_not_converged(offset: float) -> None:
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(2)
    x = rng.normal(size=900)
    y = (rng.random(900) < 1 / (1 + np.exp(-(0.3 + x)))).astype(float)

    class Far(Odds):
        def preprocess(self, d: Any) -> Any:
            z = d.drop(["y"], axis=1)
            z["one"] = 1.0
            return z, d["y"]

    made = delta.debug(Far("f", max_clients=3), d=pd.DataFrame({"x": x + offset, "y": y}), parts=3)
    theirs = sm.Logit(y, np.c_[x, np.ones(900)]).fit(disp=0, tol=1e-12)
    assert not made.converged or made.params[0] == pytest.approx(theirs.params[0], rel=1e-5)
