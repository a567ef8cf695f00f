"""Matrix products, convolutions, pooling and softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Node

from ..errors import ExportError
from ..operators import MATMUL, SQUARES
from .context import Lowering, fixed
from .registry import overloads, translates

aten = torch.ops.aten


def _whole(lo: Lowering, node: Node) -> bool:
    return not lo.dtype(node).is_floating_point


@translates(*overloads("mm", "default"), *overloads("bmm", "default"), *overloads("matmul", "default"),
            *overloads("dot", "default"), *overloads("mv", "default"))  # fmt: skip
def _matmul(lo: Lowering, node: Node, a: Any, b: Any) -> str:
    if _whole(lo, node):
        # tract aborts on integer matrix products; float64 is exact up to 2^53.
        product = lo.node("MatMul", lo.tensor(a, torch.float64), lo.tensor(b, torch.float64))
        return lo.cast(product, torch.float64, lo.dtype(node))
    return lo.node("MatMul", lo.tensor(a), lo.tensor(b))


@translates(MATMUL)
def _stacked(lo: Lowering, node: Node, a: Any, b: Any) -> str:
    return _matmul(lo, node, a, b)


@translates(SQUARES)
def _squares(lo: Lowering, node: Node, x: Any) -> str:
    return lo.node("ReduceSumSquare", lo.tensor(x), axes=list(range(1, lo.rank(x))), keepdims=0)


def _transposed(arg: Any) -> Node | None:
    """The matrix of which `arg` is the transpose."""
    if not isinstance(arg, Node):
        return None
    if arg.target is aten.t.default:
        return arg.args[0] if isinstance(arg.args[0], Node) else None
    if arg.target is aten.permute.default and list(arg.args[1]) == [1, 0]:  # type: ignore[arg-type]
        return arg.args[0] if isinstance(arg.args[0], Node) else None
    return None


@translates(aten.addmm.default)
def _addmm(lo: Lowering, node: Node, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> str:
    dtype = lo.dtype(node)
    if dtype.is_floating_point:
        left, right = _transposed(a), _transposed(b)
        return lo.node(
            "Gemm", lo.tensor(left or a), lo.tensor(right or b), lo.tensor(c),
            transA=1 if left is not None else None, transB=1 if right is not None else None,
            alpha=None if alpha == 1 else float(alpha), beta=None if beta == 1 else float(beta),
        )  # fmt: skip
    product = _matmul(lo, node, a, b)
    if alpha != 1:
        product = lo.node("Mul", product, lo.constant(alpha, dtype))
    other = lo.tensor(c) if beta == 1 else lo.node("Mul", lo.tensor(c), lo.constant(beta, dtype))
    return lo.node("Add", product, other)


@translates(aten.baddbmm.default, *overloads("addmv", "default"), *overloads("addbmm", "default"))
def _baddbmm(lo: Lowering, node: Node, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> str:
    dtype = lo.dtype(node)
    product = _matmul(lo, node, a, b)
    if "addbmm" in str(node.target) and "baddbmm" not in str(node.target):
        product = lo.node("ReduceSum", product, lo.constant([0]), keepdims=0)
    if alpha != 1:
        product = lo.node("Mul", product, lo.constant(alpha, dtype))
    if beta == 0:
        return product
    other = lo.tensor(c) if beta == 1 else lo.node("Mul", lo.tensor(c), lo.constant(beta, dtype))
    return lo.node("Add", product, other)


@translates(aten._softmax.default)
def _softmax(lo: Lowering, node: Node, x: Any, dim: int, half_to_float: bool = False) -> str:
    return lo.node("Softmax", lo.tensor(x), axis=lo.axis(x, dim))


@translates(aten._log_softmax.default)
def _log_softmax(lo: Lowering, node: Node, x: Any, dim: int, half_to_float: bool = False) -> str:
    return lo.node("LogSoftmax", lo.tensor(x), axis=lo.axis(x, dim))


@translates(aten.convolution.default)
def _convolution(
    lo: Lowering, node: Node, x: Any, weight: Any, bias: Any, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], transposed: bool, output_padding: Sequence[int], groups: int,
) -> str:  # fmt: skip
    if lo.dtype(node) == torch.float64:
        raise ExportError("aten.convolution.default", "onnxruntime has no float64 convolution", instead="use float32")
    kernel = lo.shape(weight)[2:]
    known = all(isinstance(k, int) for k in kernel)
    if not known and lo.runtime == "portable":
        raise ExportError("aten.convolution.default", "a kernel as large as the batch runs in onnxruntime only")
    inputs = [lo.tensor(x), lo.tensor(weight)]
    if bias is not None:
        inputs.append(lo.tensor(bias))
    return lo.node(
        "ConvTranspose" if transposed else "Conv", *inputs, strides=list(stride), pads=[*padding, *padding],
        dilations=list(dilation), group=groups, kernel_shape=kernel if known else None,
        output_padding=list(output_padding) if transposed and any(output_padding) else None,
    )  # fmt: skip


def window(lo: Lowering, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> list[list[int]]:
    """Kernel, stride, padding and dilation of a pool, one number for each dimension."""
    n = lo.rank(x) - (2 if lo.rank(x) > len(kernel) + 1 or len(kernel) == 1 else 1)
    wide = [list(v) * (n if len(v) == 1 else 1) for v in (kernel, stride, padding, dilation)]
    wide[1] = wide[1] or wide[0]
    return wide


@translates(
    *overloads("avg_pool1d", "default"), *overloads("avg_pool2d", "default"), *overloads("avg_pool3d", "default")
)
def _avg_pool(
    lo: Lowering, node: Node, x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: Any = None,
) -> str:  # fmt: skip
    if divisor_override or ceil_mode:
        raise ExportError(str(node.target), "this pool was not decomposed")
    k, s, p, _ = window(lo, x, kernel, stride, padding, (1,))
    attributes: dict[str, Any] = dict(
        kernel_shape=k, strides=s, pads=[*p, *p], count_include_pad=int(count_include_pad)
    )
    return _pool(lo, node, x, "AveragePool", attributes)


def _pool(lo: Lowering, node: Any, x: Any, op: str, attributes: dict[str, Any]) -> str:
    """A pool of each channel by itself: onnxruntime would reorder the memory of several channels first, and back."""
    shape, wanted = lo.shape(x), [fixed(d) for d in _first(lo.value(node)).shape]
    plain = lo.runtime != "onnxruntime" or len(shape) != 4
    if plain or not all(isinstance(d, int) for d in [*shape[1:], *wanted[1:]]) or shape[1] == 1:
        return lo.node(op, lo.tensor(x), **attributes)
    apart = lo.node("Reshape", lo.tensor(x), lo.constant([-1, 1, *shape[2:]]))
    return lo.reshape(lo.node(op, apart, **attributes), wanted)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) else value


@translates(*overloads("max_pool2d_with_indices", "default"), *overloads("max_pool3d_with_indices", "default"))
def _max_pool(
    lo: Lowering, node: Node, x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,),
    ceil_mode: bool = False,
) -> list[str]:  # fmt: skip
    n = 3 if "3d" in str(node.target) else 2
    if lo.rank(x) != n + 2:
        raise ExportError(str(node.target), "a pool without a batch dimension")
    k, s, p, d = window(lo, x, kernel, stride, padding, dilation)
    attributes: dict[str, Any] = dict(kernel_shape=k, strides=s, pads=[*p, *p], dilations=d, ceil_mode=int(ceil_mode))
    if not any(user.args[1] == 1 for user in node.users):
        return [_pool(lo, node, x, "MaxPool", attributes), ""]
    value, index = lo.builder.split("MaxPool", lo.tensor(x), outputs=2, **attributes)
    # ONNX counts through batch and channels, torch within each plane.
    return [value, lo.node("Mod", index, lo.constant(math.prod(lo.shape(x)[2:])))]
