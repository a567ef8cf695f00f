"""What a traced validation adds up over its batches, found in a graph of several symbolic batches.

A node depends on no batch, on one, or on several. Where two batches meet for the first time, they must be added: then the
node is a sum, and its terms are the same function of each batch. Everything computed from complete sums is done once, at
the coordinator, on the sums over all batches of all members.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.fx as fx
from torch import Tensor

from .errors import ExportError, author_of
from .trace import Trace

aten = torch.ops.aten
_ADD = (aten.add.Tensor, operator.add)
_ZEROS = (aten.zeros.default, aten.full.default, aten.zeros_like.default, aten.scalar_tensor.default)
_SAME = (
    aten.clone.default,
    aten.alias.default,
    aten.detach.default,
    aten.lift_fresh_copy.default,
    aten._to_copy.default,
)
_FORM = "start at 0, add with += in the loop, and divide after the loop: correct += (y_pred.argmax(dim=1) == y).sum()"


class Sums:
    """The sums of a graph over ``batches`` symbolic batches, and what is computed from them.

    ``terms``: for each sum its terms, one for each batch, in order. ``final``: the nodes after the sums, in order.
    """

    def __init__(self, traced: Trace, batches: Sequence[int | None]) -> None:
        """``batches``: for each input its batch, or ``None``.

        Raises :class:`ExportError` with the author's line when batches meet in another way than by addition.
        """
        self.traced = traced
        self.count = 1 + max(b for b in batches if b is not None)
        self.on: dict[fx.Node, frozenset[int]] = {}
        self.terms: dict[fx.Node, list[fx.Node]] = {}
        self.final: list[fx.Node] = []
        self._model: set[fx.Node] = set()
        for node, batch in zip(traced.placeholders.values(), batches, strict=True):
            self.on[node] = frozenset() if batch is None else frozenset((batch,))
            if batch is None:
                self._model.add(node)
        everything = frozenset(range(self.count))
        done: set[fx.Node] = set()
        for node in traced.graph.graph.nodes:
            if node in self.on:
                continue
            self.on[node] = frozenset().union(*(self.on[n] for n in node.all_input_nodes))
            if any(n in self._model for n in node.all_input_nodes) and not self.on[node]:
                self._model.add(node)
            if node.op == "output":
                continue
            if any(n in done for n in node.all_input_nodes):
                self._after(node, done, everything)
            elif len(self.on[node]) > 1:
                self._meet(node, done, everything)
        self._check()

    def _meet(self, node: fx.Node, done: set[fx.Node], everything: frozenset[int]) -> None:
        parts = list(node.all_input_nodes)
        added = node.target in _ADD and node.kwargs.get("alpha", 1) == 1 and len(parts) == len(node.args) == 2
        if added and all(self.on[p] for p in parts) and not self.on[parts[0]] & self.on[parts[1]]:
            self.terms[node] = [t for p in parts for t in self.terms.get(p, [p])]
            return
        if node.target in _SAME and parts[0] in self.terms:
            self.terms[node] = self.terms[parts[0]]
            return
        self._after(node, done, everything)

    def _after(self, node: fx.Node, done: set[fx.Node], everything: frozenset[int]) -> None:
        for used in node.all_input_nodes:
            complete = used in done or (used in self.terms and self.on[used] == everything)
            if not complete and (self.on[used] or used in self._model):
                raise ExportError(
                    "validate()",
                    "batches may only be added up" if self.on[used] else "parameters of the model are used after the loop",
                    instead=_FORM if self.on[used] else "use them in the loop, on a batch",
                    location=author_of(node.meta.get("stack_trace")),
                )  # fmt: skip
        done.add(node)
        self.final.append(node)

    def _check(self) -> None:
        """Every sum that is read must be the same function of each batch."""
        read = {n for node in self.final for n in node.all_input_nodes if n in self.terms}
        for name, node in self.traced.results.items():
            if not isinstance(node, fx.Node) or not self.on[node]:
                continue
            if node in self.terms:
                read.add(node)
            elif node not in self.final:
                raise ExportError(
                    f"validate()[{name!r}]", "it is a value of the last batch alone", instead=_FORM,
                    location=author_of(node.meta.get("stack_trace")),
                )  # fmt: skip
        self.terms = {n: self.terms[n] for n in self.terms if n in read}
        for node, terms in self.terms.items():
            terms.sort(key=lambda t: min(self.on[t]))
            stripped = [_strip(t, self.on) for t in terms]
            for number, other in enumerate(stripped[1:], 1):
                if min(self.on[terms[number]]) != number or not self._alike(stripped[0], other):
                    raise ExportError(
                        "validate()", "what is added is not the same for every batch", instead=_FORM,
                        location=author_of(node.meta.get("stack_trace")),
                    )  # fmt: skip
            terms[0] = stripped[0]

    def _alike(self, one: fx.Node, two: fx.Node) -> bool:
        names = {node: name.rpartition(".")[0] for name, node in self.traced.placeholders.items()}
        stack, seen = [(one, two)], set()
        while stack:
            a, b = stack.pop()
            if (a is b and not self.on[a]) or (a, b) in seen:
                continue
            seen.add((a, b))
            if a.op != b.op or len(self.on[a]) != len(self.on[b]):
                return False
            if a.op == "placeholder":
                if names[a] != names[b]:
                    return False
                continue
            if a.op == "get_attr":
                left, right = (getattr(self.traced.graph, str(n.target)) for n in (a, b))
                if not (isinstance(left, Tensor) and left.shape == right.shape and bool((left == right).all())):
                    return False
                continue
            if a.target is not b.target or _fixed(a) != _fixed(b) or len(a.all_input_nodes) != len(b.all_input_nodes):
                return False
            stack += zip(a.all_input_nodes, b.all_input_nodes, strict=True)
        return True


def _strip(node: fx.Node, on: Mapping[fx.Node, frozenset[int]]) -> fx.Node:
    """A term without the zero that the accumulator started with."""
    while node.op == "call_function":
        if node.target in _SAME and on[node.args[0]]:  # type: ignore[index]
            node = node.args[0]  # type: ignore[assignment]
            continue
        if node.target not in _ADD or len(node.args) != 2:
            break
        keep = [a for a in node.args if isinstance(a, fx.Node) and on[a]]
        rest = [a for a in node.args if a not in keep]
        if len(keep) != 1 or not all(_zero(a) for a in rest):
            break
        node = keep[0]
    return node


def _zero(value: Any) -> bool:
    while isinstance(value, fx.Node) and value.target in _SAME:
        value = value.args[0]
    if isinstance(value, fx.Node):
        if value.op == "get_attr":
            tensor = getattr(value.graph.owning_module, str(value.target))
            return isinstance(tensor, Tensor) and not bool(tensor.any())
        if value.target not in _ZEROS:
            return False
        number = {aten.scalar_tensor.default: 0, aten.full.default: 1}.get(value.target)
        return number is None or bool(value.args[number] == 0)
    return isinstance(value, int | float) and value == 0


def _fixed(node: fx.Node) -> Any:
    """The arguments of a node without other nodes."""
    mark = lambda n: "node"  # noqa: E731
    return fx.map_arg(node.args, mark), fx.map_arg(node.kwargs, mark)
