"""The backward of max pooling, without the indices of the maxima where it can be.

Asked for indices, onnxruntime's MaxPool leaves its fast path and takes ten times as long. The maxima are found again by
comparing instead. Of equal elements torch takes the first in the order of the window's rows; so does this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .planes import backward as in_planes

aten = torch.ops.aten

_WINDOW = 16
"""Overlapping windows with more elements use the indices: one comparison for each element would cost more."""
_PRODUCT = 256
"""Rows up to this long are interleaved by a product with a matrix of zeros and ones."""


def _tuple(value: Any, n: int) -> list[int]:
    items = [value] if isinstance(value, int) else list(value)
    return items * n if len(items) == 1 else items


def backward(
    grad: Tensor, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, indices: Tensor,
    *, window: int | None = _WINDOW, planes: bool = False,
) -> Tensor:  # fmt: skip
    """`aten.max_pool{2,3}d_with_indices_backward`: [..., inputs], from the gradient [..., outputs].

    `window`: up to how many elements of a window are compared; all for None. `planes`: in onnxruntime's form.
    """
    n = len(kernel)
    k, p, d = _tuple(kernel, n), _tuple(padding, n), _tuple(dilation, n)
    s = _tuple(stride, n) if stride else k
    sizes, outputs = [int(v) for v in x.shape[-n:]], [int(v) for v in grad.shape[-n:]]
    if planes and sum(k) <= _WINDOW:
        return in_planes(grad, x, k, s, p, d)
    inside = all(outputs[i] * k[i] <= sizes[i] for i in range(n))
    if s == k and not any(p) and d == [1] * n and inside:
        return tiled(grad, x, k)
    if n == 2 and x.dim() == 4 and (window is None or math.prod(k) <= window):
        return _overlapping(grad, x, k, s, p, d, ceil_mode)
    return scattered(grad, x, indices, n)


def scattered(grad: Tensor, x: Tensor, indices: Tensor, n: int) -> Tensor:
    """Adds each gradient to the element that its index, flat within the last `n` dimensions, names."""
    lead = x.shape[:-n]
    plane, outputs = math.prod(int(v) for v in x.shape[-n:]), math.prod(int(v) for v in grad.shape[-n:])
    zeros = torch.zeros_like(x).reshape(*lead, plane)
    result = zeros.scatter_add(-1, indices.reshape(*lead, outputs), grad.reshape(*lead, outputs))
    return result.reshape(x.shape)


def tiled(grad: Tensor, x: Tensor, kernel: Sequence[int]) -> Tensor:
    """Windows side by side: an axis after the other, the maximum of a row of maxima is the maximum of the window."""
    n = len(kernel)
    taken: list[list[Tensor]] = []
    level = x
    for axis in reversed(range(-n, 0)):
        step, count = kernel[axis], int(grad.shape[axis])
        parts = [aten.slice.Tensor(level, level.dim() + axis, j, j + step * (count - 1) + 1, step) for j in range(step)]
        level, better = parts[0], []
        for part in parts[1:]:
            better.append((part > level).to(x.dtype))
            level = torch.maximum(level, part)
        taken.append(better)
    for axis in range(-n, 0):
        pieces = []
        for mask in reversed(taken.pop()):
            pieces.append(grad * mask)
            grad = grad - pieces[-1]
        grad = _interleaved([grad, *reversed(pieces)], axis, int(x.shape[axis]))
    return grad


def _interleaved(pieces: list[Tensor], axis: int, size: int) -> Tensor:
    """Element o of piece j becomes element o * len(pieces) + j along `axis`; the rest, up to `size`, is zero."""
    count, step = int(pieces[0].shape[axis]), len(pieces)
    if axis == -1 and size <= _PRODUCT and step > 1:
        places = [[1.0 if i == o * step + j else 0.0 for i in range(size)] for j in range(step) for o in range(count)]
        return torch.cat(pieces, -1) @ torch.tensor(places, dtype=pieces[0].dtype)
    at = pieces[0].dim() + axis
    shape = pieces[0].shape
    result = torch.stack(pieces, at + 1).reshape(*shape[:at], count * step, *shape[at + 1 :]) if step > 1 else pieces[0]
    if size > count * step:
        result = aten.constant_pad_nd.default(result, [0, 0] * (-1 - axis) + [0, size - count * step], 0.0)
    return result


def _overlapping(
    grad: Tensor, x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], ceil_mode: bool,
) -> Tensor:  # fmt: skip
    """Each window element compared with the maximum, then a matrix along each axis that adds up what overlaps."""
    best = aten.max_pool2d_with_indices.default(x, kernel, stride, padding, dilation, ceil_mode)[0]
    sizes, outputs = [int(v) for v in x.shape[-2:]], [int(v) for v in grad.shape[-2:]]
    reach = [stride[i] * (outputs[i] - 1) + dilation[i] * (kernel[i] - 1) + 1 for i in range(2)]
    after = [max(0, reach[i] - sizes[i] - padding[i]) for i in range(2)]
    if any(padding) or any(after):
        x = aten.constant_pad_nd.default(x, [padding[1], after[1], padding[0], after[0]], float("-inf"))
    rows = []
    for i in range(kernel[0]):
        pieces = []
        for j in range(kernel[1]):
            if i == kernel[0] - 1 and j == kernel[1] - 1:
                pieces.append(grad)  # what no other element took
                continue
            view = x
            for axis, at in ((2, i * dilation[0]), (3, j * dilation[1])):
                step, count = stride[axis - 2], outputs[axis - 2]
                view = aten.slice.Tensor(view, axis, at, at + step * (count - 1) + 1, step)
            pieces.append(grad * (view == best).to(grad.dtype))
            grad = grad - pieces[-1]
        rows.append(torch.cat(pieces, -1) @ _placement(1, kernel, stride, padding, dilation, sizes, outputs, grad))
    spread = _placement(0, kernel, stride, padding, dilation, sizes, outputs, grad)
    return spread.t() @ torch.cat(rows, -2)


def _placement(
    axis: int, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    sizes: Sequence[int], outputs: Sequence[int], like: Tensor,
) -> Tensor:  # fmt: skip
    """[positions * outputs, inputs]: where element k of window o lies."""
    places = [
        [1.0 if i == o * stride[axis] + k * dilation[axis] - padding[axis] else 0.0 for i in range(sizes[axis])]
        for k in range(kernel[axis])
        for o in range(outputs[axis])
    ]
    return torch.tensor(places, dtype=like.dtype)
