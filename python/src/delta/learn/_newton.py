"""Newton's rounds for log losses with a quadratic penalty: the loop of :class:`LogisticRegression`.

Parameters are the log odds of each class against the first. In a round members sum what each row adds to the log-likelihood and
its derivatives at the current parameters; the coordinator adds the penalty, solves, and moves. Where the move before has made
things worse, it goes half of it back instead. It ends with the move that gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .. import manifest as m
from ..graph import Graph, Value
from ..manifest import Draft
from ..pandas.symbolic import Expr, Loop, Rounds, Rows, Symbol, emit, reads
from ._rows import table

GAINED = 1e-14
"""A move that gains no more than that of the mean log-likelihood is the last."""
RIDGE = 1e-13
"""What is added to the diagonal, where that is 1, so that columns that depend on others can be solved for."""
TINY = 2.0**-200
_WORSE = 1e-13


class Newton(Loop):
    """The rounds.

    Parameters
    ----------
    index : Rows
        Whose rows.
    whole : Expr
        ``f64 [rows, columns + 3]``: columns, the place of the class, the weight, and 1 where the row counts; zeros elsewhere.
    columns, classes : int
        How many there are.
    intercept : bool
        Whether there are constants.
    penalty : float
        On squared coefficients, 0 or more.
    max_iter : int
        Rounds at most.
    """

    def __init__(
        self, index: Rows, whole: Expr, columns: int, classes: int, intercept: bool, penalty: float, max_iter: int
    ) -> None:
        self.index, self.whole, self.columns, self.classes = index, whole, columns, classes
        self.intercept, self.penalty, self.max_iter = intercept, penalty, max_iter
        self.wide = columns + intercept
        self.size = self.wide * (classes - 1)

    def rows(self) -> Sequence[Symbol]:
        """Return what members read."""
        return [table(Rows(self.index.dataset), self.whole, range(int(self.whole.shape[1])))]

    def add(self, draft: Draft, before: Rounds, prefix: str) -> Mapping[str, str]:
        """Append the rounds."""
        state = {n: f"{prefix}{n}" for n in ("params", "base", "best", "gained", "rate", "iterations", "converged")}
        # Without a penalty columns that depend on others have no best estimate, which its author must hear of.
        told: tuple[str, ...] = ("params", "iterations", "converged", "gained", "rate")
        if self.penalty == 0:
            state["curve"] = f"{prefix}curve"
            told += ("curve",)
        first = {"best": np.array(1e300), "gained": np.array(1e300)}
        for name, variable in state.items():
            shape = {"params": [self.size], "base": [self.size], "curve": [self.size, self.size]}.get(name, [])
            draft.variable(variable, "server", first.get(name), shape=shape)
        (rows,) = self.rows()
        ((dataset, columns),) = reads(rows).items()
        g = Graph("newton_member")
        inputs: dict[str, m.Json] = {"table": m.data(dataset, m.columns(columns))}
        read = g.input("table", "f64", ["rows", len(columns)])
        given = before.given(g, inputs, before.last)
        x = emit(rows, g, {dataset: read}, {dataset: columns}, given).value
        inputs["params"] = m.variable(state["params"])
        sent = self._member(g, x, g.input("params", "f64", [self.size]))
        names = {n: f"{prefix}{n}" for n in sent}
        member = m.Step(
            draft.graph(f"{prefix}member", g.bytes()),
            inputs,
            {n: m.accumulate(names[n]) for n in sent},
            m.records(dataset),
        )
        exact = set(names.values()) if draft.strategy.exact else set()
        draft.round(
            m.Map([member], [(names[n], "f64", s) for n, s in sent.items()], exact=exact),
            self._reduce(draft, prefix, state, sent, names),
            self.max_iter,
            cohort="same",
        )
        return {n: state[n] for n in told}

    def _member(self, g: Graph, whole: Value, params: Value) -> dict[str, tuple[int, ...]]:
        """Make the members' graph: what each row adds to the log-likelihood, its slope, and minus its curvature."""
        p, others = self.columns, self.classes - 1
        x = g.slice(whole, 0, p, 1)
        y, weight, there = (g.slice(whole, p + i, p + i + 1, 1) for i in range(3))
        x = g.concat(x, there, axis=1) if self.intercept else x
        z = x @ g.transpose(g.reshape(params, others, self.wide))
        top = g.maximum(g.max(z, 1, keepdims=True), 0.0)
        all_ = top + g.log(g.exp(-top) + g.sum(g.exp(z - top), 1, keepdims=True))
        share = g.exp(z - all_)
        # Not 1 - share: where that is nearly 1, the difference has no digits left.
        rest = g.exp(-all_) + share @ (1.0 - np.eye(others))
        chosen = g.cast(g.equal(y, np.arange(1.0, self.classes)), "f64")
        flat = x.shape[0], self.size
        shares = g.reshape(g.unsqueeze(share, 2) * g.unsqueeze(x, 1), *flat)
        rests = g.reshape(g.unsqueeze(rest, 2) * g.unsqueeze(x, 1), *flat)
        first, second = np.triu_indices(self.size)
        same = (first // self.wide == second // self.wide).astype(float)
        ours = g.take(shares, first, 1)
        curve = ours * g.take(rests, second, 1) * same - ours * g.take(shares, second, 1) * (1.0 - same)
        pull = g.unsqueeze(chosen * rest - (1.0 - chosen) * share, 2) * g.unsqueeze(x, 1)
        blocks = {
            "loglike": g.take(g.sum(chosen * z, 1, keepdims=True) - all_, 0, 1) * g.take(weight, 0, 1),
            "slope": weight * g.reshape(pull, *flat),
            "curve": weight * curve,
            "weight": g.take(weight, 0, 1),
        }
        for name, value in blocks.items():
            g.output(name, g.where(g.less(g.abs(value), TINY), 0.0, value))
        return {n: tuple(int(d) for d in v.shape[1:]) for n, v in blocks.items()}

    def _penalties(self) -> npt.NDArray[np.float64]:
        """Return the matrix of the penalty ``params' A params / 2``.

        Of several classes the penalty is on all of them, of which those less their mean are the smallest.
        """
        own = np.eye(self.wide)
        if self.intercept:
            own[-1, -1] = 0.0
        others = self.classes - 1
        between = np.eye(others) - (1 / self.classes if others > 1 else 0.0)
        return np.asarray(self.penalty * np.kron(between, own), np.float64)

    def _reduce(
        self,
        draft: Draft,
        prefix: str,
        state: Mapping[str, str],
        sent: Mapping[str, tuple[int, ...]],
        names: Mapping[str, str],
    ) -> m.Reduce:
        system, update = self._system(sent), self._update()
        kept = {n: m.variable(state[n]) for n in ("params", "base", "best", "iterations")}
        steps = [
            m.Step(
                draft.graph(f"{prefix}system", system.bytes()),
                {f"sum.{n}": m.total(names[n]) for n in sent} | {f"was.{n}": v for n, v in kept.items()},
                {n: f"{prefix}next.{n}" for n in system.outputs},
            ),
            m.Step(
                None,
                {"a": m.value(f"{prefix}next.a"), "b": m.value(f"{prefix}next.b")},
                {"x": f"{prefix}next.move"},
                m.solve(0.0),
            ),
            m.Step(
                draft.graph(f"{prefix}update", update.bytes()),
                {n: m.value(f"{prefix}next.{n}") for n in ("move", "b", "unit", "at", "worse", "total", "iterations")}
                | {f"was.{n}": m.variable(state[n]) for n in ("gained", "rate")},
                {n: f"{prefix}next.{n}" for n in update.outputs},
            ),
        ]
        return m.Reduce(
            steps,
            {state[n]: f"{prefix}next.{n}" for n in state},
            {"loss": f"{prefix}next.loss"},
            stop=f"{prefix}next.stop",
        )

    def _system(self, sent: Mapping[str, tuple[int, ...]]) -> Graph:
        """Return the coordinator's graph before the equations."""
        g = Graph("newton_system")
        size, penalty = self.size, self._penalties()
        sums = {n: g.input(f"sum.{n}", "f64", s) for n, s in sent.items()}
        params, base = (g.input(f"was.{n}", "f64", [size]) for n in ("params", "base"))
        best, taken = g.input("was.best", "f64"), g.input("was.iterations", "f64")
        held = g.reshape(g.constant(penalty) @ g.reshape(params, size, 1), size)
        weight = g.maximum(sums["weight"], TINY)
        loss = (0.5 * g.sum(params * held, 0) - sums["loglike"]) / weight
        worse = g.greater(loss, best + g.maximum(g.abs(best) * _WORSE, _WORSE))
        first, second = np.triu_indices(size)
        at = np.zeros((size, size), np.int64)
        at[first, second] = at[second, first] = np.arange(len(first))
        curve = g.reshape(g.take(sums["curve"], at.ravel(), 0), size, size) + penalty
        diagonal = g.sum(curve * np.eye(size), 1)
        live = g.greater(diagonal, 0.0)
        unit = g.sqrt(g.where(live, diagonal, 1.0))
        scaled = curve / unit / g.unsqueeze(unit, 1)
        if self.penalty == 0:
            g.output("curve", scaled * 1.0)
        scaled = scaled + RIDGE * np.eye(size)
        # What has no curvature does not move.
        scaled = scaled + g.cast(g.not_(live), "f64") * np.eye(size)
        g.output("a", g.where(worse, np.eye(size), scaled))
        g.output("b", g.where(worse, np.zeros(size), (sums["slope"] - held) / unit))
        g.output("unit", unit)
        g.output("at", g.where(worse, (params + base) * 0.5, params))
        g.output("base", g.where(worse, base, params))
        g.output("best", g.where(worse, best, loss))
        g.output("worse", g.cast(worse, "f64"))
        g.output("loss", loss * 1.0)
        g.output("total", weight)
        g.output("iterations", taken + 1.0)
        return g

    def _update(self) -> Graph:
        """Return the coordinator's graph after the equations: the next parameters, and whether they are the last."""
        g = Graph("newton_update")
        move, b, unit, at = (g.input(n, "f64", [self.size]) for n in ("move", "b", "unit", "at"))
        worse, weight, taken, was, rate = (
            g.input(n, "f64") for n in ("worse", "total", "iterations", "was.gained", "was.rate")
        )
        back = g.greater(worse, 0.5)
        now = g.where(back, was, g.abs(g.sum(move * b, 0)) / weight)
        near = g.and_(g.not_(back), g.less_equal(now, GAINED))
        g.output("params", at + move / unit)
        g.output("gained", now)
        g.output("rate", g.where(back, rate, now / g.maximum(was, 1e-300)))
        g.output("converged", g.cast(near, "f64"))
        g.output("stop", g.cast(g.or_(near, g.greater_equal(taken, float(self.max_iter))), "f64"))
        return g
