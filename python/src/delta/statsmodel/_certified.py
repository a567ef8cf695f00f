"""The last round of a certified regression: the rows that members commit to, and prove about (docs/protocol/certificate.md)."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import manifest as m
from ..graph import Graph, Value
from ._inputs import Inputs

_CONSTANTS = ("const", "Intercept")
# As nodes allow.
_MOST_COLUMNS = 64
MOST_MEMBERS = 1000


def split(
    names: Sequence[str], bounds: Mapping[str, tuple[float, float]]
) -> tuple[int, dict[str, tuple[float, float]]]:
    """Return the place of the constant among the columns, and the others with their bounds, in order.

    Raises ``ValueError`` for what cannot be certified.
    """
    constants = [i for i, n in enumerate(names) if n in _CONSTANTS and n not in bounds]
    if len(constants) != 1:
        raise ValueError(
            "enable_verify=True: x must have one constant; make it with add_constant(x), and give it no bounds"
        )
    others = [n for i, n in enumerate(names) if i != constants[0]]
    if missing := [n for n in others if n not in bounds]:
        raise ValueError(
            f"bounds: {', '.join(missing)} of x have none; say bounds={{{missing[0]!r}: (smallest, largest)}}"
        )
    if unknown := [n for n in bounds if n not in others]:
        raise ValueError(f"bounds: {', '.join(map(str, unknown))}: no column of x; x has {', '.join(others)}")
    if not 1 <= len(others) <= _MOST_COLUMNS:
        raise ValueError(
            f"enable_verify=True: x has {len(others)} columns beside the constant; 1 to 64 can be certified"
        )
    return constants[0], {n: _bounds(n, bounds[n]) for n in others}


def _bounds(name: str, given: Any) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in given)
    except (TypeError, ValueError):
        raise ValueError(f"bounds[{name!r}]={given!r}: must be two numbers, the smallest and the largest") from None
    half = high / 2 - low / 2
    if not (low < high and math.isfinite(low) and math.isfinite(high) and half >= sys.float_info.min):
        raise ValueError(f"bounds[{name!r}]={given!r}: the first must be below the second, and both finite")
    return low, high


def tolerance(given: float) -> float:
    """Return the tolerance; ``ValueError`` where nodes would not take it."""
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 1e-5 <= given <= 0.1:
        raise ValueError(f"verify_tolerance={given!r}: must be 1e-5 at least, and 0.1 at most")
    return float(given)


def rows_graph(given: Inputs, constant: int, valid: Callable[[Graph, Value], Value]) -> Graph:
    """Return the graph that makes ``x`` without its constant, ``y`` and ``kept`` of each row, as training counts rows."""
    g = Graph("certified")
    rows = g.input("rows", "f64", ["rows", len(given.reads()[1])])
    made, selected = given.emit(g, rows)
    xs, ys = made["x"], made["y"]
    both = g.concat(xs, ys, axis=1)
    chosen = g.equal(ys, ys) if selected is None else g.unsqueeze(selected, 1)
    missing = g.greater(g.sum(g.cast(g.is_nan(both), "f64"), 1, keepdims=True), 0.5)
    infinite = g.greater(g.sum(g.cast(g.greater(g.abs(both), np.finfo(float).max), "f64"), 1, keepdims=True), 0.5)
    keep = g.and_(g.and_(chosen, g.not_(missing)), g.not_(g.or_(infinite, g.not_(valid(g, ys)))))
    places = [i for i in range(len(given.names)) if i != constant]
    x = g.concat(*(g.take(xs, [i], 1) for i in places), axis=1)
    g.output("x", g.where(keep, x, 0.0))
    g.output("y", g.where(keep, ys, 0.0))
    g.output("kept", g.cast(keep, "f64"))
    return g


def add_round(
    draft: m.Draft,
    given: Inputs,
    bounds: Mapping[str, tuple[float, float]],
    allowed: float,
    valid: Callable[[Graph, Value], Value],
    labelled: bool = False,
) -> None:
    """Append the round in which members prove; with ``labelled``, a linear regression, whose ``y`` has bounds too."""
    own = dict(bounds)
    label = None
    if labelled:
        if given.target not in own:
            raise ValueError(f"bounds: {given.target}, which is y, has none; say {given.target!r}: (smallest, largest)")
        label = (given.target, *_bounds(given.target, own.pop(given.target)))
    constant, columns = split(given.names, own)
    graph = rows_graph(given, constant, valid)
    dataset, names = given.reads()
    step = m.Step(
        draft.graph("certified", graph.bytes()),
        {"rows": m.data(dataset, m.columns(names))},
        {n: m.accumulate(n) for n in ("x", "y", "kept")},
        m.records(dataset),
    )
    made = m.certify(columns, "params", constant, allowed, label)
    draft.round(m.Map([step], []), m.Reduce([], {}), cohort="same", certify=made)
