"""From a traced training step and validation to the rounds of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._export.conditions import BATCHES
from .._export.lower import GraphInput, lower
from .._export.model import Entry
from .._export.step import AFTER, BEFORE, END, NEXT, START, Aside, TrainingStep
from .._export.trace import trace
from .._export.validation import METRIC, Validation
from .._export.variates import MEAN, WALKED
from ..manifest import (
    Draft,
    Json,
    Map,
    Reduce,
    Step,
    accumulate,
    batch_size,
    carry,
    clients,
    noise,
    subset,
    total,
    value,
    variable,
)
from ..privacy import Plan as Noise
from ._fedavg import LearningStrategy
from ._loaders import Loading
from ._resume import Resumed, warn_of_lost
from ._server import Server, server
from ._sites import Sites
from ._variates import Scaffold, Variates

ROWS, MEMBERS = "rows", "members"


@dataclass
class Plan:
    """All that a learning task's rounds are made of. ``published``: entries by the keys of ``state_dict()``."""

    draft: Draft
    strategy: LearningStrategy
    step: TrainingStep
    published: Mapping[str, Entry]
    sources: Mapping[str, Json]
    dataset: str
    training: Loading
    train_rows: Json
    seed: int
    keep_optimizer: bool
    max_rounds: int
    validation: Validation | None = None
    validating: Loading | None = None
    validation_rows: Json | None = None
    validate_interval: int = 1
    sites: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Metrics whose spread over the members is asked for, with the edges of their bins."""
    noise: Noise | None = None
    """For whole members: then each adds the difference of its parameters, and counts once."""
    personal: Sequence[str] = ()
    """The keys of what is asked to stay at each member; it is not in ``published``."""
    resumed: Resumed | None = None
    """What the task goes on with; ``max_rounds`` counts the rounds before."""

    @property
    def done(self) -> int:
        """Rounds before the task's first."""
        return 0 if self.resumed is None else self.resumed.done

    def write(self) -> None:
        """Fill the draft: variables, graphs, rounds, outputs, and how the result is to be read."""
        if self.resumed is not None and isinstance(self.strategy, Scaffold):
            raise ValueError(
                "resume_from with Scaffold: the variates of members never left them, and that of the coordinator means nothing "
                "without them; begin anew from the parameters, result.load_into(task.model)"
            )
        names = {e.name for e in self.published.values()}
        self.difference = self.strategy.result_strategy.difference or self.noise is not None
        self.weighted = self.strategy.weighting == "samples" and self.noise is None
        if self.noise is not None:
            self.draft.options["privacy"] = self.noise.json()
        self.merged = {n: e for n, e in self.step.entries.items() if n in names}
        self.server: Server = server(self.strategy, self.merged, self.published)
        self.variates = Variates(
            self.step,
            [n for n in self.merged if n in self.step.controlled],
            self.weighted,
            self.strategy.population if isinstance(self.strategy, Scaffold) else None,
            self._sent,
        )
        self._variables()
        training, averaging = self._training(), self._averaging()
        if self.validation is None:
            self.draft.round(
                self._map([*training, *self._weighing()], ()),
                Reduce(averaging, self._averaged()),
                self.max_rounds - self.done,
            )
        else:
            self._with_validation([*training, *self._weighing()], averaging)
        keys = {k: e for k, e in self.published.items() if e.name in self.merged}
        state = [*self.step.rounds, *self.server.state]
        self.draft.outputs = (
            list(dict.fromkeys([e.name for e in keys.values()])) + state + list(self._metrics().values())
        )
        going_on = on_and_on(self.resumed, self.max_rounds, self.strategy.length, state)
        self.draft.options["result"] = [model_result(keys, self._metrics(), self.personal) | going_on]
        if self.resumed is not None:
            lost = [n for n in self.step.state if n not in self.merged and self._kept(n)]
            warn_of_lost(lost, self.step.entries, self.step.optimizer_state)

    # ---------------------------------------------------------------- variables
    def _variables(self) -> None:
        for name, initial in self.step.state.items():
            if name in self.merged:
                self.draft.variable(name, "server", self._begun(name, initial))
            else:
                self.draft.variable(name, "client", initial_of(initial))
        for name, initial in (self.step.rounds | self.server.state | self.variates.server()).items():
            self.draft.variable(name, "server", self._begun(name, initial))
        fixed = {n: t for n, t in self.step.fixed.items() if not n.startswith(MEAN)} | self.variates.client()
        if self.validation is not None:
            fixed |= {n: t for n, t in self.validation.entries.items() if n not in self.step.state}
            for metric, name in self._metrics().items():
                self.draft.variable(name, "server", shape=(self.validation.metrics | self._spread.metrics)[metric])
        for name, initial in fixed.items():
            # Never sent: it comes once, with the bundle.
            self.draft.variable(name, "client", initial_of(initial))

    def _begun(self, name: str, initial: Tensor) -> np.ndarray[Any, Any]:
        return initial_of(initial) if self.resumed is None else self.resumed.value(name, initial)

    def _metrics(self) -> dict[str, str]:
        if self.validation is None:
            return {}
        plain = {m: "metrics." + re.sub(r"[^A-Za-z0-9_.-]", "_", m) for m in self.validation.metrics}
        return plain | {f"{m}.sites": self._spread.variable(m) for m in self.sites}

    @property
    def _spread(self) -> Sites:
        return Sites(self.sites)

    # ---------------------------------------------------------------- at the members
    def _driver(self, loading: Loading, rows: Json, **more: Any) -> Json:
        seed = {"seed": self.seed} if self.seed else {}
        return {
            "kind": "batches",
            "dataset": self.dataset,
            "subset": rows,
            "batch_size": loading.batch_size,
            "shuffle": loading.shuffle,
            "drop_last": loading.drop_last,
        } | seed | more  # fmt: skip

    def _training(self) -> list[Step]:
        """The loop over the batches, and what is before and after it."""
        step, last = self.step, {} if self.step.after is None else dict.fromkeys(self.step.after.changed)
        begun = {n: variable(n) for n in [*step.state, *step.fixed, *step.rounds]}
        begun |= {f"{n}{START}": variable(n) for n in [*step.state, *step.fixed]}
        steps = []
        if step.before is not None:
            kept = {n: f"{n}{BEFORE if n in step.looped or n in last else NEXT}" for n in step.before.changed}
            steps.append(self._aside("before", step.before, begun, {n + BEFORE: v for n, v in kept.items()}))
            begun |= {n: value(v) for n, v in kept.items()}
        looped = {n: f"{n}.looped" if n in last else n + NEXT for n in step.looped}
        steps.append(self._loop(begun, looped))
        if step.after is not None:
            ended = {n + END: value(looped[n]) if n in looped else begun[n] for n in [*step.state, *step.fixed]}
            steps.append(self._aside("after", step.after, begun | ended, {n + AFTER: n + NEXT for n in last}))
        return steps

    def _aside(self, name: str, aside: Aside, sources: Mapping[str, Json], outputs: Mapping[str, str]) -> Step:
        return Step(self.draft.graph(name, aside.graph), {n: sources[n] for n in aside.inputs}, dict(outputs))

    def _loop(self, begun: Mapping[str, Json], looped: Mapping[str, str]) -> Step:
        step = self.step
        inputs = {n: begun[n] for n in step.inputs if n in begun}
        inputs |= {n: self.sources[n] for n in step.batch_inputs} | {ROWS: batch_size()}
        inputs |= {d.name: noise("uniform" if d.distribution == "uniform" else "normal", d.shape) for d in step.draws}
        outputs: dict[str, str | Json] = {n + NEXT: carry(n, v) for n, v in looped.items()}
        graph = self.draft.graph("train", step.graph)
        length = self.strategy.length
        after = {} if self.resumed is None else self.resumed.after(length)
        fast = None if step.graph_onnxruntime is None else self.draft.graph("train.onnxruntime", step.graph_onnxruntime)
        return Step(
            graph,
            inputs,
            outputs | {ROWS + NEXT: accumulate(ROWS)},
            self._driver(self.training, self.train_rows, length=length, resume=True, **after),
            fast if fast != graph else None,
        )

    @property
    def _plain(self) -> bool:
        """Whether parameters are contributed as they are."""
        return not self.weighted and not self.difference

    def _sent(self, name: str) -> torch.dtype:
        """In which type it is contributed: single numbers stay single, as half of what moves; under noise all are double."""
        single = self.noise is None and self.step.state[name].dtype == torch.float32
        return torch.float32 if single else torch.float64

    def _contributed(self, name: str) -> str:
        return f"{name}.next" if self._plain else name

    def _weighing(self) -> list[Step]:
        if self._plain:
            return [*self._counting(), *self.variates.at_members(self.draft)]
        difference, weighted = self.difference, self.weighted
        inputs = [GraphInput(f"{n}.next", self.step.state[n]) for n in self.merged]
        inputs += [GraphInput(n, self.step.state[n]) for n in self.merged if difference]
        inputs += [GraphInput(ROWS, torch.ones((), dtype=torch.float64))] if weighted else []

        def weigh(named: dict[str, Tensor]) -> dict[str, Tensor]:
            out = {}
            for name in self.merged:
                kind = self._sent(name)
                sent = named[f"{name}.next"].to(kind)
                sent = sent - named[name].to(kind) if difference else sent
                out[f"{name}.sent"] = sent * named[ROWS].to(kind) if weighted else sent
            return out

        traced = trace(weigh, inputs)
        sources = (
            {f"{n}.next": value(f"{n}.next") for n in self.merged}
            | {n: variable(n) for n in self.merged}
            | {ROWS: value(ROWS)}
        )
        graph = self.draft.graph("weigh", lower(traced.graph, traced.inputs, traced.outputs))
        weighed = Step(graph, {i.name: sources[i.name] for i in traced.inputs}, {f"{n}.sent": n for n in self.merged})
        return [weighed, *self._counting(), *self.variates.at_members(self.draft)]

    def _counting(self) -> list[Step]:
        """That this member is in the mean: one that could not compute contributes zeros, and is not."""
        if self.weighted or self.noise is not None:
            return []
        one = GraphInput(ROWS, torch.ones((), dtype=torch.float64))
        traced = trace(lambda named: {f"{MEMBERS}.one": torch.clamp(named[ROWS], max=1.0)}, [one])
        graph = self.draft.graph("count", lower(traced.graph, traced.inputs, traced.outputs))
        return [Step(graph, {ROWS: value(ROWS)}, {f"{MEMBERS}.one": MEMBERS})]

    def _map(self, steps: list[Step], sums: tuple[tuple[str, str, tuple[int, ...]], ...]) -> Map:
        contribute: list[tuple[str, str, tuple[int, ...]]] = []
        for name in self.merged:
            kind = "f32" if self._sent(name) == torch.float32 else "f64"
            contribute.append((self._contributed(name), kind, tuple(self.step.state[name].shape)))
        if self.noise is None:
            contribute.append((ROWS if self.weighted else MEMBERS, "f64", ()))
        contribute += self.variates.contribute()
        assign = {n: f"{n}.next" for n in self.step.state if n not in self.merged and self._kept(n)}
        assign |= self.variates.assign()
        return Map(steps, [*contribute, *sums], assign, None if self.noise is None else self.noise.of_map())

    def _kept(self, name: str) -> bool:
        """Whether a member keeps it for the next round: schedules and personal parameters always, what a round counts never."""
        if name.startswith(WALKED) or name == BATCHES:
            return False
        return self.keep_optimizer or name not in self.step.optimizer_state

    # ---------------------------------------------------------------- at the coordinator
    def _averaged(self) -> dict[str, str]:
        averaged = {n: f"{n}.mean" for n in self.merged} | {n: f"{n}.mean" for n in self.step.rounds}
        return averaged | self.server.outputs() | self.variates.outputs()

    def _averaging(self) -> list[Step]:
        difference = self.difference
        parts = ROWS if self.weighted else MEMBERS
        inputs = [GraphInput(self._contributed(n), self._sum(n)) for n in self.merged]
        old = [n for n in self.merged if difference or n in self.server.keys]
        inputs += [GraphInput(f"{n}.old", self.step.state[n]) for n in old]
        inputs += [GraphInput(n, t) for n, t in (self.step.rounds | self.server.state).items()]
        inputs += [GraphInput(parts, torch.ones((), dtype=torch.float64))]

        def average(named: dict[str, Tensor]) -> dict[str, Tensor]:
            made: dict[str, Tensor] = {}
            for name in self.merged:
                # A strategy of the coordinator's own takes small differences of these.
                kind = torch.float64 if name in self.server.keys else self._sent(name)
                mean = named[self._contributed(name)].to(kind) / named[parts].to(kind)
                made[name] = mean + named[f"{name}.old"].to(kind) if difference else mean
            state: dict[str, Tensor] = {}
            if self.server.keys:
                means = {n: made[n] for n in self.server.keys}
                before = {n: named[f"{n}.old"].to(torch.float64) for n in self.server.keys}
                new, state = self.server.apply(means, before, named)
                made |= new
            out = {f"{n}.mean": t.to(self.step.state[n].dtype) for n, t in made.items()}
            return out | {f"{n}.mean": named[n] + 1.0 for n in self.step.rounds} | state

        traced = trace(average, inputs)
        sources = {self._contributed(n): total(self._contributed(n)) for n in self.merged}
        sources |= {f"{n}.old": variable(n) for n in self.merged}
        sources |= {n: variable(n) for n in self.step.rounds | self.server.state}
        # Under noise who could not compute counts, too: whether somebody could may hang on one record.
        sources[parts] = total(parts) if self.noise is None else clients()
        graph = self.draft.graph("average", lower(traced.graph, traced.inputs, traced.outputs))
        averaged = Step(graph, {i.name: sources[i.name] for i in traced.inputs}, {o: o for o in traced.outputs})
        return [averaged, *self.variates.at_coordinator(self.draft)]

    def _sum(self, name: str) -> Tensor:
        return self.step.state[name].to(self._sent(name))

    # ---------------------------------------------------------------- validation
    def _with_validation(self, training: list[Step], averaging: list[Step]) -> None:
        made = self.validation
        assert made is not None and self.validating is not None and self.validation_rows is not None
        sums = tuple((n, "f64", shape) for n, shape in made.sums.items())
        inputs = {n: variable(n) for n in made.entries} | {n: self.sources[n] for n in made.batch_inputs}
        inputs |= {ROWS: batch_size()} if made.rows else {}
        measure = Step(
            self.draft.graph("validate", made.graph),
            inputs,
            {n: accumulate(n) for n in made.sums},
            self._driver(self.validating, self.validation_rows, length={"epochs": 1}),
        )
        variables = self._metrics()
        entries = {output: f"entry.{i}" for i, output in enumerate(made.entries_of_arrays)}
        score = Step(
            self.draft.graph("score", made.final),
            {n: total(n) for n in made.final_inputs},
            {METRIC + m: variables[m] for m in made.metrics} | entries,
        )
        assign = {variables[m]: variables[m] for m in made.metrics}
        shown = {m: variables[m] for m, shape in made.metrics.items() if not shape}
        shown |= {name: entries[output] for output, name in made.entries_of_arrays.items()}
        measuring, scoring = [measure], [score]
        if self.sites:
            spread = self._spread
            steps, own, counts = spread.at_coordinator(self.draft)
            measuring, scoring = [*measuring, *spread.at_member(self.draft, made)], [*scoring, *steps]
            sums, assign, shown = (*sums, *spread.sums), assign | own, shown | counts
        both = Map([*training, *measuring], [*(plain := self._map(training, ())).contribute, *sums], plain.assign)
        measured = Reduce([*averaging, *scoring], self._averaged() | assign, shown)
        # Round r starts from the model of round r - 1, and measures that one; the last round only measures.
        since = 0
        for number in range(self.done, self.max_rounds):
            if number % self.validate_interval == 0:
                self._flush(since, plain, averaging)
                since = 0
                self._add(both, measured)
            else:
                since += 1
        self._flush(since, plain, averaging)
        self.draft.round(Map(measuring, sums), Reduce(scoring, assign, shown))

    def _flush(self, rounds: int, plain: Map, averaging: list[Step]) -> None:
        if rounds:
            self.draft.round(plain, Reduce(averaging, self._averaged()), rounds)

    def _add(self, both: Map, measured: Reduce) -> None:
        """One more round; equal ones in a row are written once."""
        if self.validate_interval == 1 and self.draft.rounds:
            self.draft.rounds[-1]["repeat"] = self.draft.rounds[-1].get("repeat", 1) + 1
        else:
            self.draft.round(both, measured)


def rows_of(split: bool, fraction: float, seed: int) -> tuple[Json, Json]:
    """Which rows are trained on, and which are measured."""
    if split:
        return subset(part="train"), subset(part="val")
    if not fraction:
        # All rows: in their own order, as a loader without shuffle goes.
        return subset(), subset()
    edge = round(1.0 - fraction, 12)
    return subset(0.0, edge, seed), subset(edge, 1.0, seed)


def model_result(keys: Mapping[str, Entry], metrics: Mapping[str, str], personal: Sequence[str] = ()) -> Json:
    """How a model is read from the task's outputs: entries by key, variables of metrics by name, and what is not in it."""
    parameters = {k: {"variable": e.name} | _whole(e) for k, e in keys.items()}
    made: Json = {"kind": "model", "parameters": parameters, "metrics": dict(metrics)}
    return made | ({"personal": list(personal)} if personal else {})


def on_and_on(before: Resumed | None, max_rounds: int, length: Mapping[str, int], state: Sequence[str]) -> Json:
    """What a task needs to know that goes on with this one: its rounds, how long they are, and what the coordinator keeps."""
    done = 0 if before is None else before.done
    made: Json = {"rounds": max_rounds - done, "length": dict(length)}
    made |= {"state": list(state)} if state else {}
    return made | ({} if before is None else {"before": {"rounds": done, "walked": dict(before.walked)}})


def _whole(entry: Entry) -> dict[str, str]:
    return {} if entry.tensor.dtype.is_floating_point else {"dtype": str(entry.tensor.dtype).removeprefix("torch.")}


def initial_of(tensor: Tensor) -> np.ndarray[Any, Any]:
    """A tensor as a variable begins."""
    return np.array(tensor.detach().cpu().numpy(), order="C")
