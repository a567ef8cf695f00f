"""The coordinator's graphs: before the equations that Newton's method solves, and after them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..graph import Graph, Value
from ._options import Options

RIDGE = 1e-15
"""What is added to the diagonal, as a share of it, where nothing is asked for."""


ROUNDING = 1e-10
"""How small a residual's share of what it is the difference of may be, squared, before it is taken for rounding."""


@dataclass(frozen=True)
class Plan:
    """How the coordinator searches.

    Parameters
    ----------
    options : Options
        Of the author.
    size : int
        The number of parameters, those apart included.
    tallies : sequence of str
        What the numbers of ``tally`` count, of ``kept missing wrong``.
    centred : bool
        Whether members get the mean of ``y``.
    apart : int
        How many parameters, the last ones, have nothing to do with the others.
    inverse : bool
        Whether members get the inverse of the second derivatives.
    scale : bool
        Whether members get the scale.
    fresh : bool
        Whether members get the number of steps, as they need no parameters in the first round, and whether it is the last.
    relative : bool
        Whether the search ends by how large scores are for residuals of that size; ``sums`` begins with their
        squares and the rows' weights.
    begins : bool
        Whether parameters come from the data in the first round.
    """

    options: Options
    size: int
    tallies: Sequence[str]
    centred: bool = False
    apart: int = 0
    inverse: bool = False
    scale: bool = False
    fresh: bool = False
    relative: bool = False
    begins: bool = False

    @property
    def again(self) -> bool:
        """Whether there is a second look at the final parameters, with what the first one found."""
        return self.inverse or self.scale

    def variables(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """Return variables that only some searches have: shapes, and what they begin with."""
        made: dict[str, tuple[tuple[int, ...], float]] = {"looked": ((), 0.0)} if self.again else {}
        made |= {"last": ((), 0.0)} if self.fresh else {}
        made |= {"inverse": ((self.size, self.size), 0.0)} if self.inverse else {}
        return made | ({"scale": ((), 1.0)} if self.scale else {})

    def known(self) -> dict[str, tuple[int, ...]]:
        """Return what members get, with shapes."""
        made: dict[str, tuple[int, ...]] = {"params": (self.size,)} | ({"centre": ()} if self.centred else {})
        made |= {"iterations": ()} if self.fresh else {}
        return made | {n: shape for n, (shape, _) in self.variables().items() if n != "looked"}

    def reads(self) -> list[str]:
        """Return the variables that the coordinator's first graph reads."""
        return ["iterations", "converged", "gained", *(["looked"] if self.again else [])]


def system_graph(plan: Plan, sent: Mapping[str, tuple[int, ...]]) -> Graph:
    """Return the coordinator's graph before the equations: sums, and whether to go on."""
    options, size = plan.options, plan.size
    g = Graph("system")
    sums = {n: g.input(f"sum.{n}", "f64", s) for n, s in sent.items()}
    done, taken = g.input("was.converged", "f64"), g.input("was.iterations", "f64")
    gained = g.input("was.gained", "f64")
    sums["hessian"] = _square(g, sums["hessian"], size, plan.apart)
    n, missing, invalid = (
        g.take(sums["tally"], plan.tallies.index(t), 0) if t in plan.tallies else g.constant(0.0)
        for t in ("kept", "missing", "wrong")
    )
    sums["tally"] = g.stack(n, missing, invalid, axis=0)
    bad = invalid + missing if options.missing == "raise" else invalid
    count = g.maximum(n, 1.0)
    divisor = _spread(g, g.take(sums["sums"], 0, 0)) if plan.relative else count
    score, hessian = sums["score"] / divisor, sums["hessian"] / divisor
    # In units of the root of each one's curvature: the end of the search does not hang on the units of columns.
    curvature = g.sum(hessian * np.eye(size), 1)
    unit = g.sqrt(g.where(g.greater(curvature, 0.0), curvature, 1.0))
    if options.ridge_factor is None:
        ridged = hessian + hessian * (RIDGE * np.eye(size))
    else:
        ridged = hessian + options.ridge_factor * np.eye(size)
    score, matrix = score / unit, ridged / unit / g.unsqueeze(unit, 1)
    norm = _norm(g, score, options.ord)
    last = g.greater_equal(taken, float(options.maxiter))
    if not options.fixed:
        last = g.or_(last, g.greater(done, 0.5))
    broken = g.or_(g.greater(bad, 0.5), g.less(n, 0.5))
    if plan.again:
        looked = g.greater(g.input("was.looked", "f64"), 0.5)
        last = g.or_(last, looked)
        stop, still = g.or_(looked, broken), g.or_(last, broken)
        g.output("looked", g.cast(last, "f64"))
        g.output("still", g.cast(still, "f64"))
        g.output("divisor", divisor)
    else:
        stop = still = g.or_(last, broken)
    # A score of columns that are nearly dependent is small long before the parameters are right: what the last step gained in
    # log-likelihood must have been next to nothing, too, and of that Newton's next step leaves the square.
    small = g.and_(g.less(norm, options.tol), g.less_equal(gained, options.tol))
    if plan.begins:
        small = g.and_(small, g.greater(taken, 0.5))
    if plan.relative:
        # What the last round sums does not say it again.
        small = g.or_(small, g.greater(done, 0.5))
    near = g.equal(norm, norm) if options.fixed else small
    # The last round only looks: its equations have the solution 0 whatever the data are.
    g.output("a", g.where(stop, np.eye(size), matrix))
    aim = g.where(still, np.zeros(size), score)
    g.output("b", g.concat(g.unsqueeze(aim, 1), np.eye(size), axis=1) if plan.inverse else aim)
    g.output("unit", unit)
    g.output("stop", g.cast(stop, "f64"))
    g.output("norm", norm)
    g.output("converged", g.cast(near, "f64"))
    after = taken + g.cast(g.not_(still), "f64")
    g.output("iterations", after)
    if plan.fresh:
        ends = g.greater_equal(after, float(options.maxiter))
        ends = g.or_(ends, still) if options.fixed else g.or_(g.or_(ends, still), near)
        g.output("last", g.cast(ends, "f64"))
    for name in ("loglike", "hessian", "tally", "counts", "sums", "expected", "meat", "alone", "clusters"):
        if name in sums:
            g.output(name, sums[name] * 1.0 if name in ("expected", "meat", "alone", "clusters") else sums[name])
    if plan.centred:
        g.output("centre", g.take(sums["sums"], 0, 0) / count)
    if plan.scale:
        pearson, weight = g.take(sums["sums"], 0, 0), g.take(sums["sums"], 1, 0)
        g.output("scale", g.maximum(pearson / g.maximum(weight - float(size - plan.apart), 1.0), 1e-12))
    return g


def update_graph(plan: Plan) -> Graph:
    """Return the coordinator's graph after the equations.

    ``step`` is the length of the last move that was one; ``gained`` twice what it gained in mean log-likelihood, as far as that
    is a parabola (Newton's decrement), which no change of columns into others alters; ``rate`` what share that is of what the
    move before gained, 0 where there was none.
    """
    size = plan.size
    g = Graph("update")
    wide = [size, size + 1] if plan.inverse else [size]
    solved, aim = g.input("move", "f64", wide), g.input("b", "f64", wide)
    scaled, aim = (g.take(v, 0, 1) for v in (solved, aim)) if plan.inverse else (solved, aim)
    unit = g.input("unit", "f64", [size])
    over = g.greater(g.input("still" if plan.again else "stop", "f64"), 0.5)
    move = scaled / unit
    was, now = g.input("gained", "f64"), g.abs(g.sum(scaled * aim, 0))
    moved = g.greater(was, 0.0)
    rate = g.where(moved, now / g.where(moved, was, 1.0), 0.0)
    g.output("next.params", g.input("params", "f64", [size]) + move)
    for name, value in (("step", g.max(g.abs(move), 0)), ("rate", rate)):
        g.output(f"next.{name}", g.where(over, g.input(name, "f64"), value))
    g.output("next.gained", g.where(over, was, now))
    if plan.inverse:
        made = g.slice(solved, 1, size + 1, 1) / unit / g.unsqueeze(unit, 1)
        g.output("next.inverse", made / g.input("divisor", "f64"))
    return g


def _spread(g: Graph, squares: Value) -> Value:
    """Return by what scores and curvatures are divided."""
    return g.where(g.greater(squares, 0.0), squares, 1.0)


def _square(g: Graph, triangle: Value, size: int, apart: int = 0) -> Value:
    """Return the symmetric matrix of an upper triangle, behind which stand the curvatures of parameters apart."""
    inner = size - apart
    first, second = np.triu_indices(inner)
    at = np.full((size, size), len(first) + apart, np.int64)
    at[first, second] = at[second, first] = np.arange(len(first))
    if apart:
        at[range(inner, size), range(inner, size)] = len(first) + np.arange(apart)
        triangle = g.concat(triangle, np.zeros(1), axis=0)
    return g.reshape(g.take(triangle, at.ravel(), 0), size, size)


def _norm(g: Graph, v: Value, order: float) -> Value:
    size = g.abs(v)
    if order == math.inf:
        return g.max(size, 0)
    if order == 1:
        return g.sum(size, 0)
    if order == 2:
        return g.sqrt(g.sum(g.square(size), 0))
    return g.pow(g.sum(g.pow(size, float(order)), 0), 1 / float(order))
