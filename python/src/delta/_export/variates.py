"""The training step of SCAFFOLD: gradients corrected by control variates.

Where an optimizer takes its step, the member's own variate is taken from the gradient and the mean of all members' is added.
Both are inputs of the graph that are the same for all batches of a round. The learning rates of the steps are added up for
each parameter, because the new variate is the way that it went in the round, divided by that sum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .corrected import Corrected
from .errors import ExportError
from .step import START, Batch, TrainingStep
from .training import passes

OWN, MEAN, WALKED = "scaffold.own.", "scaffold.mean.", "scaffold.walked."
"""In front of the name of an entry: the member's variate, the mean of all, and the sum of learning rates in a round."""


def controlled_step(
    owner: Any,
    run: Callable[[Any, Any], object],
    batch: Batch,
    names: Collection[str],
    *,
    rounds: int = 1,
    steps: int | None = None,
) -> TrainingStep:
    """Trace ``run(owner, loader)`` with variates for the entries in ``names``, as far as they are trained.

    The rest is as in :func:`~.training.training_step`. Raises :class:`ExportError` for an optimizer other than plain SGD.
    """

    def trace(*given: Any) -> TrainingStep:
        made = _Controlled(owner, run, batch, *given, names=names).trace()
        return replace(made, controlled=[n.removeprefix(WALKED) for n in made.looped if n.startswith(WALKED)])

    return passes(owner, trace, rounds=rounds, steps=steps)


class _Controlled(Corrected):
    def __init__(self, *given: Any, names: Collection[str]) -> None:
        super().__init__(*given)
        for name, optimizer in self.held.optimizers.items():
            if type(optimizer) is not torch.optim.SGD or any(g["momentum"] for g in optimizer.param_groups):
                kind = type(optimizer).__name__
                raise ExportError(
                    f"self.{name} = torch.optim.{kind}",
                    f"Scaffold reads gradients off how far plain SGD went, and {kind} goes elsewhere"
                    if kind != "SGD"
                    else "Scaffold reads gradients off how far plain SGD went, and with momentum it goes further",
                    instead="take torch.optim.SGD without momentum; the coordinator's step is Scaffold(server_learning_rate=...)",
                )  # fmt: skip
        trained = {n: e for n, e in self.held.entries.items() if n in names and e.trainable}
        self.near = set(trained)
        for name, entry in trained.items():
            self.state |= {prefix + name: torch.zeros_like(entry.tensor.detach()) for prefix in (OWN, MEAN)}
            self.state[WALKED + name] = torch.zeros((), dtype=torch.float64)

    def term(self, name: str, parameter: Tensor) -> Tensor:
        """The mean of the variates without the member's own."""
        return self.named[MEAN + name + START] - self.named[OWN + name + START]

    def taken(self, name: str, state: Mapping[str, Tensor], rate: Any) -> None:
        """Add up the rates."""
        walked = state[WALKED + name]
        walked.copy_(walked + (rate.to(torch.float64) if isinstance(rate, Tensor) else float(rate)))
