"""Each record's gradients as a graph: torch's on the record alone, and kept apart in the eyes of a node, layer by layer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import delta
from conftest import program
from delta._export.errors import ExportError
from layer_cases import CASES
from private_cases import Private, flat, gradients, torch_gradients
from sampling import one_in
from step_models import CASES as MODELS

ROWS = 5
# Random numbers, means over the batch, running statistics, and losses that weigh rows by what the others are.
REFUSED = {
    **{f"norm.{n}": "batch norm" for n in ("bn1d", "bn2d", "bn_cumulative")},
    "norm.spectral": "buffer",
    **{
        n: "random numbers"
        for n in CASES
        if n.startswith("drop")
        or "dropout" in n
        or n in ("fn.randn", "fn.gumbel", "fn.bernoulli", "act.RReLU", "attention.layer")
    },
    "loss.entropy_weight": "neither the sum nor the mean",
    "loss.entropy_ignore": "neither the sum nor the mean",
    "MLP, dropout": "random numbers",
    "CNN, max pool, batch norm": "batch norm",
    "transformer, AdamW": "random numbers",
}
Make = Callable[[], Any]
ALL: dict[str, Make] = {
    **CASES, **{name: (lambda c=case: (c.model(), c.loss, c.data)) for name, case in MODELS.items()}
}  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node whose owner lets tasks under noise run."""
    folder = tmp_path_factory.mktemp("owner")
    rules = {
        "flat": {"columns": {}, "approval": "private", "privacy": {"unit": "record", "epsilon": 1000.0, "delta": 1e-5}}
    }
    file = folder / "config.yaml"
    file.write_text(json.dumps({"data_dir": str(folder), "datasets": rules}))
    return file


def judged(config: Path, bundle: delta.Bundle) -> dict[str, Any]:
    """What the node says of a task."""
    file = bundle.save(config.parent / "task.delta")
    command = [program(), "policy", "test", "--config", str(config), "--json", "--rows", "1000", str(file)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.stdout, told.stderr
    return dict(json.loads(told.stdout))


@pytest.mark.parametrize("name", one_in(3, (n for n in ALL if n not in REFUSED), 1))
def test_gradients_are_those_of_the_record_alone(name: str, config: Path) -> None:
    torch.manual_seed(0)
    model, loss, data = ALL[name]()
    model(data(2)[0])  # lazy layers have their sizes then
    task = Private(model, loss, data, privacy=delta.Privacy(multiplier=1.0, delta=1e-5, clip=5000.0))
    x, y = data(ROWS)
    bundle = task.build()
    found = gradients(bundle, flat(x, y))
    count = found.pop("records")
    assert count.shape == (ROWS,) and (count == np.float32(500.0)).all()
    together = torch_gradients(task, x, y)
    assert set(found) == set(together)
    size = max(np.abs(g).max() for g in together.values())
    # Behind an instance norm the gradient of a bias is 0; both sides have what rounding leaves of large terms.
    near = 5e-4 if name == "norm.in" else 2e-5
    alone = [torch_gradients(task, x[i : i + 1], y[i : i + 1]) for i in range(ROWS)]
    scale = {n: max([size, *(np.abs(a[n]).max() for a in alone)]) for n in together}
    for n, g in found.items():
        for i in range(ROWS):
            np.testing.assert_allclose(g[i], alone[i][n], rtol=1e-5, atol=near * scale[n], err_msg=n)
    # A sum is the sum of them, a mean their mean.
    factor = 1.0 if name == "loss.entropy_sum" else 1.0 / ROWS
    for n, g in found.items():
        np.testing.assert_allclose(g.sum(0) * factor, together[n], rtol=1e-5, atol=near * scale[n], err_msg=n)
    said = judged(config, bundle)
    assert said["class"] == "private", said
    assert said["decision"] == "allowed", said


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_other_rows_or_chance_is_refused(name: str) -> None:
    torch.manual_seed(0)
    model, loss, data = ALL[name]()
    model(data(2)[0])
    with pytest.raises(ExportError, match=REFUSED[name]) as caught:
        Private(model, loss, data).build()
    assert caught.value.instead


def mlp(inputs: int = 64) -> tuple[torch.nn.Module, Any, Callable[[int], Any]]:
    model = torch.nn.Sequential(torch.nn.Linear(inputs, 40), torch.nn.Tanh(), torch.nn.Linear(40, 3))
    return (
        model,
        torch.nn.CrossEntropyLoss(),
        lambda rows: (torch.randn(rows, inputs), torch.randint(0, 3, (rows,))),
    )


def left_as_products(bundle: delta.Bundle) -> list[str]:
    step = bundle.manifest["rounds"][0]["map"]["steps"][0]
    return sorted(t["name"] for t in step["outputs"].values() if t["to"] == "left")


def test_wide_layers_leave_as_products() -> None:
    privacy = delta.Privacy(multiplier=1.0, delta=1e-5, clip=1.0)
    model, loss, data = mlp()
    bundle = Private(model, loss, data, privacy=privacy).build()
    # The second layer's gradient has 120 numbers, its vectors 43.
    assert left_as_products(bundle) == ["gradient.model.0.weight", "gradient.model.2.weight"]
    model, loss, data = mlp(2)
    # 80 numbers of the first layer, 42 of its vectors: no more than twice as many.
    assert left_as_products(Private(model, loss, data, privacy=privacy).build()) == ["gradient.model.2.weight"]
    assert "2 products of two vectors, which the node multiplies" in bundle.describe()


def test_what_nodes_cannot_bound_as_products_is_written_out() -> None:
    model, loss, data = mlp()
    bounded = delta.Privacy(multiplier=1.0, delta=1e-5, clip=1.0, linf=0.5)
    assert left_as_products(Private(model, loss, data, privacy=bounded).build()) == []
    # 2,680 numbers need a bound of 104 steps.
    few = delta.Privacy(multiplier=1.0, delta=1e-5, clip=103e-8)
    assert left_as_products(Private(model, loss, data, privacy=few).build()) == []
    enough = delta.Privacy(multiplier=1.0, delta=1e-5, clip=104e-8)
    assert len(left_as_products(Private(model, loss, data, privacy=enough).build())) == 2


def test_the_bound_leaves_room_for_the_rounding_of_products() -> None:
    torch.manual_seed(1)
    model, loss, data = mlp()
    clip = 2000e-8
    bundle = Private(model, loss, data, privacy=delta.Privacy(multiplier=1.0, delta=1e-5, clip=clip)).build()
    x, y = data(ROWS)
    found = gradients(bundle, flat(x, y))
    lengths = np.sqrt(sum((g.astype(np.float64).reshape(ROWS, -1) ** 2).sum(1) for g in found.values()))
    # 52 steps, the root of 2,680, are the nodes'.
    np.testing.assert_allclose(lengths, 1948e-8, rtol=1e-5)
    np.testing.assert_allclose(found["records"], 200e-8, rtol=1e-5)
