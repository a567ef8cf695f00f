"""Operators whose indices are data: gathers, scatters, embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Node

from ..errors import ExportError
from .advice import ADVICE
from .context import Lowering
from .registry import overloads, translates

aten = torch.ops.aten


@translates(aten.gather.default)
def _gather(lo: Lowering, node: Node, x: Any, dim: int, index: Any, **kwargs: Any) -> str:
    if lo.rank(x) == 0:
        return lo.tensor(x)
    return lo.node("GatherElements", lo.tensor(x), lo.tensor(index), axis=lo.axis(x, dim))


@translates(aten.scatter.value)
def _scatter_value(lo: Lowering, node: Node, x: Any, dim: int, index: Any, value: Any) -> str:
    updates = lo.expand(lo.tensor(value, lo.dtype(node)), index)
    return lo.node("ScatterElements", lo.tensor(x), lo.tensor(index), updates, axis=lo.axis(x, dim))


@translates(aten.scatter.src)
def _scatter(lo: Lowering, node: Node, x: Any, dim: int, index: Any, source: Any) -> str:
    updates = lo.tensor(source, lo.dtype(node))
    if lo.shape(source) != lo.shape(index):
        raise ExportError("aten.scatter.src", "the source is larger than the index", instead="slice it first")
    return lo.node("ScatterElements", lo.tensor(x), lo.tensor(index), updates, axis=lo.axis(x, dim))


@translates(aten.scatter_add.default)
def _scatter_add(lo: Lowering, node: Node, x: Any, dim: int, index: Any, source: Any) -> str:
    updates = lo.tensor(source, lo.dtype(node))
    if lo.shape(source) != lo.shape(index):
        raise ExportError("aten.scatter_add.default", "the source is larger than the index", instead="slice it first")
    return lo.node("ScatterElements", lo.tensor(x), lo.tensor(index), updates, axis=lo.axis(x, dim), reduction="add")


@translates(aten.embedding.default)
def _embedding(lo: Lowering, node: Node, weight: Any, index: Any, *args: Any, **kwargs: Any) -> str:
    return lo.node("Gather", lo.tensor(weight), lo.tensor(index), axis=0)


@translates(aten.index_select.default)
def _index_select(lo: Lowering, node: Node, x: Any, dim: int, index: Any) -> str:
    return lo.node("Gather", lo.tensor(x), lo.tensor(index), axis=lo.axis(x, dim))


def _positions(lo: Lowering, node: Node, x: Any, indices: Sequence[Any]) -> tuple[list[int], list[Any]]:
    places = [k for k, i in enumerate(indices) if i is not None]
    real = [indices[k] for k in places]
    if any(lo.dtype(i) in (torch.bool, torch.uint8) for i in real):
        raise ExportError(str(node.target), "indexing by a mask", instead=ADVICE["masked_select"])
    return places, real


def _to_front(lo: Lowering, x: Any, places: list[int]) -> tuple[list[int], list[int]]:
    rest = [d for d in range(lo.rank(x)) if d not in places]
    return [*places, *rest], rest


def _flat_index(lo: Lowering, x: Any, places: list[int], real: list[Any]) -> str:
    """Several index tensors as one index into their dimensions merged."""
    sizes = [lo.shape(x)[p] for p in places]
    if len(real) == 1:
        return lo.tensor(real[0], torch.int64)
    result = None
    for k, index in enumerate(real):
        name = lo.tensor(index, torch.int64)
        size = lo.tensor(sizes[k], torch.int64)
        below = lo.node("Less", name, lo.constant(0))
        name = lo.node("Where", below, lo.node("Add", name, size), name)
        step = math.prod(sizes[k + 1 :])
        if step != 1:
            name = lo.node("Mul", name, lo.tensor(step, torch.int64))
        result = name if result is None else lo.node("Add", result, name)
    assert result is not None
    return result


@translates(aten.index.Tensor, *overloads("_unsafe_index", "Tensor"))
def _index(lo: Lowering, node: Node, x: Any, indices: Sequence[Any]) -> str:
    places, real = _positions(lo, node, x, indices)
    if not places:
        return lo.tensor(x)
    shape = lo.shape(x)
    adjacent = places == list(range(places[0], places[0] + len(places)))
    name, at = lo.tensor(x), places[0]
    if not adjacent:  # torch puts the indexed dimensions first
        order, _rest = _to_front(lo, x, places)
        name, at = lo.permute(name, order), 0
        shape = [shape[d] for d in order]
    if len(real) > 1:
        merged = math.prod(lo.shape(x)[p] for p in places)
        name = lo.reshape(name, [*shape[:at], merged, *shape[at + len(real) :]])
    return lo.node("Gather", name, _flat_index(lo, x, places, real), axis=at)


@translates(aten.index_put.default, *overloads("_unsafe_index_put", "default"))
def _index_put(lo: Lowering, node: Node, x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> str:
    places, real = _positions(lo, node, x, indices)
    shape = lo.shape(x)
    order, rest = _to_front(lo, x, places)
    block = list(torch.broadcast_tensors(*[lo.value(i) for i in real])[0].shape)  # type: ignore[no-untyped-call]
    adjacent = places == list(range(places[0], places[0] + len(places)))
    # The shape of x[indices], which the values are broadcast to.
    lead = places[0] if adjacent else 0
    result = [*(shape[d] for d in rest[:lead]), *block, *(shape[d] for d in rest[lead:])]
    name = lo.tensor(values, lo.dtype(node))
    if lo.shape(values) != result:
        name = lo.node("Expand", name, lo.dims(result))
    if lead:
        q = len(block)
        name = lo.permute(name, [*range(lead, lead + q), *range(lead), *range(lead + q, len(result))])
    target = lo.permute(lo.tensor(x), order)
    if len(real) > 1:
        target = lo.reshape(target, [math.prod(shape[p] for p in places), *(shape[d] for d in rest)])
    index = lo.node("Unsqueeze", _flat_index(lo, x, places, real), lo.constant([len(block)]))
    target = lo.node("ScatterND", target, index, name, reduction="add" if accumulate else None)
    if len(real) > 1:
        target = lo.reshape(target, [shape[d] for d in order])
    return lo.permute(target, [order.index(d) for d in range(len(order))])
