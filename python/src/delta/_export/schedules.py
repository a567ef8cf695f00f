"""Learning-rate schedules: ``torch.optim.lr_scheduler`` turned into tables and recurrences inside the graph.

A schedule that steps once per round is a table over the rounds, read with the round's number, which the coordinator
keeps. One that steps within a round counts the member's own batches. How many there will be is not known when a task
counts in epochs, so only schedules with a rule for any number of steps are taken there.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler as torch_schedulers

from .errors import ExportError

When = Literal["step", "round"]
MAX_TABLE = 1_000_000
"""Most entries of a table of learning rates."""
_RECURRENT = ("StepLR", "MultiStepLR", "ExponentialLR")


class Schedule:
    """Stands for one scheduler while the step is traced."""

    def __init__(self, name: str, scheduler: Any, *, rounds: int, steps: int | None) -> None:
        """``rounds``: of the task; ``steps``: batches of a member over the whole task, when known.

        Raises :class:`ExportError` for a scheduler that looks at the loss.
        """
        self.name, self.scheduler, self.rounds, self.steps = name, scheduler, rounds, steps
        self.kind = type(scheduler).__name__
        if isinstance(scheduler, torch_schedulers.ReduceLROnPlateau):
            raise ExportError(
                f"scheduler {self.kind}", "it looks at values that are not known while the step is traced",
                instead="use a schedule over steps or rounds: StepLR, CosineAnnealingLR, LambdaLR",
            )  # fmt: skip
        self.when: When | None = None
        self.calls = 0
        self.failure: ExportError | None = None
        self._rows: list[list[float]] = []
        self._period = 0.0
        self._state: Mapping[str, Tensor] = {}

    @property
    def groups(self) -> int:
        """Parameter groups of its optimizer."""
        return len(self.scheduler.optimizer.param_groups)

    def slots(self) -> dict[str, Tensor]:
        """State kept by each member when it steps within a round: the number of steps so far, and the current rates."""
        rates = torch.tensor([float(g["lr"]) for g in self.scheduler.optimizer.param_groups], dtype=torch.float64)
        return {
            f"{self.name}.steps": torch.tensor(float(self.scheduler.last_epoch), dtype=torch.float64),
            f"{self.name}.rates": rates,
        }

    def round_slot(self) -> dict[str, Tensor]:
        """State kept by the coordinator when it steps once per round: how many rounds there have been."""
        return {f"{self.name}.round": torch.zeros((), dtype=torch.float64)}

    def prepare(self, when: When) -> None:
        """Before a tracing pass in which it is taken to step within rounds or once per round: simulate torch's own.

        A schedule that has no rule for any number of steps fails only if it turns out to step there (``failure``).
        """
        self.when, self.calls, self.failure, self._period = when, 0, None, 0.0
        try:
            if when == "round":
                self._rows = self._table(self.rounds)
            elif self.kind not in _RECURRENT:
                self._rows, self._period = self._stepwise()
        except ExportError as failure:
            self.failure, self._rows = failure, [[1.0] * self.groups]

    def bind(self, state: Mapping[str, Tensor]) -> None:
        """Give it the traced state of the pass."""
        self._state, self.calls = state, 0

    def check(self, batches: int) -> None:
        """After a pass over some batches.

        Raises :class:`ExportError` when it took more than one step in a batch or round, or has no rule.
        """
        if self.calls and self.failure is not None:
            raise self.failure
        if self.calls > (batches if self.when == "step" else 1):
            raise ExportError(
                f"scheduler {self.kind}", "it takes several steps at once", instead="call scheduler.step() once"
            )

    def rate(self, group: int) -> Tensor:
        """The current learning rate of a parameter group, ``float32``."""
        if self.when == "round":
            return self._look_up(self._state[f"{self.name}.round"], group)
        if self.kind in _RECURRENT:
            return self._state[f"{self.name}.rates"][group].to(torch.float32)
        return self._look_up(self._state[f"{self.name}.steps"] - float(self.scheduler.last_epoch), group)

    def _look_up(self, count: Tensor, group: int) -> Tensor:
        column = [row[group] for row in self._rows]
        if all(rate == column[0] for rate in column):
            return torch.full((), column[0], dtype=torch.float32)
        if self._period:
            index = count - torch.floor(count / self._period) * self._period
        else:
            index = count.clamp(max=float(len(column) - 1))
        table = torch.tensor(column, dtype=torch.float32)
        return table.index_select(0, index.to(torch.int64).reshape(1)).reshape(())

    def advance(self) -> None:
        """One step within a round."""
        steps, rates = self._state[f"{self.name}.steps"], self._state[f"{self.name}.rates"]
        steps.copy_(steps + 1.0)
        one = torch.ones((), dtype=torch.float64)
        if self.kind == "ExponentialLR":
            rates.copy_(rates * self.scheduler.gamma)
        elif self.kind == "StepLR":
            size = float(self.scheduler.step_size)
            due = steps - torch.floor(steps / size) * size == 0.0
            rates.copy_(rates * torch.where(due, one * self.scheduler.gamma, one))
        elif self.kind == "MultiStepLR":
            for milestone, times in self.scheduler.milestones.items():
                rates.copy_(rates * torch.where(steps == float(milestone), one * self.scheduler.gamma**times, one))

    def _stepwise(self) -> tuple[list[list[float]], float]:
        """A table for steps within rounds, and its period; 0: its last entry goes on."""
        s = self.scheduler
        at = max(int(s.last_epoch), 0)
        if self.steps is not None:
            return self._table(self.steps), 0.0
        if self.kind == "CosineAnnealingLR":
            return self._table(2 * s.T_max), 2.0 * s.T_max
        if self.kind in ("LinearLR", "ConstantLR", "PolynomialLR"):
            return self._table(s.total_iters - at + 1), 0.0
        raise ExportError(
            f"scheduler {self.kind}", "how many steps there will be is not known, because rounds count epochs",
            instead="step it once per round, after the loop, or count batches: strategy(merge_epoch=0, merge_iteration=...)",
        )  # fmt: skip

    def _table(self, length: int) -> list[list[float]]:
        """The rates of all groups for ``length`` steps from now, as torch's own scheduler gives them."""
        if length > MAX_TABLE:
            raise ExportError(
                f"scheduler {self.kind}", f"a table of {length} learning rates", instead=f"at most {MAX_TABLE} steps"
            )
        simulated = _detached(self.scheduler)
        optimizer, rows = simulated.optimizer, []
        fixed = [_other(g) for g in optimizer.param_groups]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows.append([float(g["lr"]) for g in optimizer.param_groups])
            for _ in range(int(length) - 1):
                simulated.step()
                rows.append([float(g["lr"]) for g in optimizer.param_groups])
        if fixed != [_other(g) for g in optimizer.param_groups]:
            raise ExportError(
                f"scheduler {self.kind}", "it changes more than the learning rate", instead="cycle_momentum=False"
            )
        return rows


class ScheduleTwin:
    """What ``self.scheduler`` is while ``train`` is traced."""

    def __init__(self, schedule: Schedule, where: Callable[[], When | None]) -> None:
        """``where()``: in the loop over the batches, after it, or (``None``) before it."""
        self._schedule, self._where = schedule, where

    def step(self, epoch: object = None) -> None:
        """In the loop: the next step's rate. After it: the next round's."""
        where = self._where()
        if epoch is not None or where is None:
            what = "the step's number is counted by the node" if epoch is not None else "it is called before the loop"
            raise ExportError("scheduler.step()", what, instead="call scheduler.step() in the loop or after it")
        if self._schedule.when != where:
            raise WrongPass(self._schedule.name, where)
        self._schedule.calls += 1
        if where == "step":
            self._schedule.advance()

    def get_last_lr(self) -> list[Any]:
        """The first rates, to be shown."""
        return [group["lr"] for group in self._schedule.scheduler.optimizer.param_groups]

    def __getattr__(self, name: str) -> Any:
        """Refuse what has no place in a graph."""
        raise ExportError(
            f"scheduler.{name}", "only step() exists while train() is traced", instead="remove it from train()"
        )


class Again(Exception):
    """What a pass finds out of which the next one must know."""


class WrongPass(Again):
    """A scheduler steps at another place than this tracing pass takes it to."""

    def __init__(self, name: str, when: When) -> None:
        """``when``: where the scheduler ``name`` steps."""
        super().__init__(name, when)
        self.name, self.when = name, when


def _detached(scheduler: Any) -> Any:
    """A copy that drives an optimizer of its own, with one small parameter for each group."""
    groups: Sequence[Mapping[str, Any]] = scheduler.optimizer.param_groups
    dummy = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": 0.0} for _ in groups], lr=0.0)
    for own, theirs in zip(dummy.param_groups, groups, strict=True):
        own.update({k: v for k, v in theirs.items() if k != "params"})
    dummy._opt_called = True  # type: ignore[attr-defined]
    return _rebound(scheduler, dummy)


def _rebound(scheduler: Any, optimizer: torch.optim.Optimizer) -> Any:
    twin = copy.copy(scheduler)
    twin.__dict__ = {k: copy.copy(v) if isinstance(v, (list, dict)) else v for k, v in scheduler.__dict__.items()}
    twin.optimizer = optimizer
    if hasattr(twin, "_schedulers"):
        twin._schedulers = [_rebound(s, optimizer) for s in twin._schedulers]
    return twin


def _other(group: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in group.items() if k not in ("params", "lr", "initial_lr") and not _is_nan(v)}


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
