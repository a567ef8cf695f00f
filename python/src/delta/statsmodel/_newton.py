"""Regressions by Newton's method over the network: what all of them have in common.

In each round every member sends, summed over its own rows, the log-likelihood at the current parameters, its first and
second derivatives, and how many rows there are. The coordinator knows only the sums over all members, and moves by

    params += (hessian / n + ridge I)^-1 (score / n)        (hessian: the negative second derivatives)

When the norm of score / n is below ``tol`` it takes that last step as well, and one more round evaluates everything at the
final parameters, so that standard errors belong to the parameters that are reported.
"""

from __future__ import annotations

import abc
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import manifest as m
from .._arguments import RegressionArguments, takes
from ..bundle import Bundle
from ..dataset import DataFrame as Table
from ..graph import Graph, Value
from ..pandas import DataFrame, Series
from ..pandas.symbolic import Symbol, block, emit, reads, table
from ..task import HorizontalTask
from ._exact import PARTS, join, split

# As the driver solve allows.
_LARGEST = 4096
_OPTIONS = ("maxiter", "method", "ord", "tol", "ridge_factor", "start_params", "missing")


@dataclass(frozen=True)
class Options:
    """How to search; see :meth:`RegressionTask.options`. With ``fixed``, exactly ``maxiter`` steps are taken."""

    maxiter: int = 35
    ord: float = math.inf
    tol: float = 1e-8
    ridge_factor: float = 1e-10
    start_params: npt.NDArray[np.float64] | None = None
    missing: Literal["drop", "raise"] = "drop"
    fixed: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any], fixed: bool = False) -> Options:
        """Check options as an author gives them.

        Raises ``ValueError`` naming the option.
        """
        rest = dict(given)
        if unknown := sorted(set(rest) - set(_OPTIONS)):
            raise ValueError(f"options: there is no {', '.join(unknown)}; there are {', '.join(_OPTIONS)}")
        method = rest.pop("method", "newton")
        start = rest.pop("start_params", None)
        if start is not None:
            rest["start_params"] = np.asarray(start, np.float64).ravel(order="F")
        made = cls(**rest, fixed=fixed)
        need = [
            (method == "newton", "method", method, "'newton', the only one that nodes have"),
            (isinstance(made.maxiter, int) and 1 <= made.maxiter < 100_000, "maxiter", made.maxiter, "1 to 99999"),
            (made.ord > 0, "ord", made.ord, "a norm's order: inf, 1, 2 or another positive number"),
            (0 <= made.tol < math.inf, "tol", made.tol, "a finite number, 0 or more"),
            (0 <= made.ridge_factor < math.inf, "ridge_factor", made.ridge_factor, "a finite number, 0 or more"),
            (made.missing in ("drop", "raise"), "missing", made.missing, "'drop' or 'raise'"),
            (start is None or bool(np.isfinite(rest["start_params"]).all()), "start_params", start, "finite numbers"),
        ]
        for ok, option, value, rule in need:
            if not ok:
                raise ValueError(f"options: {option}={value!r} must be {rule}")
        return made


class Moments(NamedTuple):
    """What a member sends of its own rows: ``[]``, ``[P]``, ``[P, P]``; linear models add further ``sums``."""

    loglike: Value
    score: Value
    hessian: Value
    sums: Value | None = None


@dataclass(frozen=True)
class Sample:
    """A member's rows in its graph; rows that do not count have weight 0, and zeros in ``x`` and ``y``."""

    graph: Graph
    x: Value
    """``[rows, columns]``"""
    y: Value
    """``[rows, 1]``"""
    weight: Value
    """``[rows, 1]``, 0 or 1"""
    params: Value
    """``[P]``"""
    centre: Value | float
    """The mean of ``y`` over all members, as of the round before."""

    @property
    def columns(self) -> int:
        """The number of explanatory variables."""
        return int(self.x.shape[1])


class RegressionTask(HorizontalTask):
    """A regression; subclass ``LogitTask``, ``MNLogitTask`` or ``LinearTask`` and write ``dataset`` and ``preprocess``.

    Arguments as in delta-task: ``min_clients`` and ``max_clients`` bound the members of each round, times are in seconds,
    ``precision`` is the number of decimal digits kept in each number that is summed (sums have more, see ``_exact.py``).

    Raises ``ValueError`` for ``enable_verify``: nodes of this version make no proofs.
    """

    kind: ClassVar[Literal["horizontal", "hlr"]] = "horizontal"
    model: ClassVar[str]
    centred: ClassVar[bool] = False
    classes: int

    @takes(RegressionArguments)
    def __init__(self, given: RegressionArguments) -> None:
        if given.enable_verify:
            raise ValueError("enable_verify=True: nodes of this version make no proofs of their results; leave it out")
        super().__init__(given.name, given.strategy(), description=given.description)

    @abc.abstractmethod
    def dataset(self) -> Mapping[str, Table]:
        """Return the tables to read, under the names of ``preprocess``'s arguments."""

    @abc.abstractmethod
    def preprocess(self, *args: Any, **kwargs: Any) -> tuple[DataFrame | Series, Series | DataFrame]:
        """Make ``(x, y)`` of the frames: explanatory columns and the one that is explained, of the same rows."""

    def options(self) -> Mapping[str, Any]:
        """Return how to search; what is left out has its default.

        ``maxiter`` 35: steps at most. ``method`` ``"newton"``. ``tol`` 1e-8: stop when the norm of the mean score is below.
        ``ord`` inf: which norm. ``ridge_factor`` 1e-10: added to the diagonal of the mean Hessian. ``start_params``: zeros.
        ``missing`` ``"drop"``: rows with NaN are left out and counted; with ``"raise"`` they make the task fail.
        """
        return {}

    def size(self, columns: int) -> int:
        """Return the number of parameters for a number of explanatory columns."""
        return columns

    def parse_options(self, given: Mapping[str, Any]) -> Options:
        """Check what :meth:`options` returned."""
        return Options.parse(given)

    @abc.abstractmethod
    def valid(self, g: Graph, y: Value) -> Value:
        """Whether each ``y`` can be explained, bool of its shape."""

    @abc.abstractmethod
    def moments(self, s: Sample) -> Moments:
        """Return what a member sends."""

    def build(self) -> Bundle:
        """Turn the task into a bundle.

        Raises ``ValueError`` when x and y do not fit together or an option cannot work.
        """
        options, tables = self.parse_options(self.options()), self.dataset()
        x, y = self._variables(tables)
        names = [str(c) for c in block(x).columns or (block(x).name,)]
        size = self.size(len(names))
        if size > _LARGEST:
            raise ValueError(
                f"the model has {size} parameters; nodes solve for {_LARGEST} at most, so use fewer columns"
            )
        start = np.zeros(size) if options.start_params is None else options.start_params
        if start.shape != (size,):
            raise ValueError(f"options: start_params has {start.size} numbers, the model has {size} parameters")
        draft = m.Draft(self.name, self.strategy, kind=self.kind, description=self.description)
        draft.variable("params", "server", start)
        kept: dict[str, tuple[int, ...]] = {"hessian": (size, size), "tally": (3,), "loglike": ()}
        kept |= {"counts": (self.classes,)} if self.classes else {"sums": (4 + len(names),)}
        kept |= {"iterations": (), "converged": (), "norm": (), "step": ()}
        for name, shape in ({"centre": ()} if self.centred else {}).items() | kept.items():
            draft.variable(name, "server", shape=shape)
        ((dataset, columns),) = reads(x, y).items()
        mine = {name: t for name, t in tables.items() if t.dataset == dataset}
        draft.table(dataset, columns, header=all(t.header for t in mine.values()))
        draft.options["inputs"] = dict.fromkeys(mine, dataset)
        self._rounds(draft, options, x, y, size, kept)
        draft.outputs = ["params", *kept]
        target = str(block(y).name or (block(y).columns or ("y",))[0])
        spec: m.Json = {"kind": "regression", "model": self.model, "x": names, "y": target}
        spec |= {"missing": options.missing, "classes": self.classes, "task": self.name}
        draft.options["result"] = [spec]
        return draft.build()

    def _variables(self, tables: Mapping[str, Table]) -> tuple[Symbol, Symbol]:
        try:
            inspect.signature(self.preprocess).bind(**tables)
        except TypeError as error:
            raise ValueError(f"preprocess must take what dataset() names, {', '.join(tables)}: {error}") from error
        made = self.preprocess(**{name: table(t.dataset, t.columns) for name, t in tables.items()})
        if not (isinstance(made, tuple) and len(made) == 2 and all(isinstance(v, (DataFrame, Series)) for v in made)):
            raise ValueError("preprocess: return (x, y), delta frames or series made of the arguments")
        x, y = made
        bx, by = block(x), block(y)
        for b, what in ((bx, "x"), (by, "y")):
            if b.rows is None:
                raise ValueError(f"preprocess: {what} has no rows of the members' tables; do not sum or count it")
        if bx.rows != by.rows:
            raise ValueError(f"preprocess: x has {bx.rows}, y has {by.rows}; select the same rows of the same table")
        if by.columns is not None and len(by.columns) != 1:
            raise ValueError(f"preprocess: y has {len(by.columns)} columns; it must be one series")
        return x, y

    def _rounds(
        self, draft: m.Draft, options: Options, x: Symbol, y: Symbol, size: int, kept: Mapping[str, tuple[int, ...]]
    ) -> None:
        ((dataset, columns),) = reads(x, y).items()
        rows = {"rows": m.data(dataset, m.columns(columns))}
        state = {"params": m.variable("params")} | ({"centre": m.variable("centre")} if self.centred else {})
        gather, sent = self._gather(x, y, dataset, columns, size)
        member = m.Step(draft.graph("member", gather.bytes()), rows | state, {n: n for n in sent})
        system, update = self._system(options, size, sent), _update(size)
        made = {n: f"next.{n}" for n in system.outputs if n not in ("a", "b", "stop", "norm")}
        inputs = {f"sum.{n}": m.total(n) for n in sent}
        inputs |= {f"was.{n}": m.variable(n) for n in ("iterations", "converged")}
        reduce = [
            m.Step(draft.graph("system", system.bytes()), inputs, made | {n: n for n in ("a", "b", "stop", "norm")}),
            m.Step(None, {"a": m.value("a"), "b": m.value("b")}, {"x": "move"}, m.solve(options.ridge_factor)),
            m.Step(
                draft.graph("update", update.bytes()),
                {n: m.variable(n) for n in ("params", "step")} | {n: m.value(n) for n in ("move", "stop")},
                {n: n for n in update.outputs},
            ),
        ]
        assign = {n: f"next.{n}" for n in ("params", *kept) if n != "norm"} | {"norm": "norm"}
        assign |= {"centre": "next.centre"} if self.centred else {}
        draft.round(
            m.Map([member], [(n, "f64", s) for n, s in sent.items()]),
            m.Reduce(reduce, assign, {"log-likelihood": "next.loglike", "score": "norm"}, stop="stop"),
            repeat=options.maxiter + 1,
        )

    def _gather(
        self, x: Symbol, y: Symbol, dataset: str, columns: list[str], size: int
    ) -> tuple[Graph, dict[str, tuple[int, ...]]]:
        """Return the members' graph, and what it sends with shapes."""
        g = Graph("member")
        rows = g.input("rows", "f64", ["rows", len(columns)])
        params = g.input("params", "f64", [size])
        centre: Value | float = g.input("centre", "f64") if self.centred else 0.0
        made = [emit(v, g, {dataset: rows}, {dataset: columns}) for v in (x, y)]
        xs, ys = (v.value if v.value.type.rank == 2 else g.unsqueeze(v.value, 1) for v in made)
        both = g.concat(xs, ys, axis=1)
        chosen = g.equal(ys, ys) if made[0].keep is None else g.unsqueeze(made[0].keep, 1)
        chosen = g.or_(chosen, g.not_(chosen)) if made[0].keep is None else chosen
        missing = g.greater(g.sum(g.cast(g.is_nan(both), "f64"), 1, keepdims=True), 0.5)
        infinite = g.greater(g.sum(g.cast(g.greater(g.abs(both), np.finfo(float).max), "f64"), 1, keepdims=True), 0.5)
        wrong = g.or_(infinite, g.not_(self.valid(g, ys)))
        present = g.and_(chosen, g.not_(missing))
        keep = g.and_(present, g.not_(wrong))
        x0, y0 = g.where(keep, xs, 0.0), g.where(keep, ys, 0.0)
        sample = Sample(g, x0, y0, g.cast(keep, "f64"), params, centre)
        moments = self.moments(sample)
        precision = self.strategy.precision
        parts = {"loglike": moments.loglike, "score": moments.score, "hessian": moments.hessian}
        parts |= {} if moments.sums is None else {"sums": moments.sums}
        sent = {n: split(g, v, precision) for n, v in parts.items()}
        tally = [keep, g.and_(chosen, missing), g.and_(present, wrong)]
        sent["tally"] = g.concat(*(g.sum(g.cast(t, "f64"), 0) for t in tally), axis=0)
        if self.classes:
            member_of = g.and_(keep, g.equal(y0, np.arange(float(self.classes))))
            sent["counts"] = g.sum(g.cast(member_of, "f64"), 0)
        for name, value in sent.items():
            g.output(name, value)
        return g, {n: tuple(int(d) for d in v.shape) for n, v in sent.items()}

    def _system(self, options: Options, size: int, sent: Mapping[str, tuple[int, ...]]) -> Graph:
        """Return the coordinator's graph before the equations: sums, and whether to go on."""
        g = Graph("system")
        exact = [n for n, s in sent.items() if n not in ("tally", "counts") and s[0] == PARTS]
        raw = {n: g.input(f"sum.{n}", "f64", s) for n, s in sent.items()}
        done, taken = g.input("was.converged", "f64"), g.input("was.iterations", "f64")
        sums = raw | {n: join(g, raw[n], self.strategy.precision) for n in exact}
        n, missing, invalid = (g.take(sums["tally"], i, 0) for i in range(3))
        bad = invalid + missing if options.missing == "raise" else invalid
        count = g.maximum(n, 1.0)
        score, hessian = sums["score"] / count, sums["hessian"] / count
        norm = _norm(g, score, options.ord)
        last = g.greater_equal(taken, float(options.maxiter))
        if not options.fixed:
            last = g.or_(last, g.greater(done, 0.5))
        stop = g.or_(last, g.or_(g.greater(bad, 0.5), g.less(n, 0.5)))
        near = g.equal(norm, norm) if options.fixed else g.less(norm, options.tol)
        # The last round only looks: its equations have the solution 0 whatever the data are.
        g.output("a", g.where(stop, np.eye(size), hessian))
        g.output("b", g.where(stop, np.zeros(size), score))
        g.output("stop", g.cast(stop, "f64"))
        g.output("norm", norm)
        g.output("converged", g.cast(near, "f64"))
        g.output("iterations", taken + g.cast(g.not_(stop), "f64"))
        for name in ("loglike", "hessian", "tally", "counts", "sums"):
            if name in sums:
                g.output(name, sums[name])
        if self.centred:
            g.output("centre", g.take(sums["sums"], 0, 0) / count)
        return g


def _update(size: int) -> Graph:
    """Return the coordinator's graph after the equations; ``step`` is the length of the last move that was one."""
    g = Graph("update")
    move, stop = g.input("move", "f64", [size]), g.input("stop", "f64")
    g.output("next.params", g.input("params", "f64", [size]) + move)
    g.output("next.step", g.where(g.greater(stop, 0.5), g.input("step", "f64"), g.max(g.abs(move), 0)))
    return g


def _norm(g: Graph, v: Value, order: float) -> Value:
    size = g.abs(v)
    if order == math.inf:
        return g.max(size, 0)
    if order == 1:
        return g.sum(size, 0)
    if order == 2:
        return g.sqrt(g.sum(g.square(size), 0))
    return g.pow(g.sum(g.pow(size, float(order)), 0), 1 / float(order))
