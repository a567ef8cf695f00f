"""The training step: an author's ``train(self, dataloader)`` as one graph over one batch.

The method runs once, with a loader of two symbolic batches, on a copy of the task whose optimizers and schedulers are
twins and whose parameters are traced. The first batch becomes the graph. The second one only shows that every batch is
treated alike and that nothing but parameters, buffers and optimizer state goes from one batch to the next.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.fx as fx
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from .errors import ExportError, author_frame, author_of
from .lower import GraphInput, lower
from .model import Entry, Holdings, leaked, stand_in
from .optimizers import Twin, slots
from .schedules import Schedule, ScheduleTwin, When, WrongPass
from .trace import Draw, Trace, functional, lift_noise, record
from .watch import tensors

ROWS = "rows"
T = TypeVar("T")
Preprocess = Callable[..., Any]
"""From the stored batch to what the loader yields; runs inside the graph."""


@dataclass
class Batch:
    """What a node hands to a graph for each batch: named examples whose first dimension is the batch."""

    fields: Mapping[str, Tensor]
    prepare: Preprocess

    def inputs(self, suffix: str = "") -> list[GraphInput]:
        """The graph's inputs."""
        return [GraphInput(name + suffix, example, (0,)) for name, example in self.fields.items()]

    def make(self, named: Mapping[str, Tensor], suffix: str = "") -> Any:
        """What the author's loop sees; his preprocessing may write into it."""
        return self.prepare(*(named[name + suffix].clone() for name in self.fields))


@dataclass
class TrainingStep:
    """One step of training as a graph.

    ``graph`` and ``graph_onnxruntime``: ONNX; the second is there when it differs. ``state``: what the graph takes and
    gives back as ``<name>.next``, by input name: the initial value. ``entries``: the part of it that belongs to modules.
    ``fixed``: inputs that never change (frozen parameters). ``draws``: noise inputs. ``rounds``: inputs that count rounds.
    The number of rows is the input ``rows`` and the output ``rows.next``.
    """

    graph: bytes
    graph_onnxruntime: bytes | None
    state: dict[str, Tensor]
    entries: dict[str, Entry]
    fixed: dict[str, Tensor]
    draws: list[Draw]
    rounds: dict[str, Tensor] = field(default_factory=dict)
    batch_inputs: list[str] = field(default_factory=list)
    optimizer_state: frozenset[str] = frozenset()


def training_step(
    owner: Any,
    run: Callable[[Any, Any], object],
    batch: Batch,
    *,
    rounds: int = 1,
    steps: int | None = None,
) -> TrainingStep:
    """Trace ``run(owner, loader)``.

    ``rounds``: of the task. ``steps``: batches of a member over the whole task, when known.

    Raises :class:`ExportError` with the author's line for whatever cannot be a graph.
    """
    return passes(owner, lambda *a: Tracing(owner, run, batch, *a).trace(), rounds=rounds, steps=steps)


def passes(
    owner: Any,
    trace: Callable[[Holdings, Mapping[str, Schedule], Mapping[str, When]], T],
    *,
    rounds: int,
    steps: int | None,
) -> T:
    """Trace until it is known for each scheduler whether it steps in the loop or after it."""
    held = Holdings(owner)
    if not held.optimizers:
        raise ExportError(
            "a task without an optimizer",
            "no attribute is a torch.optim.Optimizer",
            instead="set self.optimizer in __init__",
        )
    schedules = {k: Schedule(k, s, rounds=rounds, steps=steps) for k, s in held.schedulers.items()}
    when: dict[str, When] = dict.fromkeys(schedules, "step")
    for _ in range(len(schedules) + 1):
        try:
            return trace(held, schedules, when)
        except WrongPass as wrong:
            when[wrong.name] = wrong.when
    raise ExportError(
        "scheduler.step()", "it is called in the loop and after it", instead="call it at one of the two places"
    )


class Tracing:
    """One pass over the author's method, in which schedulers step where ``when`` says."""

    def __init__(
        self,
        owner: Any,
        run: Callable[[Any, Any], object],
        batch: Batch,
        held: Holdings,
        schedules: Mapping[str, Schedule],
        when: Mapping[str, When],
    ) -> None:
        self.owner, self.run, self.batch, self.held, self.schedules, self.when = (
            owner,
            run,
            batch,
            held,
            schedules,
            when,
        )
        self.state = {name: entry.travelling for name, entry in held.entries.items()}
        for name, optimizer in held.optimizers.items():
            self.state |= slots(name, optimizer, held)
        self.slots = frozenset(self.state) - frozenset(held.entries)
        self.rounds: dict[str, Tensor] = {}
        for name, schedule in schedules.items():
            schedule.prepare(when[name])
            if when[name] == "step":
                self.state |= schedule.slots()
            else:
                self.rounds |= schedule.round_slot()

    def recorded(self) -> Trace:
        """One batch, with every operator that runs."""
        inputs = [GraphInput(n, t) for n, t in (self.state | self.rounds).items()] + self.batch.inputs()
        inputs.append(GraphInput(ROWS, torch.ones((), dtype=torch.float64)))
        loader: list[Loader] = []

        def step(named: dict[str, Tensor]) -> dict[str, Tensor]:
            made = self._step(named)
            loader.append(made)
            return made.outputs

        recorded = record(step, inputs)
        for schedule in self.schedules.values():
            schedule.check(batches=2)
        loader[0].cut(recorded)
        return recorded

    def trace(self) -> TrainingStep:
        recorded = self.recorded()
        lift_noise(recorded)
        portable = functional(recorded)
        changed = [n for n in self.state if portable.source_of(f"{n}.next") != n]
        outputs = [f"{n}.next" for n in changed] + [f"{ROWS}.next"]
        if not any(n in self.held.entries and self.held.entries[n].trainable for n in changed):
            raise ExportError(
                "train()", "no parameter changes in it",
                instead="call loss.backward() and self.optimizer.step() in the loop over the batches",
            )  # fmt: skip
        portable.keep(outputs, always=list(self.batch.fields)[:1])
        graph = lower(portable.graph, portable.inputs, portable.outputs)
        fast = self._fast(recorded, outputs, portable)
        names = [i.name for i in portable.inputs]
        return TrainingStep(
            graph=graph,
            graph_onnxruntime=None if fast == graph else fast,
            state={n: self.state[n] for n in changed},
            entries={n: self.held.entries[n] for n in changed if n in self.held.entries},
            fixed={n: self.state[n] for n in names if n in self.state and n not in changed},
            draws=portable.draws,
            rounds={n: t for n, t in self.rounds.items() if n in names},
            batch_inputs=[n for n in self.batch.fields if n in names],
            optimizer_state=self.slots,
        )

    def _fast(self, recorded: Trace, outputs: Sequence[str], portable: Trace) -> bytes:
        """The form for onnxruntime; only convolutions are composed of other operators there."""
        if any(n.target is torch.ops.aten.convolution_backward.default for n in recorded.graph.graph.nodes):
            portable = functional(recorded, "onnxruntime").keep(outputs, always=list(self.batch.fields)[:1])
        return lower(portable.graph, portable.inputs, portable.outputs, runtime="onnxruntime")

    # ---- what a step under privacy has otherwise
    def twin(
        self, name: str, optimizer: torch.optim.Optimizer, leaves: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> Twin:
        """What stands for an optimizer."""
        return Twin(name, optimizer, self.held, leaves, state)

    def schedule_twin(self, schedule: Schedule, where: Callable[[], When | None]) -> ScheduleTwin:
        """What stands for a scheduler."""
        return ScheduleTwin(schedule, where)

    def watched(self) -> AbstractContextManager[Any]:
        """What is active while the author's method runs."""
        return nullcontext()

    def besides(self) -> dict[str, Tensor]:
        """Further outputs, at the end of a batch."""
        return {}

    def _step(self, named: dict[str, Tensor]) -> Loader:
        held, entries = self.held, self.held.entries
        state = {n: named[n].clone() for n in self.state}
        place = {n: e.back(state[n]) for n, e in entries.items()}
        for name, entry in entries.items():
            place[name] = place[name].detach().requires_grad_(entry.trainable)

        def now() -> dict[str, Tensor]:
            kept = {n: entries[n].travelling_of(place[n]) if n in entries else t for n, t in state.items()}
            made = {f"{n}.next": t for n, t in (kept | {ROWS: named[ROWS]}).items()} | self.besides()
            return {n: t.detach().clone() for n, t in made.items()}

        loader = Loader(lambda: self.batch.make(named), now)
        twins = {n: self.twin(n, o, place, state) for n, o in held.optimizers.items()}
        replaced: dict[str, Any] = dict(twins)
        for name, schedule in self.schedules.items():
            schedule.bind(state | {n: named[n] for n in self.rounds})
            replaced[name] = self.schedule_twin(schedule, loader.where)
            for twin_name, optimizer in held.optimizers.items():
                if optimizer is schedule.scheduler.optimizer:
                    twins[twin_name].scheduled = schedule.rate
        with held.replaced(place):
            for module in held.modules.values():
                module.train()
            twin = stand_in(self.owner, replaced)
            before = dict(vars(twin))
            with self.watched():
                self.run(twin, loader)
            if (kept := leaked(before, vars(twin), lambda v: bool(tensors(v)))) is not None:
                raise ExportError(
                    f"self.{kept}", "train() keeps a traced value in it, which would be lost from batch to batch",
                    instead="make it a buffer of the model (register_buffer), or a local variable",
                )  # fmt: skip
        loader.ended()
        return loader


class Loader:
    """The dataloader of a traced ``train``: two symbolic batches, which are one and the same."""

    def __init__(self, make: Callable[[], Any], now: Callable[[], dict[str, Tensor]]) -> None:
        """``make()``: a batch. ``now()``: copies of the state, at the moment of the call."""
        self._make, self._now = make, now
        self.running = False
        self.outputs: dict[str, Tensor] = {}
        self._marks: list[fx.Node] = []

    def __iter__(self) -> Iterator[Any]:
        """Yield the same symbolic batch twice."""
        if self._marks:
            raise ExportError(
                "a second loop over dataloader", "one call of train() goes once over the batches",
                instead="let the strategy repeat: merge_epoch=...", location=author_frame(sys._getframe(1)),
            )  # fmt: skip
        self._mark()
        self.running = True
        for number in range(2):
            yield self._make()
            self._mark()
            if number == 0:
                self.outputs = self._now()
                self._mark()
        self.running = False

    def __len__(self) -> int:
        """Refuse: every member has its own number."""
        raise ExportError(
            "len(dataloader)", "every member has its own number of batches", instead="remove it: the node counts the batches",
            location=author_frame(sys._getframe(1)),
        )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        """Refuse what only a loader with data has."""
        raise ExportError(
            f"dataloader.{name}",
            "the data is at the nodes",
            instead="only iterate over it",
            location=author_frame(sys._getframe(1)),
        )

    def _mark(self) -> None:
        mode = get_proxy_mode()
        if mode is None:
            raise RuntimeError("not tracing")
        self._marks.append(mode.tracer.graph._root.prev)

    def where(self) -> When | None:
        """In the loop over the batches, after it (where rounds are counted), or before it."""
        return "step" if self.running else "round" if self._marks else None

    def ended(self) -> None:
        """Check that the loop went through."""
        if len(self._marks) < 4:
            raise ExportError(
                "train()",
                "it does not go through the dataloader to its end",
                instead="for x, y in dataloader: ... without break",
            )

    def cut(self, recorded: Trace) -> None:
        """Take the second batch out of the record, after comparing it with the first."""
        graph = recorded.graph.graph
        order = list(graph.nodes)
        start, first, kept, second = (order.index(m) for m in self._marks)
        taint = _tainted(order)
        one = [n for n in order[start + 1 : first + 1] if n in taint]
        two = [n for n in order[kept + 1 : second + 1] if n in taint]
        body = set(one)
        for node in two:
            for used in node.all_input_nodes:
                if used in body and isinstance(used.meta.get("val"), Tensor | tuple | list) and _root(used) in body:
                    _refuse_carry(node, used)
        for a, b in zip(one, two, strict=False):
            if a.target is not b.target or _numbers(a) != _numbers(b):
                raise ExportError(
                    "train()", "it does not treat every batch alike", location=author_of(b.meta.get("stack_trace")),
                    instead="do the same in every batch; a schedule or a warm-up belongs into a torch.optim.lr_scheduler",
                )  # fmt: skip
        if len(one) != len(two):
            longer = max(one, two, key=len)[min(len(one), len(two))]
            raise ExportError(
                "train()", "it does not treat every batch alike", location=author_of(longer.meta.get("stack_trace")),
                instead="do the same in every batch; to accumulate gradients, take a larger batch_size",
            )  # fmt: skip
        for node in reversed(order[kept + 1 :]):
            if node.op == "call_function" or (node.op == "get_attr" and not node.users):
                graph.erase_node(node)


def _tainted(order: Sequence[fx.Node]) -> dict[fx.Node, None]:
    """Tensor operators that depend on an input, in order: sizes and constants are left out."""
    out: dict[fx.Node, None] = {}
    seen: set[fx.Node] = set()
    for node in order:
        if node.op == "placeholder" or any(n in seen for n in node.all_input_nodes):
            seen.add(node)
            if node.op == "call_function" and not isinstance(
                node.meta.get("val"), torch.SymInt | torch.SymFloat | torch.SymBool
            ):
                out[node] = None
    return out


def _root(node: fx.Node) -> fx.Node:
    """What an in-place operator wrote into."""
    while isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
        written = node.args[0]
        assert isinstance(written, fx.Node)
        node = written
    return node


def _numbers(node: fx.Node) -> list[Any]:
    return [a for a in (*node.args, *node.kwargs.values()) if isinstance(a, int | float | bool | str)]


def _refuse_carry(node: fx.Node, used: fx.Node) -> None:
    place = author_of(node.meta.get("stack_trace")) or author_of(used.meta.get("stack_trace"))
    if place is not None and "backward" in place.source:
        raise ExportError(
            "loss.backward()", "gradients of one batch are added to those of the batch before",
            instead="call self.optimizer.zero_grad() in the loop before loss.backward()", location=place,
        )  # fmt: skip
    raise ExportError(
        "train()", "a value of one batch is used in the next", location=place,
        instead="only parameters, buffers and optimizer state go on; sums to look at belong into validate() or metrics",
    )  # fmt: skip
