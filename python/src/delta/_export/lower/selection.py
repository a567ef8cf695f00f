"""`where`, and its cheaper forms: no runtime selects as fast as it multiplies.

onnxruntime's Where takes ten times as long as a product, and the backward of every ReLU is one. A product with a mask
of zeros and ones is the same, unless what is masked out is infinite or NaN: `where` drops it, the product does not.
So the product is used only where the masked value is a sum of products (of gradients with weights and activations): it
is infinite only when the training has diverged, and then the parameters are lost either way. It is not used for data
themselves, which may have gaps, nor where the question is whether a value is a number.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import Node

from .context import Lowering
from .registry import overloads, translates

aten = torch.ops.aten

_LARGEST = 3.4028234663852886e38
_DEPTH = 24

_LINEAR = {
    aten.mm.default, aten.bmm.default, aten.addmm.default, aten.matmul.default, aten.convolution.default,
    aten.dot.default, aten.mv.default, aten.baddbmm.default, aten.embedding.default,
    aten.sigmoid.default, aten.tanh.default, aten._softmax.default, aten.sign.default, aten.sin.default,
    aten.cos.default, aten.erf.default,
}  # fmt: skip
_CARRIES = {
    aten.view.default, aten._unsafe_view.default, aten.reshape.default, aten.permute.default, aten.transpose.int,
    aten.t.default, aten.expand.default, aten.slice.Tensor, aten.constant_pad_nd.default, aten.clone.default,
    aten.alias.default, aten.detach.default, aten.unsqueeze.default, aten.squeeze.dim, aten.squeeze.dims,
    aten.squeeze.default, aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.add.Scalar, aten.mul.Scalar,
    aten.neg.default, aten.sum.dim_IntList, aten.sum.default, aten.mean.dim, aten.mean.default, aten.relu.default,
    aten.where.self, aten.select.int, aten.cat.default, aten.scatter_add.default, aten.amax.default,
    aten._to_copy.default, aten.index_select.default, aten.slice_scatter.default, aten.select_scatter.default,
    aten.clamp.default, aten.full.default, aten.full_like.default, aten.zeros_like.default, aten.scalar_tensor.default,
}  # fmt: skip


def is_finite(arg: Any, depth: int = _DEPTH) -> bool:
    """Whether a value is infinite or NaN only when a product of matrices, or what is trained, is."""
    if not isinstance(arg, Node):
        return not isinstance(arg, (list, tuple)) or all(is_finite(a, depth) for a in arg)
    value = arg.meta.get("val")
    if arg.op == "placeholder" and isinstance(value, torch.Tensor) and value.dtype.is_floating_point:
        # What has a batch is data.
        return all(isinstance(d, int) for d in value.shape)
    if arg.op in ("placeholder", "get_attr") or arg.target in _LINEAR:
        return True
    if not isinstance(value, torch.Tensor) or not value.dtype.is_floating_point:
        return True
    if depth == 0:
        return False
    if arg.target in (aten.div.Tensor, aten.div.Scalar) and not isinstance(arg.args[1], Node):
        return is_finite(arg.args[0], depth - 1)
    if arg.target is aten.rsqrt.default:  # of a variance and a positive epsilon
        inner = arg.args[0]
        if not isinstance(inner, Node) or inner.target not in (aten.add.Tensor, aten.add.Scalar):
            return False
        return isinstance(inner.args[1], float) and inner.args[1] > 0
    return arg.target in _CARRIES and all(is_finite(a, depth - 1) for a in arg.args)


_LOGIC = {
    aten.logical_not.default, aten.bitwise_not.default, aten.logical_and.default, aten.logical_or.default,
    aten.bitwise_and.Tensor, aten.bitwise_or.Tensor, aten.mul.Tensor, *_CARRIES,
}  # fmt: skip


def asks_for_numbers(condition: Any, depth: int = _DEPTH) -> bool:
    """Whether a condition is about what is NaN or infinite."""
    if not isinstance(condition, Node) or depth == 0:
        return False
    if condition.target in (aten.isnan.default, aten.isinf.default):
        return True
    if condition.target in (aten.eq.Tensor, aten.ne.Tensor):
        return condition.args[0] is condition.args[1]
    if condition.target in (aten.eq.Scalar, aten.ne.Scalar):
        return isinstance(condition.args[1], float) and math.isinf(condition.args[1])
    return condition.target in _LOGIC and any(asks_for_numbers(a, depth - 1) for a in condition.args)


def _constant(arg: Any) -> float | None:
    """The one number that an argument consists of."""
    if isinstance(arg, (int, float)):
        return float(arg)
    if isinstance(arg, Node):
        if arg.target in (aten.full.default, aten.full_like.default) and isinstance(arg.args[1], (int, float)):
            return float(arg.args[1])
        if arg.target is aten.scalar_tensor.default and isinstance(arg.args[0], (int, float)):
            return float(arg.args[0])
        if arg.target in (aten.zeros_like.default,):
            return 0.0
    return None


_OPPOSITE: dict[Any, str] = {
    aten.gt.Scalar: "LessOrEqual", aten.le.Scalar: "Greater", aten.ge.Scalar: "Less", aten.lt.Scalar: "GreaterOrEqual",
}  # fmt: skip


def _mask(lo: Lowering, condition: Node, keep: bool, dtype: torch.dtype) -> str:
    """1 where the condition is `keep` and 0 elsewhere, as numbers."""
    target: Any = condition.target
    own = len(condition.args) == 2 and lo.dtype(condition.args[0]) == dtype
    positive = keep if target is aten.gt.Scalar else not keep if target is aten.le.Scalar else False
    if positive and own and condition.args[1] == 0 and dtype == torch.float32:
        # x > 0 in one pass: min(1, max(0, x * largest)).
        return lo.node("HardSigmoid", lo.tensor(condition.args[0]), alpha=_LARGEST, beta=0.0)
    if not keep and own and target in _OPPOSITE:
        kept = lo.node(_OPPOSITE[target], lo.tensor(condition.args[0]), lo.tensor(condition.args[1], dtype))
    else:
        kept = lo.tensor(condition) if keep else lo.node("Not", lo.tensor(condition))
    return lo.cast(kept, torch.bool, dtype)


@translates(*overloads("where", "self", "ScalarSelf", "ScalarOther", "Scalar"))
def _where(lo: Lowering, node: Node, condition: Any, a: Any, b: Any) -> str:
    dtype = lo.dtype(node)
    masks = dtype in (torch.float32, torch.float64) and lo.dtype(condition) == torch.bool and lo.rank(node) > 1
    if masks and not asks_for_numbers(condition):
        for value, other, keep in ((a, b, True), (b, a, False)):
            if (
                _constant(other) == 0.0 and isinstance(value, Node) and lo.is_tensor(value)
                and lo.shape(value) == lo.shape(node) and is_finite(value)
            ):  # fmt: skip
                return lo.node("Mul", lo.tensor(value, dtype), _mask(lo, condition, keep, dtype))
    return lo.node("Where", lo.tensor(condition, torch.bool), lo.tensor(a, dtype), lo.tensor(b, dtype))
