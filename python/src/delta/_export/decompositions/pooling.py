"""Pooling, its backward, and padding that repeats the border.

Average pooling is linear and separable: along each axis it is a fixed matrix of (outputs x inputs), whatever the
padding, the ceiling and the divisor. Where ONNX has no operator for a form, or a slow one, the matrix is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ExportError
from . import maximum

aten = torch.ops.aten

Matrix = list[list[float]]


def _tuple(value: Any, n: int) -> list[int]:
    items = [value] if isinstance(value, int) else list(value)
    return items * n if len(items) == 1 else items


def _outputs(size: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    count = -((kernel - size - 2 * padding) // stride) + 1 if ceil else (size + 2 * padding - kernel) // stride + 1
    if ceil and (count - 1) * stride >= size + padding:  # the last window must begin inside
        count -= 1
    return count


def _averages(size: int, kernel: int, stride: int, padding: int, ceil: bool, count_pad: bool, divide: bool) -> Matrix:
    """The matrix of one axis: row o holds the weights of the inputs that output o averages."""
    rows = []
    for o in range(_outputs(size, kernel, stride, padding, ceil)):
        first = o * stride - padding
        end = min(first + kernel, size + padding)
        inside = range(max(first, 0), min(end, size))
        count = (end - first if count_pad else len(inside)) if divide else 1
        rows.append([1.0 / count if i in inside else 0.0 for i in range(size)])
    return rows


def _adaptive(size: int, outputs: int) -> Matrix:
    rows = []
    for o in range(outputs):
        inside = range(o * size // outputs, -(-(o + 1) * size // outputs))
        rows.append([1.0 / len(inside) if i in inside else 0.0 for i in range(size)])
    return rows


def _matrix(rows: Matrix, like: Tensor) -> Tensor:
    if not like.dtype.is_floating_point:
        raise ExportError("pooling", "an average of whole numbers", instead="convert to float32 first")
    return torch.tensor(rows, dtype=like.dtype)


def _apply(x: Tensor, matrices: Sequence[Matrix], scale: float = 1.0) -> Tensor:
    """Each matrix [outputs, inputs] along its axis, the last matrix along the last axis."""
    n = len(matrices)
    for i, rows in enumerate(reversed(matrices)):
        matrix = _matrix(rows, x)
        if scale != 1.0 and i == 0:
            matrix = matrix * scale
        axis = x.dim() - 1 - i
        if i == 0:
            x = x @ matrix.t()
        elif i == 1:
            x = matrix @ x
        else:
            x = (x.transpose(axis, -1) @ matrix.t()).transpose(axis, -1)
    assert n
    return x


def _transposed(matrices: Sequence[Matrix]) -> list[Matrix]:
    return [[list(column) for column in zip(*rows, strict=True)] for rows in matrices]


def _pool_matrices(
    x: Tensor, kernel: Any, stride: Any, padding: Any, ceil: bool, count_pad: bool, divisor: int | None, n: int
) -> list[Matrix]:
    k, p = _tuple(kernel, n), _tuple(padding, n)
    s = _tuple(stride, n) if stride else k
    sizes = [int(v) for v in x.shape[-n:]]
    return [_averages(sizes[i], k[i], s[i], p[i], ceil, count_pad, divisor is None) for i in range(n)]


def _avg_pool(
    x: Tensor, kernel: Any, stride: Any = (), padding: Any = (0,), ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    n = len(kernel)
    if not ceil_mode and divisor_override is None and x.dim() == n + 2 and x.dtype == torch.float32:
        return NotImplemented
    matrices = _pool_matrices(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override, n)
    return _apply(x, matrices, 1.0 / divisor_override if divisor_override else 1.0)


def _avg_pool_backward(
    grad: Tensor, x: Tensor, kernel: Any, stride: Any, padding: Any, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    n = len(kernel)
    k, p = _tuple(kernel, n), _tuple(padding, n)
    s = _tuple(stride, n) if stride else k
    scale = 1.0 / divisor_override if divisor_override else 1.0
    sizes, outputs = [int(v) for v in x.shape[-n:]], [int(v) for v in grad.shape[-n:]]
    if n == 2 and s == k and p == [0, 0] and not ceil_mode:
        # Windows side by side: one product both spreads each row and repeats it for every row of its window.
        row = _transposed([_averages(sizes[1], k[1], s[1], 0, False, True, divisor_override is None)])[0]
        share = scale / (k[0] if divisor_override is None else 1)
        spread = [[row[i][o] * share for i in range(sizes[1])] * k[0] for o in range(outputs[1])]
        result = (grad.reshape(-1, outputs[1]) @ _matrix(spread, grad)).reshape(
            *grad.shape[:-2], outputs[0] * k[0], sizes[1]
        )
        rest = sizes[0] - outputs[0] * k[0]
        return aten.constant_pad_nd.default(result, [0, 0, 0, rest], 0.0) if rest else result
    matrices = _pool_matrices(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override, n)
    return _apply(grad, _transposed(matrices), scale)


def _adaptive_avg_pool(x: Tensor, output_size: Any) -> Tensor:
    n = len(output_size)
    sizes = [int(v) for v in x.shape[-n:]]
    if all(s % o == 0 for s, o in zip(sizes, output_size, strict=True)):
        window = [s // o for s, o in zip(sizes, output_size, strict=True)]
        pool = aten.avg_pool2d.default if n == 2 else aten.avg_pool3d.default
        result: Tensor = pool(x, window, window)
        return result
    return _apply(x, [_adaptive(s, o) for s, o in zip(sizes, output_size, strict=True)])


def _adaptive_avg_pool_backward(n: int) -> Callable[[Tensor, Tensor], Tensor]:
    def backward(grad: Tensor, x: Tensor) -> Tensor:
        sizes, outputs = [int(v) for v in x.shape[-n:]], [int(v) for v in grad.shape[-n:]]
        if all(s % o == 0 for s, o in zip(sizes, outputs, strict=True)):
            window = [s // o for s, o in zip(sizes, outputs, strict=True)]
            return _avg_pool_backward(grad, x, window, window, [0] * n)
        return _apply(grad, _transposed([_adaptive(s, o) for s, o in zip(sizes, outputs, strict=True)]))

    return backward


def _adaptive_max_pool2d(x: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    h, w = (int(v) for v in x.shape[-2:])
    oh, ow = output_size
    if h % oh == 0 and w % ow == 0:
        window = [h // oh, w // ow]
        value, index = aten.max_pool2d_with_indices.default(x, window, window)
        return value, index
    rows = [range(i * h // oh, -(-(i + 1) * h // oh)) for i in range(oh)]
    columns = [range(i * w // ow, -(-(i + 1) * w // ow)) for i in range(ow)]
    windows = [[r * w + c for r in rows[i] for c in columns[j]] for i in range(oh) for j in range(ow)]
    longest = max(map(len, windows))
    # Shorter windows repeat their last place: the maximum and its first place stay the same.
    places = torch.tensor([v + [v[-1]] * (longest - len(v)) for v in windows]).reshape(-1)
    values = x.reshape(*x.shape[:-2], h * w).index_select(-1, places)
    values = values.reshape(*x.shape[:-2], oh * ow, longest)
    best = values.argmax(-1, keepdim=True)
    value = values.amax(-1).reshape(*x.shape[:-2], oh, ow)
    start = torch.arange(oh * ow).reshape(-1, 1) * longest
    index = places[(best + start).reshape(-1)].reshape(*x.shape[:-2], oh, ow)
    return value, index


def adaptive_max_pool2d_backward(grad: Tensor, x: Tensor, indices: Tensor, *, planes: bool = False) -> Tensor:
    sizes, outputs = [int(v) for v in x.shape[-2:]], [int(v) for v in grad.shape[-2:]]
    if all(s % o == 0 for s, o in zip(sizes, outputs, strict=True)):
        window = [s // o for s, o in zip(sizes, outputs, strict=True)]
        return maximum.backward(grad, x, window, window, 0, 1, False, indices, planes=planes)
    return maximum.scattered(grad, x, indices, 2)


def _pad_backward(kind: str, n: int) -> Callable[..., Tensor]:
    """The backward of reflection or replication padding: each padded element's gradient goes to its source."""

    def backward(grad: Tensor, x: Tensor, padding: Sequence[int]) -> Tensor:
        matrices = []
        for i in range(n):
            size = int(x.shape[x.dim() - n + i])
            before, after = padding[2 * (n - 1 - i)], padding[2 * (n - 1 - i) + 1]
            rows = []
            for o in range(-before, size + after):
                if kind == "reflection":
                    source = -o if o < 0 else 2 * (size - 1) - o if o >= size else o
                else:
                    source = min(max(o, 0), size - 1)
                rows.append([1.0 if k == source else 0.0 for k in range(size)])
            matrices.append(rows)
        return _apply(grad, _transposed(matrices))

    return backward


TABLE: dict[Any, Callable[..., Any]] = {
    aten.avg_pool2d.default: _avg_pool,
    aten.avg_pool3d.default: _avg_pool,
    aten.avg_pool2d_backward.default: _avg_pool_backward,
    aten.avg_pool3d_backward.default: _avg_pool_backward,
    aten._adaptive_avg_pool2d.default: _adaptive_avg_pool,
    aten._adaptive_avg_pool3d.default: _adaptive_avg_pool,
    aten._adaptive_avg_pool2d_backward.default: _adaptive_avg_pool_backward(2),
    aten._adaptive_avg_pool3d_backward.default: _adaptive_avg_pool_backward(3),
    aten.max_pool2d_with_indices_backward.default: maximum.backward,
    aten.max_pool3d_with_indices_backward.default: maximum.backward,
    aten.adaptive_max_pool2d.default: _adaptive_max_pool2d,
    aten.adaptive_max_pool2d_backward.default: adaptive_max_pool2d_backward,
    **{
        getattr(aten, f"{kind}_pad{n}d_backward").default: _pad_backward(kind, n)
        for kind in ("reflection", "replication")
        for n in (1, 2, 3)
    },
}
