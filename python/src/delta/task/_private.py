"""From each record's gradients to the rounds of a task under privacy: one noised sum and one step a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._export.gradients import LEFT, RECORDS, RIGHT, GradientStep
from .._export.model import Entry
from ..manifest import Draft, Json, Map, Reduce, Step, accumulate, left, records, right, total, variable
from ..privacy import Plan as Noise
from ._fedavg import LearningStrategy
from ._resume import Resumed
from ._rounds import initial_of, model_result, on_and_on
from ._strategies import FedBN, FedProx
from ._variates import Scaffold


@dataclass
class PrivatePlan:
    """All that the rounds under privacy are made of. ``published``: entries by the keys of ``state_dict()``."""

    draft: Draft
    step: GradientStep
    published: Mapping[str, Entry]
    sources: Mapping[str, Json]
    dataset: str
    rows: Json
    noise: Noise
    keep_optimizer: bool
    max_rounds: int
    resumed: Resumed | None = None
    """What the task goes on with; ``max_rounds`` counts the rounds before."""

    def write(self) -> None:
        """Fill the draft: variables, graphs, rounds, outputs, what the noise costs, and how the result is to be read."""
        step, draft = self.step, self.draft
        if self.noise.columns:
            draft.table(self.dataset, self.noise.columns)
        for name, initial in (step.read | step.state).items():
            begun = name in step.changed and (self.keep_optimizer or name not in step.optimizer_state)
            resumed = self.resumed if begun else None
            draft.variable(name, "server", initial_of(initial) if resumed is None else resumed.value(name, initial))
        graph = draft.graph("gradients", step.graph)
        sums = {**step.gradients, RECORDS: ()}
        inputs = {n: variable(n) for n in step.read} | {n: self.sources[n] for n in step.batch_inputs}
        driver = records(self.dataset, subset=self.rows, **self.noise.driver())
        targets = {n: accumulate(n) for n in sums if n not in step.products}
        for name in sorted(step.products):
            targets |= {name + LEFT: left(name), name + RIGHT: right(name)}
        computing = Step(graph, inputs, targets, driver)
        stepping = Step(
            draft.graph("step", step.update),
            {n: total(n) if n in sums else variable(n) for n in step.update_inputs},
            {f"{n}.next": f"{n}.next" for n in step.changed},
        )
        kept = [n for n in step.changed if self.keep_optimizer or n not in step.optimizer_state]
        contribute = [(n, "f64", shape) for n, shape in sums.items()]
        done = 0 if self.resumed is None else self.resumed.done
        stepped = Reduce([stepping], {n: f"{n}.next" for n in kept})
        draft.round(Map([computing], contribute), stepped, self.max_rounds - done)
        keys = {k: e for k, e in self.published.items() if e.name in step.entries}
        draft.outputs = list(dict.fromkeys(e.name for e in keys.values()))
        state = [n for n in kept if n not in draft.outputs]
        draft.outputs += state
        draft.options["result"] = [model_result(keys, {}) | on_and_on(self.resumed, self.max_rounds, {}, state)]
        draft.options["privacy"] = self.noise.json()


def refuse(
    strategy: LearningStrategy, validate_interval: int | None, *, member: bool, personal: Sequence[str] = ()
) -> None:
    """Refuse what says something of rounds that rounds under privacy are not; ``member``: noise for whole members.

    Raises ``ValueError`` that names the argument.
    """
    one = "under privacy each round goes once over all rows of its members and takes one step with the mean gradient"
    kept = "under privacy nothing is kept at a member: its rounds are sums over records and nothing else"
    need = [
        (
            not isinstance(strategy, Scaffold),
            f"strategy={type(strategy).__name__}",
            "control variates are a second vector of every member, which no bound is meant for: take FedAvg under privacy",
        ),
        (
            member or type(strategy).aggregate is LearningStrategy.aggregate,
            f"strategy={type(strategy).__name__}",
            "under privacy the coordinator takes the step of the task's own optimizer with the mean gradient, and there are no "
            "members' models to average: give the task that optimizer, with FedAvg, or take delta.Privacy(member=True)",
        ),
        (
            member or not isinstance(strategy, FedProx),
            f"strategy={type(strategy).__name__}",
            "under privacy members take no steps of their own, which could lead away from the model of the round's start; take "
            "FedAvg, or delta.Privacy(member=True)",
        ),
        (
            member or not isinstance(strategy, FedBN),
            f"strategy={type(strategy).__name__}",
            f"{kept}; batch norm mixes records besides: use LayerNorm or GroupNorm, or take delta.Privacy(member=True)",
        ),
        (
            member or not personal,
            f"personal={list(personal)}",
            f"{kept}; leave it out, or take delta.Privacy(member=True)",
        ),
        (member or strategy.merge_iteration == 0, f"merge_iteration={strategy.merge_iteration}", f"{one}; leave it 0"),
        (
            member or strategy.merge_epoch == 1,
            f"merge_epoch={strategy.merge_epoch}",
            f"{one}; leave it 1, and ask for more rounds",
        ),
        (
            member or strategy.weighting == "samples",
            f"weighting={strategy.weighting!r}",
            "under privacy every record counts alike",
        ),
        (
            member or not strategy.result_strategy.difference,
            f"result_strategy={strategy.result_strategy.__name__}",
            "under privacy members contribute gradients; leave it out",
        ),
        (
            not validate_interval,
            f"validate_interval={validate_interval}",
            "under privacy nothing is measured at the nodes, because each measurement would cost as much as a step: "
            "leave it out, and measure the result on rows of your own",
        ),
    ]
    for ok, given, rule in need:
        if not ok:
            raise ValueError(f"{given}: {rule}")
