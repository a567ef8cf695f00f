"""What members and coordinator do in each round of a regression."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from .. import manifest as m
from ..graph import Graph, Value
from ..privacy import Privacy
from ..task import HorizontalTask
from . import _robust
from ._inputs import Inputs
from ._options import Options
from ._sample import Moments, Sample
from ._system import Plan, system_graph, update_graph

TINY = 2.0**-200
"""What is below, 6e-61, counts as nothing in scores and curvatures."""


class Rounds(HorizontalTask):
    """The rounds of a regression, from what each row adds to the next parameters."""

    centred: ClassVar[bool] = False
    classes: int
    privacy: Privacy | None
    # How many parameters there are beside the columns', each for itself.
    _apart: ClassVar[int] = 0
    # What stands for y in rows that do not count.
    _filler: ClassVar[float] = 0.0

    @abc.abstractmethod
    def valid(self, g: Graph, y: Value) -> Value:
        """Whether each ``y`` can be explained: for every kind of regression something else.

        Parameters
        ----------
        g : Graph
            The member's graph.
        y : Value
            ``f64 [rows, 1]``.

        Returns
        -------
        Value
            ``bool [rows, 1]``.
        """

    @abc.abstractmethod
    def moments(self, s: Sample) -> Moments:
        """Return what each row adds to log-likelihood, score and Hessian at the current parameters.

        Parameters
        ----------
        s : Sample
            The member's rows.

        Returns
        -------
        Moments
            Of each row; nothing is summed over rows here, nodes do that.
        """

    def _plan(self, options: Options, given: Inputs, whole: int, tallies: list[str]) -> Plan:
        """Return how the coordinator searches."""
        again = _robust.needs_inverse(options.cov_type)
        return Plan(options, whole, tuple(tallies), self.centred, apart=self._apart, inverse=again)

    def _rounds(
        self, draft: m.Draft, options: Options, given: Inputs, whole: int, kept: Mapping[str, tuple[int, ...]]
    ) -> None:
        dataset, columns = given.reads()
        tallies = ["kept"] if self.privacy else ["kept", *(["missing"] if options.missing != "ignore" else []), "wrong"]
        plan = self._plan(options, given, whole, tallies)
        known = plan.known()
        for name, (shape, initial) in plan.variables().items():
            draft.variable(name, "server", np.full(shape, initial))
        rows = {"rows": m.data(dataset, m.columns(columns))}
        state = {n: m.variable(n) for n in known}
        gather, sent = self._gather(given, plan, known)
        driver, noise = self._driver(draft, dataset, options.maxiter + 1 + plan.again)
        summed: m.Json = {n: n if noise else m.accumulate(n) for n in sent}
        member = m.Step(draft.graph("member", gather.bytes()), rows | state, summed, driver)
        system, update = system_graph(plan, sent), update_graph(plan)
        plain = ("a", "b", "stop", "norm", "unit", "still", "divisor")
        made = {n: f"next.{n}" for n in system.outputs if n not in plain}
        reads = {f"sum.{n}": m.total(n) for n in sent} | {f"was.{n}": m.variable(n) for n in plan.reads()}
        values = [n for n in update.inputs if n not in ("params", "step", "gained", "rate")]
        reduce = [
            m.Step(draft.graph("system", system.bytes()), reads, made | {n: n for n in plain if n in system.outputs}),
            m.Step(None, {"a": m.value("a"), "b": m.value("b")}, {"x": "move"}, m.solve(0.0)),
            m.Step(
                draft.graph("update", update.bytes()),
                {n: m.variable(n) for n in ("params", "step", "gained", "rate")} | {n: m.value(n) for n in values},
                {n: n for n in update.outputs},
            ),
        ]
        assign = {n: f"next.{n}" for n in ("params", *kept, *plan.variables()) if n != "norm"} | {"norm": "norm"}
        assign |= {"centre": "next.centre"} if self.centred else {}
        counts = {"tally", "counts", "clusters", "alone"}
        exact = set(sent) - counts if self.privacy is None and self.strategy.exact else set()
        map = m.Map([member], [(n, "f64", s) for n, s in sent.items()], noise=noise, exact=exact)
        solved = m.Reduce(reduce, assign, {"log-likelihood": "next.loglike", "score": "norm"}, stop="stop")
        # Of other members the later rounds would say the same things again: what the two differ in is one member's own.
        draft.round(map, solved)
        draft.round(map, solved, options.maxiter + plan.again, cohort="same")

    def _driver(self, draft: m.Draft, dataset: str, rounds: int) -> tuple[m.Json | None, m.Json | None]:
        """Return the driver of the members' step and the noise of their map, and note in the draft what it costs."""
        if self.privacy is None:
            return m.records(dataset), None
        plan = self.privacy.plan(rounds)
        draft.table(dataset, plan.columns)
        draft.options["privacy"] = plan.json()
        if noise := plan.of_map():
            return None, noise
        return m.records(dataset, **plan.driver()), None

    def _gather(
        self, given: Inputs, plan: Plan, known: Mapping[str, tuple[int, ...]]
    ) -> tuple[Graph, dict[str, tuple[int, ...]]]:
        """Return the members' graph, and the sums of what it says of each row, with shapes."""
        g = Graph("member")
        rows = g.input("rows", "f64", ["rows", len(given.reads()[1])])
        state = {n: g.input(n, "f64", shape) for n, shape in known.items()}
        made, selected = given.emit(g, rows)
        xs, ys = made.pop("x"), made.pop("y")
        groups = made.pop("groups", None)
        both = g.concat(xs, ys, *made.values(), axis=1)
        chosen = g.equal(ys, ys) if selected is None else g.unsqueeze(selected, 1)
        chosen = g.or_(chosen, g.not_(chosen)) if selected is None else chosen
        gaps = both if groups is None else g.concat(both, groups, axis=1)
        missing = g.greater(g.sum(g.cast(g.is_nan(gaps), "f64"), 1, keepdims=True), 0.5)
        infinite = g.greater(g.sum(g.cast(g.greater(g.abs(both), np.finfo(float).max), "f64"), 1, keepdims=True), 0.5)
        wrong = g.or_(infinite, g.not_(self._possible(g, ys, made)))
        if groups is not None:
            wrong = g.or_(wrong, g.less(g.sum(groups, 1, keepdims=True), 0.5))
            groups = g.where(missing, 0.0, groups)
        present = g.and_(chosen, g.not_(missing))
        keep = g.and_(present, g.not_(wrong))
        zeros = {
            n: g.where(keep, v, 1.0 if n in ("freq_weights", "var_weights", "exposure") else 0.0)
            for n, v in made.items()
        }
        x0, y0 = g.where(keep, xs, 0.0), g.where(keep, ys, self._filler)
        sample = self._sample(
            Sample(g, x0, y0, g.cast(keep, "f64"), state["params"], state.get("centre", 0.0)), zeros, state
        )
        moments = self.moments(sample)
        size = plan.size - plan.apart
        triangle = size * (size + 1) // 2
        sent = self._blocks(g, moments, {"score": (plan.size,), "hessian": (triangle + plan.apart,), "loglike": ()})
        sent |= _robust.blocks(plan.options.cov_type, sample, moments, size, state.get("inverse"), groups)
        counted = {"kept": keep, "missing": g.and_(chosen, missing), "wrong": g.and_(present, wrong)}
        sent["tally"] = g.concat(*(g.cast(counted[t], "f64") for t in plan.tallies), axis=1)
        if self.classes:
            sent["counts"] = g.cast(g.and_(keep, g.equal(y0, np.arange(float(self.classes)))), "f64")
        whole = self.privacy is not None and self.privacy.member
        for name, value in sent.items():
            g.output(name, g.sum(value, 0) if whole else value)
        return g, {n: tuple(int(d) for d in v.shape[1:]) for n, v in sent.items()}

    def _possible(self, g: Graph, y: Value, more: Mapping[str, Value]) -> Value:
        """Whether each row can be explained."""
        return self.valid(g, y)

    def _sample(self, plain: Sample, more: Mapping[str, Value], state: Mapping[str, Value]) -> Sample:
        """Add to the rows what only this kind of regression has."""
        return plain

    def _blocks(self, g: Graph, moments: Moments, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Value]:
        """Return what a row adds."""
        blocks = {"loglike": moments.loglike, "score": moments.score, "hessian": moments.hessian}
        for name, shape in shapes.items():
            if blocks[name].shape[1:] != shape or not isinstance(blocks[name].shape[0], str):
                raise ValueError(
                    f"moments: {name} is {blocks[name].type}; it must be [rows, ...] and then {list(shape)}"
                )
        if moments.expected is not None:
            blocks["expected"] = moments.expected
        # Where classes are told apart without error, what is left of a row is nothing, however small a double can be.
        blocks = {n: g.where(g.less(g.abs(v), TINY), 0.0, v) for n, v in blocks.items()}
        return blocks | ({} if moments.sums is None else {"sums": moments.sums})
