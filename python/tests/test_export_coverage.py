"""One step of a small model for each layer, function and loss: what onnxruntime computes is what torch computes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from delta._export.forward import Lift  # noqa: E402
from layer_cases import CASES  # noqa: E402
from sampling import one_in  # noqa: E402
from stepping import Sgd, Step, run, session  # noqa: E402


def compare(step: Step, model: bytes) -> float:
    """The largest difference of parameters and buffers after one step of torch and of the graph."""
    runner, worst = session(model), 0.0
    parameters, buffers = dict(step.model.named_parameters()), dict(step.model.named_buffers())
    for rows in (9, 2):
        x, y = step.data(rows)
        noise = step.noise(rows)
        values = run(runner, [*step.state, x, y, *noise])
        with torch.no_grad():
            for tensor, value in zip([*parameters.values(), *buffers.values()], step.state, strict=False):
                tensor.copy_(value)
        step.model.zero_grad()
        with Lift(noise):
            step.loss(step.model(x), y).backward()
        expected = [p if p.grad is None else p - p.grad for p in parameters.values()]
        for mine, theirs in zip(values, [*expected, *buffers.values()], strict=False):
            worst = max(worst, float(np.abs(mine - theirs.detach().numpy()).max(initial=0.0)))
    return worst


@pytest.mark.parametrize("name", one_in(3, CASES, 2))
def test_a_step_agrees_with_torch(name: str) -> None:
    torch.manual_seed(0)
    model, loss, data = CASES[name]()
    model.eval()
    model(data(13)[0])  # sizes lazy layers
    step = Step(model.train(), loss, Sgd(1.0), *data(13))
    step.data = data
    assert compare(step, step.export()) < 2e-5
