"""Functions of torch that do not trace for any number of rows, written so that they do; called with a :class:`Lift` first."""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import recurrent
from .errors import ExportError, author_frame

_PAD, _CROSS_ENTROPY = F.pad, F.cross_entropy


def logcumsumexp(lift: Any, x: Tensor, dim: int) -> Tensor:
    count = x.shape[dim] if x.dim() else 1
    if not isinstance(count, int):
        raise ExportError(
            "logcumsumexp", "it goes over the rows of a batch, and batches differ in size", instead="give another dimension",
            location=author_frame(sys._getframe(2)),
        )  # fmt: skip
    step = 1
    while step < count:
        # After each pass every element has twice as many before it.
        mine, before = x.narrow(dim, step, count - step), x.narrow(dim, 0, count - step)
        top = torch.maximum(mine, before).detach()
        top = torch.where(top.abs() == math.inf, 0.0, top)
        both = torch.log(torch.exp(mine - top) + torch.exp(before - top)) + top
        x = torch.cat([x.narrow(dim, 0, step), both], dim)
        step *= 2
    return x


def linear(lift: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return recurrent.linear(x, weight, bias)


def embedding_bag(
    lift: Any, index: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    if offsets is not None or index.dim() != 2 or max_norm is not None or scale_grad_by_freq:
        raise ExportError("embedding_bag", "bags of different lengths", instead="give bags as rows [batch, length]")
    rows = F.embedding(index, weight, padding_idx)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    if padding_idx is not None:
        real = (index != padding_idx).to(rows.dtype).unsqueeze(-1)
        if mode == "max":
            raise ExportError("embedding_bag", "mode='max' with padding_idx", instead="mask before the maximum")
        total = (rows * real).sum(1)
        return total if mode == "sum" else total / real.sum(1).clamp_min(1.0)
    return rows.sum(1) if mode == "sum" else rows.amax(1) if mode == "max" else rows.mean(1)


def pad(lift: Any, x: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    if mode != "circular":
        padded: Tensor = _PAD(x, pad, mode, value)
        return padded
    for i in range(len(pad) // 2):
        axis, before, after = x.dim() - 1 - i, pad[2 * i], pad[2 * i + 1]
        if before < 0 or after < 0:
            raise ExportError("circular padding", "negative padding", instead="slice the tensor")
        size = x.shape[axis]
        parts = [x.narrow(axis, size - before, before)] if before else []
        parts.append(x)
        if after:
            parts.append(x.narrow(axis, 0, after))
        x = torch.cat(parts, axis) if len(parts) > 1 else x
    return x


def cdist(lift: Any, a: Tensor, b: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    difference = a.unsqueeze(-2) - b.unsqueeze(-3)
    if p == 1.0:
        return difference.abs().sum(-1)
    if p == float("inf"):
        return difference.abs().amax(-1)
    if p != 2.0:
        raise ExportError("cdist", f"p = {p}", instead="use p = 1, 2 or inf")
    square = (difference * difference).sum(-1)
    same = square == 0  # where the root has no derivative, torch takes 0
    return torch.where(same, 0.0, torch.where(same, 1.0, square).sqrt())


def gaussian_nll_loss(
    lift: Any, input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    # torch's own looks whether a variance is negative, which no graph can.
    if not isinstance(var, Tensor):
        var = torch.full_like(input, float(var))
    elif var.dim() + 1 == input.dim():
        var = var.unsqueeze(-1)
    bounded = var + (var.detach().clamp_min(eps) - var.detach())
    loss: Tensor = 0.5 * (torch.log(bounded) + (input - target) ** 2 / bounded)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def one_hot(lift: Any, x: Tensor, num_classes: int = -1) -> Tensor:
    if num_classes <= 0:
        raise ExportError(
            "one_hot", "the number of classes would depend on the data", instead="give num_classes",
            location=author_frame(sys._getframe(1)),
        )  # fmt: skip
    return (x.unsqueeze(-1) == torch.arange(num_classes)).to(torch.int64)


def cross_entropy(
    lift: Any, input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    if not target.dtype.is_floating_point:
        kept: Tensor = _CROSS_ENTROPY(
            input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing
        )
        return kept
    # Probabilities as targets: torch 2.6's own fixes the batch size.
    axis = 0 if input.dim() == 1 else 1
    classes = input.shape[axis]
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + label_smoothing / classes
    terms = torch.log_softmax(input, axis) * target
    if weight is not None:
        terms = terms * weight.reshape([-1 if i == axis else 1 for i in range(input.dim())])
    loss = -terms.sum(axis)
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def ctc_loss(lift: Any, *args: Any, **kwargs: Any) -> Tensor:
    raise ExportError(
        "ctc_loss", "no graph computes it", instead="use a loss for each frame", location=author_frame(sys._getframe(1))
    )
