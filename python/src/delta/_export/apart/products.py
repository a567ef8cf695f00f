"""Matrix products, convolutions and pooling, record by record."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..lower.registry import overloads
from ..operators import MATMUL
from .rules import Call, refuse, rule
from .values import Outer, Rows

aten = torch.ops.aten


def _raw(x: Any) -> Tensor:
    tensor: Tensor = x.tensor if isinstance(x, Rows) else x
    return tensor


def product(a: Any, b: Any) -> Rows:
    """``a @ b`` of matrices, or of stacks of them."""
    if isinstance(a, Rows) and isinstance(b, Rows) and a.shape[-1] == 1:
        if len(a.shape) == 2:
            return Outer(a.reshaped([a.shape[0]]).tensor, b.reshaped([b.shape[1]]).tensor)
        return Rows(a.tensor * b.tensor)
    if isinstance(a, Rows) and not isinstance(b, Rows) and a.shape[0] == 1 and len(a.shape) == 2:
        return Rows(aten.mm.default(a.reshaped([a.shape[1]]).tensor, b)).reshaped([1, int(b.shape[1])])
    return Rows(MATMUL(_raw(a), _raw(b)))


@rule(aten.mm.default, aten.bmm.default)
def _mm(call: Call, a: Any, b: Any) -> Rows:
    return product(a, b)


@rule(*overloads("mv", "default"))
def _mv(call: Call, a: Any, b: Any) -> Rows:
    column = b.reshaped([*b.shape, 1]) if isinstance(b, Rows) else b.unsqueeze(-1)
    return product(a, column).reshaped(call.shape)


@rule(*overloads("dot", "default"))
def _dot(call: Call, a: Any, b: Any) -> Rows:
    return Rows((_raw(a) * _raw(b)).sum([1]))


@rule(aten.addmm.default, aten.baddbmm.default)
def _addmm(call: Call, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Rows:
    plain = not isinstance(c, Rows) and not isinstance(b, Rows)
    if call.op is aten.addmm.default and plain and a.shape[0] == 1 and (beta, alpha) == (1, 1):
        return Rows(aten.addmm.default(c, a.reshaped([a.shape[1]]).tensor, b)).reshaped(call.shape)
    if not (isinstance(a, Rows) or isinstance(b, Rows)):
        made: Any = torch.matmul(a, b)
    else:
        made = product(a, b).tensor
    made = made if alpha == 1 else made * alpha
    if beta == 0:
        return Rows(made)
    other = c.aligned(len(call.shape)) if isinstance(c, Rows) else c
    return Rows(made + (other if beta == 1 else other * beta))


_PARTS = "a record is one image there, and this works on several parts of one"
_FLAT = "keep the records on the first axis: no reshape that puts parts of a record beside records"


def _image(call: Call, x: Any) -> Tensor:
    """``[1, channels, ...]`` of each record as ``[records, channels, ...]``."""
    if not isinstance(x, Rows) or x.shape[0] != 1:
        raise refuse(call, _PARTS, _FLAT)
    return x.reshaped(x.shape[1:]).tensor


def _back(made: Tensor) -> Rows:
    return Rows(made).reshaped([1, *(int(d) for d in made.shape[1:])])


def _measured(made: Tensor) -> Tensor:
    """The same, with heights and widths that a node can read off: it does not work out those of all windows."""
    return made + torch.zeros([1, 1, *(int(d) for d in made.shape[2:])], dtype=made.dtype)


@rule(aten.convolution.default)
def _convolution(call: Call, x: Any, weight: Any, bias: Any, *args: Any) -> Rows:
    if isinstance(weight, Rows) or isinstance(bias, Rows):
        raise refuse(call, "its weights differ from record to record", "use matrix products")
    made = call.op(_image(call, x), weight, bias, *args)
    return _back(_measured(made) if args[3] else made)


@rule(*overloads("avg_pool1d", "default"), *overloads("avg_pool2d", "default"), *overloads("avg_pool3d", "default"))
def _pool(call: Call, x: Any, *args: Any) -> Rows:
    return _back(call.op(_image(call, x), *args))


@rule(*overloads("max_pool2d_with_indices", "default"), *overloads("max_pool3d_with_indices", "default"))
def _max_pool(call: Call, x: Any, *args: Any) -> Any:
    value, index = call.op(_image(call, x), *args)
    return [_back(_measured(value) if any(a is True for a in args) else value), _back(index)]
