"""``delta.debug`` with fewer parts than a task needs and more than a round takes, and what it says would leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import delta
from delta import manifest as m
from delta.dataset import DataFrame as Table
from delta.graph import Graph
from delta.strategy import SameSelectStrategy, Strategy
from delta.task import HorizontalAnalytics
from simulation_cases import Points, points

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")
ROUNDS = 12
POWERS = [{"x": [10.0**i]} for i in range(6)]


def powers(strategy: Strategy, rounds: int = ROUNDS) -> delta.Bundle:
    """Each round adds up what its members have: the digits of a sum say who they are. The last outputs are of each round."""
    made = m.Draft("powers", strategy)
    made.table("t.csv", ["x"])
    g = Graph()
    g.output("own", g.sum(g.input("x", "f64", ["rows", 1]), 0))
    step = m.Step(made.graph("own", g.bytes()), {"x": m.data("t.csv", m.columns(["x"]))}, {"own": "own"})
    for number in range(rounds):
        made.variable(f"total{number}", "server", shape=[1])
        made.round(m.Map([step], [("own", "f64", [1])]), m.Reduce([], {f"total{number}": "own"}))
    made.outputs = [f"total{number}" for number in range(rounds)]
    return made.build()


def members(result: Any) -> list[set[int]]:
    """Who is in the sum of each round."""
    totals = [round(float(result[f"total{i}"][0])) for i in range(ROUNDS)]
    return [{p for p in range(len(POWERS)) if total // 10**p % 10} for total in totals]


def test_a_round_takes_as_many_as_it_may_anew_each_time() -> None:
    bundle = powers(Strategy(2, 3))
    who = members(delta.debug(bundle, t=POWERS))
    assert all(len(w) == 3 for w in who), "max_clients"
    assert len({tuple(w) for w in who}) > 4 and set.union(*who) == set(range(6)), "by chance, and everybody some time"
    assert members(delta.debug(bundle, t=POWERS)) == who == members(delta.debug(bundle, t=POWERS, seed=0))
    assert members(delta.debug(bundle, t=POWERS, seed=1)) != who
    # Whoever is there is enough: nobody is drawn who is away, and no draw is needed.
    there = members(delta.debug(bundle, t=POWERS, absent={i: [0, 2, 5] for i in range(1, ROUNDS + 1)}))
    assert there == [{1, 3, 4}] * ROUNDS


def test_the_same_members_stay_where_the_strategy_says_so() -> None:
    bundle = powers(Strategy(2, 3, select_strategy=SameSelectStrategy))
    who = members(delta.debug(bundle, t=POWERS))
    assert who == [who[0]] * ROUNDS
    gone = min(who[0])
    changed = members(delta.debug(bundle, t=POWERS, absent={4: [gone]}))
    # Filled up by another one, who stays.
    assert changed[:3] == who[:3] and changed[3] > who[0] - {gone} and len(changed[3]) == 3
    assert changed[3:] == [changed[3]] * (ROUNDS - 3)


class Spread(HorizontalAnalytics):
    def dataset(self) -> Any:
        return {"t": Table("t.csv", columns=["x"])}

    def execute(self, t: Any) -> Any:
        return t.x.mean(), t.x.std()


def test_a_statistic_is_of_one_choice() -> None:
    rows = [{"x": np.arange(10.0) * 10**i} for i in range(4)]
    for seed in range(6):
        mean, spread = delta.debug(Spread("spread", 2, 2), t=rows, seed=seed)
        (who,) = {tuple(r["who"]) for r in mean.attrs["rounds"]} if hasattr(mean, "attrs") else {None}
        pooled = [np.concatenate([rows[a]["x"], rows[b]["x"]]) for a in range(4) for b in range(a)]
        assert who is None or len(who) == 2
        assert any(
            mean == pytest.approx(p.mean(), rel=1e-12) and spread == pytest.approx(p.std(ddof=1), rel=1e-9)
            for p in pooled
        ), "the mean and the spread of the same two parts"


def test_results_say_who_was_in_a_round() -> None:
    x, y = points(60)
    task = Points(3, strategy=delta.task.FedAvg(2, 2))
    told = delta.debug(task, points=(x, y), parts=4).rounds
    assert [r["members"] for r in told] == [2] * 4
    assert all(len(set(r["who"])) == 2 and set(r["who"]) <= {f"part-{p}" for p in range(4)} for r in told)
    assert "who" not in delta.debug(task, points=(x, y), parts=2).rounds[0]


def test_too_few_parts_end_as_on_nodes() -> None:
    bundle = powers(Strategy(4, 6))
    for given in ({"t": POWERS[:3]}, {"t": {"x": np.ones(9)}, "parts": 3}):
        with pytest.raises(
            RuntimeError, match=r"^the task wants at least 4 members, the network has 3 nodes: .*parts=4"
        ):
            delta.debug(bundle, **given)
    with pytest.raises(
        RuntimeError, match=r"^round 2 had too few members: 3 of at least 4 .* joined; away: parts 0, 1, 4$"
    ):
        delta.debug(bundle, t=POWERS, absent={2: [1, 0, 4]})


@pytest.mark.parametrize(("low", "high", "parts"), [(2, 2, 2), (2, 3, 3), (2, 9, 3), (5, 9, 5)])
def test_without_a_word_all_rows_are_in_every_sum(low: int, high: int, parts: int) -> None:
    result = delta.debug(powers(Strategy(low, high), 1), t={"x": np.arange(20.0)})
    assert result["total0"] == [190.0], parts


def test_what_would_leave_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    delta.debug(powers(Strategy(2, 3)), t=POWERS)
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert first == (
        "Task powers: 6 parts, of which a round takes 3 (max_clients), chosen at random for each: rows of the others are in no "
        "sum of it."
    )
    assert second == "Rounds 1 to 12: leaves each member, masked, to be summed over 3:"
    assert third == "  own, f64 [1], 1 number" and last == "  in all 8 bytes a round"
    delta.debug(Spread("spread", 2, 2), t={"x": np.arange(40.0)}, parts=3)
    said = capsys.readouterr().out
    assert (
        "3 parts, of which a round takes 2 (max_clients), chosen at random once" in said and "Round 2: leaves" in said
    )
    delta.debug(powers(Strategy(2, 6)), t=POWERS[:4])
    assert capsys.readouterr().out.startswith("Task powers: 4 parts, all in each round.")
    delta.debug(powers(Strategy(2, 6)), t=POWERS, show=False)
    assert capsys.readouterr().out == ""
