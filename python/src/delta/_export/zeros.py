"""Gradients of zeros in place of none, ``zero_grad(set_to_none=False)``: what is noted with what stands for a parameter.

With a gradient of zeros torch's optimizers take a step, which moves a parameter that has momentum or weight decay; without a
gradient they leave it. Zeros are there only where a gradient was before.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

_STEPPED, _ZEROED = "_delta_stepped", "_delta_zeroed"


def forget(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Take gradients away, and note where torch would leave zeros: with a parameter that was moved by a gradient before."""
    for parameter in parameters:
        parameter.grad = None
        setattr(parameter, _ZEROED, not set_to_none and getattr(parameter, _STEPPED, False))


def stepped(parameters: Iterable[Tensor]) -> None:
    """Note that parameters were moved by their gradients."""
    for parameter in parameters:
        setattr(parameter, _STEPPED, True)


def has_zeros(parameter: Tensor) -> bool:
    """Whether a parameter without a gradient would have zeros in torch."""
    return parameter.grad is None and getattr(parameter, _ZEROED, False)
