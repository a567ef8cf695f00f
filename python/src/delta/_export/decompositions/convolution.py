"""The backward of convolutions: gradients of input, weight and bias as convolutions and matrix products."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

_IM2COL_LARGEST = 1 << 20
"""Weights with more elements go slice by slice: their im2col would fill the memory."""

_PICKED_MOST = 9
"""Unfolding by a convolution multiplies once for each pair of positions: beyond this many, slices are faster."""


def backward(
    form: str, grad: Tensor, x: Tensor, weight: Tensor, bias_sizes: Any, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], transposed: bool, output_padding: Sequence[int], groups: int, mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """`aten.convolution_backward`: the gradients that `mask` asks for.

    Shapes: `x` [N, C, ...], `weight` [O, C/groups, ...] ([C, O/groups, ...] when transposed), `grad` [N, O, ...].
    """
    n = len(stride)
    to_input = to_weight = to_bias = None
    if transposed:
        if mask[0]:
            to_input = aten.convolution.default(grad, weight, None, stride, padding, dilation, False, [0] * n, groups)
        if mask[1]:  # the forward of a transposed convolution is the backward of a plain one: x and grad change places
            to_weight = _weight(form, x, grad, weight, stride, padding, dilation, groups)
    else:
        if mask[0]:
            to_input = _input(grad, x, weight, stride, padding, dilation, groups)
        if mask[1]:
            to_weight = _weight(form, grad, x, weight, stride, padding, dilation, groups)
    if mask[2]:
        to_bias = grad.sum([0, *range(2, 2 + n)])
    return to_input, to_weight, to_bias


def _input(
    grad: Tensor, x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    groups: int,
) -> Tensor:  # fmt: skip
    n = len(stride)
    rest = [
        x.shape[2 + i] - ((grad.shape[2 + i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (weight.shape[2 + i] - 1) + 1)
        for i in range(n)
    ]  # fmt: skip
    result: Tensor = aten.convolution.default(grad, weight, None, stride, padding, dilation, True, rest, groups)
    return result


def _weight(
    form: str, grad: Tensor, x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], groups: int,
) -> Tensor:  # fmt: skip
    if form == "slices" or groups > 1 or weight.numel() > _IM2COL_LARGEST:
        return _weight_by_slices(grad, x, weight, stride, padding, dilation, groups)
    return _weight_by_columns(form, grad, x, weight, stride, padding, dilation)


def _windows(
    x: Tensor, grad: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> Iterator[Tensor]:
    """For each kernel position, the padded input's elements that it meets, in the shape of the output."""
    n = len(stride)
    if any(padding):
        x = aten.constant_pad_nd.default(x, [p for q in reversed(padding) for p in (q, q)], 0.0)
    for place in itertools.product(*[range(k) for k in weight.shape[2:]]):
        view = x
        for i in range(n):
            first = place[i] * dilation[i]
            last = first + stride[i] * (grad.shape[2 + i] - 1) + 1
            view = aten.slice.Tensor(view, 2 + i, first, last, stride[i])
        yield view


def _weight_by_slices(
    grad: Tensor, x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    groups: int,
) -> Tensor:  # fmt: skip
    batch, length = x.shape[0], math.prod(grad.shape[2:])
    outputs, channels = grad.shape[1], weight.shape[1]
    windows = _windows(x, grad, weight, stride, padding, dilation)
    if groups == 1:
        left = grad.transpose(0, 1).reshape(outputs, batch * length)
        parts = [left @ v.transpose(0, 1).reshape(channels, batch * length).t() for v in windows]
        return torch.stack(parts, 2).reshape(weight.shape)
    if channels == 1 and outputs == groups:
        axes = [0, *range(2, grad.dim())]
        return torch.stack([(grad * v).sum(axes) for v in windows], 1).reshape(weight.shape)
    left = grad.reshape(batch, groups, outputs // groups, length).permute(1, 2, 0, 3)
    left = left.reshape(groups, outputs // groups, batch * length)
    parts = []
    for v in windows:
        right = v.reshape(batch, groups, channels, length).permute(1, 0, 3, 2)
        parts.append(left @ right.reshape(groups, batch * length, channels))
    return torch.stack(parts, 3).reshape(weight.shape)


def _weight_by_columns(
    form: str,
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """Matrix products of unfolded input and unfolded gradient, one for each row of the batch.

    The kernel's positions along an axis can be unfolded on either side: the input shifted forward or the gradient
    shifted backward meet the same elements. Unfolding everything on the input (im2col) copies it once for each
    position of the whole kernel; unfolding one axis on each side copies each only as often as that axis is long.
    """
    channels, outputs = weight.shape[1], weight.shape[0]
    kernel = [int(k) for k in weight.shape[2:]]
    shifted: list[int] = []
    reach = (kernel[0] - 1) * dilation[0]
    if len(kernel) == 2 and stride[0] == 1 and kernel[0] > 1 and kernel[1] > 1 and padding[0] <= reach:
        both = channels * kernel[1] + outputs * kernel[0]
        if both < channels * kernel[0] * kernel[1]:
            shifted = [0]
    if shifted and form == "onnxruntime" and x.dtype == torch.float32:
        return _weight_by_shifts(grad, x, weight, padding, dilation, reach)
    # Along a shifted axis the zeros around the input meet nothing, so they are left out.
    around = [0 if i in shifted else p for i, p in enumerate(padding)]
    here = [i for i in range(len(kernel)) if i not in shifted]
    span = [int(grad.shape[2 + i]) if i in here else int(x.shape[2 + i]) for i in range(len(kernel))]
    places = math.prod(kernel[i] for i in here)
    pays = 1 < places <= _PICKED_MOST and (any(around) or any(s > 1 for s in stride))
    by_channel = form == "onnxruntime" and x.dtype == torch.float32 and pays
    if by_channel:
        left = _picked(x, kernel, stride, padding, dilation, span)
    else:
        left = _sliced(x, kernel, stride, around, dilation, here, span)
    right = _rows(grad, kernel[0], reach, dilation[0], padding[0], int(left.shape[2])) if shifted else grad
    batch, length = x.shape[0], math.prod(int(v) for v in left.shape[2:])
    left = left.reshape(batch, -1, length)
    right = right.reshape(batch, -1, length)
    if by_channel:
        return _sum_of_products(right, left).reshape(weight.shape)
    product = (right @ left.transpose(1, 2)).sum(0)
    if shifted:
        product = product.reshape(outputs, kernel[0], kernel[1], channels).permute(0, 3, 1, 2)
    else:
        product = product.reshape(outputs, *kernel, channels).movedim(-1, 1)
    return product.reshape(weight.shape)


def _sum_of_products(a: Tensor, b: Tensor) -> Tensor:
    """The sum over the batch of `a` times `b` transposed: [N, I, L] and [N, J, L] to [I, J].

    onnxruntime copies the transposed factor into another order first: that is to be the one with fewer rows.
    """
    if int(a.shape[1]) < int(b.shape[1]):
        return (b @ a.transpose(1, 2)).sum(0).t()
    return (a @ b.transpose(1, 2)).sum(0)


def _rows(grad: Tensor, kernel: int, reach: int, dilation: int, padding: int, rows: int) -> Tensor:
    """The gradient shifted backward along its rows, once for each of the kernel's: [N, O, kernel * rows, ...]."""
    border = reach - padding
    padded = aten.constant_pad_nd.default(grad, [0, 0, border, border], 0.0) if border else grad
    index = torch.tensor([[reach - k * dilation + h for h in range(rows)] for k in range(kernel)])
    return padded.index_select(2, index.reshape(-1))


def _weight_by_shifts(
    grad: Tensor, x: Tensor, weight: Tensor, padding: Sequence[int], dilation: Sequence[int], reach: int
) -> Tensor:
    """The gradient unfolded by rows, times the input shifted by columns: one product for each column of the kernel.

    The shifted inputs are never joined, and the taller factor serves every product as it is.
    """
    outputs, channels, height, width = (int(v) for v in weight.shape)
    batch, rows, span = x.shape[0], int(x.shape[2]), int(grad.shape[3])
    right = _rows(grad, height, reach, dilation[0], padding[0], rows).reshape(batch, outputs * height, rows * span)
    parts = []
    for k in range(width):
        first = k * dilation[1] - padding[1]
        last = first + span - int(x.shape[3])
        moved = aten.constant_pad_nd.default(x, [-first, last], 0.0) if first or last else x
        parts.append(_sum_of_products(right, moved.reshape(batch, channels, rows * span)))
    return torch.stack(parts, 2).reshape(outputs, height, channels, width).transpose(1, 2).reshape(weight.shape)


def _sliced(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    here: Sequence[int],
    span: Sequence[int],
) -> Tensor:
    """The input unfolded along the axes `here` by slices: [N, positions * C, *span]."""
    if any(padding):
        x = aten.constant_pad_nd.default(x, [p for q in reversed(padding) for p in (q, q)], 0.0)
    parts = []
    for place in itertools.product(*[range(kernel[i]) for i in here]):
        view = x
        for i, position in zip(here, place, strict=True):
            first = position * dilation[i]
            last = first + stride[i] * (span[i] - 1) + 1
            view = aten.slice.Tensor(view, 2 + i, first, last, stride[i])
        parts.append(view)
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


def _picked(
    x: Tensor,
    window: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    span: Sequence[int],
) -> Tensor:
    """The input unfolded by a convolution of each channel with kernels of one 1 each: [N, C * positions, *span].

    In onnxruntime one such node costs about half of what padding, slicing and joining cost, and strides come for free.
    Without padding and strides, slices are as fast.
    """
    n, channels, places = len(window), int(x.shape[1]), math.prod(window)
    single = torch.tensor([[float(i == j) for j in range(places)] for i in range(places)])
    ones = single.reshape(places, 1, *window).repeat(channels, *[1] * (n + 1))
    left: Tensor = aten.convolution.default(x, ones, None, stride, padding, dilation, False, [0] * n, channels)
    for i in range(n):  # a stride may leave a rest
        if int(left.shape[2 + i]) != span[i]:
            left = aten.slice.Tensor(left, 2 + i, 0, span[i])
    return left
