"""Metrics that are arrays: a confusion matrix, and numbers for each class; in the history, in debug and over three nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, recall_score
from torch.nn.functional import one_hot

import delta
from conftest import Network
from delta._local.random import subset_rows
from delta._metrics import MOST, brief, entry, folded
from delta.task.learning import ExportError, FedAvg, LearningResult
from simulation_cases import Points, points

pytest.importorskip("onnxruntime")
X, Y = points(120)


class Measured(Points):
    def validate(self, dataloader: Any) -> Any:
        table, right, rows = torch.zeros(3, 3, dtype=torch.float64), 0, 0
        for x, y in dataloader:
            found = self.model(x).argmax(1)
            table += one_hot(y, 3).T.double() @ one_hot(found, 3).double()
            right += (found == y).sum()
            rows += y.shape[0]
        each = table.diagonal() / table.sum(1)
        return {"accuracy": right / rows, "confusion": table, "recall": each, "of": {"a": each[0], "pair": each[1:]}}


def shares(result: Any, rows: Any) -> tuple[Any, Any]:
    """What the final model says of the rows that were measured on, and what is so."""
    task = Points()
    result.load_into(task.model)
    with torch.no_grad():
        return rows[1], task.model(torch.from_numpy(rows[0])).argmax(1).numpy()


def test_a_confusion_matrix_is_that_of_scikit_learn() -> None:
    # All rows are measured on at each member: the rest is trained on.
    task = Measured(2, strategy=FedAvg(2, 3), validate_frac=0.5)
    with pytest.warns(delta.ReleaseWarning):
        made = delta.debug(task, points=(X, Y))
    rows = []
    for part in np.array_split(np.arange(120), 3):
        rows.extend(part[subset_rows(40, {"from": 0.5, "to": 1.0, "seed": 1})])
    truth, found = shares(made, (X[rows], Y[rows]))
    assert np.array_equal(made.metrics["confusion"], confusion_matrix(truth, found, labels=[0, 1, 2]))
    np.testing.assert_allclose(made.metrics["recall"], recall_score(truth, found, labels=[0, 1, 2], average=None))
    assert (
        made.metrics["of.a"] == made.metrics["recall"][0]
        and made.metrics["of.pair"].tolist() == made.metrics["recall"][1:].tolist()
    )
    assert made.metrics["accuracy"] == pytest.approx(np.mean(truth == found)) and isinstance(
        made.metrics["accuracy"], float
    )
    history = made.history
    assert [t.shape for t in history["confusion"]] == [(3, 3)] * 3 and history["accuracy"].dtype == float
    assert np.array_equal(history["confusion"].iloc[-1], made.metrics["confusion"])
    assert "confusion array of 3 x 3" in repr(made) and "array of 3 x 3" in made._repr_html_()
    assert "recall [" in repr(made)


def test_lines_are_drawn_of_numbers_and_vectors() -> None:
    pyplot = pytest.importorskip("matplotlib")
    pyplot.use("Agg")
    history = [{"a": float(i), "each": np.array([i, 2.0 * i]), "table": np.eye(2)} for i in range(3)]
    made = LearningResult({}, {}, history)
    assert [line.get_label() for line in made.plot().lines] == ["a"]
    drawn = made.plot("each").lines
    assert [line.get_label() for line in drawn] == ["each[0]", "each[1]"] and drawn[1].get_ydata().tolist() == [
        0.0,
        2.0,
        4.0,
    ]
    with pytest.raises(ValueError, match="'table' is a table"):
        made.plot("table")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda x: {"rows": x}, "with the rows of a batch in it"),
        (lambda x: {"much": torch.zeros(MOST + 1) + x.sum()}, f"metrics have {MOST + 1} numbers in all"),
        (lambda x: {"none": torch.zeros(0) * x.sum()}, "from 1 to"),
        (lambda x: {"loss[0]": x.sum()}, "numbers of an array are called so"),
        (lambda x: {"a.b": x.sum(), "a": {"b": x.sum()}}, "two metrics have this name"),
        (lambda x: {"text": "good"}, "it is a str"),
        (lambda x: {}, "it returns dict"),
    ],
)
def test_what_is_no_metric_is_refused(made: Any, said: str) -> None:
    class Wrong(Points):
        def validate(self, dataloader: Any) -> Any:
            total: Any = 0
            for x, _ in dataloader:
                total = total + x.sum(0)
                last = x
            return made(last if said.startswith("with the rows") else total)

    with pytest.raises(ExportError, match=said):
        Wrong(1, strategy=FedAvg(2, 3)).build()


def test_arrays_are_put_together_only_when_all_of_them_is_there() -> None:
    table = np.arange(6.0).reshape(2, 3)
    flat = {entry("t", (i, j)): table[i, j] for i in range(2) for j in range(3)}
    made = folded({"loss": 1.0, **flat})
    assert list(made) == ["loss", "t"] and np.array_equal(made["t"], table)
    lacking = {k: v for k, v in flat.items() if k != "t[0,1]"}
    for odd in (
        lacking,
        {"top[5]": 1.0},
        {"t": 0.0, "t[0]": 1.0},
        {"t[0]": 1.0, "t[0,0]": 1.0},
        {"t[999999,999999]": 0.0},
    ):
        assert folded(odd) == odd
    assert (
        brief(np.array([0.5, 1.0])) == "[0.5, 1]"
        and brief(0.25) == "0.25"
        and brief(np.zeros((2, 2))) == "array of 2 x 2"
    )


EDGES = [0.2, 0.4, 0.6, 0.8]


def test_how_sites_differ_is_counted_and_not_who() -> None:
    def bins(values: Any) -> list[int]:
        return np.bincount(np.digitize(values, EDGES), minlength=5).tolist()

    # Sites with one kind of row each: the model is good at some.
    rows = [np.flatnonzero(k == Y)[:20] for k in (0, 1, 2)] + [np.arange(40), np.arange(40, 80)]
    task = Measured(2, strategy=FedAvg(3, 5), sites={"accuracy": EDGES, "of.a": [0.5]}, validate_frac=0.5)
    bundle = task.build()
    made = delta.simulate(bundle, (X, Y), split=rows, progress=False)
    own = []
    for part in rows:
        chosen = part[subset_rows(len(part), {"from": 0.5, "to": 1.0, "seed": 1})]
        truth, found = shares(made, (X[chosen], Y[chosen]))
        own.append(np.mean(truth == found))
    assert made.metrics["accuracy.sites"].tolist() == bins(own) and len(set(np.digitize(own, EDGES))) > 1
    # Of two classes nobody has recall at sites without it: no number, and in no bin.
    assert made.metrics["of.a.sites"].sum() == 3
    assert [h.sum() for h in made.history["accuracy.sites"]] == [5.0] * 3
    contributed = [c["name"] for c in bundle.manifest["rounds"][-1]["map"]["contribute"]]
    assert [n for n in contributed if n.startswith("sites")] == ["sites.0", "sites.1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"strategy": FedAvg(2, 5)}, "min_clients=2 of the strategy must be at least 3"),
        ({"sites": {"accuracy": [0.5, 0.5]}}, "each above the one before"),
        ({"sites": {"accuracy": []}}, "1 to 64 numbers"),
        ({"sites": {"accuracy": [float("nan")]}}, "1 to 64 numbers"),
        ({"validate_interval": 0}, "nothing is measured"),
        ({"validate_frac": 0.0}, "nothing is measured"),
        ({"sites": {"recall": [0.5]}}, "'recall' is no number that validate\\(\\) returns; it returns accuracy, of.a"),
        ({"sites": {"f1": [0.5]}}, "'f1' is no number"),
    ],
)
def test_what_sites_cannot_be_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Measured(1, **{"strategy": FedAvg(3, 5), "sites": {"accuracy": EDGES}, **arguments}).build()


def test_over_nodes_every_round_has_its_tables(network: Network) -> None:

    from test_resume import Digits

    class Tables(Digits):
        def validate(self, dataloader: Any) -> Any:
            table = torch.zeros(10, 10)
            for x, y in dataloader:
                table += one_hot(y, 10).T.float() @ one_hot(self.model(x).argmax(1), 10).float()
            return {"confusion": table, "accuracy": table.diagonal().sum() / table.sum()}

    node, rounds = network.node, []
    task = node.create_task(Tables(3, sites={"accuracy": [0.1, 0.5]}))
    assert node.wait(task, timeout=120, progress=False, on_round=lambda n, m: rounds.append(m))
    made = node.get_result(task)
    last = made.metrics["confusion"]
    assert last.shape == (10, 10) and np.array_equal(last, np.rint(last))
    assert made.metrics["accuracy"] == pytest.approx(np.trace(last) / last.sum())
    assert np.array_equal(rounds[-1]["confusion"], last)
    so_far = node.progress(task).history
    assert list(so_far.columns) == list(made.history.columns) and np.array_equal(so_far["confusion"].iloc[-1], last)
    assert made.metrics["accuracy.sites"].sum() == 3 and made.metrics["accuracy.sites"].shape == (3,)
    parts = network.digits()
    with pytest.warns(delta.ReleaseWarning):
        again = delta.debug(Tables(3), digits=parts)
    assert np.abs(again.metrics["confusion"] - last).sum() <= 4
