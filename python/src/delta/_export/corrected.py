"""A training step in which something is added to the gradients where an optimizer takes its step.

The author's method stays as it is, and what clips gradients in it does not see what is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .optimizers import Twin
from .training import Tracing


class Corrected(Tracing):
    """A pass whose optimizers add :meth:`term` to the gradients of the entries in ``near``."""

    near: set[str]

    def _step(self, named: dict[str, Tensor]) -> Any:
        self.named = named
        return super()._step(named)

    def term(self, name: str, parameter: Tensor) -> Tensor:
        """What is added to the gradient of an entry, for one that goes downhill."""
        raise NotImplementedError

    def taken(self, name: str, state: Mapping[str, Tensor], rate: Any) -> None:
        """An entry has moved at this learning rate."""

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
                for index, group in enumerate(made.param_groups):
                    for parameter in group["params"]:
                        if parameter.grad is not None and (entry := names.get(id(parameter))) is not None:
                            own.append((parameter, parameter.grad))
                            term = self.term(entry, parameter)
                            # Who climbs takes the step that goes against the gradient.
                            parameter.grad = parameter.grad + (-term if group.get("maximize") else term)
                            self.taken(entry, state, made.rate(index))
            try:
                return taken(closure)
            finally:
                for parameter, gradient in own:
                    parameter.grad = gradient

        made.step = step  # type: ignore[assignment, method-assign]
        return made
