"""Validation: an author's ``validate(self, dataloader)`` as sums over batches and a final computation on the sums.

The method is traced with two and with three symbolic batches. What is added up over them becomes a graph over one batch,
whose outputs nodes add up over batches and members; what follows becomes a second graph that the coordinator runs once,
in ``float64``. Python numbers that count batches (``count += 1``) differ between the traces and are counted, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import FrameType
from typing import Any

import torch
import torch.fx as fx
from torch import Tensor

from .._metrics import MOST, entry, is_entry
from .chance import refused
from .checks import check
from .errors import ExportError, author_frame, author_of
from .idioms import Seeds, idioms
from .loader import DRAWS, Loader
from .lower import GraphInput, lower
from .model import Holdings, stand_in
from .reach import Reach
from .source import Loop, plain_values
from .sums import Sums
from .trace import Trace, functional, record, trace
from .training import ROWS, Batch

aten = torch.ops.aten
Number = int | float
_SCALES = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)
_METHODS = ("validate", "preprocess")
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
    two, three = (_Recorded(owner, run, batch, held, k) for k in (2, 3))
    numbers = _Counting(two, three)
    if any(fixed for fixed, _ in numbers.counts.values()):
        # In proportion over two and three batches is in proportion; anything else must prove that it is a line.
        numbers.verify(_Recorded(owner, run, batch, held, 4))
    return _build(two, numbers, held, batch)


class _Recorded:
    """One trace over ``count`` batches."""

    def __init__(self, owner: Any, run: Callable[[Any, Any], object], batch: Batch, held: Holdings, count: int) -> None:
        self.count, self.constants = count, dict[str, Number]()
        entries = {n: e.travelling for n, e in held.entries.items()}
        inputs, groups, which = (
            [GraphInput(n, t) for n, t in entries.items()],
            [0] * len(entries),
            [None] * len(entries),
        )
        owners: list[int | None] = list(which)
        for number in range(count):
            fields = batch.inputs(f".{number}")
            inputs += fields
            groups += [number] * len(fields)
            owners += [number] * len(fields)
        inputs.append(GraphInput(ROWS, torch.ones((), dtype=torch.float64)))
        groups, owners = [*groups, 0], [*owners, None]

        def step(named: dict[str, Tensor]) -> dict[str, Any]:
            place = {n: e.back(named[n].clone()) for n, e in held.entries.items()}
            loader = Batches(lambda k: batch.make(named, f".{k}"), count)
            with held.replaced(place), torch.no_grad():
                for module in held.modules.values():
                    module.eval()
                twin = stand_in(owner, {})
                reach = Reach(twin, _METHODS)
                with refused(reach.spaces.values()), idioms(Seeds()):
                    made = run(twin, loader)
                reach.unchanged(twin, _METHODS)
            loader.ended()
            return self._numbers(made)

        recorded = record(step, inputs, number=_as_number, batches=groups)
        check(recorded, batch.classes)
        for node in recorded.graph.graph.nodes:
            if node.target in DRAWS:
                raise ExportError(
                    "validate()", "it draws random numbers", location=author_of(node.meta.get("stack_trace")),
                    instead="draw only where self.training is true, or once in __init__: a buffer of fixed numbers",
                )  # fmt: skip
        self.traced = functional(recorded)
        self.sums = Sums(self.traced, owners)

    def _numbers(self, made: object) -> dict[str, Any]:
        if not isinstance(made, Mapping) or not made:
            raise ExportError(
                "validate()", f"it returns {type(made).__name__}", instead='return {"loss": total_loss / count}'
            )
        out: dict[str, Any] = {}
        count = 0
        for name, value in _flat(made):
            if is_entry(name):
                raise ExportError(
                    f"validate()[{name!r}]",
                    "numbers of an array are called so",
                    instead="another name, without [0] at its end",
                )
            if name in out or name in self.constants:
                raise ExportError(f"validate()[{name!r}]", "two metrics have this name", instead="rename one")
            if isinstance(value, bool | int | float):
                self.constants[name] = value
            elif isinstance(value, Tensor) and not all(isinstance(s, int) for s in value.shape):
                raise ExportError(
                    f"validate()[{name!r}]", f"it has shape {list(value.shape)}, with the rows of a batch in it",
                    instead="add up over the rows, .sum(0), before +=",
                )  # fmt: skip
            elif isinstance(value, Tensor | torch.SymInt | torch.SymFloat):
                out[name] = value
                count += value.numel() if isinstance(value, Tensor) else 1
                if count > MOST or (isinstance(value, Tensor) and value.numel() == 0):
                    raise ExportError(
                        f"validate()[{name!r}]", f"metrics have {count} numbers in all, and a round shows from 1 to {MOST}",
                        instead="return sums over classes, or fewer of them",
                    )  # fmt: skip
            else:
                raise ExportError(
                    f"validate()[{name!r}]",
                    f"it is a {type(value).__name__}",
                    instead="return numbers, tensors, or dicts of these",
                )
        return out


class Batches(Loader):
    """The dataloader of a traced ``validate``: some symbolic batches, each with sizes of its own."""

    def __init__(self, make: Callable[[int], Any], count: int) -> None:
        """``make(k)``: the k-th of ``count`` batches."""
        super().__init__(lambda: None, lambda moment: {})
        self._nth, self._count, self._seen = make, count, -1

    def __iter__(self) -> Iterator[Any]:
        """Yield each batch once."""
        frame = sys._getframe(1)
        if self._seen >= 0:
            raise ExportError(
                "a second loop over dataloader", "validate() goes once over the batches", instead="add everything up in one loop",
                location=author_frame(frame),
            )  # fmt: skip
        self._seen = 0
        return self._each(frame)

    def _each(self, frame: FrameType) -> Iterator[Any]:
        loop = Loop.around(frame, alone=False)
        loop.refuse_ends("it measures on all rows, batch after batch; which rows these are is validate_frac")
        values = []
        for number in range(self._count):
            self._seen = number
            yield self._nth(number)
            values.append(plain_values(loop.frame))
        self._seen = self._count
        # Sizes of batches are texts, and a difference of these is none.
        differ = {n for n, v in values[-1].items() if isinstance(v, int | float) and v != values[0].get(n)}
        loop.refuse_tests(differ)

    def ended(self) -> None:
        """Check that the loop went through."""
        if self._seen != self._count:
            raise ExportError(
                "validate()", "it does not go through the dataloader to its end", instead="for x, y in dataloader: ..."
            )


def _flat(made: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The metrics; those of dicts in it by the names of both, ``recall.cat``."""
    for name, value in made.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def places(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The places of an array's numbers, in their order."""
    return product(*map(range, shape))


def _shape(value: object) -> tuple[int, ...]:
    """The shape of a metric; what has one number is a number."""
    return tuple(int(s) for s in value.shape) if isinstance(value, Tensor) and value.numel() != 1 else ()


def _as_number(value: Tensor) -> Tensor:
    made = value.detach().to(torch.float64)
    return made.reshape(()) if made.numel() == 1 else made


class _Counting:
    """Numbers after the loop that differ between traces: ``at[index, place] = a + b * batches``."""

    def __init__(self, two: _Recorded, three: _Recorded) -> None:
        self.counts: dict[tuple[Any, ...], tuple[float, float]] = {}
        one, other = _scalars(two), _scalars(three)
        if one.keys() != other.keys() or len(two.sums.final) != len(three.sums.final):
            _unlike(two, three)
        for key, value in one.items():
            if value != other[key]:
                slope = other[key] - value
                self.counts[key] = (value - 2 * slope, slope)

    def verify(self, four: _Recorded) -> None:
        """A third point on the line."""
        values = _scalars(four)
        for key, (a, b) in self.counts.items():
            if key not in values or abs(values[key] - (a + 4 * b)) > 1e-9 * max(1.0, abs(values[key])):
                place = None if isinstance(key[0], str) else author_of(four.sums.final[key[0]].meta.get("stack_trace"))
                raise ExportError(
                    "validate()", "a Python number depends on the number of batches, and not in proportion", location=place,
                    instead="count with count += 1 and compute from it with torch after the loop",
                )  # fmt: skip


def _scalars(recorded: _Recorded) -> dict[tuple[Any, ...], Number]:
    found: dict[tuple[Any, ...], Number] = {("", name): value for name, value in recorded.constants.items()}
    for index, node in enumerate(recorded.sums.final):
        for place, value in [*enumerate(node.args), *node.kwargs.items()]:
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[index, place] = value
    return found


def _unlike(two: _Recorded, three: _Recorded) -> None:
    longer = max(two.sums.final, three.sums.final, key=len)
    place = author_of(longer[-1].meta.get("stack_trace")) if longer else None
    raise ExportError(
        "validate()", "what it computes depends on the number of batches", location=place,
        instead="start at 0, add with += in the loop, and divide after the loop",
    )  # fmt: skip


def _build(recorded: _Recorded, numbers: _Counting, held: Holdings, batch: Batch) -> Validation:
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


def finished_shapes(recorded: _Recorded, results: Mapping[str, fx.Node]) -> dict[str, tuple[int, ...]]:
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
        recorded: _Recorded,
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

    def _constant(self, recorded: _Recorded, node: fx.Node, value: Callable[[fx.Node], Any]) -> Any:
        """What depends on no batch."""
        if node.op == "get_attr":
            return getattr(recorded.traced.graph, str(node.target))
        return node.target(*fx.map_arg(node.args, value), **fx.map_arg(node.kwargs, value))  # type: ignore[operator]
