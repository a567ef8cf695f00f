"""Cox's proportional hazards, by Newton's method over the network, on a declared grid of times; ties as Breslow has it.

In each round a graph says what each row adds at its own time: its weight ``exp(x b)``, that times ``x``, and times the products
of ``x``. The coordinator adds up over the times from the last to the first, which gives the sums over those at risk, and so the
partial likelihood with its derivatives; it solves, moves, and goes on until a move gains nothing. Columns are centred by their
means over all members, which the first round finds. All rounds sum the same members.
"""

from __future__ import annotations

import abc
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import manifest as m
from .._arguments import AnalyticsArguments, takes
from .._joins import alike
from ..bundle import Bundle
from ..dataset import DataFrame as Table
from ..graph import Graph, Value
from ..pandas import DataFrame, Series
from ..pandas.symbolic import Rounds, Symbol, block, emit, reads, table
from ..task import HorizontalTask
from ._arguments import is_real, rising

GAINED = 1e-12
"""A move that gained no more log-likelihood than that was the last."""
_HIGHEST = 500.0


class CoxTask(HorizontalTask):
    """Cox's proportional hazards with Breslow's ties, as ``statsmodels.PHReg(ties="breslow")``.

    The author writes :meth:`dataset` and :meth:`preprocess`, and says ``times``. The result is a :class:`CoxResult`, exact where
    all durations are on the grid.

    Parameters
    ----------
    name : str
        The display name.
    min_clients, max_clients : int
        The least and largest number of members. All rounds sum the members of the first.
    wait_timeout, connection_timeout : float
        Deadlines in seconds: of joining (``connection_timeout``), of every other phase (``wait_timeout``).
    precision : int
        Sums are exact. With 4 or less: decimal digits kept of what each row adds.
    curve : {"secp256k1", "secp256r1", "secp384r1"}
        The curve of the members' keys.
    description : str
        Read by the owners of the data.
    privacy : None
        There is no form with noise.

    Attributes
    ----------
    times : sequence of float
        The grid, which rises. A duration between two of its times counts as the later one; one beyond the last is at risk at all
        of them.
    strata : sequence of float
        The values of the strata, where ``preprocess`` returns some; rows of another one are left out.
    maxiter : int
        How many moves there are at most, each a round.

    Raises
    ------
    ValueError
        An argument cannot work; the text names it.
    """

    times: ClassVar[Sequence[float]] = ()
    strata: ClassVar[Sequence[float]] = ()
    maxiter: ClassVar[int] = 25

    @takes(AnalyticsArguments)
    def __init__(self, given: AnalyticsArguments) -> None:
        if given.privacy is not None:
            raise ValueError("CoxTask: sums over those at risk have no form with noise; leave privacy out")
        super().__init__(given.name, given.strategy(), description=given.description)

    @abc.abstractmethod
    def dataset(self) -> Mapping[str, Table]:
        """Return the tables that the task reads; the author writes it.

        Returns
        -------
        mapping of str to delta.dataset.DataFrame
            Under the names of :meth:`preprocess`'s arguments.
        """

    @abc.abstractmethod
    def preprocess(self, **frames: DataFrame) -> tuple[Symbol, ...]:
        """Make ``(x, duration, event)`` or ``(x, duration, event, stratum)`` of the tables; the author writes it.

        Parameters
        ----------
        **frames : delta.pandas.DataFrame
            One for each table of :meth:`dataset`, by its name.

        Returns
        -------
        x : DataFrame
            The explanatory columns, without a constant.
        duration, event : Series
            How long each row was watched, and whether it ended with the event: 1 or 0, or bool.
        stratum : Series, optional
            Each stratum has a hazard of its own.
        """

    def build(self) -> Bundle:
        """Turn the task into a bundle.

        Returns
        -------
        Bundle
            What goes to a node.

        Raises
        ------
        ValueError
            ``preprocess`` does not take what ``dataset`` names, what it returns does not fit together, or the grid cannot work.
        """
        grid, tables = rising(self.times, type(self).__name__, "times", 1), dict(self.dataset())
        x, *rest = parts = self._parts(tables)
        names = [str(c) for c in block(x).columns or ()]
        strata = [float(s) for s in self.strata] if len(rest) == 3 else [0.0]
        p, cells = len(names), len(strata) * (len(grid) + 1)
        draft = m.Draft(self.name, self.strategy, description=self.description)
        by_file: dict[str, Table] = {}
        for t in tables.values():
            draft.table(t.dataset, t.columns, t.header, t.types)
            before = by_file[t.dataset].columns if t.dataset in by_file else []
            merged = [*before, *(c for c in t.names if c not in before)]
            by_file[t.dataset] = Table(t.dataset, merged, header=t.header)
        for dataset in by_file:
            for join in alike(dataset, [t.joins for t in tables.values() if t.dataset == dataset]):
                join.declare(draft, dataset)
        Rounds(draft, by_file, {"mean": block(x.mean()).x})
        draft.variable("params", "server", np.zeros(p))
        draft.variable("gained", "server", np.array(1e300))
        kept = {"hessian": (p, p), "loglike": (), "tally": (3,), "risk": (cells,), "deaths": (cells,)}
        for name, shape in (kept | {"iterations": (), "converged": ()}).items():
            draft.variable(name, "server", shape=shape)
        self._rounds(draft, parts, grid, strata, p)
        draft.outputs = ["params", "mean", "iterations", "converged", *kept]
        spec: m.Json = {"kind": "statistic", "method": "cox", "task": self.name, "x": names, "times": grid}
        spec |= {"strata": strata if len(rest) == 3 else None, "values": {n: n for n in draft.outputs}}
        draft.options |= {"result": [spec], "inputs": {a: t.dataset for a, t in tables.items()}}
        return draft.build()

    def _parts(self, tables: Mapping[str, Table]) -> list[Any]:
        frames = {name: table(t.dataset, t.names, t.all_types) for name, t in tables.items()}
        try:
            inspect.signature(self.preprocess).bind(**frames)
        except TypeError as error:
            raise ValueError(f"preprocess must take what dataset() names, {', '.join(tables)}: {error}") from error
        made = self.preprocess(**frames)
        if not isinstance(made, tuple) or len(made) not in (3, 4):
            raise ValueError("preprocess: return (x, duration, event) or (x, duration, event, stratum)")
        x, *rest = made
        if isinstance(x, Series):
            x = x.to_frame()
        if not isinstance(x, DataFrame) or not all(isinstance(s, Series) for s in rest):
            raise ValueError("preprocess: x is a DataFrame, and duration, event and stratum are Series")
        if block(x).typed or not block(x).columns:
            raise ValueError("preprocess: x must have columns of numbers; use get_dummies() or map() of levels")
        for what, s in zip(("x", "duration", "event", "stratum"), (x, *rest), strict=False):
            if block(s).rows is None or block(s).rows != block(x).rows:
                raise ValueError(f"preprocess: {what} has {block(s).rows}, x has {block(x).rows}; select the same rows")
        wanted = list(self.strata)
        if len(rest) == 3 and (not wanted or not all(map(is_real, wanted)) or len(set(wanted)) != len(wanted)):
            raise ValueError("strata: declare the values of the strata, numbers, each once")
        return [x, *rest]

    def _rounds(self, draft: m.Draft, parts: list[Any], grid: list[float], strata: list[float], p: int) -> None:
        ((dataset, columns),) = reads(*parts).items()
        member, sent = _member(parts, dataset, columns, grid, strata, p)
        system, update = _system(sent, len(grid) + 1, len(strata), p, self.maxiter), _update(p)
        state = {n: m.variable(n) for n in ("params", "mean")}
        step = m.Step(
            draft.graph("cox", member.bytes()),
            {"rows": m.data(dataset, m.columns(columns))} | state,
            {n: m.accumulate(n) for n in sent},
            m.records(dataset),
        )
        plain = ("a", "b", "unit", "stop")
        reduce = [
            m.Step(
                draft.graph("cox_system", system.bytes()),
                {f"sum.{n}": m.total(n) for n in sent}
                | {f"was.{n}": m.variable(n) for n in ("params", "iterations", "gained")},
                {n: n if n in plain else f"next.{n}" for n in system.outputs},
            ),
            m.Step(None, {"a": m.value("a"), "b": m.value("b")}, {"x": "move"}, m.solve(0.0)),
            m.Step(
                draft.graph("cox_update", update.bytes()),
                {n: m.variable(n) for n in ("params", "gained")}
                | {n: m.value(n) for n in ("move", "b", "unit", "stop")},
                {n: n for n in update.outputs},
            ),
        ]
        made = [n for n in system.outputs if n not in plain] + ["params", "gained"]
        exact = {"weights", "of_events"} if self.strategy.exact else set()
        draft.round(
            m.Map([step], [(n, "f64", s) for n, s in sent.items()], exact=exact),
            m.Reduce(reduce, {n: f"next.{n}" for n in made}, {"log-likelihood": "next.loglike"}, stop="stop"),
            self.maxiter + 1,
            cohort="same",
        )


def _member(
    parts: list[Any], dataset: str, columns: list[str], grid: list[float], strata: list[float], p: int
) -> tuple[Graph, dict[str, tuple[int, ...]]]:
    """Return the members' graph, and the sums of what it says of each row, with shapes."""
    g = Graph("cox")
    rows = g.input("rows", "f64", ["rows", len(columns)])
    params, mean = g.input("params", "f64", [p]), g.input("mean", "f64", [p])
    made = [emit(v, g, {dataset: rows}, {dataset: columns}) for v in parts]
    x, t, e, *stratum = [v.value if v.value.type.rank == 2 else g.unsqueeze(v.value, 1) for v in made]
    whole = g.concat(x, t, e, *stratum, axis=1)
    there = g.less(g.sum(g.cast(g.is_nan(whole), "f64"), 1, keepdims=True), 0.5)
    infinite = g.greater(g.sum(g.cast(g.greater(g.abs(whole), np.finfo(float).max), "f64"), 1, keepdims=True), 0.5)
    wrong = g.or_(infinite, g.not_(g.or_(g.equal(e, 0.0), g.equal(e, 1.0))))
    chosen = g.or_(there, g.not_(there)) if made[0].keep is None else g.unsqueeze(made[0].keep, 1)
    place = g.sum(g.cast(g.greater(t, np.asarray(grid)), "f64"), 1, keepdims=True)
    last = float(len(grid))
    died = g.and_(g.equal(e, 1.0), g.less(place, last - 0.5))
    if stratum:
        mine = g.cast(g.equal(stratum[0], np.asarray(strata)), "f64")
        known = g.greater(g.sum(mine, 1, keepdims=True), 0.5)
        chosen = g.and_(chosen, g.or_(known, g.is_nan(stratum[0])))
        place = place + g.sum(mine * (np.arange(float(len(strata))) * (last + 1)), 1, keepdims=True)
    present = g.and_(chosen, there)
    keep = g.and_(present, g.not_(wrong))
    x0 = g.where(keep, x - mean, 0.0)
    weight = g.exp(g.minimum(x0 @ g.reshape(params, p, 1), _HIGHEST))
    first, second = np.triu_indices(p)
    pairs = g.take(x0, first, 1) * g.take(x0, second, 1)
    weighted = g.concat(weight, weight * x0, weight * pairs, axis=1)
    cells = len(strata) * (len(grid) + 1)
    here = g.and_(keep, g.equal(place, np.arange(float(cells))))
    sums = {
        "weights": g.where(g.unsqueeze(here, 2), g.unsqueeze(weighted, 1), 0.0),
        "deaths": g.cast(g.and_(here, died), "f64"),
        "of_events": g.where(g.and_(keep, died), x0, 0.0),
        "tally": g.concat(
            *(g.cast(c, "f64") for c in (keep, g.and_(chosen, g.not_(there)), g.and_(present, wrong))), axis=1
        ),
    }
    for name, value in sums.items():
        g.output(name, value)
    return g, {n: tuple(int(d) for d in v.shape[1:]) for n, v in sums.items()}


def _system(sent: Mapping[str, tuple[int, ...]], times: int, strata: int, p: int, maxiter: int) -> Graph:
    """Return the coordinator's graph before the equations: likelihood, derivatives, and whether to go on."""
    g = Graph("cox_system")
    sums = {n: g.input(f"sum.{n}", "f64", s) for n, s in sent.items()}
    params = g.input("was.params", "f64", [p])
    taken, gained = g.input("was.iterations", "f64"), g.input("was.gained", "f64")
    deaths = sums["deaths"]
    # At risk at a time are those of the same stratum whose own time is not before it.
    later = np.kron(np.eye(strata), np.triu(np.ones((times, times))))
    at_risk = g.constant(later) @ sums["weights"]
    risk = g.take(at_risk, 0, 1)
    happens = g.greater(deaths, 0.5)
    share = at_risk / g.unsqueeze(g.where(happens, risk, 1.0), 1)
    first, second = np.triu_indices(p)
    means = g.slice(share, 1, p + 1, 1)
    spread = g.slice(share, p + 1, p + 1 + len(first), 1) - g.take(means, first, 1) * g.take(means, second, 1)
    each = g.unsqueeze(deaths, 1)
    score = sums["of_events"] - g.sum(each * means, 0)
    at = np.zeros((p, p), np.int64)
    at[first, second] = at[second, first] = np.arange(len(first))
    hessian = g.reshape(g.take(g.sum(each * spread, 0), at.ravel(), 0), p, p)
    loglike = g.sum(params * sums["of_events"], 0) - g.sum(deaths * g.log(g.where(happens, risk, 1.0)), 0)
    curvature = g.sum(hessian * np.eye(p), 1)
    unit = g.sqrt(g.where(g.greater(curvature, 0.0), curvature, 1.0))
    near = g.less_equal(gained, GAINED)
    nothing = g.or_(g.less(g.sum(deaths, 0), 0.5), g.greater(g.take(sums["tally"], 2, 0), 0.5))
    stop = g.or_(g.or_(near, nothing), g.greater_equal(taken, float(maxiter)))
    # Columns without spread, and sums of columns, move nowhere.
    matrix = hessian / unit / g.unsqueeze(unit, 1) + 1e-15 * np.eye(p)
    matrix = matrix + g.cast(g.less_equal(curvature, 0.0), "f64") * np.eye(p)
    g.output("a", g.where(stop, np.eye(p), matrix))
    g.output("b", g.where(stop, np.zeros(p), score / unit))
    g.output("unit", unit)
    g.output("stop", g.cast(stop, "f64"))
    g.output("converged", g.cast(near, "f64"))
    g.output("iterations", taken + g.cast(g.not_(stop), "f64"))
    outputs: dict[str, Value] = {"hessian": hessian, "loglike": loglike, "risk": risk}
    for name, value in (outputs | {n: sums[n] for n in ("tally", "deaths")}).items():
        g.output(name, g.reshape(value, *sent[name]) if name == "tally" else value)
    return g


def _update(p: int) -> Graph:
    """Return the coordinator's graph after the equations: the next parameters, and what the move gains (Newton's decrement)."""
    g = Graph("cox_update")
    move, over = g.input("move", "f64", [p]), g.greater(g.input("stop", "f64"), 0.5)
    g.output("next.params", g.input("params", "f64", [p]) + move / g.input("unit", "f64", [p]))
    gained = g.abs(g.sum(move * g.input("b", "f64", [p]), 0))
    g.output("next.gained", g.where(over, g.input("gained", "f64"), gained))
    return g
