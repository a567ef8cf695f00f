"""Every layer, function and loss as authors meet it: in a task, with real autograd, one step, against torch itself.

`test_export_coverage.py` looks at the lowering alone, which takes other backward operators.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from layer_cases import CASES
from learning_cases import Simple, differences, train, train_eagerly
from sampling import one_in


def label(y: Tensor, like: Tensor) -> Tensor:
    """The label of a case, made of the class numbers that a dataset has."""
    if like.dim() == 1 and not like.dtype.is_floating_point:
        return y
    wide = y.reshape(-1, *[1] * (like.dim() - 1)).to(torch.float32)
    shares = wide * 0.0 + torch.linspace(0.1, 0.9, like[0].numel()).reshape(like.shape[1:])
    return (
        (shares + 0.05 * wide).to(like.dtype)
        if like.dtype.is_floating_point
        else (wide + torch.zeros(like.shape[1:])).to(like.dtype)
    )


TIME_FIRST = "lstm.dropout"
"""Draws with the time before the rows; a node draws row by row, so torch cannot be given the same numbers as they are."""


def test_dropout_between_layers_of_an_lstm_is_noise_of_each_row() -> None:
    model, loss, data = CASES[TIME_FIRST]()
    model.eval()
    x, _ = data(13)
    model(x)
    bundle = Simple(model.train(), loss, lambda p: torch.optim.SGD(p, lr=0.5), x.shape[1:], classes=3).build()
    sources = bundle.manifest["rounds"][0]["map"]["steps"][0]["inputs"].values()
    assert any(s["from"] == "noise" and s["shape"][0] == x.shape[1] for s in sources)


@pytest.mark.parametrize("name", one_in(3, (n for n in CASES if n != TIME_FIRST)))
def test_a_step_of_a_task_agrees_with_torch(name: str) -> None:
    torch.manual_seed(0)
    model, loss, data = CASES[name]()
    model.eval()
    x, y = data(13)
    model(x)  # sizes lazy layers
    kind, like = x.dtype, y

    def prepare(x: Tensor, y: Tensor) -> Any:
        return x.to(kind), label(y, like)

    task = Simple(model.train(), loss, lambda p: torch.optim.SGD(p, lr=0.5), x.shape[1:], prepare=prepare, classes=3)
    bundle = task.build()
    rows = data(9)[0].to(torch.float32)
    batches = [(rows, torch.randint(0, 2, (9,)))]
    state, noise = train(bundle, batches)
    train_eagerly(task, batches, noise)
    worst = {k: v for k, v in differences(task, state).items() if v[0] > 2e-5}
    assert not worst, f"differences (absolute, relative): {worst}"
