"""Normalisation and norms, written so that every size but the batch is fixed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions

from ..operators import NORMALISED

aten = torch.ops.aten

_TORCH: Any = get_decompositions([aten._native_batch_norm_legit_functional, aten.native_batch_norm_backward])
_FROM_TORCH = _TORCH[aten._native_batch_norm_legit_functional.default]
_FROM_TORCH_BACKWARD = _TORCH[aten.native_batch_norm_backward.default]


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
    variance, mean = torch.var_mean(flat, 2, correction=0, keepdim=True)
    scale = torch.rsqrt(variance + eps)
    factor = _of_channels(scale, weight, groups, channels)
    shift = -mean * factor if bias is None else bias.reshape(1, groups, -1) - mean * factor
    y = _scaled(x, factor, shift, batch, channels)
    return y.reshape(x.shape), mean.reshape(batch, groups), scale.reshape(batch, groups)


def _of_channels(scale: Tensor, weight: Tensor | None, groups: int, channels: int) -> Tensor:
    """A number for each group [N, G, 1] times one for each channel: [N, G, C/G]."""
    each = torch.ones(1, groups, channels // groups) if weight is None else weight.reshape(1, groups, -1)
    return scale * each


def _scaled(x: Tensor, factor: Tensor, shift: Tensor, batch: Any, channels: int) -> Tensor:
    """`x` times a factor plus a shift, both of [N, G, C/G], as [N, C, elements]: one operator, one pass."""
    flat = x.reshape(batch, channels, -1)
    y: Tensor = aten.addcmul.default(shift.reshape(batch, channels, 1), flat, factor.reshape(batch, channels, 1))
    return y


def _group_norm_backward(
    grad: Tensor,
    x: Tensor,
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    batch: Any,
    channels: int,
    space: Any,
    groups: int,
    mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Two sums over each channel; the gradient of the input is a * grad + b * x + c with numbers made of them."""
    sums = grad.reshape(batch, channels, -1)
    products = (sums * x.reshape(batch, channels, -1)).sum(2).reshape(batch, groups, -1)
    sums = sums.sum(2).reshape(batch, groups, -1)
    mean, rstd = mean.reshape(batch, groups, 1), rstd.reshape(batch, groups, 1)
    to_input = to_weight = to_bias = None
    if mask[0]:
        one = _of_channels(torch.ones(1, 1, 1), weight, groups, channels)
        first = (sums * one).sum(2, keepdim=True)
        second = (products * one).sum(2, keepdim=True)
        count = 1.0 / (channels // groups * math.prod(int(v) for v in x.shape[2:]))
        slope = (first * mean - second) * (rstd * rstd * rstd) * count
        shift = -slope * mean - first * rstd * count
        zero = torch.zeros(1, 1, channels // groups)
        part = _scaled(grad, rstd * one, shift + zero, batch, channels).reshape(batch, groups, -1)
        to_input = (part + x.reshape(batch, groups, -1) * slope).reshape(x.shape)
    if mask[1]:
        to_weight = ((products - sums * mean) * rstd).sum(0).reshape(channels)
    if mask[2]:
        to_bias = sums.sum(0).reshape(channels)
    return to_input, to_weight, to_bias


def _batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`_native_batch_norm_legit_functional`: output, mean, 1 / deviation, the next running statistics."""
    if not training:
        return _FROM_TORCH(x, weight, bias, running_mean, running_var, training, momentum, eps)  # type: ignore[no-any-return]
    channel = [1, -1, *[1] * (x.dim() - 2)]
    variance, mean = torch.var_mean(x, [0, *range(2, x.dim())], correction=0, keepdim=True)
    rstd = torch.rsqrt(variance + eps)
    factor = rstd if weight is None else rstd * weight.reshape(channel)
    shift = -mean * factor if bias is None else bias.reshape(channel) - mean * factor
    y = aten.addcmul.default(shift, x, factor)
    mean, variance = mean.reshape(-1), variance.reshape(-1)
    return y, mean, rstd.reshape(-1), *_running(x, mean, variance, running_mean, running_var, momentum)


def _running(
    x: Tensor, mean: Tensor, variance: Tensor, running_mean: Tensor, running_var: Tensor, momentum: float
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The next running statistics."""
    n = x.numel() / x.shape[1]
    running_mean = momentum * mean + (1 - momentum) * running_mean
    return running_mean, momentum * (variance * (n / (n - 1))) + (1 - momentum) * running_var


def _batch_norm_in_one(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """As `_batch_norm`, where onnxruntime makes the output and the moments in one operator."""
    if not training or x.dtype != torch.float32 or x.dim() < 3:
        return _batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps)
    scale = torch.ones(int(x.shape[1])) if weight is None else weight
    y, mean, variance = NORMALISED(x, scale, torch.zeros(int(x.shape[1])) if bias is None else bias, eps)
    return y, mean, torch.rsqrt(variance + eps), *_running(x, mean, variance, running_mean, running_var, momentum)


def _batch_norm_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    mean: Tensor,
    rstd: Tensor,
    training: bool,
    eps: float,
    mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """As for groups: two sums over each channel, then a * grad + b * x + c."""
    if not training:
        return _FROM_TORCH_BACKWARD(  # type: ignore[no-any-return]
            grad, x, weight, running_mean, running_var, mean, rstd, training, eps, list(mask)
        )
    axes, channel = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
    sums = grad.sum(axes)
    products = (grad * x).sum(axes) - sums * mean
    to_input = None
    if mask[0]:
        factor = rstd if weight is None else rstd * weight
        part = factor * (x.shape[1] / x.numel())
        slope = -products * (rstd * rstd) * part
        shift = -slope * mean - sums * part
        scaled: Tensor = aten.addcmul.default(shift.reshape(channel), grad, factor.reshape(channel))
        to_input = scaled + x * slope.reshape(channel)
    return to_input, products * rstd if mask[1] else None, sums if mask[2] else None


def _weight_norm_backward(
    grad: Tensor, direction: Tensor, size: Tensor, norms: Tensor, dim: int
) -> tuple[Tensor, Tensor]:
    """The weight is size * direction / |direction|, the norm taken over every axis but `dim`."""
    axes = [a for a in range(direction.dim()) if a != dim % direction.dim()]
    norms, unit = norms.reshape(size.shape), direction / norms.reshape(size.shape)
    along = (grad * unit).sum(axes, keepdim=True)
    return size / norms * (grad - unit * along), along.reshape(size.shape)


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
    aten._weight_norm_interface_backward.default: _weight_norm_backward,
    aten._native_batch_norm_legit_functional.default: _batch_norm,
    aten.native_batch_norm_backward.default: _batch_norm_backward,
    aten.native_group_norm.default: _group_norm,
    aten.native_group_norm_backward.default: _group_norm_backward,
    aten.linalg_vector_norm.default: _vector_norm,
    aten.empty_permuted.default: _empty,
}
FUSED: dict[Any, Callable[..., Any]] = {aten._native_batch_norm_legit_functional.default: _batch_norm_in_one}
"""What onnxruntime does otherwise."""
