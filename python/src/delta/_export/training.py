"""The training step: an author's ``train(self, dataloader)`` as one graph over one batch.

The method runs once, with a loader of two symbolic batches, on a copy of the task whose optimizers and schedulers are
twins and whose parameters are traced. The first batch becomes the graph. The second one only shows that every batch is
treated alike and that nothing but parameters, buffers and optimizer state goes from one batch to the next.

What stands before and after the loop happens once a round. Where the loop begins and where it ends, the state is taken
from inputs of their own; so one record falls into three graphs, and what the loop reads of the time before it (a copy of
the weights) is computed from the round's first state.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from typing import Any, TypeVar

import torch
from torch import Tensor

from .chance import refused
from .checks import check
from .conditions import BATCHES, GRADIENT, THERE, Conditional, Conditions, Probed
from .decompositions import OTHERWISE
from .errors import ExportError
from .idioms import Seeds, idioms
from .loader import Loader
from .lower import GraphInput, lower
from .model import Holdings, leaked, stand_in
from .moments import LEFT, Rate, hooked, left_over, readers, refuse_left
from .optimizers import Twin, slots
from .reach import Reach
from .said import say
from .schedules import Schedule, ScheduleTwin, When, WrongPass
from .step import AFTER, BEFORE, END, NEXT, ROWS, START, Aside, Batch, TrainingStep
from .trace import Trace, functional, lift_noise, record
from .watch import tensors

_METHODS = ("train", "preprocess")
T = TypeVar("T")


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
        self.seeds = Seeds()
        self.conditions: Conditions | None = None
        """Those on the number of the batch, where there are some."""
        self.leaving = self.asides
        """Whether gradients may be there from the round before."""
        self.left: list[str] = []
        """The parameters that have gradients at the end of a round."""
        for name, schedule in schedules.items():
            schedule.prepare(when[name])
            if when[name] == "step":
                self.state |= schedule.slots()
            else:
                self.rounds |= schedule.round_slot()

    def recorded(self) -> Trace:
        """One batch and what is around it, with every operator that runs."""
        try:
            return self._recorded()
        except Conditional as found:
            self.conditions, self.leaving = Conditions(found.branches), False
        kept = self.state
        with self.conditions.branches.running(self.conditions):
            self.state = kept | self.conditions.slots(self.held.entries)
            with suppress(Probed):
                self._recorded()
            self.conditions.names = list(self.conditions.seen)
            self.state = kept | self.conditions.slots(self.held.entries)
            return self._recorded()

    def _recorded(self) -> Trace:
        state = self.state | self.rounds
        inputs = [GraphInput(n, t) for n, t in state.items()] + self.batch.inputs()
        if self.asides:
            inputs += [GraphInput(n + place, t) for place in (START, END) for n, t in self.state.items()]
        if self.leaving:
            inputs += [
                GraphInput(n + LEFT, e.tensor.detach().cpu()) for n, e in self.held.entries.items() if e.trainable
            ]
        inputs.append(GraphInput(ROWS, torch.ones((), dtype=torch.float64)))
        loader: list[Loader] = []

        def step(named: dict[str, Tensor]) -> dict[str, Tensor]:
            made = self._step(named)
            loader.append(made)
            return made.outputs

        recorded = record(step, inputs)
        for schedule in self.schedules.values():
            schedule.check(batches=2 if self.conditions is None or not self.conditions.lasting else 3)
        try:
            loader[0].cut(recorded, asides=self.asides)
        except ExportError:
            if not self.leaving:
                raise
            # The first batch is unlike the second where it may find gradients.
            return self._without_left()
        return recorded

    def _without_left(self) -> Trace:
        """Record once more, with no gradients there at first; there must be none at last."""
        self.leaving = False
        recorded = self.recorded()
        groups = [group for o in self.held.optimizers.values() for group in o.param_groups]
        if {self.held.entry_of(p).name for group in groups for p in group["params"]} & set(self.left):
            raise left_over(None)
        return recorded

    def trace(self) -> TrainingStep:
        """Record, and make three graphs of it."""
        recorded = self.recorded()
        check(recorded, self.batch.classes)
        lift_noise(recorded)
        self.seeds.refuse(len(recorded.draws))
        whole = functional(recorded)
        self._forget_unread(whole)
        start = {n: n + START for n in self.state}
        before = self._aside(whole, BEFORE, start)
        after = self._aside(whole, AFTER, {n: n + END for n in self.state})
        looped = [n for n in self.state if whole.source_of(n + NEXT) != n]
        outputs = [n + NEXT for n in looped] + [ROWS + NEXT]
        changed = [n for n in self.state if n in looped or any(a and n in a.changed for a in (before, after))]
        if not any(n in self.held.entries and self.held.entries[n].trainable for n in changed):
            raise ExportError(
                "train()", "no parameter changes in it",
                instead="call loss.backward() and self.optimizer.step() in the loop over the batches",
            )  # fmt: skip
        lines = readers(whole.placeholders)
        portable = whole.keep(outputs, always=list(self.batch.fields)[:1])
        if self.leaving:
            read = [i.name for i in portable.inputs] + [n for a in (before, after) if a for n in a.inputs]
            if refuse_left(lines, read, self.left):
                self.leaving = False
                return self.trace()
        graph = lower(portable.graph, portable.inputs, portable.outputs)
        fast = self._fast(recorded, outputs, portable)
        names = [i.name for i in portable.inputs]
        read = [*names, *(n for a in (before, after) if a for n in a.inputs)]
        known = {n.removesuffix(place) for n in read for place in ("", START, END)}
        return TrainingStep(
            graph=graph,
            graph_onnxruntime=None if fast == graph else fast,
            state={n: self.state[n] for n in changed},
            entries={n: self.held.entries[n] for n in changed if n in self.held.entries},
            fixed={n: t for n, t in self.state.items() if n in known and n not in changed},
            draws=portable.draws,
            rounds={n: t for n, t in self.rounds.items() if n in read},
            batch_inputs=[n for n in self.batch.fields if n in names],
            optimizer_state=self.slots,
            starts=[n for n in self.state if start[n] in names],
            looped=looped,
            inputs=names,
            before=before,
            after=after,
        )

    def _forget_unread(self, whole: Trace) -> None:
        """Take the number of the batch and gradients out of the state as far as nothing else hangs on them."""
        mine = [n for n in self.state if n in (BATCHES, THERE) or n.startswith(GRADIENT)]
        if self.conditions is None:
            return
        ends = (BEFORE, NEXT, AFTER)
        read = whole.read_by(n + end for n in self.state if n not in mine for end in ends)
        while True:
            found = [n for n in mine if {n, n + START, n + END} & read]
            more = read | whole.read_by(n + end for n in found for end in ends)
            if more == read:
                break
            read = more
        self.state = {n: t for n, t in self.state.items() if n not in mine or n in found}

    def _aside(self, whole: Trace, place: str, same: Mapping[str, str]) -> Aside | None:
        """What is done at one place; ``same``: the input that state is when nothing is done to it."""
        changed = [n for n in self.state if whole.source_of(n + place) != same[n]]
        if not changed:
            return None
        part = copy.copy(whole)
        part.graph = copy.deepcopy(whole.graph)
        part.inputs, part.draws = list(whole.inputs), list(whole.draws)
        part.keep([n + place for n in changed])
        names = [i.name for i in part.inputs]
        if any(n in names for n in [*self.batch.fields, ROWS]) or part.draws:
            raise ExportError(
                "train()", "code outside of the loop uses a batch, its size, or random numbers",
                instead="only parameters, buffers and optimizer state are there",
            )  # fmt: skip
        return Aside(lower(part.graph, part.inputs, part.outputs), names, changed)

    def _fast(self, recorded: Trace, outputs: Sequence[str], portable: Trace) -> bytes:
        """The form for onnxruntime; only what stands in `OTHERWISE` is composed of other operators there."""
        if any(getattr(n.target, "overloadpacket", None) in OTHERWISE for n in recorded.graph.graph.nodes):
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

    asides = True
    """Whether what is before and after the loop becomes graphs of its own."""

    def _step(self, named: dict[str, Tensor]) -> Loader:
        held, entries = self.held, self.held.entries
        state = {n: named[n + START if self.asides else n].clone() for n in self.state}
        place = {n: e.back(state[n]) for n, e in entries.items()}
        for name, entry in entries.items():
            place[name] = place[name].detach().requires_grad_(entry.trainable)
            if entry.trainable:
                hooked(entry.tensor, place[name])
            if entry.trainable and self.leaving:
                place[name].grad = named[name + LEFT].detach().clone()

        # Numbers that travel in another type are as given as long as nothing writes into what stands for them.
        given = {n: (t, place[n]._version if n in place else 0) for n, t in state.items()}

        def current(name: str) -> Tensor:
            if name not in entries:
                return state[name]
            source, version = given[name]
            other = not entries[name].tensor.dtype.is_floating_point
            return source if other and place[name]._version == version else entries[name].travelling_of(place[name])

        def now(moment: str) -> dict[str, Tensor]:
            if self.conditions is not None:
                self.conditions.settle()
            if moment != AFTER:
                held.refuse_rebound(place, reach.line)
            kept = {n: current(n) for n in state}
            made = {n + moment: t for n, t in kept.items()}
            if moment == NEXT:
                made |= {ROWS + NEXT: named[ROWS]} | self.besides()
            return {n: t.detach().clone() for n, t in made.items()}

        def put(moment: str) -> None:
            with torch.no_grad():
                for name, tensor in state.items():
                    source = named[name + moment]
                    if name in entries:
                        place[name].copy_(entries[name].back(source))
                        given[name] = source, place[name]._version
                    else:
                        tensor.copy_(source)
            if self.conditions is not None:
                self.conditions.put()

        conditions = self.conditions
        if conditions is not None:
            trained = [n for n, e in entries.items() if e.trainable]
            conditions.begin(place, {n: t for n, t in state.items() if n not in entries}, trained, held.modules)
        loader = Loader(lambda: self.batch.make(named), now, put if self.asides else None, conditions)
        if conditions is not None:
            conditions.at(loader)
        twins = {n: self.twin(n, o, place, state) for n, o in held.optimizers.items()}
        if conditions is not None:
            for twin in twins.values():
                conditions.guard(twin)
        replaced: dict[str, Any] = dict(twins)
        for name, schedule in self.schedules.items():
            schedule.bind(state | {n: named[n] for n in self.rounds})
            replaced[name] = self.schedule_twin(schedule, loader.where)
            for twin_name, optimizer in held.optimizers.items():
                if optimizer is schedule.scheduler.optimizer:
                    twins[twin_name].scheduled = schedule.rate
                    for group in twins[twin_name].param_groups:
                        group["lr"] = Rate(group["lr"])
        with held.replaced(place):
            held.begin()
            twin = stand_in(self.owner, replaced)
            before, reach = dict(vars(twin)), Reach(twin, _METHODS)
            groups = {n: t.plain_groups() for n, t in twins.items()}
            with ExitStack() as stack:
                stack.enter_context(refused(reach.spaces.values()))
                stack.enter_context(idioms(self.seeds))
                stack.enter_context(self.watched())
                if self.run(twin, loader) is not None:
                    say("what train() returns", "nobody sees it: numbers to look at belong into validate() or metrics")
            if (kept := leaked(before, vars(twin), lambda v: bool(tensors(v)))) is not None:
                raise ExportError(
                    f"self.{kept}", "train() keeps a traced value in it, which would be lost from batch to batch",
                    instead="make it a buffer of the model (register_buffer), or a local variable",
                )  # fmt: skip
            reach.unchanged(twin, _METHODS)
            held.refuse_rebound(place, reach.line)
            held.refuse_frozen(place)
            for name, optimizer_twin in twins.items():
                if optimizer_twin.plain_groups() != groups[name]:
                    raise ExportError(
                        f"self.{name}.param_groups", "train() changes them, and the next round would begin with the old ones",
                        instead="set them in __init__; a rate that changes is a torch.optim.lr_scheduler",
                    )  # fmt: skip
        if conditions is not None and conditions.names is None:
            raise Probed
        loader.ended()
        self.left = [n for n, p in place.items() if p.grad is not None]
        if self.asides:
            loader.outputs |= now(AFTER)
        return loader
