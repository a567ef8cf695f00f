"""The backward of max pooling for onnxruntime: an axis after the other, each taken apart into planes by its stride.

The first of the largest elements of a window is in the first row whose maximum is the largest, at the first place where
that row has it. So the maxima of rows are found first, and of those the maxima: as many comparisons as the sides of a
window have elements together, and half as many bytes to move as with slices of every place. Elements that lie a stride
apart are a dimension of their own in another shape of the same memory, and go back there by one concatenation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

aten = torch.ops.aten


def backward(
    grad: Tensor, x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> Tensor:  # fmt: skip
    """The gradient of `x` [..., *inputs], from that of the maxima [..., *outputs]; of equal elements the first has it."""
    n, lead = len(kernel), x.dim() - len(kernel)
    found: list[list[Tensor]] = []
    level = x
    for i in reversed(range(n)):
        axis, outputs = lead + i, int(grad.shape[lead + i])
        better: list[Tensor] = []
        best: Tensor | None = None
        planes = _planes(level, axis, stride[i])
        for plane, shift in _places(kernel[i], stride[i], padding[i], dilation[i]):
            part = _moved(planes[plane], axis, -shift, outputs, -math.inf)
            if best is None:
                best = part
                continue
            better.append((part > best).to(x.dtype))
            best = torch.maximum(best, part)
        assert best is not None
        level = best
        found.append(better)
    for i in range(n):
        pieces: list[Tensor] = []
        for mask in reversed(found.pop()):
            pieces.append(grad * mask)
            grad = grad - pieces[-1]
        places = _places(kernel[i], stride[i], padding[i], dilation[i])
        grad = _joined([grad, *reversed(pieces)], places, lead + i, stride[i], int(x.shape[lead + i]))
    return grad


def _places(kernel: int, stride: int, padding: int, dilation: int) -> list[tuple[int, int]]:
    """For each element of a window: its plane, and how many places further than the output's it stands there."""
    return [((k * dilation - padding) % stride, (k * dilation - padding) // stride) for k in range(kernel)]


def _planes(x: Tensor, axis: int, stride: int) -> list[Tensor]:
    """Plane r has the elements r, r + stride, ... along the axis."""
    size = int(x.shape[axis])
    if stride == 1:
        return [x]
    if size % stride:
        return [aten.slice.Tensor(x, axis, r, size, stride) for r in range(stride)]
    apart = x.reshape(*x.shape[:axis], size // stride, stride, *x.shape[axis + 1 :])
    return [apart.select(axis + 1, r) for r in range(stride)]


def _moved(x: Tensor, axis: int, by: int, size: int, fill: float) -> Tensor:
    """`x` moved towards the end by some places, `size` places long, with `fill` where it has nothing."""
    after = size - by - int(x.shape[axis])
    if not by and not after:
        return x
    padded: Tensor = aten.constant_pad_nd.default(x, [0, 0] * (x.dim() - 1 - axis) + [by, after], fill)
    return padded


def _joined(pieces: Sequence[Tensor], places: Sequence[tuple[int, int]], axis: int, stride: int, size: int) -> Tensor:
    """What each element of the windows gets, [..., outputs, ...] each, added up where the windows lie: [..., size, ...]."""
    longest = -(-size // stride)
    planes: list[Tensor | None] = [None] * stride
    for piece, (plane, shift) in zip(pieces, places, strict=True):
        moved, there = _moved(piece, axis, shift, longest, 0.0), planes[plane]
        planes[plane] = moved if there is None else there + moved
    some = next(p for p in planes if p is not None)
    whole = [torch.zeros_like(some) if p is None else p for p in planes]
    if stride == 1:
        return whole[0]
    shape = some.shape
    joined = torch.stack(whole, axis + 1).reshape(*shape[:axis], longest * stride, *shape[axis + 1 :])
    cut: Tensor = aten.slice.Tensor(joined, axis, 0, size) if longest * stride > size else joined
    return cut
