"""The step under privacy: an author's ``train(self, dataloader)`` as each record's gradients, and one step with their mean.

``train`` is traced as without privacy, on one batch. What it amounts to must be one gradient of a loss over the rows and one
step of the optimizers. The gradient is then taken apart (:mod:`.apart`): a node runs that graph, bounds and sums what each
record gives, and adds noise. The step is the coordinator's, with the mean.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .._products import least_product_bound, product_rounding
from . import additive
from .apart import Outer, Rows, apart
from .checks import check
from .errors import ExportError, author_frame, author_of
from .lower import GraphInput, lower
from .model import Entry, Holdings
from .optimizers import Twin
from .schedules import Schedule, ScheduleTwin, When
from .step import Batch
from .trace import Trace, functional, trace
from .training import Tracing, passes

aten = torch.ops.aten
GRADIENT, LOSS, RECORDS = "gradient.", "loss", "records"
SHARE = 0.1
"""The part of the bound that counts a record: the noise in the count is ``multiplier / SHARE`` records, the gradient's bound
is narrower by half its square."""
WIDE = 2
"""A layer whose gradient has more than so many times the numbers of the two vectors that it is a product of leaves as these."""
LEFT, RIGHT = ".left", ".right"
_ONE = "a round is one step: write one zero_grad(), one backward() of the whole loss and one step() for each batch"


@dataclass(frozen=True)
class Bound:
    """How long a record's vector may be: of its gradients, and the number that counts it. Together no longer than ``l2``."""

    l2: float
    linf: float | None = None
    precision: int = 8
    """Of the strategy; only where there are products it matters."""
    products: bool = False
    """Whether wide layers may leave as two vectors for each record, which the node multiplies and bounds."""

    rounding: float = 0.0
    """What nodes keep of it for the rounding of products."""

    def beside_products(self, numbers: int) -> Bound:
        """The same with room for the rounding of products of so many numbers in all."""
        return replace(self, rounding=product_rounding(numbers) / 10.0**self.precision)

    def allows(self, numbers: int) -> bool:
        """Whether nodes would take products of so many numbers in all."""
        return self.products and self.l2 * 10.0**self.precision >= least_product_bound(numbers)

    @property
    def count(self) -> float:
        """What stands for one record in the sum."""
        return min(SHARE * self.l2, math.inf if self.linf is None else self.linf)

    @property
    def gradient(self) -> float:
        """The largest Euclidean norm of a record's gradients."""
        return math.sqrt((self.l2 - self.rounding) ** 2 - self.count**2)


@dataclass
class GradientStep:
    """What a round under privacy computes.

    ``graph``: from parameters and records to each record's gradients, ``gradient.<name> [records, *shape]``, and ``records``;
    of those in ``products`` the two vectors whose product it is, ``gradient.<name>.left`` and ``.right``.
    ``read``: the parameters and
    buffers that it reads. ``gradients``: by output, their shapes. ``update``: from the sums of these to what changes of
    ``state``, as ``<name>.next``. ``entries``: the part of the state that belongs to modules.
    """

    graph: bytes
    read: dict[str, Tensor]
    gradients: dict[str, tuple[int, ...]]
    products: frozenset[str]
    batch_inputs: list[str]
    update: bytes
    update_inputs: list[str]
    changed: list[str]
    state: dict[str, Tensor]
    entries: dict[str, Entry]
    optimizer_state: frozenset[str]


def gradient_step(
    owner: Any, run: Callable[[Any, Any], object], batch: Batch, bound: Bound, *, rounds: int = 1
) -> GradientStep:
    """Trace ``run(owner, loader)``; ``rounds``: of the task, each of which is one step.

    Raises :class:`ExportError` with the author's line for whatever is no sum over records.
    """
    return passes(owner, lambda *a: _Gradients(owner, run, batch, bound, *a).taken_apart(), rounds=rounds, steps=rounds)


class _Gradients(Tracing):
    asides = False

    def __init__(
        self,
        owner: Any,
        run: Callable[[Any, Any], object],
        batch: Batch,
        bound: Bound,
        held: Holdings,
        schedules: Mapping[str, Schedule],
        when: Mapping[str, When],
    ) -> None:
        super().__init__(owner, run, batch, held, schedules, when)
        self.bound = bound
        self.all_state = self.state | self.rounds
        self.backward = _Backward()
        self.recorders: dict[str, _Recorder] = {}
        self.events: list[tuple[str, str]] = []
        """What steps in a batch, in the author's order: an optimizer or a schedule, and its name."""

    # ---- what is noted while the method runs
    def twin(
        self, name: str, optimizer: torch.optim.Optimizer, leaves: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> Twin:
        """Note gradients where the optimizer would take its step."""
        self.recorders[name] = made = _Recorder(name, optimizer, self.held, leaves, state)
        made.note = lambda: self.events.append(("optimizer", name))
        return made

    def schedule_twin(self, schedule: Schedule, where: Callable[[], When | None]) -> ScheduleTwin:
        """Note its steps."""
        made = _NotingSchedule(schedule, where)
        made.note = lambda: self.events.append((where() or "", schedule.name))
        return made

    def watched(self) -> AbstractContextManager[Any]:
        """Note the loss."""
        self.events.clear()
        return self.backward

    def besides(self) -> dict[str, Tensor]:
        """The gradients and the loss, at the end of the first batch."""
        if self.backward.loss is None:
            raise ExportError("train()", "loss.backward() is not called in it", instead=_ONE)
        out = {LOSS: self.backward.loss}
        for recorder in self.recorders.values():
            for name, gradient in recorder.gradients.items():
                out[GRADIENT + name] = gradient
        self.in_batch = list(self.events)
        if len(out) == 1:
            raise ExportError(
                "train()", "no parameter changes in it",
                instead="call loss.backward() and self.optimizer.step() in the loop over the batches",
            )  # fmt: skip
        self.backward.loss = None
        for recorder in self.recorders.values():
            recorder.stepped = False
        return out

    # ---- the two graphs
    def taken_apart(self) -> GradientStep:
        """Record, check and take apart."""
        recorded = self.recorded()
        check(recorded, self.batch.classes)
        _refuse_mixing(recorded)
        gradients = [n for n in recorded.outputs if n.startswith(GRADIENT)]
        batch = functional(recorded, "records")
        for name, entry in self.held.entries.items():
            # Whole numbers count batches, which nobody needs.
            counts = not entry.tensor.dtype.is_floating_point
            if not entry.trainable and not counts and batch.source_of(f"{name}.next") != name:
                raise ExportError(
                    f"buffer {name}", "it changes while members compute, and under privacy nothing but noised sums leaves them",
                    instead="use a layer without running statistics: LayerNorm or GroupNorm",
                )  # fmt: skip
        additive.check(recorded, LOSS, gradients, self._values())
        first = list(self.batch.fields)[:1]
        batch.keep(gradients, always=first)
        made = apart(batch, self._bounded)
        made = made.keep(made.outputs, always=first)
        graph = lower(made.graph, made.inputs, made.outputs)
        names = [i.name for i in made.inputs]
        shapes = {n: tuple(self.state[n.removeprefix(GRADIENT)].shape) for n in gradients}
        update = self._update(shapes)
        changed = [n for n in self.all_state if update.source_of(f"{n}.next") != n]
        update.keep([f"{n}.next" for n in changed])
        inputs = [i.name for i in update.inputs]
        return GradientStep(
            graph=graph,
            read={n: self.state[n] for n in names if n in self.state},
            gradients=shapes,
            products=self.products,
            batch_inputs=[n for n in self.batch.fields if n in names],
            update=lower(update.graph, update.inputs, update.outputs),
            update_inputs=inputs,
            changed=changed,
            state={n: self.all_state[n] for n in self.all_state if n in changed or n in inputs},
            entries={n: self.held.entries[n] for n in changed if n in self.held.entries},
            optimizer_state=self.slots,
        )

    def _values(self) -> dict[str, Tensor]:
        return {n: t.detach() for n, t in self.all_state.items()}

    def _bounded(self, gradients: Mapping[str, Rows]) -> dict[str, Tensor]:
        """Each record's gradients, scaled down together where they are too long, and what counts it.

        The node would do that as well, but to the count too: too steep a record would count for less than one.
        """
        wide = [n for n, g in gradients.items() if isinstance(g, Outer) and _is_wide(g)]
        numbers = sum(math.prod(gradients[n].shape) for n in wide)
        self.products = frozenset(wide if self.bound.allows(numbers) else [])
        if self.products:
            self.bound = self.bound.beside_products(numbers)
        squares = [g.squares().to(torch.float32) for g in gradients.values()]
        total = squares[0]
        for other in squares[1:]:
            total = total + other
        factor = self.bound.gradient / torch.clamp(torch.sqrt(total), min=self.bound.gradient)
        made: dict[str, Tensor] = {}
        for name, gradient in gradients.items():
            if name in self.products and isinstance(gradient, Outer):
                made[name + LEFT], made[name + RIGHT] = gradient.scaled_sides(factor)
            else:
                made[name] = gradient.scaled(factor)
        return made | {RECORDS: torch.full_like(total, self.bound.count)}

    def _update(self, gradients: Mapping[str, tuple[int, ...]]) -> Trace:
        """The optimizers' step with the mean of the gradients, at the coordinator."""
        inputs = [GraphInput(n, t) for n, t in self.all_state.items()]
        inputs += [GraphInput(n, torch.ones(s, dtype=torch.float64)) for n, s in gradients.items()]
        inputs.append(GraphInput(RECORDS, torch.ones((), dtype=torch.float64)))

        def update(named: dict[str, Tensor]) -> dict[str, Tensor]:
            state = {n: named[n].clone() for n in self.all_state}
            # Noise can take a small count below 1.
            records = torch.clamp(named[RECORDS] / self.bound.count, min=1.0)
            for name in gradients:
                parameter = state[name.removeprefix(GRADIENT)]
                parameter.grad = (named[name] / records).to(parameter.dtype)
            twins = {n: Twin(n, o, self.held, state, state) for n, o in self.held.optimizers.items()}
            for schedule in self.schedules.values():
                schedule.bind(state)
                for name, optimizer in self.held.optimizers.items():
                    if optimizer is schedule.scheduler.optimizer:
                        twins[name].scheduled = schedule.rate
            for kind, name in self.in_batch:
                if kind == "optimizer":
                    twins[name].step()
                elif kind == "step":
                    self.schedules[name].advance()
            for name in self.rounds:
                state[name] = state[name] + 1.0
            return {f"{n}.next": t.detach() for n, t in state.items()}

        return trace(update, inputs)


def _is_wide(gradient: Outer) -> bool:
    p, q = gradient.shape
    return p * q > WIDE * (p + q)


class _Recorder(Twin):
    """An optimizer that keeps the gradients of its step, and changes nothing."""

    note: Callable[[], None]

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.gradients: dict[str, Tensor] = {}
        self.stepped = False
        self.before = [{k: v for k, v in g.items() if k != "params"} for g in self.param_groups]

    def step(self, closure: object = None) -> None:
        """Keep the gradients."""
        place = author_frame(sys._getframe(1))
        if closure is not None:
            raise ExportError("optimizer.step(closure)", "closures are not traced", instead=_ONE, location=place)
        if self.stepped:
            raise ExportError(
                "optimizer.step()", "under privacy there is one step for each batch", instead=_ONE, location=place
            )
        if self.before != [{k: v for k, v in g.items() if k != "params"} for g in self.param_groups]:
            raise ExportError(
                "optimizer.param_groups", "train() changes them, and under privacy the step is the coordinator's", location=place,
                instead="set them in __init__, or use a torch.optim.lr_scheduler",
            )  # fmt: skip
        self.stepped = True
        self.note()
        for names, group in zip(self._names, self.param_groups, strict=True):
            for name, parameter in zip(names, group["params"], strict=True):
                if parameter.grad is not None:
                    self.gradients[name] = parameter.grad


class _NotingSchedule(ScheduleTwin):
    note: Callable[[], None]

    def step(self, epoch: object = None) -> None:
        """Note it."""
        super().step(epoch)
        self.note()


class _Backward(TorchFunctionMode):
    """Keeps the loss of which the gradient is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.loss: Tensor | None = None

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Look at ``backward``."""
        if function is Tensor.backward:
            place = author_frame(sys._getframe(1))
            given = [*args[1:], *(v for k, v in (kwargs or {}).items() if k == "gradient")]
            if self.loss is not None:
                raise ExportError(
                    "loss.backward()", "under privacy there is one for each batch", instead=_ONE, location=place
                )
            if args[0].dim() or any(isinstance(g, Tensor) for g in given):
                raise ExportError(
                    "loss.backward()",
                    "the loss is not one number",
                    instead="take the mean over the rows first",
                    location=place,
                )
            self.loss = args[0]
        return function(*args, **(kwargs or {}))


_NORMS = ("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm", "miopen_batch_norm")


def _refuse_mixing(recorded: Trace) -> None:
    """Refuse what is known to need other records, or random numbers, by its name."""
    for node in recorded.graph.graph.nodes:
        if node.target in (aten.rand.default, aten.randn.default):
            raise ExportError(
                "dropout and other random numbers", "under privacy nodes give none to the graph",
                location=author_of(node.meta.get("stack_trace")),
                instead="leave dropout out (p=0); the noise keeps a model from learning single records by heart",
            )  # fmt: skip
        name = str(node.target).removeprefix("aten.").split(".")[0]
        if name in _NORMS and isinstance(node.args[0].meta["val"].shape[0], torch.SymInt):
            training = any(a is True for a in node.args)
            if training:
                raise ExportError(
                    "batch norm", "it takes means over the rows of a batch, and a record's gradient would depend on others",
                    instead="use LayerNorm or GroupNorm", location=author_of(node.meta.get("stack_trace")),
                )  # fmt: skip
