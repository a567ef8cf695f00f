"""Validation: an author's ``validate(self, dataloader)`` as sums over batches and a final computation on the sums.

The method is traced with two and with three symbolic batches. What is added up over them becomes a graph over one batch,
whose outputs nodes add up over batches and members; what follows becomes a second graph that the coordinator runs once,
in ``float64``. Python numbers that count batches (``count += 1``) differ between the traces and are counted, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.fx as fx
from torch import Tensor

from .._metrics import entry
from .errors import ExportError, author_of
from .lower import GraphInput, lower
from .measured import Number, Recorded
from .model import Holdings
from .step import ROWS, Batch
from .trace import Trace, trace

aten = torch.ops.aten
_SCALES = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)
BATCHES, METRIC = "batches", "metric."


@dataclass
class Validation:
    """Validation as two graphs.

    ``graph`` runs on a batch: reads ``entries`` (initial values), ``batch_inputs`` and, when ``rows``, the number of rows;
    its outputs, named and shaped as in ``sums``, are added up over batches and members as ``f64``. ``final`` runs on the
    sums and gives each of ``metrics`` as ``f64`` of its shape, under its name after ``metric.``, and of arrays each number by
    itself, too.
    """

    graph: bytes
    final: bytes
    entries: dict[str, Tensor]
    batch_inputs: list[str]
    rows: bool
    sums: dict[str, tuple[int, ...]]
    final_inputs: list[str]
    metrics: dict[str, tuple[int, ...]]
    """Names and shapes."""

    @property
    def entries_of_arrays(self) -> dict[str, str]:
        """The numbers of arrays: outputs of ``final``, and how they are shown."""
        names = [entry(n, place) for n, shape in self.metrics.items() if shape for place in places(shape)]
        return {METRIC + name: name for name in names}


def validation(owner: Any, run: Callable[[Any, Any], object], batch: Batch) -> Validation:
    """Trace ``run(owner, loader)``, which returns a dict of numbers and arrays.

    Raises :class:`ExportError` with the author's line when batches are combined otherwise than by addition.
    """
    held = Holdings(owner)
    two, three = (Recorded(owner, run, batch, held, k) for k in (2, 3))
    numbers = _Counting(two, three)
    if any(fixed for fixed, _ in numbers.counts.values()):
        # In proportion over two and three batches is in proportion; anything else must prove that it is a line.
        numbers.verify(Recorded(owner, run, batch, held, 4))
    return _build(two, numbers, held, batch)


def places(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The places of an array's numbers, in their order."""
    return product(*map(range, shape))


def _shape(value: object) -> tuple[int, ...]:
    """The shape of a metric; what has one number is a number."""
    return tuple(int(s) for s in value.shape) if isinstance(value, Tensor) and value.numel() != 1 else ()


class _Counting:
    """Numbers after the loop that differ between traces: ``at[index, place] = a + b * batches``."""

    def __init__(self, two: Recorded, three: Recorded) -> None:
        self.counts: dict[tuple[Any, ...], tuple[float, float]] = {}
        one, other = _scalars(two), _scalars(three)
        if one.keys() != other.keys() or len(two.sums.final) != len(three.sums.final):
            _unlike(two, three)
        for key, value in one.items():
            if value != other[key]:
                slope = other[key] - value
                self.counts[key] = (value - 2 * slope, slope)

    def verify(self, four: Recorded) -> None:
        """A third point on the line."""
        values = _scalars(four)
        for key, (a, b) in self.counts.items():
            if key not in values or abs(values[key] - (a + 4 * b)) > 1e-9 * max(1.0, abs(values[key])):
                place = None if isinstance(key[0], str) else author_of(four.sums.final[key[0]].meta.get("stack_trace"))
                raise ExportError(
                    "validate()", "a Python number depends on the number of batches, and not in proportion", location=place,
                    instead="count with count += 1 and compute from it with torch after the loop",
                )  # fmt: skip


def _scalars(recorded: Recorded) -> dict[tuple[Any, ...], Number]:
    found: dict[tuple[Any, ...], Number] = {("", name): value for name, value in recorded.constants.items()}
    for index, node in enumerate(recorded.sums.final):
        for place, value in [*enumerate(node.args), *node.kwargs.items()]:
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[index, place] = value
    return found


def _unlike(two: Recorded, three: Recorded) -> None:
    longer = max(two.sums.final, three.sums.final, key=len)
    place = author_of(longer[-1].meta.get("stack_trace")) if longer else None
    raise ExportError(
        "validate()", "what it computes depends on the number of batches", location=place,
        instead="start at 0, add with += in the loop, and divide after the loop",
    )  # fmt: skip


def _build(recorded: Recorded, numbers: _Counting, held: Holdings, batch: Batch) -> Validation:
    traced, sums = recorded.traced, recorded.sums
    graph = traced.graph.graph
    rows = traced.placeholders[ROWS]
    outputs: dict[str, fx.Node] = {}
    inputs: dict[str, GraphInput] = {}
    of: dict[fx.Node, str] = {}
    # Sums come first in the graph of a batch; the same term is sent once.
    known: dict[fx.Node, str] = {}
    before = traced.output
    final = _Final()
    for node, terms in sums.terms.items():
        term = terms[0]
        if term not in known:
            known[term] = f"sum.{len(known)}"
            value = term.meta["val"]
            shape: tuple[int, ...] = ()
            sent = term
            if isinstance(value, Tensor):
                if any(isinstance(s, torch.SymInt) for s in value.shape):
                    raise ExportError(
                        "validate()", f"a sum of shape {list(value.shape)} has the rows of a batch in it",
                        instead="add .sum() before +=", location=author_of(node.meta.get("stack_trace")),
                    )  # fmt: skip
                shape = tuple(int(s) for s in value.shape)
            else:
                sent = _sized(graph, before, rows, value)
            outputs[known[term]] = sent
            inputs[known[term]] = GraphInput(known[term], torch.ones(shape, dtype=torch.float64))
        of[node] = known[term]
    if numbers.counts or not outputs:
        with graph.inserting_before(before):
            one = graph.call_function(aten.full.default, ([], 1.0), {"dtype": torch.float64})
        one.meta["val"] = rows.meta["val"]
        outputs[BATCHES], inputs[BATCHES] = one, GraphInput(BATCHES, torch.ones((), dtype=torch.float64))
    results = {name: node for name, node in traced.results.items()}
    finished = final.trace(recorded, results, of, list(inputs.values()), numbers)
    traced.output.args = (list(outputs.values()),)
    traced.outputs = list(outputs)
    traced.keep(list(outputs), always=[f"{next(iter(batch.fields))}.0"])
    names = [i.name for i in traced.inputs]
    traced.inputs = [i._replace(name=i.name[:-2]) if i.batch_dims else i for i in traced.inputs]
    return Validation(
        graph=lower(traced.graph, traced.inputs, traced.outputs, float_outputs=True),
        final=lower(finished.graph, finished.inputs, finished.outputs),
        entries={n: e.travelling for n, e in held.entries.items() if n in names},
        batch_inputs=[n for n in batch.fields if f"{n}.0" in names],
        rows=ROWS in names,
        sums={n: tuple(i.tensor.shape) for n, i in inputs.items()},
        final_inputs=[i.name for i in finished.inputs],
        metrics=finished_shapes(recorded, results),
    )


def finished_shapes(recorded: Recorded, results: Mapping[str, fx.Node]) -> dict[str, tuple[int, ...]]:
    """The shapes of all metrics."""
    return {n: _shape(results[n].meta.get("val")) if n in results else () for n in [*results, *recorded.constants]}


def _sized(graph: fx.Graph, before: fx.Node, rows: fx.Node, size: Any) -> fx.Node:
    """A size of the batch as a number of the graph: a multiple of its rows."""
    symbol = next(iter(size.node.expr.free_symbols))
    factor = size.node.expr.coeff(symbol, 1)
    if (size.node.expr - factor * symbol).expand() != 0 or not factor.is_number:
        raise ExportError(
            "validate()", f"the number {size.node.expr} of a batch is added up", instead="add up x.shape[0]"
        )
    with graph.inserting_before(before):
        node = graph.call_function(aten.mul.Tensor, (rows, float(factor)))
    node.meta["val"] = rows.meta["val"]
    return node


class _Final:
    """The computation on the sums, traced anew in ``float64``."""

    def trace(
        self,
        recorded: Recorded,
        results: Mapping[str, fx.Node],
        of: Mapping[fx.Node, str],
        inputs: list[GraphInput],
        numbers: _Counting,
    ) -> Trace:
        nodes, index = recorded.sums.final, {n: i for i, n in enumerate(recorded.sums.final)}

        def run(named: dict[str, Tensor]) -> dict[str, Tensor]:
            values: dict[fx.Node, Any] = {}

            def value(node: fx.Node) -> Any:
                if node in of:
                    return named[of[node]]
                if node not in values:
                    values[node] = self._constant(recorded, node, value)
                return values[node]

            for node in nodes:
                args, kwargs = fx.map_arg(node.args, value), dict(fx.map_arg(node.kwargs, value))
                args = tuple(self._counted(numbers, named, index[node], i, a, node) for i, a in enumerate(args))
                kwargs = {k: self._counted(numbers, named, index[node], k, a, node) for k, a in kwargs.items()}
                if kwargs.get("dtype") == torch.float32:
                    kwargs["dtype"] = torch.float64
                if node.target in (torch.sym_float, torch.sym_int):
                    values[node] = args[0]
                else:
                    values[node] = node.target(*args, **kwargs)  # type: ignore[operator]
            out = {}
            for name, shape in finished_shapes(recorded, results).items():
                if name in recorded.constants:
                    made = self._counted(numbers, named, "", name, recorded.constants[name], None)
                else:
                    made = value(results[name])
                made = made if isinstance(made, Tensor) else torch.full((), float(made), dtype=torch.float64)
                out[name] = made.to(torch.float64).reshape(shape)
                if shape:
                    out |= {entry(name, place): out[name][place] for place in places(shape)}
            return out

        made = trace(run, inputs)
        made.outputs = [METRIC + name for name in made.outputs]
        return made

    def _counted(
        self, numbers: _Counting, named: Mapping[str, Tensor], at: Any, place: Any, value: Any, node: fx.Node | None
    ) -> Any:
        if (at, place) not in numbers.counts:
            return value
        a, b = numbers.counts[at, place]
        if node is not None and node.target not in _SCALES:
            raise ExportError(
                "validate()", f"the number of batches is used in {node.target}", instead="divide by it: total_loss / count",
                location=author_of(node.meta.get("stack_trace")),
            )  # fmt: skip
        return named[BATCHES] * float(b) + float(a)

    def _constant(self, recorded: Recorded, node: fx.Node, value: Callable[[fx.Node], Any]) -> Any:
        """What depends on no batch."""
        if node.op == "get_attr":
            return getattr(recorded.traced.graph, str(node.target))
        return node.target(*fx.map_arg(node.args, value), **fx.map_arg(node.kwargs, value))  # type: ignore[operator]
