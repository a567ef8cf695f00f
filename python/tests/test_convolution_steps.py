"""A step through convolutions and norms equals torch's, whatever the kernel's size, padding and dilation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sampling import one_in
from stepping import Sgd, Step, run, session


@pytest.mark.parametrize("runtime", ["portable", "onnxruntime"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    one_in(3, [
        (3, 1, 1, 1), (3, 1, 0, 1), (3, 1, 2, 1), (5, 1, 1, 1), ((3, 5), 1, (1, 2), 1), ((5, 3), 1, (0, 2), 1),
        (3, 1, 2, 2), (3, 1, 1, 2), (3, 2, 1, 1),
    ]),
)  # fmt: skip
def test_one_step_equals_torchs(runtime: str, kernel: Any, stride: int, padding: Any, dilation: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(6, 8, kernel, stride, padding, dilation), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Flatten(), nn.LazyLinear(3),
    )  # fmt: skip
    x, y = torch.randn(8, 6, 18, 21) + 3, torch.randint(0, 3, (8,))
    model(x)
    step = Step(model, nn.CrossEntropyLoss(), Sgd(0.1, 0.9), x, y)
    values = [*step.state, x, y]
    for made, wanted in zip(run(session(step.export(runtime)), values), step(*values), strict=True):
        torch.testing.assert_close(torch.as_tensor(made), wanted.detach(), rtol=1e-5, atol=1e-5)
