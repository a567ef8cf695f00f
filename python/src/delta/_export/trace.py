"""Traces a Python function of named tensors into one graph, whose only symbolic size is the batch.

Two passes. :func:`record` runs the function on tensors without values and writes down every ATen operator that runs,
real autograd included (``loss.backward()`` fills ``.grad`` as always), with in-place operators as they are.
:func:`functional` runs that record again, without in-place operators, and composed of operators that ``lower`` knows.
Between the two the record can be cut: training keeps one of its batches, validation what is added up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import sympy  # type: ignore[import-untyped]
import torch
import torch.fx as fx
from torch import Tensor
from torch._dispatch.python import enable_python_dispatcher
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.fx.traceback import preserve_node_meta
from torch.nn.attention import SDPBackend, sdpa_kernel

from .decompositions import WeightGradient, decomposition_table
from .errors import ExportError, Location, author_frame, author_of
from .forward import Lift
from .lower import GraphInput
from .watch import Lines, Watch, explained

aten = torch.ops.aten
Named = dict[str, Tensor]
_TRIED = (2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 200, 255, 256, 257, 1000, 1024, 4099)
_PRIMES = (101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199, 211)
_INSTEAD = "write the step so that it works for any number of rows: no loop over rows, no reshape to a fixed count"
_LAYOUT = "fake_impls.py"
_COPIES = (aten.clone.default, aten.alias.default, aten.detach.default, aten.lift_fresh_copy.default)


@dataclass
class Draw:
    """Random numbers that become an input: one block of ``shape`` for each row."""

    name: str
    distribution: str
    shape: tuple[int, ...]
    location: Location | None = None


@dataclass
class Trace:
    """A graph with its inputs and the names of its outputs; placeholders and results are in the same order."""

    graph: fx.GraphModule
    inputs: list[GraphInput]
    outputs: list[str]
    draws: list[Draw] = field(default_factory=list)
    batches: Sequence[int] | None = None

    @property
    def placeholders(self) -> dict[str, fx.Node]:
        """The nodes of the inputs by name."""
        nodes = [n for n in self.graph.graph.nodes if n.op == "placeholder"]
        return {i.name: n for i, n in zip(self.inputs, nodes, strict=True)}

    @property
    def results(self) -> dict[str, fx.Node]:
        """The nodes of the outputs by name."""
        return dict(zip(self.outputs, self.output.args[0], strict=True))  # type: ignore[arg-type]

    @property
    def output(self) -> fx.Node:
        """The node that returns."""
        last: fx.Node = next(n for n in reversed(self.graph.graph.nodes) if n.op == "output")
        return last

    def keep(self, outputs: Sequence[str], always: Sequence[str] = ()) -> Trace:
        """Keep some outputs, and of the inputs only those that are still read and those named in ``always``."""
        graph = self.graph.graph
        results = self.results
        self.output.args = ([results[name] for name in outputs],)
        self.outputs = list(outputs)
        prune(graph)
        for name, node in self.placeholders.items():
            if not node.users and name not in always:
                graph.erase_node(node)
                self.inputs = [i for i in self.inputs if i.name != name]
                self.draws = [d for d in self.draws if d.name != name]
        self.graph.recompile()
        return self

    def read_by(self, outputs: Iterable[str]) -> set[str]:
        """The inputs that some outputs are made of; one that an output hands on unchanged is not read."""
        left = [self.results[o] for o in outputs if self.source_of(o) is None]
        seen = set(left)
        while left:
            for node in left.pop().all_input_nodes:
                if node not in seen:
                    seen.add(node)
                    left.append(node)
        return {name for name, node in self.placeholders.items() if node in seen}

    def source_of(self, output: str) -> str | None:
        """The input that an output hands on unchanged, if it does."""
        node = self.results[output]
        while node.op == "call_function" and node.target in _COPIES:
            node = node.args[0]  # type: ignore[assignment]
        return next((name for name, p in self.placeholders.items() if p is node), None)


def trace(
    step: Callable[[Named], Mapping[str, Tensor]],
    inputs: Sequence[GraphInput],
    *,
    weight_gradient: WeightGradient = "auto",
    always: Sequence[str] = (),
) -> Trace:
    """Trace a function of named tensors; both passes at once, inputs that are never read dropped (but ``always``).

    Raises :class:`ExportError` naming the author's line when the function needs a value or fixes the batch size.
    """
    recorded = record(step, inputs)
    lift_noise(recorded)
    return functional(recorded, weight_gradient).keep(recorded.outputs, always)


def record(
    step: Callable[[Named], Mapping[str, Tensor]],
    inputs: Sequence[GraphInput],
    *,
    number: Callable[[Tensor], Any] | None = None,
    batches: Sequence[int] | None = None,
) -> Trace:
    """First pass: every operator that runs, in-place ones too, each with the author's line.

    ``batches`` says for each input which batch it belongs to; batches have sizes of their own. ``number`` is what
    ``.item()`` gives, which is otherwise refused.
    """
    names: list[str] = []

    def run(*flat: Tensor) -> list[Any]:
        named = dict(zip([i.name for i in inputs], flat, strict=True))
        with Noise(), Watch(number), Lines():
            made = step(named)
        names.extend(made)
        return list(made.values())

    with explained():
        graph, env = make(run, inputs, None, batches)
        refuse_fixed_batch(env)
    return Trace(graph, list(inputs), names, batches=batches)


def functional(recorded: Trace, weight_gradient: WeightGradient = "auto") -> Trace:
    """Second pass: no in-place operators, only operators that ``lower`` translates."""

    def run(*flat: Tensor) -> Any:
        return functionalize(lambda *a: fx.Interpreter(recorded.graph).run(*a))(*flat)

    table: Any = decomposition_table(weight_gradient)
    with explained(), preserve_node_meta():
        graph, env = make(run, recorded.inputs, table, recorded.batches)
        refuse_fixed_batch(env)
    made = Trace(graph, list(recorded.inputs), list(recorded.outputs), list(recorded.draws), recorded.batches)
    _forget_overwritten(graph.graph)
    prune(graph.graph)
    graph.recompile()
    return made


def _forget_overwritten(graph: fx.Graph) -> None:
    """Take what was written over a tensor as it is, where it is written over all of it: what was there is not read."""
    for node in [n for n in graph.nodes if n.target is aten.copy.default]:
        old, new = (n.meta.get("val") if isinstance(n, fx.Node) else None for n in node.args[:2])
        alike = isinstance(old, Tensor) and isinstance(new, Tensor) and (old.dtype, old.shape) == (new.dtype, new.shape)
        if alike:
            node.replace_all_uses_with(node.args[1])
            graph.erase_node(node)


def make(
    function: Callable[..., Any], inputs: Sequence[GraphInput], table: Any, batches: Sequence[int] | None
) -> tuple[fx.GraphModule, Sizes]:
    env = Sizes()
    mode = FakeTensorMode(shape_env=env, allow_non_fake_inputs=True)
    sizes = {int(s) for i in inputs for d, s in enumerate(i.tensor.shape) if d not in i.batch_dims}
    primes = [p for p in _PRIMES if p not in sizes]
    groups = batches or [0] * len(inputs)
    fakes = []
    for position, (given, group) in enumerate(zip(inputs, groups, strict=True)):
        shape = [primes[group] if d in given.batch_dims else s for d, s in enumerate(given.tensor.shape)]
        dynamic = [DimDynamic.DUCK if d in given.batch_dims else DimDynamic.STATIC for d in range(len(shape))]
        fakes.append(
            mode.from_tensor(
                torch.empty(shape, dtype=given.tensor.dtype) if given.batch_dims else given.tensor.detach(),
                source=ConstantSource(f"input{position}"),
                symbolic_context=StatelessSymbolicContext(dynamic_sizes=dynamic),
            )
        )
    with sdpa_kernel(SDPBackend.MATH), mode, enable_python_dispatcher():
        traced = make_fx(function, decomposition_table=table, tracing_mode="real", _allow_non_fake_inputs=True)
        return traced(*fakes), env


class Sizes(ShapeEnv):
    """Keeps, for every decision about a size, the author's line and whether torch only asked for a memory layout."""

    def __init__(self) -> None:
        """Start without a decision."""
        super().__init__()
        self.places: list[Location | None] = []

    def evaluate_expr(self, *args: Any, **kwargs: Any) -> Any:
        """Decide, and note who asked."""
        before = len(self.guards)
        decided = super().evaluate_expr(*args, **kwargs)
        if len(self.guards) > before:
            frame: FrameType | None = sys._getframe(1)
            place = author_frame(frame)
            while frame is not None and not frame.f_code.co_filename.endswith(_LAYOUT):
                frame = frame.f_back
            if frame is not None:
                # Fake tensors guess which kernel would run, for the strides of its result: nothing that is traced.
                del self.guards[before:]
            self.places += [place] * (len(self.guards) - before)
        return decided


def refuse_fixed_batch(env: Sizes) -> None:
    """Refuse what was traced when it took a decision that does not hold for every batch of two rows or more."""
    for guard, place in zip(env.guards, env.places, strict=False):
        symbols = guard.expr.free_symbols
        fixed = [s for s in symbols if env.replacements.get(s, s).is_number]
        if fixed or (len(symbols) == 1 and any(guard.expr.subs(*symbols, n) == sympy.false for n in _TRIED)):
            raise ExportError(
                "batch size", f"the step decides by the number of rows ({guard.expr})", instead=_INSTEAD, location=place
            )
    for symbol, value in env.replacements.items():
        if value.is_number:
            raise ExportError("batch size", f"the step works for {value} rows only ({symbol})", instead=_INSTEAD)


class Noise(Lift):
    """Draws as operators of the record; :func:`lift_noise` makes inputs of them."""

    def draw(self, kind: Any, shape: Any, dtype: torch.dtype | None = None) -> Tensor:
        """Numbers of one kind, in the author's shape."""
        drawn: Tensor = (aten.rand if kind == "uniform" else aten.randn).default(list(shape), dtype=torch.float32)
        return drawn if dtype in (None, torch.float32) else drawn.to(dtype)


def lift_noise(recorded: Trace) -> None:
    """Turn every draw of the record into an input with one block of numbers for each row.

    A draw without a batch dimension takes the first row of a block as large as itself, one with the batch elsewhere
    than in front has the numbers reordered. Raises :class:`ExportError` for a number of draws that is not a multiple of
    the number of rows.
    """
    graph = recorded.graph.graph
    last = list(recorded.placeholders.values())[-1]
    rows = next(
        (s for p in recorded.placeholders.values() for s in p.meta["val"].shape if isinstance(s, torch.SymInt)), None
    )
    for node in [n for n in graph.nodes if n.target in (aten.rand.default, aten.randn.default)]:
        kind = "uniform" if node.target is aten.rand.default else "normal"
        shape = list(node.meta["val"].shape)
        whole = [isinstance(s, torch.SymInt) for s in shape]
        name = f"noise.{len(recorded.draws)}"
        with graph.inserting_after(last):
            last = noise = graph.placeholder(name.replace(".", "_"))
        if not any(whole):
            block, dims = tuple(int(s) for s in shape), None
            with graph.inserting_before(node):
                new = graph.call_function(aten.select.int, (noise, 0, 0))
        else:
            at = whole.index(True)
            if sum(whole) > 1 or rows is None or shape[at].node.expr != rows.node.expr:
                raise ExportError(
                    "random numbers", f"a draw of shape {shape} mixes the batch with other dimensions",
                    instead="draw in a shape that has the batch as a dimension of its own",
                    location=author_of(node.meta.get("stack_trace")),
                )  # fmt: skip
            block, dims = (
                tuple(int(s) for i, s in enumerate(shape) if i != at),
                [*range(1, at + 1), 0, *range(at + 1, len(shape))],
            )
            new = noise
            if at:
                with graph.inserting_before(node):
                    new = graph.call_function(aten.permute.default, (noise, dims))
        new.meta["stack_trace"] = node.meta.get("stack_trace", "")
        node.replace_all_uses_with(new)
        graph.erase_node(node)
        example = torch.empty((2, *block))
        recorded.inputs.append(GraphInput(name, example, (0,)))
        recorded.draws.append(Draw(name, kind, block, author_of(node.meta.get("stack_trace"))))
    recorded.graph.recompile()


def prune(graph: fx.Graph) -> None:
    """Drop operators that nothing reads; for graphs without in-place operators."""
    for node in reversed(list(graph.nodes)):
        if node.op in ("call_function", "get_attr") and not node.users:
            graph.erase_node(node)
