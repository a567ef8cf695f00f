"""Operators of this package, which ONNX has and torch would take apart while it traces."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_LIBRARY: Any = torch.library.Library("delta", "FRAGMENT")  # type: ignore[no-untyped-call]
_LIBRARY.define("matmul(Tensor a, Tensor b) -> Tensor")
_LIBRARY.define("squares(Tensor x) -> Tensor")
_LIBRARY.define("normalised(Tensor x, Tensor weight, Tensor bias, float eps) -> (Tensor, Tensor, Tensor)")


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    made: Tensor = torch.matmul(a, b)
    return made


def _squares(x: Tensor) -> Tensor:
    return (x * x).sum(list(range(1, x.dim())))


def _fake_matmul(a: Tensor, b: Tensor) -> Tensor:
    lead = a.shape[:-2] if a.dim() >= b.dim() else b.shape[:-2]
    return a.new_empty([*lead, a.shape[-2], b.shape[-1]])


def _fake_squares(x: Tensor) -> Tensor:
    return x.new_empty([x.shape[0]])


def _normalised(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    axes, channel = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
    variance, mean = torch.var_mean(x, axes, correction=0)
    factor = (torch.rsqrt(variance + eps) * weight).reshape(channel)
    return (x - mean.reshape(channel)) * factor + bias.reshape(channel), mean, variance


def _fake_normalised(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape), weight.new_empty(weight.shape)


_LIBRARY.impl("matmul", _matmul, "CompositeExplicitAutograd")
_LIBRARY.impl("squares", _squares, "CompositeExplicitAutograd")
_LIBRARY.impl("normalised", _normalised, "CompositeExplicitAutograd")
torch.library.register_fake("delta::matmul", _fake_matmul, lib=_LIBRARY)
torch.library.register_fake("delta::squares", _fake_squares, lib=_LIBRARY)
torch.library.register_fake("delta::normalised", _fake_normalised, lib=_LIBRARY)

MATMUL: Any = torch.ops.delta.matmul.default
"""Matrix products of which only one factor may have the records in front. torch's own would merge the records with rows."""
SQUARES: Any = torch.ops.delta.squares.default
"""The sum of squares of each record's block: ``[records, ...]`` to ``[records]``."""
NORMALISED: Any = torch.ops.delta.normalised.default
"""A batch norm in training: the output of ``[N, C, ...]``, and the batch's mean and variance ``[C]`` (of N, not N - 1)."""
