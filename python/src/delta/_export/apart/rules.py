"""How each operator of a batch is done record by record. What works along axes works one axis further on.

A rule is called with the operator, the shape that its result has in a batch of one record, and the arguments, some of
which are :class:`Rows`. Operators without a rule, and those that would need the records of others, are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ..errors import ExportError
from ..lower.registry import overloads
from .values import Outer, Rows, first_rows, rank_of, rows_of

aten = torch.ops.aten


@dataclass(frozen=True)
class Call:
    """An operator, and the shapes of its results in a batch of one record."""

    op: Any
    shape: Sequence[int]


Rule = Callable[..., Any]
_R = TypeVar("_R", bound=Rule)
RULES: dict[Any, Rule] = {}


def rule(*targets: Any) -> Callable[[_R], _R]:
    """Register a rule ``(call, *args, **kwargs)``."""

    def register(function: _R) -> _R:
        for target in targets:
            RULES[target] = function
        return function

    return register


def refuse(call: Call, why: str, instead: str | None = None) -> ExportError:
    """The error for an operator that cannot be done record by record."""
    return ExportError(str(call.op), f"under privacy, {why}", instead=instead)


def apply(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Call an operator by its rule."""
    found = RULES.get(call.op)
    if found is None and isinstance(call.op, torch._ops.OpOverload) and torch.Tag.pointwise in call.op.tags:
        found = elementwise
    if found is None:
        raise refuse(call, "no rule says what it does with one record", "compose it of elementary operators")
    return found(call, *args, **kwargs)


def axis(value: Any, dim: int) -> int:
    """Axis ``dim`` of one record's block, counted in the tensor of all."""
    return dim % max(rank_of(value), 1) + 1


def axes(value: Any, dim: Any) -> list[int]:
    """Likewise several; all of them for None or none."""
    if dim is None or (isinstance(dim, (list, tuple)) and not dim):
        return list(range(1, rank_of(value) + 1))
    return [axis(value, d) for d in ([dim] if isinstance(dim, int) else dim)]


# ---------------------------------------------------------------- element by element
def elementwise(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Broadcast as always: blocks are matched from their last axis backwards, never with the axis of the records."""
    rank = max([rank_of(a) for a in (*args, *kwargs.values())], default=0)
    plain = tree_map(lambda a: a.aligned(rank) if isinstance(a, Rows) else a, (args, kwargs))
    return Rows(call.op(*plain[0], **plain[1]))


_ALIKE = (
    aten._to_copy.default, aten.zeros_like.default, aten.ones_like.default, aten.full_like.default,
    aten.empty_like.default, aten.fill.Scalar, *overloads("where", "Scalar"),
    *overloads("where", "self", "ScalarOther", "ScalarSelf"), *overloads("rsub", "Tensor", "Scalar"),
    *overloads("fill", "Tensor"), *overloads("tril", "default"), *overloads("triu", "default"),
    aten.constant_pad_nd.default,
)  # fmt: skip
rule(*_ALIKE)(elementwise)


@rule(aten.clone.default, *overloads("contiguous", "default"), *overloads("alias", "default"),
      *overloads("detach", "default"), *overloads("lift_fresh_copy", "default"),
      *overloads("lift_fresh", "default"))  # fmt: skip
def _same(call: Call, x: Rows, **kwargs: Any) -> Rows:
    return x


@rule(*overloads("new_zeros", "default"), *overloads("new_ones", "default"), *overloads("new_full", "default"),
      *overloads("new_empty", "default"), *overloads("new_empty_strided", "default"))  # fmt: skip
def _new(call: Call, x: Rows, *args: Any, **kwargs: Any) -> Any:
    return call.op(x.tensor, *args, **kwargs)


@rule(aten.copy.default)
def _copy(call: Call, x: Any, source: Any, *args: Any) -> Rows:
    source = source if isinstance(source, Rows) else rows_of(source, x)
    made = source.aligned(len(call.shape)).expand([source.tensor.shape[0], *call.shape])
    dtype = x.tensor.dtype if isinstance(x, Rows) else x.dtype
    return Rows(made.to(dtype))


# ---------------------------------------------------------------- along axes
@rule(aten.sum.default, aten.sum.dim_IntList, aten.mean.default, aten.mean.dim, aten.amax.default, aten.amin.default,
      *overloads("any", "default", "dim", "dims"), *overloads("all", "default", "dim", "dims"))  # fmt: skip
def _reduce(call: Call, x: Rows, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Rows:
    along = axes(x, dim)
    if all(x.tensor.shape[a] == 1 for a in along):
        return x.reshaped(call.shape)
    name = str(call.op).removeprefix("aten.").split(".")[0]
    ops = {"sum": aten.sum.dim_IntList, "mean": aten.mean.dim, "any": aten.any.dims, "all": aten.all.dims}
    return Rows(ops.get(name, call.op)(x.tensor, along, keepdim, **kwargs))


@rule(*overloads("max", "default"), *overloads("min", "default"))
def _largest(call: Call, x: Rows) -> Rows:
    op = aten.amax.default if call.op is aten.max.default else aten.amin.default
    return Rows(op(x.tensor, axes(x, None))) if x.shape else x


@rule(aten.prod.default)
def _product_of_all(call: Call, x: Rows, **kwargs: Any) -> Rows:
    flat = x.reshaped([_count(x.shape)]).tensor
    return Rows(aten.prod.dim_int(flat, 1, **kwargs))


def _count(shape: Sequence[int]) -> int:
    made = 1
    for d in shape:
        made *= d
    return made


@rule(aten.argmax.default, aten.argmin.default)
def _arg(call: Call, x: Rows, dim: int | None = None, keepdim: bool = False) -> Rows:
    if dim is None:
        return Rows(call.op(x.reshaped([_count(x.shape)]).tensor, 1)).reshaped(call.shape)
    return (
        Rows(call.op(x.tensor, axis(x, dim), keepdim)) if x.shape else Rows(torch.zeros_like(x.tensor).to(torch.int64))
    )


@rule(aten.prod.dim_int, aten.cumsum.default, aten._softmax.default, aten._log_softmax.default, aten.max.dim, aten.min.dim,
      aten.unbind.int, *overloads("var", "correction"), *overloads("var_mean", "correction"))  # fmt: skip
def _along(call: Call, x: Rows, dim: Any = 0, *args: Any, **kwargs: Any) -> Any:
    whole = "var" in str(call.op)
    if not x.shape and not whole:
        return x
    return blocks(call.op(x.tensor, axes(x, dim) if whole else axis(x, dim), *args, **kwargs))


def blocks(made: Any) -> Any:
    """Each tensor of a result as a block for each record."""
    return Rows(made) if isinstance(made, Tensor) else [Rows(m) for m in made]


@rule(aten.topk.default)
def _topk(call: Call, x: Rows, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    return blocks(call.op(x.tensor, k, axis(x, dim), largest, sorted))


@rule(*overloads("sort", "default"))
def _sort(call: Call, x: Rows, dim: int = -1, descending: bool = False) -> Any:
    return blocks(call.op(x.tensor, axis(x, dim), descending))


@rule(*overloads("sort", "stable"))
def _sort_stable(call: Call, x: Rows, *, stable: Any = None, dim: int = -1, descending: bool = False) -> Any:
    return blocks(call.op(x.tensor, stable=stable, dim=axis(x, dim), descending=descending))


# ---------------------------------------------------------------- the same elements in another order
@rule(aten.view.default, *overloads("_unsafe_view", "default"), *overloads("reshape", "default"), aten.unsqueeze.default,
      *overloads("squeeze", "default", "dim", "dims"))  # fmt: skip
def _reshape(call: Call, x: Rows, *args: Any) -> Rows:
    return x.reshaped(call.shape)


@rule(aten.expand.default, *overloads("expand_as", "default"))
def _expand(call: Call, x: Rows, *args: Any, **kwargs: Any) -> Rows:
    if x.shape == list(call.shape):
        return x
    return Rows(x.aligned(len(call.shape)).expand([x.tensor.shape[0], *call.shape]))


@rule(aten.permute.default)
def _permute(call: Call, x: Rows, order: Sequence[int]) -> Rows:
    return _ordered(x, [d % len(order) for d in order])


@rule(aten.transpose.int)
def _transpose(call: Call, x: Rows, a: int, b: int) -> Rows:
    order = list(range(len(x.shape)))
    if order:
        order[a], order[b] = order[b], order[a]
    return _ordered(x, order)


@rule(aten.t.default)
def _t(call: Call, x: Rows) -> Rows:
    return _ordered(x, list(reversed(range(len(x.shape)))))


def _ordered(x: Rows, order: Sequence[int]) -> Rows:
    if list(order) == list(range(len(order))):
        return x
    if isinstance(x, Outer):
        return x.turned()
    long = [d for d in order if x.shape[d] != 1]
    if long == sorted(long):  # axes of length 1 change places
        return x.reshaped([x.shape[d] for d in order])
    return Rows(x.tensor.permute([0, *(d + 1 for d in order)]))


@rule(aten.slice.Tensor)
def _slice(call: Call, x: Rows, dim: int = 0, *args: Any) -> Rows:
    return Rows(call.op(x.tensor, axis(x, dim), *args))


@rule(aten.select.int, *overloads("split_with_sizes", "default"), *overloads("split", "Tensor"))
def _select(call: Call, x: Rows, first: Any, *args: Any) -> Any:
    if call.op is aten.select.int:
        return Rows(call.op(x.tensor, axis(x, first), *args))
    return blocks(call.op(x.tensor, first, axis(x, args[0] if args else 0)))


@rule(aten.cat.default, *overloads("stack", "default"))
def _cat(call: Call, parts: Sequence[Any], dim: int = 0) -> Rows:
    one = first_rows(parts)
    kept = [p for p in parts if list(p.shape) != [0]] if call.op is aten.cat.default else parts
    return Rows(call.op([rows_of(p, one).tensor for p in kept], dim % len(call.shape) + 1))


@rule(aten.flip.default)
def _flip(call: Call, x: Rows, dims: Sequence[int]) -> Rows:
    # Picked, not sliced backwards: nodes know how long what is picked is.
    made = x.tensor
    for dim in dims:
        at = axis(x, dim)
        made = made.index_select(at, torch.arange(int(made.shape[at]) - 1, -1, -1))
    return Rows(made)


@rule(*overloads("roll", "default"))
def _roll(call: Call, x: Rows, shifts: Sequence[int], dims: Sequence[int] = ()) -> Rows:
    if not dims:
        flat = x.reshaped([_count(x.shape)]).tensor
        return Rows(call.op(flat, shifts, [1])).reshaped(call.shape)
    return Rows(call.op(x.tensor, shifts, [axis(x, d) for d in dims]))


@rule(aten.repeat.default)
def _repeat(call: Call, x: Rows, repeats: Sequence[int]) -> Rows:
    return Rows(call.op(x.aligned(len(repeats)), [1, *repeats]))


@rule(aten.diagonal.default)
def _diagonal(call: Call, x: Rows, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Rows:
    return Rows(call.op(x.tensor, offset, axis(x, dim1), axis(x, dim2)))


@rule(aten.diagonal_scatter.default)
def _diagonal_scatter(call: Call, x: Any, source: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Rows:
    one = first_rows([x, source])
    return Rows(call.op(rows_of(x, one).tensor, rows_of(source, one).tensor, offset, axis(x, dim1), axis(x, dim2)))


@rule(aten.slice_scatter.default, aten.select_scatter.default)
def _scattered(call: Call, x: Any, source: Any, dim: int = 0, *args: Any) -> Rows:
    one = first_rows([x, source])
    return Rows(call.op(rows_of(x, one).tensor, rows_of(source, one).tensor, axis(x, dim), *args))
