"""Boosted trees by histograms, a level a round: the loop of :class:`HistGradientBoostingRegressor` and of the classifier.

A task has no trees at first: nodes that are not split send all rows to the left, leaves are worth 0. In a round each member's
graph puts its rows through all trees, which gives their predictions and, of the tree that grows, their nodes; what is summed
over the rows of each node and each bin of each column is a count, the slope of the loss, and its curvature. The coordinator
looks for the threshold of each node that gains most, notes it, and after the last level of a tree what its leaves are worth.

Nodes of a level, and leaves, stand in the order in which rows that go left come first: a child is at the same place as its
parent, or 2^level further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import manifest as m
from ..graph import Graph, Value
from ..manifest import Draft
from ..pandas.symbolic import Expr, Loop, Rounds, Rows, Symbol, emit, reads
from ._rows import table

Array = npt.NDArray[np.float64]

NEVER = float(np.finfo(np.float64).max)
"""A threshold that no number is above."""
_EPSILON, _LEAST_CURVATURE, _ROUNDING = 1e-15, 1e-3, 1e-11
_ROOM = 2**22


@dataclass(frozen=True)
class Grower:
    """How trees grow.

    Parameters
    ----------
    trees, depth : int
        How many, one after the other, and how many levels each has.
    outputs : int
        Trees that grow at the same time: one for each class where there are more than two.
    loss : {"squared_error", "log_loss"}
        What is to be small.
    rate : float
        The share of what a leaf would be worth.
    least : int
        Rows of a leaf, at least.
    l2 : float
        The penalty on what leaves are worth.
    weighted : bool
        Whether rows have weights.
    apart : bool
        Whether nodes sum record by record.
    """

    trees: int
    depth: int
    outputs: int
    loss: str
    rate: float
    least: int
    l2: float
    weighted: bool
    apart: bool

    @property
    def width(self) -> int:
        """Nodes of the last level."""
        return int(2 ** (self.depth - 1))

    @property
    def nodes(self) -> int:
        """Nodes of a tree that can be split."""
        return int(2**self.depth - 1)

    @property
    def curved(self) -> bool:
        """Whether curvatures differ from row to row."""
        return self.weighted or self.loss == "log_loss"


class Bins:
    """The thresholds of all columns, one after the other.

    Parameters
    ----------
    edges : sequence of sequence of float
        Of each column, rising; what is not above one is on its left.
    """

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        self.column = np.array([j for j, e in enumerate(edges) for _ in e])
        self.edge = np.array([v for e in edges for v in e], np.float64)
        cells = [len(e) + 1 for e in edges]
        first = np.concatenate([[0], np.cumsum(cells)[:-1]])
        self.cells, self.first = int(sum(cells)), int(cells[0])
        # From whether a value is above each threshold to the one bin of each column, and from bins to what is left of each.
        self.above, self.begin = np.zeros((len(self.edge), self.cells)), np.zeros(self.cells)
        self.left = np.zeros((self.cells, len(self.edge)))
        self.begin[first] = 1.0
        c = 0
        for j, e in enumerate(edges):
            for b in range(len(e)):
                self.above[c, first[j] + b], self.above[c, first[j] + b + 1] = -1.0, 1.0
                self.left[first[j] : first[j] + b + 1, c] = 1.0
                c += 1


class Boosting(Loop):
    """The rounds.

    Parameters
    ----------
    index : Rows
        Whose rows.
    whole : Expr
        ``f64 [rows, columns + 3 + outputs]``: columns, what is explained, the weight, 1 where the row counts, and where
        predictions begin; zeros elsewhere.
    columns : int
        How many there are.
    bins : Bins
        The thresholds.
    grower : Grower
        How trees grow.
    """

    def __init__(self, index: Rows, whole: Expr, columns: int, bins: Bins, grower: Grower) -> None:
        self.index, self.whole, self.columns, self.bins, self.grower = index, whole, columns, bins, grower

    def rows(self) -> Sequence[Symbol]:
        """Return what members read."""
        return [table(Rows(self.index.dataset), self.whole, range(int(self.whole.shape[1])))]

    def add(self, draft: Draft, before: Rounds, prefix: str) -> Mapping[str, str]:
        """Append the rounds."""
        t = self.grower
        all_ = t.trees * t.outputs
        begin = {
            "feature": np.zeros((all_, t.nodes)),
            "threshold": np.full((all_, t.nodes), NEVER),
            "value": np.zeros((all_, 2 * t.width)),
            "losses": np.zeros(t.trees),
            "step": np.zeros(()),
        }
        state = {n: f"{prefix}{n}" for n in begin}
        for name, initial in begin.items():
            draft.variable(state[name], "server", initial)
        (rows,) = self.rows()
        ((dataset, columns),) = reads(rows).items()
        g = Graph("trees_member")
        inputs: dict[str, m.Json] = {"table": m.data(dataset, m.columns(columns))}
        read = g.input("table", "f64", ["rows", len(columns)])
        given = before.given(g, inputs, before.last)
        whole = emit(rows, g, {dataset: read}, {dataset: columns}, given).value
        known = {n: g.input(n, "f64", list(begin[n].shape)) for n in ("feature", "threshold", "value", "step")}
        inputs |= {n: m.variable(state[n]) for n in known}
        sent = self._member(g, whole, known)
        names = {n: f"{prefix}{n}" for n in sent}
        file = draft.graph(f"{prefix}member", g.bytes())
        # As many rows at a time as there is room for their places in all trees.
        size = int(np.clip(_ROOM // (2 * all_ * t.width), 256, 8192))
        some: m.Json = {"kind": "batches", "dataset": dataset, "batch_size": size, "length": {"epochs": 1}}
        driver = m.records(dataset) if t.apart else some
        member = m.Step(file, inputs, {n: m.accumulate(names[n]) for n in sent}, driver)
        system = self._system(sent)
        reduce = m.Step(
            draft.graph(f"{prefix}system", system.bytes()),
            {f"sum.{n}": m.total(names[n]) for n in sent} | {f"was.{n}": m.variable(state[n]) for n in state},
            {n: f"{prefix}next.{n}" for n in system.outputs},
        )
        exact = {names[n] for n in sent if n != "count"} if draft.strategy.exact else set()
        draft.round(
            m.Map([member], [(names[n], "f64", s) for n, s in sent.items()], exact=exact),
            m.Reduce([reduce], {state[n]: f"{prefix}next.{n}" for n in state}, {"loss": f"{prefix}next.loss"}),
            t.trees * t.depth,
            cohort="same",
        )
        return {n: state[n] for n in ("feature", "threshold", "value", "losses")}

    def _member(self, g: Graph, whole: Value, known: Mapping[str, Value]) -> dict[str, tuple[int, ...]]:
        """Make the members' graph."""
        t, p = self.grower, self.columns
        x = g.slice(whole, 0, p, 1)
        y, weight, there = (g.slice(whole, p + i, p + i + 1, 1) for i in range(3))
        start = g.slice(whole, p + 3, p + 3 + t.outputs, 1)
        places, leaves = self._through(g, x, known)
        worth = g.sum(leaves * known["value"], 2)
        raw = start + worth @ np.tile(np.eye(t.outputs), (t.trees, 1))
        loss, slope, curve = self._losses(g, raw, y, weight)
        # The nodes of the tree that grows: [rows, outputs, nodes].
        rows = x.shape[0]
        growing = g.cast(g.equal(self._tree(g, known["step"]), np.arange(float(t.trees))), "f64")
        mine = g.sum(g.reshape(places, rows, t.trees, t.outputs, t.width) * g.reshape(growing, t.trees, 1, 1), 1)
        above = g.cast(g.greater(g.take(x, self.bins.column, 1), self.bins.edge), "f64")
        bins = (above @ self.bins.above + self.bins.begin) * there
        wide = t.outputs * t.width
        blocks = {"count": g.reshape(mine, rows, wide), "slope": g.reshape(mine * g.unsqueeze(slope, 2), rows, wide)}
        if t.curved:
            blocks["curve"] = g.reshape(mine * g.unsqueeze(curve, 2), rows, wide)
        if t.apart:
            sums = {n: g.unsqueeze(v, 2) * g.unsqueeze(bins, 1) for n, v in blocks.items()}
            shapes = {n: tuple(int(d) for d in v.shape[1:]) for n, v in sums.items()}
            sums["loss"] = g.take(loss, 0, 1)
        else:
            sums = {n: g.gram(v, bins) for n, v in blocks.items()}
            shapes = {n: tuple(int(d) for d in v.shape) for n, v in sums.items()}
            sums["loss"] = g.sum(g.take(loss, 0, 1), 0)
        for name, value in sums.items():
            g.output(name, value)
        return shapes | {"loss": ()}

    def _through(self, g: Graph, x: Value, known: Mapping[str, Value]) -> tuple[Value, Value]:
        """Return the node of the last level, and the leaf, of each row in each tree: ``[rows, trees, ...]`` of 0 and 1."""
        t = self.grower
        all_ = t.trees * t.outputs
        picks = g.cast(
            g.equal(np.arange(float(self.columns))[:, np.newaxis], g.reshape(known["feature"], 1, -1)), "f64"
        )
        right = g.cast(g.greater(x @ picks, g.reshape(known["threshold"], -1)), "f64")
        right = g.reshape(right, x.shape[0], all_, t.nodes)
        first = g.slice(right, 0, 1, 2)
        here = last = first * 0.0 + 1.0
        for level in range(t.depth):
            last = here
            goes = g.slice(right, 2**level - 1, 2 ** (level + 1) - 1, 2)
            here = g.concat(here * (1.0 - goes), here * goes, axis=2)
        return last, here

    def _losses(self, g: Graph, raw: Value, y: Value, weight: Value) -> tuple[Value, Value, Value]:
        """Return each row's loss ``[rows, 1]``, its slope and its curvature ``[rows, outputs]``."""
        t = self.grower
        if t.loss == "squared_error":
            rest = raw - y
            return weight * g.square(rest) * 0.5, weight * rest, weight
        if t.outputs == 1:
            p, no = g.sigmoid(raw), g.sigmoid(-raw)
            slope = weight * ((1.0 - y) * p - y * no)
            return weight * (g.softplus(raw) - y * raw), slope, weight * p * no
        chosen = g.cast(g.equal(y, np.arange(float(t.outputs))), "f64")
        top = g.max(raw, 1, keepdims=True)
        e = g.exp(raw - top)
        all_ = g.sum(e, 1, keepdims=True)
        p = e / all_
        loss = top + g.log(all_) - g.sum(chosen * raw, 1, keepdims=True)
        return weight * loss, weight * (p - chosen), weight * p * (1.0 - p)

    def _tree(self, g: Graph, step: Value) -> Value:
        """Return the number of the tree that grows."""
        return g.floor((step + 0.5) / float(self.grower.depth))

    def _system(self, sent: Mapping[str, tuple[int, ...]]) -> Graph:
        """Make the coordinator's graph: the best threshold of each node, and what leaves are worth."""
        g, t, bins = Graph("trees_system"), self.grower, self.bins
        sums = {n: g.input(f"sum.{n}", "f64", s) for n, s in sent.items()}
        feature, threshold, value, losses, step = (
            g.input(f"was.{n}", "f64", s)
            for n, s in (
                ("feature", [t.trees * t.outputs, t.nodes]),
                ("threshold", [t.trees * t.outputs, t.nodes]),
                ("value", [t.trees * t.outputs, 2 * t.width]),
                ("losses", [t.trees]),
                ("step", []),
            )
        )
        curve = sums.get("curve", sums["count"])
        n, slope, curved = (_Side(g, s, bins) for s in (sums["count"], sums["slope"], curve))

        def worth(of: Value, by: Value) -> Value:
            return of / (by + (t.l2 + _EPSILON))

        sides = slope.left * worth(slope.left, curved.left) + slope.right * worth(slope.right, curved.right)
        gain = sides - g.unsqueeze(slope.all * worth(slope.all, curved.all), 1)
        enough = g.and_(g.greater(n.left, t.least - 0.5), g.greater(n.right, t.least - 0.5))
        bent = g.and_(g.greater_equal(curved.left, _LEAST_CURVATURE), g.greater_equal(curved.right, _LEAST_CURVATURE))
        good = g.and_(g.and_(enough, bent), g.greater(gain, sides * _ROUNDING))
        score = g.where(good, gain, -1.0)
        best = g.max(score, 1, keepdims=True)
        numbers = np.arange(float(len(bins.edge)))
        first = g.min(g.where(g.equal(score, best), numbers, float(len(bins.edge))), 1, keepdims=True)
        one = g.equal(first, numbers)
        split = g.greater(g.take(best, 0, 1), 0.0)

        def chosen(v: Value | Array) -> Value:
            return g.sum(g.where(one, v, 0.0), 1)

        at = g.where(split, chosen(bins.edge), NEVER)
        column = g.where(split, chosen(bins.column.astype(np.float64)), 0.0)
        unsplit = worth(slope.all, curved.all)
        left = g.where(split, worth(chosen(slope.left), chosen(curved.left)), unsplit)
        right = g.where(split, worth(chosen(slope.right), chosen(curved.right)), unsplit)
        # Where that goes: the nodes of this level of this tree, and after the last level its leaves.
        tree = self._tree(g, step)
        level = step - tree * float(t.depth)
        levels = np.floor(np.log2(np.arange(1, t.nodes + 1)))
        places = (np.arange(1, t.nodes + 1) - 2**levels).astype(np.int64)
        growing = g.reshape(g.equal(tree, np.arange(float(t.trees))), t.trees, 1, 1)
        here = g.and_(growing, g.equal(level, levels))

        def noted(was: Value, new: Value, where: Value) -> Value:
            whole = g.reshape(was, t.trees, t.outputs, int(was.shape[1]))
            return g.reshape(g.where(where, new, whole), *was.shape)

        def by_node(v: Value) -> Value:
            return g.take(g.reshape(v, t.outputs, t.width), places, 1)

        g.output("feature", noted(feature, by_node(column), here))
        g.output("threshold", noted(threshold, by_node(at), here))
        leaves = g.concat(g.reshape(left, t.outputs, t.width), g.reshape(right, t.outputs, t.width), axis=1)
        last = g.and_(growing, g.greater(level, t.depth - 1.5))
        g.output("value", noted(value, leaves * -t.rate, last))
        begins = g.and_(g.equal(tree, np.arange(float(t.trees))), g.less(level, 0.5))
        g.output("losses", g.where(begins, sums["loss"], losses))
        g.output("loss", sums["loss"] * 1.0)
        g.output("step", step + 1.0)
        return g


class _Side:
    """A sum on the left of each threshold, on its right, and of the whole node."""

    def __init__(self, g: Graph, sums: Value, bins: Bins) -> None:
        self.all = g.sum(g.slice(sums, 0, bins.first, 1), 1)
        self.left = sums @ bins.left
        self.right = g.unsqueeze(self.all, 1) - self.left
