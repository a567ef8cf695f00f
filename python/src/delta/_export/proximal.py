"""The training step of members that are held near the weights with which a round began.

To add ``mu / 2 * ||w - w_start||^2`` to a loss is to add ``mu * (w - w_start)`` to its gradients. That is done where an optimizer
takes its step, so the author's method stays as it is. The weights at the start are inputs of the graph that are the same
for all batches of a round, ``<name>.start``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from torch import Tensor

from .corrected import Corrected
from .step import START, Batch, TrainingStep
from .training import passes


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


class _Proximal(Corrected):
    def __init__(self, *given: Any, mu: float, names: Collection[str]) -> None:
        super().__init__(*given)
        self.mu = mu
        self.near = {n for n, e in self.held.entries.items() if n in names and e.trainable}

    def term(self, name: str, parameter: Tensor) -> Tensor:
        """The gradient of the term."""
        return self.mu * (parameter - self.named[name + START])
