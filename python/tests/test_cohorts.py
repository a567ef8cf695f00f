"""One cohort, one answer: a member that comes or goes between two rounds never makes a number of two cohorts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
from cohort_cases import PARTS, ROWS, STATISTICS, Change, changes, public_statistics, rows
from delta import manifest as m
from delta.bundle import Bundle
from delta.dataset import DataFrame as Table
from delta.graph import Graph
from delta.strategy import Strategy
from delta.task import HorizontalAnalytics
from pooled import same, task
from test_pandas_random import Program

pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning", "ignore:.*Categorical")


def pieces(frame: pd.DataFrame) -> list[pd.DataFrame]:
    return [frame.iloc[p * ROWS : (p + 1) * ROWS] for p in range(PARTS)]


def run(bundle: Bundle, frame: pd.DataFrame, absent: dict[int, list[int]]) -> Any:
    return delta.debug(bundle, data=pieces(frame), parts=PARTS, threads=1, absent=absent)


def one_answer(execute: Any, frame: pd.DataFrame, rtol: float) -> int:
    """Fail unless every change of a member gives the answer over the last round's members, or the task's end."""
    bundle = task(execute, list(frame.columns), min_clients=2, max_clients=PARTS).build()
    for change in changes(bundle.rounds):
        absent = change.absent(bundle.rounds)
        if (sentence := change.ends(bundle)) is not None:
            with pytest.raises(RuntimeError, match=sentence):
                run(bundle, frame, absent)
            continue
        found = run(bundle, frame, absent)
        pooled = execute(pd.concat([pieces(frame)[p] for p in change.members(bundle)]))
        several = isinstance(pooled, tuple)
        for x, y in zip(found if several else (found,), pooled if several else (pooled,), strict=True):
            same(x, y, rtol=rtol, what=str(change))
            if hasattr(x, "attrs"):
                assert [r["members"] for r in x.attrs["rounds"]] == [len(change.members(bundle))] * bundle.rounds
    return bundle.rounds


def test_every_public_statistic_is_tried() -> None:
    assert public_statistics() <= set(STATISTICS)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_statistic_is_of_one_cohort(name: str) -> None:
    one_answer(STATISTICS[name], rows(), 1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", range(24))
def test_a_random_program_is_of_one_cohort(seed: int) -> None:
    one_answer(Program(seed), rows(), 2e-6)


@pytest.mark.parametrize("unit", [{}, {"member": True}], ids=["records", "members"])
def test_a_statistic_under_noise_is_of_one_cohort(unit: dict[str, Any]) -> None:
    frame = rows()[["a", "b"]].fillna(0.0)
    privacy = delta.Privacy(multiplier=2.0, clip=1e3, delta=1e-5, **unit)
    bundle = task(lambda df: df.std(), ["a", "b"], min_clients=2, max_clients=PARTS, privacy=privacy).build()
    lost, come = Change(1, True), Change(1, False)
    with pytest.raises(RuntimeError, match=str(lost.ends(bundle))):
        run(bundle, frame, lost.absent(2))
    made = run(bundle, frame, come.absent(2))
    assert made.attrs["rounds"] == [{"members": PARTS - 1, "failed": None, "dropped": 0}] * 2


class Pair(HorizontalAnalytics):
    """Rows of one table against the mean of another."""

    def __init__(self, rows: str, mean: str) -> None:
        super().__init__("pair", 2, 3)
        self.rows, self.mean = rows, mean

    def dataset(self) -> dict[str, Table]:
        return {name: Table(f"{name}.csv", ["x"]) for name in ("left", "right")}

    def execute(self, **tables: Any) -> Any:
        return (tables[self.rows]["x"] - tables[self.mean]["x"].mean()).abs().sum()


def test_a_member_that_could_not_compute_is_out_of_all_bound_rounds() -> None:
    left = [{"x": [1.0, 2.0]}, {"x": [30.0, 40.0]}, {"x": [5.0, 9.0]}]
    right = [{"x": [1.0]}, {"x": []}, {"x": [4.0]}]
    data = {"left": left, "right": right}
    # The second part has no row of the first round's table: its rows of the second round's are left out, too.
    assert delta.debug(Pair("left", "right"), **data) == pytest.approx(1.5 + 0.5 + 2.5 + 6.5)
    # And here it has one in the first round, but none in the second.
    with pytest.raises(
        RuntimeError, match=r"^round 2 must sum the members of round 1, and 1 more of them could not compute$"
    ):
        delta.debug(Pair("right", "left"), **data)


def test_results_say_how_many_failed() -> None:
    task_of_rows = task(lambda df: df.std(), ["a"], min_clients=2)
    found = delta.debug(task_of_rows, data=[{"a": [1.0, 2.0]}, {"a": []}, {"a": [7.0]}])
    assert found.attrs["rounds"] == [{"members": 3, "failed": 1, "dropped": 0}] * 2
    assert found["a"] == pytest.approx(np.std([1, 2, 7], ddof=1))


def draft() -> m.Draft:
    made = m.Draft("sums", Strategy(min_clients=2, max_clients=4))
    made.table("t.csv", ["x"])
    made.variable("total", "server", shape=[1])
    return made


def sums(made: m.Draft) -> tuple[m.Map, m.Reduce]:
    """What every member has in ``x``, and the members there are."""
    g = Graph()
    g.output("own", g.sum(g.input("x", "f64", ["rows", 1]), 0))
    step = m.Step(made.graph("own", g.bytes()), {"x": m.data("t.csv", m.columns(["x"]))}, {"own": "own"})
    return m.Map([step], [("own", "f64", [1])]), m.Reduce([], {"total": "own"})


def test_a_draft_says_which_rounds_are_bound() -> None:
    made = draft()
    with pytest.raises(ValueError, match="first round of a task has no round before it"):
        made.round(*sums(made), cohort="same")
    made.round(*sums(made))
    with pytest.raises(ValueError, match="cohort='other': must be 'same', or be left out"):
        made.round(*sums(made), cohort="other")  # type: ignore[arg-type]
    made.round(*sums(made), 2, cohort="same")
    made.round(*sums(made))
    made.outputs = ["total"]
    bundle = made.build()
    assert [(r.get("repeat", 1), r.get("cohort")) for r in bundle.manifest["rounds"]] == [
        (1, None),
        (2, "same"),
        (1, None),
    ]
    told = bundle.describe().split("Round")
    assert ["sums the same members as the round before" in part for part in told[1:]] == [False, True, False]


def test_who_is_away_is_left_out_of_free_rounds_and_ends_bound_ones() -> None:
    made = draft()
    made.round(*sums(made))
    made.round(*sums(made))
    made.round(*sums(made), cohort="same")
    made.outputs = ["total"]
    bundle = made.build()

    def total(absent: dict[int, list[int]], parts: int = 3) -> float:
        return float(
            delta.debug(bundle, t={"x": [1.0, 10.0, 100.0, 1000.0][:parts]}, parts=parts, absent=absent)["total"][0]
        )

    assert total({}) == 111
    assert total({1: [2]}) == 111
    # Who was away in the second round is no part of the third, there or not.
    assert total({2: [0]}) == total({2: [0], 3: [0]}) == 110
    with pytest.raises(RuntimeError, match=r"^round 3 must sum the members of round 2, and part 1 is away$"):
        total({3: [1]})
    with pytest.raises(RuntimeError, match=r"^round 3 must sum the members of round 2, and parts 0, 2 are away$"):
        total({3: [2, 0]}, parts=4)
    with pytest.raises(
        RuntimeError, match=r"^round 2 had too few members: 1 of at least 2 members joined; away: parts 0, 1$"
    ):
        total({2: [0, 1]})
    for absent, says in (({4: [0]}, "no round 4; .* from 1 to 3"), ({1: [3]}, "no part 3; .* from 0 to 2")):
        with pytest.raises(ValueError, match=f"absent: there is {says}"):
            total(absent)


def test_the_case_that_was_reported() -> None:
    # One table at three members, one of which is lost after the first round: std was 22.9, and the median 55.
    frame = pd.DataFrame({"a": np.arange(2000.0) % 97})
    bundle = task(lambda df: (df.mean(), df.std(), df.median()), ["a"], min_clients=2).build()
    for after in range(1, bundle.rounds):
        with pytest.raises(RuntimeError, match=rf"^round {after + 1} must sum .* and part 2 is away$"):
            delta.debug(bundle, data=[frame] * 3, absent=Change(after, True).absent(bundle.rounds, 2))
