"""``delta.simulate``: the same as ``delta.debug`` and as plain federated averaging over the same clients; and splits."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import delta
import delta.dataset
from delta.simulation import by, dirichlet, iid
from delta.task import FedAdam, FedAvg, HorizontalAnalytics
from simulation_cases import Points, points, same

pytest.importorskip("onnxruntime")
X, Y = points()


@cache
def built(rounds: int) -> delta.Bundle:
    return Points(rounds).build()


def clients_of(result: Any) -> list[list[int]]:
    return [[int(name.removeprefix("client-")) for name in told["who"]] for told in result.rounds]


@pytest.mark.parametrize("strategy", [FedAvg(2, 100), FedAdam(2, 100, eta=0.05)], ids=["FedAvg", "FedAdam"])
def test_it_is_debug_over_the_same_clients_bit_for_bit(strategy: Any) -> None:
    task = Points(4, momentum=0.9, strategy=strategy, validate_interval=2)
    rows = dirichlet(0.5, least=5).rows(len(X), Y, 12, np.random.default_rng(3))
    made = delta.simulate(task, (X, Y), 12, rows, sample=0.5, drop=0.2, seed=7, progress=False)
    who = clients_of(made)
    assert len({tuple(w) for w in who}) > 1 and all(2 <= len(w) <= 6 for w in who)
    away = {i + 1: set(range(12)) - set(w) for i, w in enumerate(who)}
    parts = [(X[r], Y[r]) for r in rows]
    with pytest.warns(delta.ReleaseWarning):
        again = delta.debug(task, parts=12, absent=away, points=parts)
    assert same(made, again) and made.metrics == again.metrics
    assert made.history[["round", "loss", "members"]].equals(again.history[["round", "loss", "members"]])
    told = made.rounds[0]
    assert told["members"] + told["dropped"] == 6 and len(told["lost"]) == told["dropped"] and told["seconds"] > 0
    assert told["bytes"] > 8 * 43 and list(made.history.columns) == ["round", "loss", "members", "seconds"]


def plain(rows: list[np.ndarray[Any, Any]], who: list[list[int]]) -> dict[str, torch.Tensor]:
    """Federated averaging as in the paper, with torch alone."""
    task = Points(shuffle=False, validate_interval=0)
    model = copy.deepcopy(task.model)
    for members in who:
        mean, weight = {k: torch.zeros_like(v, dtype=torch.float64) for k, v in model.state_dict().items()}, 0
        for member in members:
            own = copy.deepcopy(model)
            optimizer = torch.optim.SGD(own.parameters(), lr=0.2)
            x, y = torch.from_numpy(X[rows[member]]), torch.from_numpy(Y[rows[member]])
            for start in range(0, len(x), 8):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(own(x[start : start + 8]), y[start : start + 8]).backward()
                optimizer.step()
            for key, value in own.state_dict().items():
                mean[key] += value.to(torch.float64) * len(x)
            weight += len(x)
        model.load_state_dict({k: (v / weight).to(torch.float32) for k, v in mean.items()})
    return model.state_dict()


def test_it_is_plain_federated_averaging() -> None:
    rows = dirichlet(0.3, least=3).rows(len(X), Y, 10, np.random.default_rng(0))
    task = Points(5, shuffle=False, validate_interval=0)
    made = delta.simulate(task, (X, Y), 10, rows, sample=4, drop=0.1, seed=1, progress=False)
    expected = plain(rows, clients_of(made))
    for key, value in expected.items():
        np.testing.assert_allclose(made.parameters[key], value.numpy(), atol=1e-6)


def test_the_seed_says_everything() -> None:
    def run(seed: int) -> Any:
        return delta.simulate(built(2), (X, Y), 20, dirichlet(0.3), 0.2, drop=0.3, seed=seed, progress=False)

    one, again, other = run(5), run(5), run(6)
    assert same(one, again) and clients_of(one) == clients_of(again)
    assert not same(one, other) and clients_of(one) != clients_of(other)


def test_rounds_replace_those_of_the_task_which_stays_as_it_is() -> None:
    task = Points(9)
    numbers: list[int] = []
    made = delta.simulate(task, (X, Y), 5, rounds=2, progress=False, on_round=lambda n, m: numbers.append(n))
    assert task.max_rounds == 9 and made.rounds_done == 2 and numbers == [1, 2, 3]
    with pytest.raises(ValueError, match="a bundle has its rounds already"):
        delta.simulate(built(2), (X, Y), 5, rounds=2)
    with pytest.raises(ValueError, match="rounds=0"):
        delta.simulate(task, (X, Y), 5, rounds=0)


@pytest.mark.parametrize("split", [iid(), dirichlet(0.05), dirichlet(100.0), dirichlet(1.0, least=1)], ids=repr)
def test_every_row_is_one_clients(split: Any) -> None:
    rows = split.rows(len(X), Y, 20, np.random.default_rng(0))
    assert len(rows) == 20 and np.array_equal(np.sort(np.concatenate(rows)), np.arange(len(X)))
    sizes = [len(r) for r in rows]
    assert min(sizes) >= getattr(split, "least", 15)
    if split == iid():
        assert set(sizes) == {15}


def test_a_small_alpha_gives_each_client_few_labels() -> None:
    labels = np.arange(4000) % 10

    def most(alpha: float) -> float:
        rows = dirichlet(alpha).rows(4000, labels, 40, np.random.default_rng(1))
        return float(np.mean([np.bincount(labels[r]).max() / len(r) for r in rows]))

    assert most(0.05) > 0.5 and most(1000.0) < 0.2


def test_clients_by_a_column_that_the_task_does_not_read() -> None:
    class Mean(HorizontalAnalytics):
        def dataset(self) -> Any:
            return {"stays": delta.dataset.DataFrame("stays.csv", columns=["days"])}

        def execute(self, stays: Any) -> Any:
            return stays.days.mean(), stays.days.std()

    table = pd.DataFrame({"days": np.arange(90.0), "ward": np.array(["A", "B", "C"])[np.arange(90) % 3]})
    mean, spread = delta.simulate(Mean("mean", 2, 3), table, split=by("ward"), progress=False)
    assert mean == table.days.mean() and spread == pytest.approx(table.days.std(), rel=1e-12)
    # The rounds of a statistic are of the same members: who is drawn is drawn once.
    mean, spread = delta.simulate(
        Mean("mean", 2, 3), table, split=by("ward"), sample=2, drop=0.1, seed=2, progress=False
    )
    pairs = [table[table.ward.isin(w)].days for w in (["A", "B"], ["A", "C"], ["B", "C"])]
    assert any(mean == p.mean() and spread == pytest.approx(p.std(), rel=1e-12) for p in pairs)
    parts = [table[table.ward == w] for w in "ABC"]
    again, _ = delta.simulate(Mean("mean", 2, 3), parts, progress=False)
    assert again == table.days.mean()
    with pytest.raises(ValueError, match="no column 'hospital'; it has days, ward"):
        delta.simulate(Mean("mean", 2, 3), table, split=by("hospital"))
    with pytest.raises(ValueError, match="3 different values, a client each"):
        delta.simulate(Mean("mean", 2, 3), table, 4, by("ward"))
    with pytest.raises(ValueError, match="dirichlet splits by labels, and the data has none"):
        delta.simulate(Mean("mean", 2, 3), table, 3, dirichlet(0.3))
    with pytest.raises(ValueError, match="its rounds follow from what it computes"):
        delta.simulate(Mean("mean", 2, 3), table, 3, rounds=3)


def test_a_torch_dataset_and_labels_of_ones_own() -> None:
    class Held(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, i: int) -> Any:
            return torch.from_numpy(X[i]), int(Y[i])

    split = dirichlet(0.3, column=np.arange(len(X)) % 4)
    one = delta.simulate(built(2), Held(), 6, split, progress=False)
    assert same(one, delta.simulate(built(2), (X, Y), 6, split, progress=False))


def test_who_has_too_few_rows_counts_as_failed_as_on_nodes() -> None:
    rows = [np.arange(1), np.arange(1, 150), np.arange(150, 300)]
    task = Points(2, strategy=FedAvg(2, 3, weighting="mean")).build()
    made = delta.simulate(task, (X, Y), split=rows, progress=False)
    # The last round only measures, for which one row is enough.
    assert [(t["members"], t["failed"]) for t in made.rounds] == [(3, 1), (3, 1), (3, 0)]
    others = delta.simulate(task, (X, Y), split=rows[1:], progress=False)
    assert same(made, others), "it is not counted in the mean"
    with pytest.raises(RuntimeError, match="2 of 3 members could not compute, as they have too few rows"):
        delta.simulate(task, (X, Y), split=[rows[0], rows[0], rows[1]], progress=False)


def test_too_many_lost_clients_end_it() -> None:
    with pytest.raises(RuntimeError, match=r"needs 5 members \(min_clients\), and in 4 attempts"):
        delta.simulate(Points(20, strategy=FedAvg(5, 9)), (X, Y), 20, sample=5, drop=0.5, progress=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sample": 0}, "a number of clients is from 1 to 10"),
        ({"sample": 1}, "sample=1.0 is all clients"),
        ({"sample": 1.5}, "a share is above 0 and at most 1"),
        ({"sample": 0.1}, "of 10 clients is 1, and a round of this task needs 2"),
        ({"sample": "half"}, "must be a share"),
        ({"sample": float("nan")}, "a share is above 0"),
        ({"drop": 1.0}, "drop=1.0"),
        ({"drop": float("nan")}, "drop=nan"),
        ({"clients": 301}, "from 1 to 300, the number of rows"),
        ({"clients": 2.5}, "clients=2.5"),
        ({"split": [np.arange(3)], "clients": 2}, "split has rows for 1"),
        ({"split": [np.arange(3), [300]]}, "client 1 has a row number that is not from 0 to 299"),
        ({"split": [np.arange(3), np.ones(300, bool)]}, "client 1 has no list of row numbers"),
        ({"split": by(np.arange(3))}, "an array of shape \\[3\\] for 300 rows"),
        ({"split": dirichlet(0.3, np.arange(300.0))}, "300 different labels in 300 rows"),
        ({"split": by("ward")}, "the data has no column 'ward'"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        delta.simulate(built(2), (X, Y), **{"clients": None if "split" in arguments else 10, **arguments})


@pytest.mark.parametrize(("alpha", "least"), [(0.0, 10), (-1.0, 10), (float("nan"), 10), (1.0, 0)])
def test_a_split_that_cannot_be_is_refused(alpha: float, least: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        dirichlet(alpha, least=least)


def test_progress_is_shown_round_by_round(capsys: pytest.CaptureFixture[str]) -> None:
    delta.simulate(built(2), (X, Y), 10, sample=0.5, drop=0.4, seed=3)
    said = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in said] == [f"round {n} of 3" for n in (1, 2, 3)]
    assert any("declined or w" in line for line in said) and all(
        "loss 1." in line or "loss 0." in line for line in said
    )


def test_under_noise_it_is_debug_too() -> None:
    privacy = delta.Privacy(multiplier=1.0, delta=1e-5, clip=1.0)
    task = Points(2, privacy=privacy, strategy=FedAvg(2, 5, merge_epoch=1)).build()
    one = delta.simulate(task, (X, Y), 5, sample=3, seed=1, progress=False)
    assert same(one, delta.simulate(task, (X, Y), 5, sample=3, seed=1, progress=False))
    assert one.epsilon is not None and all(told["failed"] is None for told in one.rounds)


class Loud(Points):
    """With what members keep, numbers drawn in the graph, and sums that are rounded by chance."""

    def __init__(self) -> None:
        strategy = FedAvg(2, 100, rounding="stochastic", precision=4)
        super().__init__(3, momentum=0.9, strategy=strategy, validate_interval=2, optimizer_state="keep")
        self.model.insert(1, torch.nn.Dropout(0.3))


@pytest.mark.parametrize("processes", [2, 5])
def test_several_processes_are_one_bit_for_bit(processes: int) -> None:
    task = Loud().build()
    rows = dirichlet(0.5, least=4).rows(len(X), Y, 7, np.random.default_rng(3))

    def run(count: int, **more: Any) -> Any:
        return delta.simulate(task, (X, Y), 7, rows, 0.6, drop=0.1, seed=5, processes=count, progress=False, **more)

    one, many = run(1), run(processes)
    assert same(one, many) and one.metrics == many.metrics and clients_of(one) == clients_of(many)
    assert one.history[["round", "loss", "members"]].equals(many.history[["round", "loss", "members"]])


def test_an_error_in_a_process_is_the_one_of_its_client() -> None:
    rows = [np.arange(30), np.arange(30, 60), np.arange(60, 90)]
    wrong = X.copy()
    wrong[40] = np.nan
    with pytest.raises(ValueError, match="has NaN or infinity, which no node sends"):
        delta.simulate(built(2), (wrong, Y), split=rows, processes=2, progress=False)
    with pytest.raises(ValueError, match="processes=0: must be a whole number from 1"):
        delta.simulate(built(2), (X, Y), processes=0)
