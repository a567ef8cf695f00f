"""Indices that are data, record by record: each record's indices pick among its own elements, or in what all share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..lower.registry import overloads
from .rules import Call, axis, rule
from .values import Rows, first_rows, rows_of

aten = torch.ops.aten


@rule(aten.gather.default)
def _gather(call: Call, x: Any, dim: int, index: Any, **kwargs: Any) -> Rows:
    one = first_rows([x, index])
    if not one.shape:
        return rows_of(x, one)
    return Rows(call.op(rows_of(x, one).tensor, axis(x, dim), rows_of(index, one).tensor))


@rule(aten.scatter.value)
def _scatter_value(call: Call, x: Any, dim: int, index: Any, value: Any) -> Rows:
    one = first_rows([x, index])
    return Rows(call.op(rows_of(x, one).tensor, axis(x, dim), rows_of(index, one).tensor, value))


@rule(aten.scatter.src, aten.scatter_add.default)
def _scatter(call: Call, x: Any, dim: int, index: Any, source: Any) -> Rows:
    one = first_rows([x, index, source])
    return Rows(call.op(rows_of(x, one).tensor, axis(x, dim), rows_of(index, one).tensor, rows_of(source, one).tensor))


@rule(aten.embedding.default)
def _embedding(call: Call, weight: Any, index: Any, *args: Any, **kwargs: Any) -> Rows:
    return _picked(call, weight, [index])


@rule(aten.index_select.default)
def _index_select(call: Call, x: Any, dim: int, index: Any) -> Rows:
    if not isinstance(index, Rows):
        return Rows(call.op(x.tensor, axis(x, dim), index))
    at = dim % len(x.shape)
    return _picked(call, x, [*[None] * at, index])


@rule(aten.index.Tensor, *overloads("_unsafe_index", "Tensor"))
def _index(call: Call, x: Any, indices: Sequence[Any]) -> Rows:
    return _picked(call, x, indices)


def _picked(call: Call, x: Any, indices: Sequence[Any]) -> Rows:
    """``x[indices]``."""
    places = [k for k, i in enumerate(indices) if i is not None]
    lead = places[0] if places == list(range(places[0], places[0] + len(places))) else 0
    rest = [d for d in range(len(x.shape)) if d not in places]
    if isinstance(x, Rows) and not any(isinstance(i, Rows) for i in indices):
        made = aten.index.Tensor(x.tensor, [None, *indices])
        if places == list(range(places[0], places[0] + len(places))):
            return Rows(made)
        # Indices that stand apart come first in torch: the records behind them.
        return Rows(made.movedim(len(call.shape) - len(rest), 0))
    sizes = [int(x.shape[p]) for p in places]
    index, block = _flat(sizes, [indices[p] for p in places])
    if not isinstance(x, Rows):
        flat = x.permute([*places, *rest]).reshape([math.prod(sizes), *(x.shape[d] for d in rest)])
        return _placed(Rows(flat[index]), len(block), lead, rest)
    flat = x.tensor.permute([0, *(p + 1 for p in places), *(d + 1 for d in rest)])
    flat = flat.reshape([flat.shape[0], math.prod(sizes), *(x.shape[d] for d in rest)])
    where = _spread(index, [x.shape[d] for d in rest])
    found = aten.gather.default(flat, 1, where).reshape([flat.shape[0], *block, *(x.shape[d] for d in rest)])
    return _placed(Rows(found), len(block), lead, rest)


def _flat(sizes: Sequence[int], indices: Sequence[Any]) -> tuple[Tensor, list[int]]:
    """Indices of each record into axes of these sizes as one into the axes merged: ``[records, *block]``; and the block."""
    one = first_rows(indices)
    rank = max(len(i.shape) for i in indices)
    made: Tensor | None = None
    for k, i in enumerate(indices):
        part = rows_of(i, one).aligned(rank)
        if len(indices) > 1:
            part = torch.where(part < 0, part + sizes[k], part) * math.prod(sizes[k + 1 :])
        made = part if made is None else made + part
    assert made is not None
    return made, [int(d) for d in made.shape[1:]]


def _spread(index: Tensor, rest: Sequence[int]) -> Tensor:
    """An index for each element of the blocks that it picks: ``[records, picks, *rest]``."""
    flat = index.reshape([index.shape[0], math.prod(int(d) for d in index.shape[1:])])
    wide = flat.reshape([*flat.shape, *[1] * len(rest)])
    return wide.expand([*flat.shape, *rest])


def _placed(x: Rows, block: int, lead: int, rest: Sequence[int]) -> Rows:
    """What was picked, from the front to where torch puts it: behind ``lead`` axes."""
    if not lead:
        return x
    order = [*range(block, block + lead), *range(block), *range(block + lead, block + len(rest))]
    return Rows(x.tensor.permute([0, *(d + 1 for d in order)]))


@rule(aten.index_put.default, *overloads("_unsafe_index_put", "default"))
def _index_put(call: Call, x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Rows:
    one = first_rows([x, values, *indices])
    places = [k for k, i in enumerate(indices) if i is not None]
    lead = places[0] if places == list(range(places[0], places[0] + len(places))) else 0
    rest = [d for d in range(len(x.shape)) if d not in places]
    sizes, others = [int(x.shape[p]) for p in places], [int(x.shape[d]) for d in rest]
    index, block = _flat(sizes, [rows_of(indices[p], one) for p in places])
    index = torch.where(index < 0, index + math.prod(sizes), index) if len(places) == 1 else index
    result = [*others[:lead], *block, *others[lead:]]
    given = rows_of(values, one)
    sent = given.aligned(len(result)).expand([given.tensor.shape[0], *result])
    if lead:
        q = len(block)
        order = [*range(lead, lead + q), *range(lead), *range(lead + q, len(result))]
        sent = sent.permute([0, *(d + 1 for d in order)])
    sent = sent.reshape([sent.shape[0], math.prod(block), *others])
    order = [*places, *rest]
    target = rows_of(x, one).tensor.permute([0, *(d + 1 for d in order)])
    target = target.reshape([target.shape[0], math.prod(sizes), *others])
    where = _spread(index, others)
    target = target.scatter_add(1, where, sent) if accumulate else target.scatter(1, where, sent)
    target = target.reshape([target.shape[0], *(int(x.shape[d]) for d in order)])
    return Rows(target.permute([0, *(order.index(d) + 1 for d in range(len(order)))]))
