"""How a metric is spread over the members: each says in which bin its own is, and what is summed is how many are in each.

Nobody learns whose number it was, as the sum of one member alone is never made: there is no secure sum over one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .._export.lower import GraphInput, lower
from .._export.trace import trace
from .._export.validation import METRIC, Validation, places
from .._metrics import entry
from ..manifest import Draft, Step, total, value

MOST_EDGES = 64
LEAST_CLIENTS = 3
"""Of two members each knows its own bin, and with it the other's."""


@dataclass
class Sites:
    """The metrics whose spread is asked for, with the edges of their bins."""

    edges: Mapping[str, Sequence[float]]
    sums: list[tuple[str, str, tuple[int, ...]]] = field(init=False)
    """What members contribute."""

    def __post_init__(self) -> None:
        """Name what is contributed."""
        self.names = {m: f"sites.{i}" for i, m in enumerate(self.edges)}
        self.sums = [(self.names[m], "f64", (len(e) + 1,)) for m, e in self.edges.items()]

    @property
    def metrics(self) -> dict[str, tuple[int, ...]]:
        """What the spread is called, and its shape."""
        return {f"{m}.sites": (len(e) + 1,) for m, e in self.edges.items()}

    def at_member(self, draft: Draft, made: Validation) -> list[Step]:
        """From a member's own sums to the bins of its own metrics.

        Raises ``ValueError`` for a metric that there is not, or that is an array.
        """
        for metric in self.edges:
            if made.metrics.get(metric, ()) or metric not in made.metrics:
                known = ", ".join(m for m, shape in made.metrics.items() if not shape)
                raise ValueError(f"sites: {metric!r} is no number that validate() returns; it returns {known}")
            if f"{metric}.sites" in made.metrics:
                raise ValueError(f"sites: validate() returns a metric '{metric}.sites' of its own; rename it")
        own = {m: f"own.{i}" for i, m in enumerate(self.edges)}
        scored = Step(
            draft.graph("score", made.final),
            {n: value(n) for n in made.final_inputs},
            {METRIC + m: name for m, name in own.items()},
        )

        def bins(named: dict[str, Tensor]) -> dict[str, Tensor]:
            out = {}
            for metric, edges in self.edges.items():
                at = named[own[metric]].reshape(1)
                above = (at >= torch.tensor(list(edges), dtype=torch.float64)).to(torch.float64)
                one = torch.ones(1, dtype=torch.float64)
                # What is no number is in no bin.
                out[self.names[metric]] = (torch.cat([one, above]) - torch.cat([above, 0 * one])) * (at == at).to(
                    torch.float64
                )
            return out

        traced = trace(bins, [GraphInput(n, torch.ones((), dtype=torch.float64)) for n in own.values()])
        graph = draft.graph("sites", lower(traced.graph, traced.inputs, traced.outputs))
        return [
            scored,
            Step(graph, {i.name: value(i.name) for i in traced.inputs}, {n: n for n in self.names.values()}),
        ]

    def at_coordinator(self, draft: Draft) -> tuple[list[Step], dict[str, str], dict[str, str]]:
        """Steps, what variables become, and what is shown: the counts, and each of them."""
        shown, entries = {}, {}
        for metric, (length,) in self.metrics.items():
            name = self.names[metric.removesuffix(".sites")]
            for place in places((length,)):
                entries[f"{name}.{place[0]}"] = (name, place[0])
                shown[entry(metric, place)] = f"{name}.{place[0]}"

        def each(named: dict[str, Tensor]) -> dict[str, Tensor]:
            return {output: named[name][place] for output, (name, place) in entries.items()}

        shapes = dict(zip(self.names.values(), (shape for _, _, shape in self.sums), strict=True))
        traced = trace(each, [GraphInput(n, torch.ones(s, dtype=torch.float64)) for n, s in shapes.items()])
        graph = draft.graph("spread", lower(traced.graph, traced.inputs, traced.outputs))
        step = Step(graph, {i.name: total(i.name) for i in traced.inputs}, {o: o for o in traced.outputs})
        return [step], {self.variable(m): self.names[m] for m in self.edges}, shown

    def variable(self, metric: str) -> str:
        """The variable with the counts of a metric."""
        return f"metrics.{self.names[metric]}"


def checked(given: Mapping[str, Sequence[float]] | None, min_clients: int, *, measured: bool) -> dict[str, list[float]]:
    """What an author asks for.

    Raises ``ValueError`` that says what cannot be.
    """
    made: dict[str, list[float]] = {}
    for metric, edges in (given or {}).items():
        numbers = np.asarray(list(edges), float)
        if not 1 <= numbers.size <= MOST_EDGES or not np.isfinite(numbers).all() or (np.diff(numbers) <= 0).any():
            raise ValueError(
                f"sites: the edges of {metric!r} must be 1 to {MOST_EDGES} numbers, each above the one before"
            )
        made[str(metric)] = numbers.tolist()
    if made and not measured:
        raise ValueError("sites: nothing is measured at the nodes of this task")
    if made and min_clients < LEAST_CLIENTS:
        raise ValueError(
            f"sites: min_clients={min_clients} of the strategy must be at least {LEAST_CLIENTS}: of two members each would learn "
            "where the other is"
        )
    return made
