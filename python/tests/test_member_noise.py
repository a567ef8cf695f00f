"""Noise for whole members: any graph, bounded by the node; here and on real nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import delta
from conftest import program
from delta import manifest as m
from delta.graph import Graph
from delta.statsmodel import LinearTask, add_constant
from delta.strategy import Strategy
from delta.task import FedAvg, HorizontalAnalytics, HorizontalLearning
from delta.task.learning import GradResultStrategy
from test_private_examples import charged, ends_with_the_budget, example

STAFF = "staff.csv"
L2, Z, DELTA = 50.0, "4", 1e-6
RULES = {
    STAFF: {
        "columns": {"person": "identifier", "wage": "value"},
        "approval": "private",
        "privacy": {"unit": "member", "epsilon": 1.5, "delta": DELTA, "renew": "never"},
    }
}


class Sum:
    """A sum that the graph makes itself over all rows, in hundreds: free, if it had no noise."""

    def __init__(self, noise: Any = None, nodes: int = 3) -> None:
        self.strategy = Strategy(min_clients=nodes, max_clients=nodes, connection_timeout=5, wait_timeout=20)
        self.noise = m.member_noise(L2, Z, DELTA) if noise is None else noise

    def build(self) -> delta.Bundle:
        g = Graph()
        x = g.input("x", "f64", ["rows", 1])
        g.output("top", g.div(g.sum(x, 0), 100.0))
        draft = m.Draft("sum", self.strategy)
        draft.table(STAFF, ["wage"])
        draft.variable("top", "server", shape=[1])
        step = m.Step(draft.graph("map", g.bytes()), {"x": m.data(STAFF, m.columns(["wage"]))}, {"top": "top"})
        draft.round(m.Map([step], [("top", "f64", [1])], noise=self.noise), m.Reduce([], {"top": "top"}))
        draft.outputs = ["top"]
        return draft.build()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELTA_NODE_BIN", program())
        with example("private_nodes").network(Path(tmp_path_factory.mktemp("members")), RULES) as running:
            yield running


def test_any_graph_runs_unasked_and_is_bounded_and_paid_for(nodes: list[Any]) -> None:
    with delta.DeltaNode(nodes[0].url) as node:
        number = node.create_task(Sum().build())
        assert node.wait(number, timeout=60, progress=False), node.progress(number).error
        top = float(node.get_result(number)["top"][0])
    wages = [example("private_nodes").tables(i)[STAFF]["wage"] for i in range(3)]
    assert all(w.sum() / 100 > L2 for w in wages), "every member is cut"
    # Three members at the bound, and noise of 4 * 50: six deviations, two chances in a thousand million.
    assert abs(top - 3 * L2) < 6 * float(Z) * L2
    for account in charged(nodes, STAFF):
        assert len(account["charges"]) == 1 and account["open"] == 0
        assert account["spent"]["colluding"] == pytest.approx(delta.privacy.epsilon_of(float(Z), DELTA, 1), abs=2e-3)
    ends_with_the_budget(nodes, Sum(), STAFF)


def test_it_is_said_what_is_bounded_and_what_that_makes_of_the_task() -> None:
    text = Sum().build().describe()
    assert "bounds all numbers that leave to the length 50 together, with noise of 4 times that at delta 1e-6" in text
    assert "Class: private, for whole members, whatever the graphs are." in text


def test_debug_bounds_and_noises_alike() -> None:
    data = {"staff": {"wage": np.arange(3000.0, 9000.0)}}
    tops = [float(delta.debug(Sum().build(), parts=3, seed=s, **data)["top"][0]) for s in range(200)]
    # 200 draws of deviation 200 around 150: six standard errors.
    assert abs(np.mean(tops) - 3 * L2) < 6 * 200 / np.sqrt(200)
    assert np.std(tops) == pytest.approx(200, rel=6 / np.sqrt(400))


@pytest.mark.parametrize(
    ("noise", "says"),
    [
        (m.member_noise(0.0, Z, DELTA), "must be a finite number above 0"),
        (m.member_noise(L2, "many", DELTA), "noise.multiplier='many'"),
        (m.member_noise(L2, Z, 1.0), r"noise.delta=1\.0 must lie"),
    ],
)
def test_noise_that_nobody_makes_is_refused(noise: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Sum(noise).build()


# ---- what the kinds of tasks make of it
class Wages(HorizontalAnalytics):
    def __init__(self, privacy: delta.Privacy) -> None:
        super().__init__("wages", min_clients=2, max_clients=2, precision=6, privacy=privacy)

    def dataset(self) -> dict[str, Any]:
        return {"t": delta.dataset.DataFrame(STAFF, columns=["wage", "age"])}

    def execute(self, t: Any) -> Any:
        return t["wage"].mean(), t["age"].sum()


class Line(LinearTask):
    def __init__(self, privacy: delta.Privacy | None) -> None:
        super().__init__("line", min_clients=2, max_clients=2, precision=6, privacy=privacy)

    def dataset(self) -> dict[str, Any]:
        return {"t": delta.dataset.DataFrame(STAFF, columns=["wage", "age"])}

    def preprocess(self, t: Any) -> Any:
        return add_constant(t[["age"]]), t["wage"]


class Model(HorizontalLearning):
    def __init__(self, privacy: delta.Privacy | None, strategy: Any) -> None:
        super().__init__("model", 3, 0, 0.0, strategy, seed=4, privacy=privacy)
        torch.manual_seed(1)
        self.model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), 0.01)
        self.loss_func = torch.nn.MSELoss()

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("flat", shape=(3,))

    def preprocess(self, z: Any) -> Any:
        return z[:, :2], z[:, 2:]


def staff() -> Any:
    rng = np.random.default_rng(3)
    age = rng.uniform(2.0, 6.0, 600)
    return pd.DataFrame({"wage": 1 + 0.5 * age + rng.normal(0, 0.1, 600), "age": age})


def faint(clip: float) -> delta.Privacy:
    """So little noise, and so wide a bound, that results are those without: a deviation of ``clip / 10_000``."""
    return delta.Privacy(multiplier=0.0001, clip=clip, delta=DELTA, member=True)


def test_statistics_of_whole_members_are_whole_sums_with_noise() -> None:
    bundle = Wages(faint(2e4)).build()
    assert all("driver" not in s for r in bundle.manifest["rounds"] for s in r["map"]["steps"])
    t = staff()
    half = [t[:300], t[300:]]
    mean, total = delta.debug(bundle, t=half, parts=2, seed=1)
    # A deviation of 2 in the sums, of 1,800 and 600.
    assert float(mean) == pytest.approx(t["wage"].mean(), abs=6 * 2 * 4 / 600)
    assert float(total) == pytest.approx(t["age"].sum(), abs=6 * 2)
    assert bundle.privacy is not None and bundle.privacy["member"]


def test_a_regression_of_whole_members_is_the_regression() -> None:
    bundle = Line(faint(2e4)).build()
    assert "Class: private, for whole members" in bundle.describe()
    assert "By its author's account" in bundle.describe()
    t = staff()
    # The noise in the sums, 2, is at most a hundredth of what they are.
    exact, noised = (delta.debug(b, t=t, parts=2, seed=2) for b in (Line(None).build(), bundle))
    assert np.allclose(noised.params, exact.params, rtol=0.2)
    assert not np.allclose(noised.params, exact.params, rtol=1e-9)


def test_learning_of_whole_members_is_learning_by_differences() -> None:
    plain = FedAvg(2, 2, merge_epoch=2, result_strategy=GradResultStrategy, weighting="mean")
    asked = FedAvg(2, 2, merge_epoch=2)
    z = np.random.default_rng(5).normal(size=(80, 3)).astype(np.float32)
    exact = delta.debug(Model(None, plain), data=[z[:30], z[30:]], parts=2, seed=1)
    noised = delta.debug(Model(faint(10.0), asked), data=[z[:30], z[30:]], parts=2, seed=1)
    after, before = noised.parameters, exact.parameters
    off = [float(np.abs(after[n] - before[n]).max()) for n in before]
    # Three rounds with noise of 0.001 in the sum of two; members go on from what it made of the model.
    assert 0 < max(off) < 6 * 0.001 / 2 * np.sqrt(3) * 2


def test_what_says_something_of_records_is_refused() -> None:
    with pytest.raises(ValueError, match="leave it out with member=True"):
        delta.Privacy(multiplier=1.0, member=True, unit="person")
    with pytest.raises(ValueError, match="leave it out with member=True"):
        delta.Privacy(multiplier=1.0, member=True, linf=1.0)
