"""Optimizers while a step is traced: the arithmetic of ``torch.optim``, with all state in tensors that the graph carries.

Each twin takes the hyper-parameters of the author's optimizer and stands in its place, so that ``zero_grad()`` and
``step()`` in his code become part of the graph. Slots (momentum, averages) start at zero like torch's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from .errors import ExportError
from .model import Holdings

SUPPORTED = "torch.optim.SGD, Adam and AdamW"
_INSTEAD = f"use one of {SUPPORTED}"


def slots(name: str, optimizer: torch.optim.Optimizer, held: Holdings) -> dict[str, Tensor]:
    """The state that an optimizer needs, with its initial values: names to tensors.

    Raises :class:`ExportError` for an optimizer or option that is not supported.
    """
    kind = type(optimizer).__name__
    if type(optimizer) not in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        raise ExportError(f"optimizer {kind}", "its update is not part of the package", instead=_INSTEAD)
    if optimizer.state:
        raise ExportError(f"optimizer {kind}", "it has taken steps already", instead="make a new one in __init__")
    made: dict[str, Tensor] = {}
    for index, group in enumerate(optimizer.param_groups):
        if isinstance(group["lr"], Tensor) or group.get("differentiable"):
            raise ExportError(
                f"optimizer {kind}", "lr as a tensor, or differentiable=True", instead="give lr as a number"
            )
        for parameter in group["params"]:
            entry = held.entry_of(parameter)
            for slot in _slots_of(kind, group):
                made[f"{name}.{slot}.{entry.name}"] = torch.zeros_like(parameter.detach())
        for scalar in _scalars_of(kind, group):
            made[f"{name}.{scalar}.{index}"] = torch.zeros((), dtype=torch.float64)
    return made


def _slots_of(kind: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    if kind == "SGD":
        return ("momentum",) if group["momentum"] else ()
    return ("mean", "square", "largest") if group["amsgrad"] else ("mean", "square")


def _scalars_of(kind: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    if kind == "SGD":
        return ("steps",) if group["momentum"] and group["dampening"] else ()
    return ("correction1", "correction2")


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
        self._name, self._kind, self._state = name, type(optimizer).__name__, state
        self._names = [[held.entry_of(p).name for p in group["params"]] for group in optimizer.param_groups]
        self.param_groups: list[dict[str, Any]] = [
            {**group, "params": [leaves[n] for n in names]}
            for group, names in zip(optimizer.param_groups, self._names, strict=True)
        ]
        self.scheduled: Callable[[int], Tensor] | None = None
        """The learning rate of a group, when a scheduler sets it."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; ``set_to_none`` makes no difference to the result."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self, closure: object = None) -> None:
        """Update every parameter that has a gradient."""
        if closure is not None:
            raise ExportError(
                "optimizer.step(closure)", "closures are not traced", instead="call loss.backward() and step()"
            )
        update = _sgd if self._kind == "SGD" else _adam
        with torch.no_grad():
            for index, group in enumerate(self.param_groups):
                known = [(n, p) for n, p in zip(self._names[index], group["params"], strict=True) if p.grad is not None]
                scalars = {s: self._state[f"{self._name}.{s}.{index}"] for s in _scalars_of(self._kind, group)}
                lr = group["lr"] if self.scheduled is None else self.scheduled(index)
                _advance(group, scalars)
                for name, parameter in known:
                    own = {s: self._state[f"{self._name}.{s}.{name}"] for s in _slots_of(self._kind, group)}
                    gradient = -parameter.grad if group["maximize"] else parameter.grad
                    update(group, lr, parameter, gradient, own, scalars, self._kind == "AdamW")

    def __getattr__(self, name: str) -> Any:
        """Refuse what has no place in a graph."""
        raise ExportError(
            f"optimizer.{name}", "only zero_grad(), step() and param_groups exist while the step is traced",
            instead="remove it from train()",
        )  # fmt: skip


def _advance(group: Mapping[str, Any], scalars: Mapping[str, Tensor]) -> None:
    if "steps" in scalars:
        scalars["steps"].add_(1.0)
    for number, beta in enumerate(group.get("betas", ()), 1):
        # c = 1 - beta**t by its recurrence: a product and a sum are exact enough in any runtime, a power is not.
        correction = scalars[f"correction{number}"]
        correction.copy_(correction * beta + (1.0 - beta))


def _sgd(
    group: Mapping[str, Any],
    lr: Any,
    p: Tensor,
    g: Tensor,
    own: Mapping[str, Tensor],
    scalars: Mapping[str, Tensor],
    _: bool,
) -> None:
    if group["weight_decay"]:
        g = g + group["weight_decay"] * p
    if group["momentum"]:
        buffer, damped = own["momentum"], g
        if group["dampening"]:
            # The first gradient enters whole.
            factor = torch.where(scalars["steps"] == 1.0, 1.0, 1.0 - group["dampening"]).to(p.dtype)
            damped = factor * g
        buffer.copy_(group["momentum"] * buffer + damped)
        g = g + group["momentum"] * buffer if group["nesterov"] else buffer
    p.copy_(p - lr * g)


def _adam(
    group: Mapping[str, Any],
    lr: Any,
    p: Tensor,
    g: Tensor,
    own: Mapping[str, Tensor],
    scalars: Mapping[str, Tensor],
    decoupled: bool,
) -> None:
    beta1, beta2 = group["betas"]
    if group["weight_decay"] and (decoupled or group.get("decoupled_weight_decay")):
        p.copy_(p * (1.0 - lr * group["weight_decay"]))
    elif group["weight_decay"]:
        g = g + group["weight_decay"] * p
    mean, square = own["mean"], own["square"]
    mean.copy_(mean + (1.0 - beta1) * (g - mean))
    square.copy_(beta2 * square + (1.0 - beta2) * (g * g))
    largest = square
    if "largest" in own:
        own["largest"].copy_(torch.maximum(own["largest"], square))
        largest = own["largest"]
    first, second = scalars["correction1"].to(p.dtype), scalars["correction2"].to(p.dtype)
    p.copy_(p - (lr / first) * (mean / (torch.sqrt(largest) / torch.sqrt(second) + group["eps"])))


def attach(twins: Iterable[Twin], schedule: Callable[[int], Tensor]) -> None:
    """Let a schedule set the learning rates of optimizers."""
    for twin in twins:
        twin.scheduled = schedule
