"""What stands for an optimizer while its step is traced, and the state that it needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import ExportError, author_frame
from ..model import Holdings
from ..zeros import forget, has_zeros, stepped
from .rules import RULES, SUPPORTED, Rule

_INSTEAD = f"use one of {SUPPORTED}"
_REASONS = {
    "LBFGS": "it computes the loss several times in a step, as often as the values ask for",
    "SparseAdam": "its gradients are sparse, and nodes have dense tensors only",
    "Adafactor": "its update takes rows and columns of a matrix together, and is not part of the package",
    "Muon": "its update takes a whole matrix in bfloat16, which nodes do not compute in",
}
_OF_THE_OPTIMIZER = ("initial_accumulator_value",)
"""What torch reads from the optimizer itself, whatever its groups say."""


def slots(name: str, optimizer: torch.optim.Optimizer, held: Holdings) -> dict[str, Tensor]:
    """The state that an optimizer needs, with its initial values: names to tensors.

    Raises :class:`ExportError` for an optimizer or option that is not supported.
    """
    kind = type(optimizer).__name__
    rule = _rule_of(optimizer)
    # Adagrad makes its state at once, and counts from 0.
    if any(float(s.get("step", 1.0)) > 0.0 for s in optimizer.state.values()):
        raise ExportError(f"optimizer {kind}", "it has taken steps already", instead="make a new one in __init__")
    if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
        raise ExportError(
            f"optimizer {kind}", "it has hooks on its steps, and nodes run what train() says",
            instead="write what they do into train(), before or after self.optimizer.step()",
        )  # fmt: skip
    made: dict[str, Tensor] = {}
    for index, group in enumerate(optimizer.param_groups):
        if isinstance(group["lr"], Tensor) or group.get("differentiable"):
            raise ExportError(
                f"optimizer {kind}", "lr as a tensor, or differentiable=True", instead="give lr as a number"
            )
        options = group | {k: optimizer.defaults[k] for k in _OF_THE_OPTIMIZER if k in group}
        for parameter in group["params"]:
            entry = held.entry_of(parameter)
            for slot, initial in rule.slots(options).items():
                made[f"{name}.{slot}.{entry.name}"] = torch.full_like(parameter.detach(), initial, device="cpu")
        for scalar, initial in rule.scalars(options).items():
            made[f"{name}.{scalar}.{index}"] = torch.full((), initial, dtype=torch.float64)
    return made


def _rule_of(optimizer: torch.optim.Optimizer) -> Rule:
    if type(optimizer) not in RULES:
        kind = type(optimizer).__name__
        own = getattr(torch.optim, kind, None) is type(optimizer)
        why = _REASONS.get(kind) if own else None
        raise ExportError(f"optimizer {kind}", why or "its update is not part of the package", instead=_INSTEAD)
    return RULES[type(optimizer)]


class Twin:
    """Stands for one optimizer while its step is traced. Every slot in ``state`` is updated in place."""

    def __init__(
        self,
        name: str,
        optimizer: torch.optim.Optimizer,
        held: Holdings,
        leaves: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
    ) -> None:
        """``leaves`` are the traced parameters by entry name, ``state`` the traced slots by the names of :func:`slots`."""
        self._name, self._rule, self._state = name, _rule_of(optimizer), state
        self._names = [[held.entry_of(p).name for p in group["params"]] for group in optimizer.param_groups]
        self.param_groups: list[dict[str, Any]] = [
            {**group, "params": [leaves[n] for n in names]}
            for group, names in zip(optimizer.param_groups, self._names, strict=True)
        ]
        self._counted: dict[int, list[str]] = {}
        self.scheduled: Callable[[int], Tensor] | None = None
        """The learning rate of a group, when a scheduler sets it."""

    def rate(self, index: int) -> Any:
        """The learning rate of a group, a number where no scheduler sets it."""
        return self.param_groups[index]["lr"] if self.scheduled is None else self.scheduled(index)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            forget(group["params"], set_to_none)

    def step(self, closure: object = None) -> None:
        """Update every parameter that has a gradient."""
        if closure is not None:
            raise ExportError(
                "optimizer.step(closure)", "closures are not traced", instead="call loss.backward() and step()"
            )
        with torch.no_grad():
            for index, group in enumerate(self.param_groups):
                self._refuse_zeros(group)
                known = {n: p for n, p in zip(self._names[index], group["params"], strict=True) if p.grad is not None}
                if known:
                    self._step(index, group, known)
                stepped(known.values())

    def _refuse_zeros(self, group: Mapping[str, Any]) -> None:
        """Refuse a step that torch takes with a gradient of zeros, where that moves a parameter."""
        moved = group.get("weight_decay") or self._rule.slots(group)
        if moved and any(has_zeros(p) for p in group["params"]):
            raise ExportError(
                "zero_grad(set_to_none=False)",
                "a parameter that this loss does not reach would be moved by its zeros, for its weight decay or momentum",
                instead="leave set_to_none=False out, or give what each loss reaches an optimizer of its own",
                location=author_frame(sys._getframe(2)),
            )  # fmt: skip

    def _step(self, index: int, group: Mapping[str, Any], known: Mapping[str, Tensor]) -> None:
        rule = self._rule
        scalars = {s: self._state[f"{self._name}.{s}.{index}"] for s in rule.scalars(group)}
        if scalars and self._counted.setdefault(index, list(known)) != list(known):
            raise ExportError(
                "optimizer.step()", "some parameters have a gradient at one step and none at another, and are counted together",
                instead="give them an optimizer or a parameter group of their own",
            )  # fmt: skip
        lr = self.rate(index)
        factors = rule.before(group, lr, scalars)
        for name, parameter in known.items():
            own = {s: self._state[f"{self._name}.{s}.{name}"] for s in rule.slots(group)}
            gradient: Any = -parameter.grad if group["maximize"] else parameter.grad  # type: ignore[operator]
            rule.update(group, lr, parameter, gradient, own, factors)
        rule.after(group, lr, scalars)

    def plain_groups(self) -> list[dict[str, Any]]:
        """The hyper-parameters as they are now."""
        return [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]

    def __getattr__(self, name: str) -> Any:
        """Refuse what has no place in a graph."""
        raise ExportError(
            f"optimizer.{name}", "only zero_grad(), step() and param_groups exist while the step is traced",
            instead="remove it from train()",
        )  # fmt: skip


def attach(twins: Iterable[Twin], schedule: Callable[[int], Tensor]) -> None:
    """Let a schedule set the learning rates of optimizers."""
    for twin in twins:
        twin.scheduled = schedule
