"""The coordinator's graphs: before the equations that Newton's method solves, and after them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..graph import Graph, Value
from ._options import Options

RIDGE = 1e-15
"""What is added to the diagonal, as a share of it, where nothing is asked for."""


def system_graph(
    options: Options,
    size: int,
    sent: Mapping[str, tuple[int, ...]],
    tallies: Sequence[str],
    centred: bool,
) -> Graph:
    """Return the coordinator's graph before the equations: sums, and whether to go on.

    ``tallies``: what the numbers of ``tally`` count, of ``kept missing wrong``.
    """
    g = Graph("system")
    sums = {n: g.input(f"sum.{n}", "f64", s) for n, s in sent.items()}
    done, taken = g.input("was.converged", "f64"), g.input("was.iterations", "f64")
    gained = g.input("was.gained", "f64")
    sums["hessian"] = _square(g, sums["hessian"], size)
    n, missing, invalid = (
        g.take(sums["tally"], tallies.index(t), 0) if t in tallies else g.constant(0.0)
        for t in ("kept", "missing", "wrong")
    )
    sums["tally"] = g.stack(n, missing, invalid, axis=0)
    bad = invalid + missing if options.missing == "raise" else invalid
    count = g.maximum(n, 1.0)
    score, hessian = sums["score"] / count, sums["hessian"] / count
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
    stop = g.or_(last, g.or_(g.greater(bad, 0.5), g.less(n, 0.5)))
    # A score of columns that are nearly dependent is small long before the parameters are right: what the last step gained in
    # log-likelihood must have been next to nothing, too, and of that Newton's next step leaves the square.
    small = g.and_(g.less(norm, options.tol), g.less_equal(gained, options.tol))
    near = g.equal(norm, norm) if options.fixed else small
    # The last round only looks: its equations have the solution 0 whatever the data are.
    g.output("a", g.where(stop, np.eye(size), matrix))
    g.output("b", g.where(stop, np.zeros(size), score))
    g.output("unit", unit)
    g.output("stop", g.cast(stop, "f64"))
    g.output("norm", norm)
    g.output("converged", g.cast(near, "f64"))
    g.output("iterations", taken + g.cast(g.not_(stop), "f64"))
    for name in ("loglike", "hessian", "tally", "counts", "sums"):
        if name in sums:
            g.output(name, sums[name])
    if centred:
        g.output("centre", g.take(sums["sums"], 0, 0) / count)
    return g


def update_graph(size: int) -> Graph:
    """Return the coordinator's graph after the equations.

    ``step`` is the length of the last move that was one; ``gained`` twice what it gained in mean log-likelihood, as far as that
    is a parabola (Newton's decrement), which no change of columns into others alters; ``rate`` what share that is of what the
    move before gained, 0 where there was none.
    """
    g = Graph("update")
    scaled, over = g.input("move", "f64", [size]), g.greater(g.input("stop", "f64"), 0.5)
    move = scaled / g.input("unit", "f64", [size])
    was, now = g.input("gained", "f64"), g.abs(g.sum(scaled * g.input("b", "f64", [size]), 0))
    moved = g.greater(was, 0.0)
    rate = g.where(moved, now / g.where(moved, was, 1.0), 0.0)
    g.output("next.params", g.input("params", "f64", [size]) + move)
    for name, value in (("step", g.max(g.abs(move), 0)), ("rate", rate)):
        g.output(f"next.{name}", g.where(over, g.input(name, "f64"), value))
    g.output("next.gained", g.where(over, was, now))
    return g


def _square(g: Graph, triangle: Value, size: int) -> Value:
    """Return the symmetric matrix of an upper triangle."""
    first, second = np.triu_indices(size)
    at = np.zeros((size, size), np.int64)
    at[first, second] = at[second, first] = np.arange(len(first))
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
