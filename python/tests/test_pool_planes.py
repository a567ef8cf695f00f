"""The gradient of max pooling in onnxruntime's form is torch's, whoever of equal elements has it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from delta._export.decompositions.planes import backward
from stepping import Sgd, Step, run, session

WINDOWS: list[tuple[Any, Any, Any, Any, bool]] = [
    (2, 2, 0, 1, False), (3, 2, 1, 1, False), (2, 1, 0, 1, False), (3, 1, 1, 1, False), ((3, 2), (3, 2), 0, 1, False),
    (2, 1, 0, 2, False), (3, 2, 1, 2, False), (2, 3, 0, 1, False), (2, 2, 0, 1, True), (3, 2, 1, 1, True),
    (5, 3, 2, 1, False), ((1, 4), (1, 2), (0, 1), (1, 3), True), (4, (1, 5), (2, 0), 1, False),
]  # fmt: skip


def two(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


@pytest.mark.parametrize("size", [(9, 12), (13, 14)])
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "ceil"), WINDOWS)
def test_equal_elements(kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, size: Any) -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 3, (4, 3, *size)).float().requires_grad_()  # nearly every window has equal elements
    y = F.max_pool2d(x, kernel, stride, padding, dilation, ceil)
    grad = torch.randint(-9, 9, y.shape).float()
    y.backward(grad)  # type: ignore[no-untyped-call]
    made = backward(grad, x.detach(), two(kernel), two(stride), two(padding), two(dilation))
    torch.testing.assert_close(made, x.grad, rtol=0, atol=0)


def test_three_dimensions() -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 3, (2, 3, 5, 6, 8)).float().requires_grad_()
    y = F.max_pool3d(x, (2, 3, 2), (2, 2, 3), (1, 1, 0))
    grad = torch.randn(y.shape)
    y.backward(grad)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(backward(grad, x.detach(), [2, 3, 2], [2, 2, 3], [1, 1, 0], [1, 1, 1]), x.grad)


@pytest.mark.parametrize("channels", [3, 8])
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "ceil"), WINDOWS[:10:2])
def test_one_step_equals_torchs(
    channels: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> None:
    """With a norm before the pool: both are operators of their own in this form, in channels by ones and by eights."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, channels, 3), nn.BatchNorm2d(channels, affine=channels == 8, momentum=0.2), nn.ReLU(),
        nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil), nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(3),
    )  # fmt: skip
    x, y = torch.randn(8, 2, 15, 18) + 3, torch.randint(0, 3, (8,))
    model(x)
    step = Step(model, nn.CrossEntropyLoss(), Sgd(0.1, 0.9), x, y)
    values = [*step.state, x, y]
    for made, wanted in zip(run(session(step.export("onnxruntime")), values), step(*values), strict=True):
        torch.testing.assert_close(torch.as_tensor(made).reshape(wanted.shape), wanted.detach(), rtol=1e-5, atol=1e-5)
