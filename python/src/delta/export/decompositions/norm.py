"""Normalisation and norms, written so that every size but the batch is fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def _group_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    batch: Any,
    channels: int,
    space: Any,
    groups: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    flat = x.reshape(batch, groups, -1)
    mean = flat.mean(2, keepdim=True)
    centred = flat - mean
    scale = torch.rsqrt((centred * centred).mean(2, keepdim=True) + eps)
    each = channels // groups
    by_channel = centred.reshape(batch, groups, each, -1)
    factor = scale.unsqueeze(-1)
    if weight is not None:  # one pass over the elements for both factors
        factor = factor * weight.reshape(1, groups, each, 1)
    y = by_channel * factor
    if bias is not None:
        y = y + bias.reshape(1, groups, each, 1)
    y = y.reshape(x.shape)
    return y, mean.reshape(batch, groups), scale.reshape(batch, groups)


def _vector_norm(x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    axes = list(range(x.dim())) if dim is None or dim == [] else dim
    if dtype is not None:
        x = x.to(dtype)
    if ord == 2:
        return torch.sqrt((x * x).sum(axes, keepdim))
    size = x.abs()
    if ord == 1:
        return size.sum(axes, keepdim)
    if ord == float("inf"):
        return size.amax(axes, keepdim)
    if ord == float("-inf"):
        return size.amin(axes, keepdim)
    if ord == 0:
        return (x != 0).to(x.dtype).sum(axes, keepdim)
    return (size**ord).sum(axes, keepdim) ** (1 / ord)


def _empty(size: Any, order: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
    return torch.zeros(size, dtype=dtype)


TABLE: dict[Any, Callable[..., Any]] = {
    aten.native_group_norm.default: _group_norm,
    aten.linalg_vector_norm.default: _vector_norm,
    aten.empty_permuted.default: _empty,
}
