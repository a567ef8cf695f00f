"""Operators that fold dimensions: sums, means, extremes, orderings."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import Node

from ..errors import ExportError
from ..operators import NORMALISED
from .context import Lowering
from .registry import Translation, overloads, translates

aten = torch.ops.aten


@translates(aten.sum.default, aten.sum.dim_IntList)
def _sum(lo: Lowering, node: Node, x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> str:
    name = lo.tensor(x, lo.dtype(node))
    return name if lo.rank(x) == 0 else lo.node("ReduceSum", name, lo.constant(lo.axes(x, dim)), keepdims=int(keepdim))


def _reduce(op: str) -> Translation:
    def translation(lo: Lowering, node: Node, x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> str:
        name = lo.tensor(x, lo.dtype(node))
        if lo.rank(x) == 0:
            return name
        if lo.dtype(node) == torch.bool:
            return lo.cast(
                lo.node(op, lo.tensor(x, torch.int32), axes=lo.axes(x, dim), keepdims=int(keepdim)),
                torch.int32,
                torch.bool,
            )
        return lo.node(op, name, axes=lo.axes(x, dim), keepdims=int(keepdim))

    return translation


translates(aten.mean.default, aten.mean.dim)(_reduce("ReduceMean"))
translates(aten.amax.default, aten.max.default, *overloads("any", "default", "dim", "dims"))(_reduce("ReduceMax"))
translates(aten.amin.default, aten.min.default, *overloads("all", "default", "dim", "dims"))(_reduce("ReduceMin"))
translates(aten.prod.default, aten.prod.dim_int)(_reduce("ReduceProd"))


for _name in ("any", "all"):

    def _truth(lo: Lowering, node: Node, x: Any, dim: Any = None, keepdim: bool = False, _n: str = _name) -> str:
        truth = lo.tensor(x)
        if lo.dtype(x) != torch.bool:
            truth = lo.node("Not", lo.node("Equal", truth, lo.constant(0, lo.dtype(x))))
        if lo.rank(x) == 0:
            return truth
        number = lo.cast(truth, torch.bool, torch.int32)
        op = "ReduceMax" if _n == "any" else "ReduceMin"
        return lo.cast(lo.node(op, number, axes=lo.axes(x, dim), keepdims=int(keepdim)), torch.int32, torch.bool)

    translates(*overloads(_name, "default", "dim", "dims"))(_truth)


def _arg(op: str) -> Translation:
    def translation(lo: Lowering, node: Node, x: Any, dim: Any = None, keepdim: bool = False) -> str:
        if dim is None:
            flat = lo.node("Reshape", lo.tensor(x), lo.constant([-1]))
            return lo.node(op, flat, axis=0, keepdims=0)
        if lo.rank(x) == 0:
            return lo.constant(0)
        return lo.node(op, lo.tensor(x), axis=lo.axis(x, dim), keepdims=int(keepdim))

    return translation


translates(aten.argmax.default)(_arg("ArgMax"))
translates(aten.argmin.default)(_arg("ArgMin"))


def _extreme(op: str, arg: str) -> Translation:
    def translation(lo: Lowering, node: Node, x: Any, dim: int, keepdim: bool = False) -> list[str]:
        if lo.rank(x) == 0:
            return [lo.tensor(x), lo.constant(0)]
        axis, keep = lo.axis(x, dim), int(keepdim)
        name = lo.tensor(x)
        return [lo.node(op, name, axes=[axis], keepdims=keep), lo.node(arg, name, axis=axis, keepdims=keep)]

    return translation


translates(aten.max.dim)(_extreme("ReduceMax", "ArgMax"))
translates(aten.min.dim)(_extreme("ReduceMin", "ArgMin"))


@translates(aten.cumsum.default)
def _cumsum(lo: Lowering, node: Node, x: Any, dim: int, **kwargs: Any) -> str:
    name = lo.tensor(x, lo.dtype(node))
    return name if lo.rank(x) == 0 else lo.node("CumSum", name, lo.constant(lo.axis(x, dim)))


@translates(aten.topk.default)
def _topk(
    lo: Lowering, node: Node, x: Any, k: Any, dim: int = -1, largest: bool = True, sorted: bool = True
) -> list[str]:
    return lo.builder.split(
        "TopK", lo.tensor(x), lo.size(k), outputs=2, axis=lo.axis(x, dim), largest=int(largest), sorted=1
    )


@translates(*overloads("sort", "default", "stable"))
def _sort(lo: Lowering, node: Node, x: Any, dim: int = -1, descending: bool = False, **kwargs: Any) -> list[str]:
    axis = lo.axis(x, kwargs.get("dim", dim))
    largest = int(kwargs.get("descending", descending))
    return lo.builder.split(
        "TopK", lo.tensor(x), lo.size(lo.shape(x)[axis]), outputs=2, axis=axis, largest=largest, sorted=1
    )


_LONG = 256
"""Rows from this length on are worth the numbers that the operator wants for each of them."""


def _moments(lo: Lowering, x: Any, axes: list[int]) -> tuple[str, str] | None:
    """Variance and mean of long rows, or of channels, by the training form of batch norm.

    onnxruntime takes the squares around the mean without writing them down: two passes fewer, and none of the digits that
    the mean of squares would lose. Its third result, the normalised values, costs less than that and is not used.
    """
    shape, name = lo.shape(x), lo.tensor(x)
    last = len(shape) - 1
    if axes == [last] and isinstance(shape[last], int) and shape[last] >= _LONG:
        name = lo.node("Reshape", name, lo.constant([1, -1, shape[last]]))
    elif axes != [0, *range(2, len(shape))] or len(shape) < 3 or not isinstance(shape[1], int):
        return None
    size = lo.node("Shape", name, start=1, end=2) if axes == [last] else lo.constant([shape[1]])
    zeros, ones = (lo.node("Expand", lo.constant([v], torch.float32), size) for v in (0.0, 1.0))
    made = lo.builder.split(
        "BatchNormalization", name, ones, zeros, zeros, ones, outputs=3, training_mode=1, momentum=0.0, epsilon=0.0
    )
    kept = [1 if a in axes else d for a, d in enumerate(shape)]
    return lo.reshape(made[2], kept), lo.reshape(made[1], kept)


@translates(NORMALISED)
def _normalised(lo: Lowering, node: Node, x: Any, weight: Any, bias: Any, eps: float) -> list[str]:
    zeros, ones = (lo.constant([v] * lo.shape(x)[1], torch.float32) for v in (0.0, 1.0))
    return lo.builder.split(
        "BatchNormalization", lo.tensor(x), lo.tensor(weight), lo.tensor(bias), zeros, ones, outputs=3,
        training_mode=1, momentum=0.0, epsilon=eps,
    )  # fmt: skip


def _variance(lo: Lowering, x: Any, dim: Any, correction: Any, keepdim: bool) -> tuple[str, str]:
    axes, dtype, name = lo.axes(x, dim), lo.dtype(x), lo.tensor(x)
    if lo.runtime == "onnxruntime" and dtype == torch.float32 and correction == 0 and keepdim:
        fused = _moments(lo, x, axes)
        if fused is not None:
            return fused
    mean = lo.node("ReduceMean", name, axes=axes, keepdims=1)
    rest = lo.node("Sub", name, mean)
    squares = lo.node("ReduceSum", lo.node("Mul", rest, rest), lo.constant(axes), keepdims=int(keepdim))
    count = math.prod(lo.shape(x)[a] for a in axes)
    free = 1.0 if correction is None else float(correction)
    if isinstance(count, int):
        divisor = lo.constant(max(0.0, count - free), dtype)
    else:
        divisor = lo.node("Sub", lo.tensor(count, dtype), lo.constant(free, dtype))
        divisor = lo.node("Max", divisor, lo.constant(0.0, dtype))
    if not keepdim:
        mean = lo.node("Squeeze", mean, lo.constant(axes))
    return lo.node("Div", squares, divisor), mean


@translates(*overloads("var_mean", "correction"))
def _var_mean(
    lo: Lowering, node: Node, x: Any, dim: Any = None, correction: Any = None, keepdim: bool = False
) -> list[str]:
    return list(_variance(lo, x, dim, correction, keepdim))


@translates(*overloads("var", "correction"))
def _var(lo: Lowering, node: Node, x: Any, dim: Any = None, correction: Any = None, keepdim: bool = False) -> str:
    return _variance(lo, x, dim, correction, keepdim)[0]


@translates(
    *overloads("median", "default", "dim"), *overloads("nanmedian", "default", "dim"), *overloads("mode", "default")
)
def _median(lo: Lowering, node: Node, *args: Any, **kwargs: Any) -> str:
    raise ExportError(
        str(node.target), "order statistics of a batch", instead="use topk or sort along a fixed dimension"
    )
