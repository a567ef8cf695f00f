"""Operators that move elements: reshapes, slices, concatenations, fills."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from ..errors import ExportError
from .context import LAST, Lowering, fixed
from .registry import overloads, translates

aten = torch.ops.aten


@translates(
    *overloads("sym_size", "int"), *overloads("sym_numel", "default"), *overloads("sym_stride", "int"), torch.sym_float,
    operator.add, operator.sub, operator.mul, operator.floordiv, operator.truediv, operator.neg, operator.pow,
    operator.mod, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
    torch.sym_max, torch.sym_min, torch.sym_not,
    *overloads("_assert_async", "msg", "default"), *overloads("_assert_scalar", "default"),
)  # fmt: skip
def _symbolic(lo: Lowering, node: Node, *args: Any, **kwargs: Any) -> None:
    """Sizes are translated from their expressions, where they are used (`Lowering.size`)."""


@translates(operator.getitem)
def _getitem(lo: Lowering, node: Node, values: Any, index: int) -> str | None:
    found = lo.values[values]
    return found[index] if isinstance(found, list) else None


@translates(*overloads("view", "default"), *overloads("reshape", "default"), *overloads("_unsafe_view", "default"))
def _view(lo: Lowering, node: Node, x: Any, shape: Sequence[Any]) -> str:
    sizes = lo.shape(node)
    if sizes == lo.shape(x):
        return lo.tensor(x)
    blocks = _space_to_depth(lo, node, x) if lo.runtime == "onnxruntime" else None
    return blocks or lo.reshape(lo.tensor(x), sizes)


def _space_to_depth(lo: Lowering, node: Node, x: Any) -> str | None:
    """[N, C, h, b, w, b] with its blocks moved before the channels: one node instead of a transpose of rank 6."""
    while isinstance(x, Node) and x.target is aten.clone.default:
        x = x.args[0]
    if not (isinstance(x, Node) and x.target is aten.permute.default and list(x.args[1]) == [0, 3, 5, 1, 2, 4]):  # type: ignore[arg-type]
        return None
    split = x.args[0]
    if not (isinstance(split, Node) and split.target in (aten.view.default, aten._unsafe_view.default)):
        return None
    source = split.args[0]
    _, channels, height, block, width, again = lo.shape(split)
    if block != again or lo.shape(source)[1:] != [channels, height * block, width * block]:
        return None
    if lo.shape(node)[1:] != [block * block * channels, height, width]:
        return None
    return lo.node("SpaceToDepth", lo.tensor(source), blocksize=block)


@translates(aten.expand.default)
def _expand(lo: Lowering, node: Node, x: Any, shape: Sequence[Any], implicit: bool = False) -> str:
    have, want = lo.shape(x), lo.shape(node)
    if have == want:
        return lo.tensor(x)
    return lo.expand(lo.tensor(x), node)


@translates(*overloads("expand_as", "default"))
def _expand_as(lo: Lowering, node: Node, x: Any, other: Any) -> str:
    return _expand(lo, node, x, ())


@translates(aten.permute.default)
def _permute(lo: Lowering, node: Node, x: Any, order: Sequence[int]) -> str:
    return lo.permute(lo.tensor(x), [lo.axis(x, i) for i in order])


@translates(aten.transpose.int)
def _transpose(lo: Lowering, node: Node, x: Any, a: int, b: int) -> str:
    order = list(range(lo.rank(x)))
    if not order:
        return lo.tensor(x)
    order[a], order[b] = order[b], order[a]
    return lo.permute(lo.tensor(x), order)


@translates(aten.t.default)
def _t(lo: Lowering, node: Node, x: Any) -> str:
    return lo.permute(lo.tensor(x), list(reversed(range(lo.rank(x)))))


@translates(aten.unsqueeze.default)
def _unsqueeze(lo: Lowering, node: Node, x: Any, dim: int) -> str:
    return (
        lo.reshape(lo.tensor(x), lo.shape(node))
        if lo.is_static(x)
        else lo.node("Unsqueeze", lo.tensor(x), lo.constant([dim % (lo.rank(x) + 1)]))
    )


@translates(*overloads("squeeze", "default", "dim", "dims"))
def _squeeze(lo: Lowering, node: Node, x: Any, dim: Any = None) -> str:
    gone = [d for d in lo.axes(x, dim) if lo.rank(x) and lo.shape(x)[d] == 1]
    return lo.node("Squeeze", lo.tensor(x), lo.constant(gone)) if gone else lo.tensor(x)


@translates(aten.diagonal.default)
def _diagonal(lo: Lowering, node: Node, x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> str:
    shape, rank = lo.shape(x), lo.rank(x)
    a, b = dim1 % rank, dim2 % rank
    rows, columns = shape[a], shape[b]
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise ExportError("aten.diagonal.default", "the diagonal runs through the batch")
    places = [r * columns + r + offset for r in range(rows) if 0 <= r + offset < columns]
    rest = [d for d in range(rank) if d not in (a, b)]
    flat = lo.reshape(lo.permute(lo.tensor(x), [*rest, a, b]), [*(shape[d] for d in rest), rows * columns])
    return lo.node("Gather", flat, lo.constant(places), axis=rank - 2)


@translates(aten.diagonal_scatter.default)
def _diagonal_scatter(
    lo: Lowering, node: Node, x: Any, source: Any, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> str:
    shape, rank = lo.shape(x), lo.rank(x)
    a, b = dim1 % rank, dim2 % rank
    rows, columns = shape[a], shape[b]
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise ExportError("aten.diagonal_scatter.default", "the diagonal runs through the batch")
    # Spread the source over the matrix, then take it where the matrix has its diagonal.
    count = lo.shape(source)[-1]
    spread = np.zeros((count, rows * columns))
    rows_used = [r for r in range(rows) if 0 <= r + offset < columns]
    spread[np.arange(count), [r * columns + r + offset for r in rows_used]] = 1
    rest = [d for d in range(rank) if d not in (a, b)]
    dtype = lo.dtype(node)
    matrix = lo.node("MatMul", lo.tensor(source, dtype), lo.constant(spread, dtype))
    matrix = lo.reshape(matrix, [*(shape[d] for d in rest), rows, columns])
    order = [*rest, a, b]
    matrix = lo.permute(matrix, [order.index(d) for d in range(rank)])
    mask = spread.sum(0).reshape(rows, columns) > 0
    if a > b:
        mask = mask.T
    mask = mask.reshape([shape[d] if d in (a, b) else 1 for d in range(rank)])
    return lo.node("Where", lo.constant(mask, torch.bool), matrix, lo.tensor(x, dtype))


@translates(aten.copy.default)
def _copy(lo: Lowering, node: Node, x: Any, source: Any, *args: Any) -> str:
    name = lo.tensor(source, lo.dtype(node))
    return name if lo.is_tensor(source) and lo.shape(source) == lo.shape(node) else lo.expand(name, node)


@translates(aten.cat.default)
def _cat(lo: Lowering, node: Node, parts: Sequence[Any], dim: int = 0) -> str:
    names = [lo.tensor(p, lo.dtype(node)) for p in parts if lo.shape(p) != [0]]
    return names[0] if len(names) == 1 else lo.node("Concat", *names, axis=lo.axis(node, dim))


@translates(*overloads("stack", "default"))
def _stack(lo: Lowering, node: Node, parts: Sequence[Any], dim: int = 0) -> str:
    axis = lo.constant([lo.axis(node, dim)])
    names = [lo.node("Unsqueeze", lo.tensor(p, lo.dtype(node)), axis) for p in parts]
    return names[0] if len(names) == 1 else lo.node("Concat", *names, axis=lo.axis(node, dim))


@translates(aten.slice.Tensor)
def _slice(lo: Lowering, node: Node, x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> str:
    """Slices of slices along other dimensions become one node, which copies once."""
    starts, ends, axes, steps = [], [], [], []
    source: Any = node
    while isinstance(source, Node) and source.target is aten.slice.Tensor:
        given: list[Any] = [*source.args, *(None, 0, None, None, 1)[len(source.args) :]]
        inner, axis, first, last, stride = given[0], lo.axis(given[0], given[1]), given[2], given[3], given[4]
        if axis in axes:
            break
        if lo.shape(source) != lo.shape(inner) or stride != 1:
            starts.append(lo.size(first or 0))
            ends.append(lo.size(LAST if last is None else last))
            axes.append(axis)
            steps.append(stride)
        source = inner
    name = lo.tensor(source)
    if not axes:
        return name
    if len(axes) == 1:
        return lo.node("Slice", name, starts[0], ends[0], lo.constant(axes), lo.constant(steps))
    begin, finish = lo.vector(starts), lo.vector(ends)
    return lo.node("Slice", name, begin, finish, lo.constant(axes), lo.constant(steps))


@translates(aten.select.int)
def _select(lo: Lowering, node: Node, x: Any, dim: int, index: Any) -> str:
    return lo.node("Gather", lo.tensor(x), lo.tensor(index, torch.int64), axis=lo.axis(x, dim))


@translates(*overloads("split_with_sizes", "default"), *overloads("split", "Tensor"))
def _split(lo: Lowering, node: Node, x: Any, sizes: Any, dim: int = 0) -> list[str]:
    axis = lo.axis(x, dim)
    parts = [fixed(v.shape[axis]) for v in node.meta["val"]]
    if len(parts) == 1:
        return [lo.tensor(x)]
    return lo.builder.split("Split", lo.tensor(x), lo.dims(parts), outputs=len(parts), axis=axis)


@translates(aten.unbind.int)
def _unbind(lo: Lowering, node: Node, x: Any, dim: int = 0) -> list[str]:
    axis = lo.axis(x, dim)
    return [lo.node("Gather", lo.tensor(x), lo.constant(i), axis=axis) for i in range(len(node.meta["val"]))]


def _insert(lo: Lowering, node: Node, x: Any, part: str, axis: int, start: int, end: int) -> str:
    """`x` with its elements `start` to `end` along `axis` replaced by `part`."""
    names = [part]
    if start > 0:
        names.insert(0, lo.slice(lo.tensor(x), 0, start, axis))
    if end < lo.shape(x)[axis]:
        names.append(lo.slice(lo.tensor(x), end, LAST, axis))
    return lo.node("Concat", *names, axis=axis) if len(names) > 1 else part


@translates(aten.slice_scatter.default)
def _slice_scatter(
    lo: Lowering, node: Node, x: Any, source: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> str:
    axis = lo.axis(x, dim)
    if lo.shape(source) == lo.shape(x):
        return lo.tensor(source, lo.dtype(node))
    size, first = lo.shape(x)[axis], fixed(lo.value(start or 0))
    last = fixed(lo.value(LAST if end is None else end))
    if not all(isinstance(v, int) for v in (size, first, last)):
        raise ExportError("aten.slice_scatter.default", "a part of the batch is replaced", instead="use torch.where")
    first, last, _ = slice(first, last, step).indices(size)
    if step == 1:
        return _insert(lo, node, x, lo.tensor(source, lo.dtype(node)), axis, first, last)
    places = np.arange(first, last, step).reshape([-1 if d == axis else 1 for d in range(lo.rank(x))])
    index = lo.expand(lo.constant(places), source)
    return lo.node("ScatterElements", lo.tensor(x), index, lo.tensor(source, lo.dtype(node)), axis=axis)


@translates(aten.select_scatter.default)
def _select_scatter(lo: Lowering, node: Node, x: Any, source: Any, dim: int, index: int) -> str:
    axis = lo.axis(x, dim)
    size = lo.shape(x)[axis]
    if not isinstance(size, int):
        raise ExportError("aten.select_scatter.default", "one row of the batch is replaced", instead="use torch.where")
    part = lo.node("Unsqueeze", lo.tensor(source, lo.dtype(node)), lo.constant([axis]))
    return _insert(lo, node, x, part, axis, index % size, index % size + 1)


@translates(aten.constant_pad_nd.default)
def _pad(lo: Lowering, node: Node, x: Any, pad: Sequence[int], value: Any = 0) -> str:
    rank = lo.rank(x)
    before, after = [0] * rank, [0] * rank
    for i in range(len(pad) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = pad[2 * i], pad[2 * i + 1]
    name = lo.tensor(x)
    cut = [d for d in range(rank) if before[d] < 0 or after[d] < 0]
    mixed = bool(cut) and any(v > 0 for v in (*before, *after)) and lo.dtype(node) != torch.bool
    if mixed and lo.runtime == "onnxruntime":  # one pass; tract has no negative padding
        return lo.node("Pad", name, lo.constant([*before, *after]), lo.constant(value, lo.dtype(node)))
    if cut:
        starts = lo.constant([max(0, -before[d]) for d in cut])
        ends = lo.constant([LAST if after[d] >= 0 else after[d] for d in cut])
        name = lo.node("Slice", name, starts, ends, lo.constant(cut))
    grow = [max(0, v) for v in (*before, *after)]
    if not any(grow):
        return name
    dtype = lo.dtype(node)
    if dtype == torch.bool:  # no runtime pads booleans reliably
        padded = lo.node("Pad", lo.cast(name, dtype, torch.int32), lo.constant(grow), lo.constant(value, torch.int32))
        return lo.cast(padded, torch.int32, dtype)
    return lo.node("Pad", name, lo.constant(grow), lo.constant(value, dtype))


@translates(aten.flip.default)
def _flip(lo: Lowering, node: Node, x: Any, dims: Sequence[int]) -> str:
    k = len(dims)
    if k == 0:
        return lo.tensor(x)
    ones, far, axes = lo.constant([-1] * k), lo.constant([-LAST] * k), lo.constant([lo.axis(x, d) for d in dims])
    return lo.node("Slice", lo.tensor(x), ones, far, axes, ones)


@translates(*overloads("roll", "default"))
def _roll(lo: Lowering, node: Node, x: Any, shifts: Sequence[int], dims: Sequence[int] = ()) -> str:
    if not dims:
        raise ExportError("aten.roll.default", "a roll of the flattened tensor", instead="give dims")
    name = lo.tensor(x)
    for shift, dim in zip(shifts, dims, strict=True):
        axis = lo.axis(x, dim)
        size = lo.shape(x)[axis]
        if isinstance(size, int):
            shift = shift % size
        if shift:
            name = lo.node("Concat", lo.slice(name, -shift, LAST, axis), lo.slice(name, 0, -shift, axis), axis=axis)
    return name


@translates(aten.repeat.default)
def _repeat(lo: Lowering, node: Node, x: Any, repeats: Sequence[Any]) -> str:
    name = lo.tensor(x)
    if len(repeats) > lo.rank(x):
        name = lo.reshape(name, [1] * (len(repeats) - lo.rank(x)) + lo.shape(x))
    return lo.node("Tile", name, lo.dims(repeats)) if any(r != 1 for r in repeats) else name


def _fill(lo: Lowering, node: Node, value: Any) -> str:
    name = lo.tensor(value, lo.dtype(node))
    if lo.rank(node) == 0:
        return name
    # Not ConstantOfShape: tract cannot take a computed shape there.
    return lo.expand(name, node)


@translates(
    *overloads("full", "default"), *overloads("full_like", "default"), *overloads("new_full", "default"),
    *overloads("fill", "Scalar", "Tensor"),
)  # fmt: skip
def _full(lo: Lowering, node: Node, like: Any, *rest: Any, **kwargs: Any) -> str:
    value = kwargs["fill_value"] if "fill_value" in kwargs else rest[-1]
    return _fill(lo, node, value)


@translates(aten.scalar_tensor.default)
def _scalar_tensor(lo: Lowering, node: Node, value: Any, **kwargs: Any) -> str:
    return lo.tensor(value, lo.dtype(node))


@translates(
    *overloads("zeros", "default"), *overloads("zeros_like", "default"), *overloads("new_zeros", "default"),
    *overloads("_new_zeros_with_same_feature_meta", "default"), *overloads("empty", "memory_format"),
    *overloads("empty_like", "default"), *overloads("new_empty", "default"), *overloads("empty_strided", "default"),
    *overloads("new_empty_strided", "default"),
)  # fmt: skip
def _zeros(lo: Lowering, node: Node, *args: Any, **kwargs: Any) -> str:
    return _fill(lo, node, 0)


@translates(*overloads("ones", "default"), *overloads("ones_like", "default"), *overloads("new_ones", "default"))
def _ones(lo: Lowering, node: Node, *args: Any, **kwargs: Any) -> str:
    return _fill(lo, node, 1)


@translates(
    *overloads("arange", "start_step", "start", "default"), *overloads("eye", "default", "m"),
)  # fmt: skip
def _generated(lo: Lowering, node: Node, *args: Any, **kwargs: Any) -> str:
    dtype = lo.dtype(node)
    if all(isinstance(a, (int, float)) for a in args) and lo.is_static(node):
        if "eye" in str(node.target):
            return lo.constant(np.eye(*lo.shape(node)), dtype)
        return lo.constant(np.arange(*args), dtype)
    if "eye" in str(node.target):
        raise ExportError(str(node.target), "an identity matrix as large as the batch")
    start, end, step = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
    return lo.node("Range", lo.tensor(start, dtype), lo.tensor(end, dtype), lo.tensor(step, dtype))


@translates(*overloads("tril", "default"), *overloads("triu", "default"))
def _triangle(lo: Lowering, node: Node, x: Any, diagonal: int = 0) -> str:
    rows, columns = lo.shape(x)[-2:]
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise ExportError(str(node.target), "a triangle as large as the batch")
    ones = np.ones((rows, columns), bool)
    mask = np.tril(ones, diagonal) if "tril" in str(node.target) else np.triu(ones, diagonal)
    dtype = lo.dtype(node)
    return lo.node("Where", lo.constant(mask, torch.bool), lo.tensor(x), lo.constant(0, dtype))
