"""SCAFFOLD: its strategy, and what of a round its control variates are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._export.lower import GraphInput, lower
from .._export.step import NEXT, TrainingStep
from .._export.trace import trace
from .._export.variates import MEAN, OWN, WALKED
from ..manifest import Draft, Json, Step, total, value, variable
from ._fedavg import FedAvg, GradResultStrategy, ResultStrategy

Named = Mapping[str, Tensor]
SENT, WEIGHT, WEIGHTS = "scaffold.", "scaffold.weight", "scaffold.weights"


@dataclass
class Scaffold(FedAvg):
    """Federated averaging with control variates, against members that drift apart (Karimireddy et al. 2020, arXiv:1910.06378).

    Each member keeps a variate ``c_i``, the mean gradient of its last round (option II of the paper), and the coordinator the
    mean ``c`` of them all. Every step of a member's SGD takes ``c_i`` from the gradient and adds ``c``, so that it goes where
    all members' rows lead, not its own alone. Your ``train`` needs nothing of it. Members send as much again as with
    :class:`FedAvg`: with the change of the parameters that of the variates, both in the same sums.

    A member that misses rounds, or whose contribution is not in the sum, has the variate of the last sum that it was in, and
    ``c`` has that one, too. Who comes for the first time has zeros.

    Parameters
    ----------
    server_learning_rate : float
        How far the coordinator goes; 1 is to the mean.
    population : int, optional
        The number of members in the paper's ``c = c + |S| / N * mean``, those that never took part included, at least
        ``max_clients``; with ``weighting="mean"`` only. When not said, ``c`` is the mean over the members that have taken part
        so far.
    min_clients, max_clients, merge_epoch, merge_iteration, wait_timeout, connection_timeout, precision, curve
        As in :class:`FedAvg`.
    select_strategy, verify_timeout, weighting, name
        As there. The paper counts members (``weighting="mean"``); by default models and variates count by rows.
    result_strategy : type of ResultStrategy
        By default :class:`GradResultStrategy`.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        As there.
    bound, rounding, transport : optional
        As there.

    Raises
    ------
    ValueError
        A value cannot work; the text names the argument.
    """

    result_strategy: type[ResultStrategy] = GradResultStrategy
    server_learning_rate: float = field(default=1.0, kw_only=True)
    population: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the two numbers."""
        if not self.server_learning_rate > 0:
            raise ValueError(f"server_learning_rate={self.server_learning_rate!r}: must be greater than 0")
        super().__post_init__()
        if self.population is not None and self.population < self.max_clients:
            raise ValueError(f"population={self.population!r}: must be at least max_clients, {self.max_clients}")
        if self.population is not None and self.weighting != "mean":
            raise ValueError(
                "population: members that never took part have no rows to count; say weighting='mean', or leave it out"
            )

    def aggregate(self, mean: Named, old: Named, state: Named) -> tuple[Named, Named]:
        """Go to the mean, or as far as the learning rate says.

        Parameters
        ----------
        mean, old, state : mapping of str to torch.Tensor
            As in :class:`LearningStrategy`.

        Returns
        -------
        tuple of two dicts of str to torch.Tensor
            As there.
        """
        return {k: old[k] + self.server_learning_rate * (mean[k] - old[k]) for k in mean}, state


@dataclass
class Variates:
    """The part of a round that is about control variates.

    ``names``: the entries that have one. ``weighted``: whether members count by their rows, which ``rows`` is the value of.
    ``kind``: in which type an entry's change is sent.
    """

    step: TrainingStep
    names: Sequence[str]
    weighted: bool
    population: int | None
    kind: Callable[[str], torch.dtype]
    rows: str = "rows"

    def server(self) -> dict[str, Tensor]:
        """Variables of the coordinator."""
        if not self.names:
            return {}
        means = {MEAN + n: self.step.fixed[MEAN + n] for n in self.names}
        return means if self.population else means | {WEIGHTS: torch.zeros((), dtype=torch.float64)}

    def client(self) -> dict[str, Tensor]:
        """Variables of each member, beside those of the training step."""
        return {} if not self.names else {WEIGHT: torch.zeros((), dtype=torch.float64)}

    def contribute(self) -> list[tuple[str, str, tuple[int, ...]]]:
        """What leaves a member."""
        made = []
        for n in self.names:
            shape = tuple(self.step.state[n].shape)
            made.append((SENT + n, "f32" if self.kind(n) == torch.float32 else "f64", shape))
        return made + ([(WEIGHT, "f64", ())] if self.names and not self.population else [])

    def assign(self) -> dict[str, str]:
        """What members keep."""
        if not self.names:
            return {}
        return {OWN + n: OWN + n + NEXT for n in self.names} | {WEIGHT: WEIGHT + NEXT}

    def outputs(self) -> dict[str, str]:
        """Variables of the coordinator, and the values that they become."""
        return {v: v + NEXT for v in self.server()}

    def at_members(self, draft: Draft) -> list[Step]:
        """The new variates, and how they differ from the old ones, by the weights that the member has and had."""
        if not self.names:
            return []
        one = torch.ones((), dtype=torch.float64)
        inputs: dict[str, tuple[Tensor, Json]] = {WEIGHT: (one, variable(WEIGHT)), self.rows: (one, value(self.rows))}
        for n in self.names:
            x = self.step.state[n]
            inputs[n], inputs[n + NEXT] = (x, variable(n)), (x, value(n + NEXT))
            inputs[WALKED + n] = (one, value(WALKED + n + NEXT))
            inputs |= {prefix + n: (x, variable(prefix + n)) for prefix in (OWN, MEAN)}

        def change(named: dict[str, Tensor]) -> dict[str, Tensor]:
            before = named[WEIGHT]
            now = named[self.rows] if self.weighted else torch.clamp(named[self.rows], max=1.0)
            out = {WEIGHT + NEXT: now, WEIGHT + ".sent": now - before}
            for n in self.names:
                x, y, own, mean = (named[k].to(torch.float64) for k in (n, n + NEXT, OWN + n, MEAN + n))
                walked = named[WALKED + n]
                moved = own - mean + (x - y) / torch.where(walked > 0.0, walked, 1.0)
                out[OWN + n + NEXT] = new = torch.where(walked > 0.0, moved, own).to(named[n].dtype)
                out[f"{SENT}{n}.sent"] = (now * new.to(torch.float64) - before * own).to(self.kind(n))
            return out

        keep = {SENT + n + ".sent": SENT + n for n in self.names}
        keep |= {v: v for v in self.assign().values()} | ({} if self.population else {WEIGHT + ".sent": WEIGHT})
        return [_step(draft, "variates", change, inputs, keep)]

    def at_coordinator(self, draft: Draft) -> list[Step]:
        """The new mean of all."""
        if not self.names:
            return []
        one = torch.ones((), dtype=torch.float64)
        inputs: dict[str, tuple[Tensor, Json]] = {}
        for n in self.names:
            inputs[SENT + n] = (self.step.state[n].to(self.kind(n)), total(SENT + n))
            inputs[MEAN + n] = (self.step.state[n], variable(MEAN + n))
        if not self.population:
            inputs |= {WEIGHTS: (one, variable(WEIGHTS)), WEIGHT: (one, total(WEIGHT))}

        def mean(named: dict[str, Tensor]) -> dict[str, Tensor]:
            out: dict[str, Tensor] = {}
            for n in self.names:
                old, sums = named[MEAN + n].to(torch.float64), named[SENT + n].to(torch.float64)
                if self.population:
                    new = old + sums / float(self.population)
                else:
                    after = named[WEIGHTS] + named[WEIGHT]
                    new = (old * named[WEIGHTS] + sums) / torch.where(after > 0.5, after, 1.0)
                    out[WEIGHTS + NEXT] = after
                out[MEAN + n + NEXT] = new.to(named[MEAN + n].dtype)
            return out

        return [_step(draft, "variates.mean", mean, inputs, {o: o for o in self.outputs().values()})]


def _step(
    draft: Draft,
    name: str,
    function: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    inputs: Mapping[str, tuple[Tensor, Json]],
    keep: Mapping[str, str],
) -> Step:
    traced = trace(function, [GraphInput(n, t) for n, (t, _) in inputs.items()])
    traced = traced.keep(list(keep))
    graph = draft.graph(name, lower(traced.graph, traced.inputs, traced.outputs))
    return Step(graph, {i.name: inputs[i.name][1] for i in traced.inputs}, dict(keep))
