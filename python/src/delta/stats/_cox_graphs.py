"""The graphs of Cox's proportional hazards: what each row adds, and what the coordinator makes of the sums.

Rows are counted at their own time. With ``w = exp(x b)`` a row adds ``w``, ``w x`` and ``w x x'``; added up from the last time to
the first these are the sums over those at risk.

Of the ``d`` events of one time, Breslow takes each for the only one: ``d log R``, with ``R`` the weights at risk. Efron lets them
leave one after the other, ``sum_l log(R - l E / d)`` with ``l = 0 ... d - 1`` and ``E`` the weights of those with the event.
With ``U = R - E``, which is summed apart so that nothing cancels, and ``q = d U / E + 1``, that is ``d log(E / d)`` and the
sum of ``log(q + j)``, ``j = 0 ... d - 1``: the first of its terms one by one, the others by Euler and Maclaurin (DLMF 2.10.1).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..graph import Graph, Value
from ..pandas.symbolic import emit

GAINED = 1e-12
"""A move that gained no more log-likelihood than that was the last."""
_HIGHEST = 500.0
# Terms that are added one by one; of the others 1 / (q + j) is 0.05 and less.
_FIRST = 20
PLAIN = ("a", "b", "unit", "stop")
"""What the equations and the graph after them get, and no variable."""


def member(
    parts: list[Any], dataset: str, columns: list[str], grid: list[float], strata: list[float], p: int, efron: bool
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
    if grid[0] >= 0:
        wrong = g.or_(wrong, g.less(t, 0.0))
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
    weighted = g.unsqueeze(g.concat(weight, weight * x0, weight * pairs, axis=1), 1)
    cells = len(strata) * (len(grid) + 1)
    here = g.and_(keep, g.equal(place, np.arange(float(cells))))
    # Efron needs those who have the event apart from the others.
    leaves = {"lost": g.and_(here, g.not_(died)), "gone": g.and_(here, died)} if efron else {"weights": here}
    sums = {name: g.where(g.unsqueeze(cell, 2), weighted, 0.0) for name, cell in leaves.items()}
    tallies = (keep, g.and_(chosen, g.not_(there)), g.and_(present, wrong))
    sums |= {
        "deaths": g.cast(g.and_(here, died), "f64"),
        "of_events": g.where(g.and_(keep, died), x0, 0.0),
        "tally": g.concat(*(g.cast(c, "f64") for c in tallies), axis=1),
    }
    for name, value in sums.items():
        g.output(name, value)
    return g, {n: tuple(int(d) for d in v.shape[1:]) for n, v in sums.items()}


def system(sent: Mapping[str, tuple[int, ...]], times: int, strata: int, p: int, maxiter: int) -> Graph:
    """Return the coordinator's graph before the equations: likelihood, derivatives, and whether to go on."""
    g = Graph("cox_system")
    sums = {n: g.input(f"sum.{n}", "f64", s) for n, s in sent.items()}
    params = g.input("was.params", "f64", [p])
    taken, gained = g.input("was.iterations", "f64"), g.input("was.gained", "f64")
    deaths = sums["deaths"]
    # At risk at a time are those of the same stratum whose own time is not before it.
    later = np.kron(np.eye(strata), np.triu(np.ones((times, times))))
    if "gone" in sums:
        after = np.kron(np.eye(strata), np.triu(np.ones((times, times)), 1))
        others = sums["lost"] + g.constant(after) @ (sums["lost"] + sums["gone"])
        at_risk = others + sums["gone"]
        cost, slope, bend = _efron(g, deaths, sums["gone"], others, p)
    else:
        at_risk = g.constant(later) @ sums["weights"]
        cost, slope, bend = _breslow(g, deaths, at_risk, p)
    risk = g.take(at_risk, 0, 1)
    first, second = np.triu_indices(p)
    at = np.zeros((p, p), np.int64)
    at[first, second] = at[second, first] = np.arange(len(first))
    score = sums["of_events"] - slope
    hessian = g.reshape(g.take(bend, at.ravel(), 0), p, p)
    loglike = g.sum(params * sums["of_events"], 0) - cost
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
    # The first round looks at a model without columns.
    g.output("llnull", g.where(g.less(taken, 0.5), loglike, g.input("was.llnull", "f64")))
    outputs: dict[str, Value] = {"hessian": hessian, "loglike": loglike, "risk": risk}
    outputs |= {"tally": g.reshape(sums["tally"], *sent["tally"]), "deaths": deaths}
    for name, value in outputs.items():
        g.output(name, value)
    return g


def update(p: int) -> Graph:
    """Return the coordinator's graph after the equations: the next parameters, and what the move gains (Newton's decrement).

    ``rate``: what share that is of what the move before gained, 0 where there was none.
    """
    g = Graph("cox_update")
    move, over = g.input("move", "f64", [p]), g.greater(g.input("stop", "f64"), 0.5)
    g.output("next.params", g.input("params", "f64", [p]) + move / g.input("unit", "f64", [p]))
    was, now = g.input("gained", "f64"), g.abs(g.sum(move * g.input("b", "f64", [p]), 0))
    moved = g.and_(g.greater(was, 0.0), g.less(was, 1e299))
    rate = g.where(moved, now / g.where(moved, was, 1.0), 0.0)
    g.output("next.gained", g.where(over, was, now))
    g.output("next.rate", g.where(over, g.input("rate", "f64"), rate))
    return g


def _breslow(g: Graph, deaths: Value, at_risk: Value, p: int) -> tuple[Value, Value, Value]:
    """Return what is taken off the log-likelihood, with derivatives: ``[]``, ``[p]``, ``[p (p + 1) / 2]``."""
    first, second = np.triu_indices(p)
    happens, each = g.greater(deaths, 0.5), g.unsqueeze(deaths, 1)
    risk = g.where(happens, g.take(at_risk, 0, 1), 1.0)
    share = at_risk / g.unsqueeze(risk, 1)
    means, squares = g.slice(share, 1, p + 1, 1), g.slice(share, p + 1, p + 1 + len(first), 1)
    spread = squares - g.take(means, first, 1) * g.take(means, second, 1)
    return g.sum(deaths * g.log(risk), 0), g.sum(each * means, 0), g.sum(each * spread, 0)


def _efron(g: Graph, deaths: Value, gone: Value, others: Value, p: int) -> tuple[Value, Value, Value]:
    """Return the same where those who have the event at one time leave one after the other."""
    first, second = np.triu_indices(p)
    happens, each = g.greater(deaths, 0.5), g.unsqueeze(deaths, 1)
    weight = g.where(happens, g.take(gone, 0, 1), 1.0)
    mine, theirs = (v / g.unsqueeze(weight, 1) for v in (gone, others))
    ratio = g.take(theirs, 0, 1)
    logs, ones, squares = (g.unsqueeze(v, 1) for v in _rising(g, deaths * ratio + 1.0, deaths))

    def pairs(a: Value, b: Value) -> Value:
        return g.take(a, first, 1) * g.take(b, second, 1)

    wide, r = p + 1 + len(first), g.unsqueeze(ratio, 1)
    e, u = g.slice(mine, 1, p + 1, 1), g.slice(theirs, 1, p + 1, 1)
    ee, uu = g.slice(mine, p + 1, wide, 1), g.slice(theirs, p + 1, wide, 1)
    # Derivatives of the ratio U / E.
    turn = u - r * e
    bend = uu - pairs(u, e) - pairs(e, u) - r * ee + 2.0 * r * pairs(e, e)
    cost = g.sum(deaths * g.log(weight / g.where(happens, deaths, 1.0)), 0) + g.sum(logs, 0, 1)
    slope = g.sum(each * e + ones * each * turn, 0)
    curve = each * (ee - pairs(e, e)) + ones * each * bend - squares * g.square(each) * pairs(turn, turn)
    return cost, slope, g.sum(curve, 0)


def _rising(g: Graph, q: Value, d: Value) -> tuple[Value, Value, Value]:
    """Return the sums over ``j = 0 ... d - 1`` of ``log(q + j)``, ``1 / (q + j)`` and its square; all are ``[cells]``."""
    j = np.arange(float(_FIRST))
    counted = g.less(j, g.unsqueeze(d, 1))
    terms = g.where(counted, g.unsqueeze(q, 1) + j, 1.0)
    some = g.cast(counted, "f64")
    many = g.greater(d, _FIRST + 0.5)
    a, b = g.where(many, q + float(_FIRST), 1.0), g.where(many, q + d, 1.0)

    def between(series: Sequence[float], power: int) -> Value:
        """The sum of c / x^power, c / x^(power + 2), ... at a, less that at b."""
        powers = [(c, float(power + 2 * k)) for k, c in enumerate(series)]
        return functools.reduce(operator.add, (c / g.pow(a, n) - c / g.pow(b, n) for c, n in powers))

    # Of log gamma, psi and its derivative (DLMF 5.11.1, 5.11.2, 5.15.8), at b less at a.
    logs = (b - 0.5) * g.log(b) - (a - 0.5) * g.log(a) - (b - a) - between((1 / 12, -1 / 360, 1 / 1260, -1 / 1680), 1)
    ones = g.log(b / a) + between((0.5,), 1) + between((1 / 12, -1 / 120, 1 / 252, -1 / 240), 2)
    squares = between((1.0, 1 / 6, -1 / 30, 1 / 42, -1 / 30), 1) + between((0.5,), 2)
    return (
        g.sum(some * g.log(terms), 1) + g.where(many, logs, 0.0),
        g.sum(some / terms, 1) + g.where(many, ones, 0.0),
        g.sum(some / g.square(terms), 1) + g.where(many, squares, 0.0),
    )
