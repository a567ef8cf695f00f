# ruff: noqa: B007, SIM113 -- loops as authors write them
"""validate() becomes sums over batches and members and one computation on the sums; everything else is refused."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from delta._export.errors import ExportError
from delta._export.step import Batch
from delta._export.validation import Validation, validation

BATCH = Batch({"x": torch.zeros(2, 4), "y": torch.zeros(2, dtype=torch.int64)}, lambda x, y: (x / 2, y))


class Owner:
    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))
        self.loss_func = nn.CrossEntropyLoss()


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    for rows in (5, 5, 5, 3):
        yield torch.randn(rows, 4, generator=generator), torch.randint(0, 3, (rows,), generator=generator)


def measured(made: Validation) -> dict[str, float]:
    """As nodes do: the first graph on every batch, its outputs added up, the second graph on the sums."""
    graph, final = (onnxruntime.InferenceSession(g) for g in (made.graph, made.final))
    sums: dict[str, Any] = {}
    for x, y in batches():
        feed: dict[str, Any] = {n: t.numpy() for n, t in made.entries.items()}
        feed |= {n: t.numpy() for n, t in {"x": x, "y": y}.items() if n in made.batch_inputs}
        feed |= {"rows": np.asarray(float(len(x)))} if made.rows else {}
        for name, value in zip(made.sums, graph.run(list(made.sums), feed), strict=True):
            assert value.shape == made.sums[name]
            sums[name] = sums.get(name, 0.0) + value.astype(np.float64)
    values = final.run([f"metric.{m}" for m in made.metrics], {n: np.asarray(sums[n]) for n in made.final_inputs})
    return dict(zip(made.metrics, map(float, values), strict=True))


def eager(run: Any) -> dict[str, float]:
    owner = Owner()
    owner.model.eval()
    with torch.no_grad():
        return {k: float(v) for k, v in run(owner, [BATCH.prepare(*b) for b in batches()]).items()}


def counting(self: Any, dataloader: Any) -> dict[str, Any]:
    total_loss, count, correct, rows = 0, 0, 0, 0
    for x, y in dataloader:
        y_pred = self.model(x)
        total_loss += self.loss_func(y_pred, y).item()
        count += 1
        correct += (y_pred.argmax(dim=1) == y).sum()
        rows += y.shape[0]
    return {"loss": total_loss / count, "precision": correct / rows, "batches": count, "rows": rows, "half": 0.5}


def by_rows(self: Any, dataloader: Any) -> dict[str, Any]:
    total, rows = torch.zeros(()), 0
    for x, y in dataloader:
        total += self.loss_func(self.model(x), y) * y.size(0)
        rows += y.numel()
    return {"root": (total / rows).sqrt(), "loss": total / rows}


def lists(self: Any, dataloader: Any) -> dict[str, Any]:
    losses = []
    for x, y in dataloader:
        losses.append(self.loss_func(self.model(x), y))
    return {"loss": sum(losses) / len(losses)}


def per_class(self: Any, dataloader: Any) -> dict[str, Any]:
    hits = torch.zeros(3)
    seen = torch.zeros(3)
    for x, y in dataloader:
        true = nn.functional.one_hot(y, 3).to(torch.float32)
        guess = nn.functional.one_hot(self.model(x).argmax(1), 3).to(torch.float32)
        hits += (true * guess).sum(0)
        seen += true.sum(0)
    return {"balanced": (hits / seen.clamp(min=1)).mean(), "first": hits[0] / seen[0]}


def counted_twice(self: Any, dataloader: Any) -> dict[str, Any]:
    total, count = 0.0, 0
    for x, y in dataloader:
        count += 2
        total += self.model(x).square().mean()
    return {"mean": total / (count + 1)}


def running(self: Any, dataloader: Any) -> dict[str, Any]:
    total, seen, mean = 0.0, 0, 0.0
    for x, y in dataloader:
        total += self.model(x).mean()
        seen += 1
        mean = total / seen
    return {"mean": mean}


@pytest.mark.parametrize("run", [counting, by_rows, lists, per_class, counted_twice, running], ids=lambda f: f.__name__)
def test_metrics_over_batches_are_those_of_the_loop(run: Any) -> None:
    ours, theirs = measured(validation(Owner(), run, BATCH)), eager(run)
    assert list(ours) == list(theirs) or set(ours) == set(theirs)
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, rel=1e-5), name


def test_equal_sums_are_sent_once() -> None:
    assert list(validation(Owner(), by_rows, BATCH).sums) == ["sum.0", "sum.1"]


def original(self: Any, dataloader: Any) -> dict[str, Any]:
    total_loss, count, ys, y_s = 0, 0, [], []
    for x, y in dataloader:
        y_pred = self.model(x)
        total_loss += self.loss_func(y_pred, y).item()
        count += 1
        y_s.extend(torch.argmax(y_pred, dim=1).tolist())  # here
        ys.extend(y.tolist())
    tp = len([1 for i in range(len(ys)) if ys[i] == y_s[i]])
    return {"loss": total_loss / count, "precision": tp / len(ys)}


def decaying(self: Any, dataloader: Any) -> dict[str, Any]:
    mean = 0.0
    for x, y in dataloader:
        mean = 0.9 * mean + self.model(x).mean()  # here
    return {"mean": mean}


def best(self: Any, dataloader: Any) -> dict[str, Any]:
    top = torch.zeros(())
    for x, y in dataloader:
        top = torch.maximum(top, self.model(x).max())  # here
    return {"top": top}


def stacked(self: Any, dataloader: Any) -> dict[str, Any]:
    outputs = []
    for x, y in dataloader:
        outputs.append(self.model(x))
    return {"mean": torch.cat(outputs).mean()}  # here


def last(self: Any, dataloader: Any) -> dict[str, Any]:
    for x, y in dataloader:
        loss = self.loss_func(self.model(x), y)  # here
    return {"loss": loss}


def squares(self: Any, dataloader: Any) -> dict[str, Any]:
    total, count = 0.0, 0
    for x, y in dataloader:
        total += self.model(x).mean()
        count += 1
    return {"mean": total / count**2}  # here


def decision(self: Any, dataloader: Any) -> dict[str, Any]:
    total = 0.0
    for x, y in dataloader:
        loss = self.loss_func(self.model(x), y)
        if loss < 1:  # here
            total += loss
    return {"loss": total}


def per_row(self: Any, dataloader: Any) -> dict[str, Any]:
    total = 0.0
    for x, y in dataloader:
        total = total + self.model(x).mean(1)
    return {"mean": total.mean()}


def drawing(self: Any, dataloader: Any) -> dict[str, Any]:
    total = 0.0
    for x, y in dataloader:
        total += (x * torch.rand_like(x)).mean()  # here
    return {"mean": total}


def nothing(self: Any, dataloader: Any) -> None:
    for x, y in dataloader:
        self.model(x)


def twice(self: Any, dataloader: Any) -> dict[str, Any]:
    total = sum(self.model(x).mean() for x, y in dataloader)
    return {"a": total / sum(1 for _ in dataloader)}


REFUSED = {
    original: ".tolist()",
    decaying: "not the same for every batch",
    best: "batches may only be added up",
    stacked: "batches may only be added up",
    last: "the last batch alone",
    squares: "not in proportion",
    decision: "a decision on a tensor's value",
    drawing: "random numbers",
    nothing: "NoneType",
    twice: "a second loop",
}


@pytest.mark.parametrize("run", REFUSED, ids=lambda f: f.__name__)
def test_other_combinations_of_batches_are_refused_with_the_line(run: Any) -> None:
    with pytest.raises(ExportError) as caught:
        validation(Owner(), run, BATCH)
    assert REFUSED[run] in str(caught.value) and caught.value.instead
    lines, first = inspect.getsourcelines(run)
    for number in [first + i for i, line in enumerate(lines) if "# here" in line]:
        assert f"{__file__}:{number}" in str(caught.value)


def test_the_example_of_delta_task_is_told_the_form_to_write() -> None:
    with pytest.raises(ExportError) as caught:
        validation(Owner(), original, BATCH)
    assert "correct += (y_pred.argmax(dim=1) == y).sum()" in str(caught.value)
    assert "divide after the loop" in str(caught.value)


def test_sums_with_a_row_in_them_are_refused() -> None:
    with pytest.raises(ExportError, match="batch"):
        validation(Owner(), per_row, BATCH)
