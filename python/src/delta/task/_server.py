"""What the coordinator makes of a round's mean: a strategy's ``aggregate`` and ``server_state`` within the reduce graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._export.model import Entry
from ._fedavg import LearningStrategy

_PREFIX = "server."
_NEXT = ".next"


@dataclass
class Server:
    """A strategy's hooks, for the entries that they are about.

    ``keys``: by the name of each entry, what it is called in ``state_dict()``. ``state``: server variables, and the initial
    values. Both are empty for a strategy that averages.
    """

    strategy: LearningStrategy
    keys: dict[str, str] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """The variables of what the strategy keeps, by its own names."""

    def outputs(self) -> dict[str, str]:
        """Variables, and the outputs of the graph that they become."""
        return {variable: variable + _NEXT for variable in self.state}

    def apply(
        self, mean: Mapping[str, Tensor], old: Mapping[str, Tensor], named: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """New parameters by the names of their entries, and outputs for the state; in ``named`` are the variables."""
        given = {own: named[variable] for own, variable in self.names.items()}
        made = self.strategy.aggregate(self._by_key(mean), self._by_key(old), given)
        if not isinstance(made, tuple) or len(made) != 2:
            raise ValueError(self._wrong("aggregate() must return two dicts: the new parameters and the new state"))
        new, after = made
        parameters = {n: self._like("parameters", k, new, old[n]) for n, k in self.keys.items()}
        state = {v + _NEXT: self._like("state", own, after, named[v]) for own, v in self.names.items()}
        for what, got, known in (("parameters", new, self.keys.values()), ("state", after, self.names)):
            if unknown := sorted(set(got) - set(known)):
                raise ValueError(
                    self._wrong(f"aggregate() returns {what} of the name {unknown[0]!r}, which there is not")
                )
        return parameters, state

    def _by_key(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {k: tensors[n] for n, k in self.keys.items()}

    def _like(self, what: str, key: str, made: Mapping[str, Tensor], known: Tensor) -> Tensor:
        if key not in made:
            raise ValueError(self._wrong(f"aggregate() returns no {what} of the name {key!r}"))
        if made[key].shape != known.shape:
            shapes = f"{list(made[key].shape)} for {list(known.shape)}"
            raise ValueError(self._wrong(f"aggregate() returns {what} {key!r} in another shape, {shapes}"))
        return made[key].to(known.dtype)

    def _wrong(self, text: str) -> str:
        return f"{type(self.strategy).__name__}: {text}"


def server(strategy: LearningStrategy, merged: Mapping[str, Entry], published: Mapping[str, Entry]) -> Server:
    """Ask a strategy what it keeps; ``merged``: the entries that are averaged, ``published``: by key.

    Raises ``ValueError`` for a state that tasks do not have.
    """
    made = Server(strategy)
    if type(strategy).aggregate is LearningStrategy.aggregate:
        return made
    known = {e.name: k for k, e in reversed(list(published.items()))}
    made.keys = {n: known[n] for n, e in merged.items() if e.trainable}
    declared = strategy.server_state({k: merged[n].tensor.detach().clone() for n, k in made.keys.items()})
    for own, initial in declared.items():
        if not isinstance(initial, Tensor) or initial.dtype not in (torch.float32, torch.float64):
            raise ValueError(made._wrong(f"server_state() gives {own!r}, which is no tensor of float32 or float64"))
        variable = _PREFIX + re.sub(r"[^A-Za-z0-9_.-]", "_", own)
        if variable in made.state:
            raise ValueError(
                made._wrong(f"server_state() has a second name like {own!r}; names are compared as {variable}")
            )
        made.names[own], made.state[variable] = variable, initial.detach().clone()
    return made
