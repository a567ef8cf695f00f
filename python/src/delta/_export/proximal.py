"""The training step of members that are held near the weights with which a round began.

To add ``mu / 2 * ||w - w_start||^2`` to a loss is to add ``mu * (w - w_start)`` to its gradients. That is done where an optimizer
takes its step, so the author's method stays as it is. The weights at the start are inputs of the graph that are the same
for all batches of a round, ``<name>.start``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from .optimizers import Twin
from .training import START, Batch, Tracing, TrainingStep, passes


def proximal_step(
    owner: Any,
    run: Callable[[Any, Any], object],
    batch: Batch,
    mu: float,
    names: Collection[str],
    *,
    rounds: int = 1,
    steps: int | None = None,
) -> TrainingStep:
    """Trace ``run(owner, loader)`` with the term; ``names``: of the entries that it holds, as far as they are trained.

    The rest is as in :func:`~.training.training_step`.
    """
    return passes(
        owner, lambda *a: _Proximal(owner, run, batch, *a, mu=mu, names=names).trace(), rounds=rounds, steps=steps
    )


class _Proximal(Tracing):
    def __init__(self, *given: Any, mu: float, names: Collection[str]) -> None:
        super().__init__(*given)
        self.mu = mu
        self.near = {n for n, e in self.held.entries.items() if n in names and e.trainable}
        self.starts: dict[str, Tensor] = {}

    def _step(self, named: dict[str, Tensor]) -> Any:
        self.starts = {n: named[n + START] for n in self.near}
        return super()._step(named)

    def twin(
        self, name: str, optimizer: torch.optim.Optimizer, leaves: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> Twin:
        """An optimizer that adds the term to the gradients of its step."""
        made = super().twin(name, optimizer, leaves, state)
        taken = made.step
        names = {id(leaf): n for n, leaf in leaves.items() if n in self.near}

        def step(closure: object = None) -> object:
            own: list[tuple[Tensor, Tensor]] = []
            with torch.no_grad():
                for group in made.param_groups:
                    # Who climbs is held by the term all the same.
                    mu = -self.mu if group.get("maximize") else self.mu
                    for parameter in group["params"]:
                        if parameter.grad is not None and id(parameter) in names:
                            own.append((parameter, parameter.grad))
                            term = mu * (parameter - self.starts[names[id(parameter)]])
                            parameter.grad = parameter.grad + term
            try:
                return taken(closure)
            finally:
                for parameter, gradient in own:
                    parameter.grad = gradient

        made.step = step  # type: ignore[assignment, method-assign]
        return made
