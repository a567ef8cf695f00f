"""From expressions to ONNX graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .._shapes import Dim
from ..graph import Graph, Value
from ._base import Symbol, block
from ._expr import Expr, rows_of


@dataclass(frozen=True)
class Emitted:
    """A symbol in a graph.

    Parameters
    ----------
    value : Value
        ``f64``: ``[rows, columns]`` or ``[rows]``; NaN where a value is missing.
    keep : Value or None
        ``bool [rows]`` when rows were selected: which ones count.
    """

    value: Value
    keep: Value | None


def used_columns(roots: Iterable[Expr], order: Mapping[str, Sequence[str]] | None = None) -> dict[str, list[str]]:
    """Return the columns that expressions read, for each dataset, in the order of ``order`` or else sorted.

    What the server knows is given to a graph: columns that went into it in earlier rounds are not read again.
    """
    found: dict[str, set[str]] = {}
    stack, seen = list(roots), set[Expr]()
    while stack:
        x = stack.pop()
        if x in seen or not x.local:
            continue
        seen.add(x)
        stack.extend(x.args)
        if x.op == "Columns":
            found.setdefault(x.get("dataset"), set()).update(x.get("names"))
        elif x.op == "Column":
            found.setdefault(x.get("dataset"), set()).add(x.get("name"))
    ordered = order or {}
    return {d: [c for c in ordered.get(d, sorted(names)) if c in names] for d, names in sorted(found.items())}


class Emitter:
    """Puts expressions into a graph, each once.

    ``tables``: for each dataset its value ``f64 [rows, columns]`` in the graph, and the names of those columns. ``given``
    is asked for each expression that is not local, f64 and no constant, and returns its value if the graph gets it as an input.
    """

    def __init__(
        self,
        graph: Graph,
        tables: Mapping[str, tuple[Value, Sequence[str]]],
        given: Callable[[Expr], Value | None] | None = None,
    ) -> None:
        """Prepare a graph."""
        self.graph, self.tables, self.given = graph, tables, given
        self.done: dict[Expr, Value] = {}
        # Dimensions of rows have the graph's names.
        self._rows: dict[Dim, Dim] = {rows_of(d): v.shape[0] for d, (v, _) in tables.items()}

    def emit(self, root: Expr) -> Value:
        """Return an expression's value in the graph.

        Raises ``ValueError`` when it needs a dataset or a sum over the members that the graph does not get.
        """
        stack = [root]
        while stack:
            x = stack[-1]
            if x in self.done:
                stack.pop()
                continue
            given = self.given(x) if self.given and x.place == "server" and x.type.dtype == "f64" else None
            if given is not None:
                self.done[x] = given
                continue
            missing = [a for a in x.args if a not in self.done]
            if x.op == "Total":
                raise ValueError(
                    "this needs a sum over all members (such as a mean), which does not exist yet in this graph"
                )
            if missing:
                stack.extend(reversed(missing))
                continue
            self.done[x] = self._one(x)
            stack.pop()
        return self.done[root]

    def _one(self, x: Expr) -> Value:
        if x.data is not None:
            return self.graph.constant(x.data)
        if x.op not in ("Columns", "Column"):
            attributes = dict(x.attributes)
            if x.op == "Reshape":
                attributes["result"] = tuple(self._rows.get(d, d) for d in attributes["result"])
            return self.graph.apply(x.op, [self.done[a] for a in x.args], **attributes)
        dataset = x.get("dataset")
        if dataset not in self.tables:
            raise ValueError(f"the graph does not read the dataset {dataset!r}")
        table, names = self.tables[dataset]
        if x.op == "Column":
            return self.graph.take(table, list(names).index(x.get("name")), 1)
        wanted = list(x.get("names"))
        return table if wanted == list(names) else self.graph.take(table, [list(names).index(n) for n in wanted], 1)


def reads(*values: Symbol) -> dict[str, list[str]]:
    """Return the columns that symbols need.

    Parameters
    ----------
    *values : DataFrame, Series or Scalar
        The symbols.

    Returns
    -------
    dict of str to list of str
        For each dataset its columns, in the order in which :func:`emit` expects them.
    """
    return used_columns(e for v in values for e in parts(v))


def parts(value: Symbol) -> list[Expr]:
    """Return the expressions of a symbol: its value and, if rows were selected, which."""
    b = block(value)
    return [b.x] if b.rows is None or b.rows.keep is None else [b.x, b.rows.keep]


def emit(
    value: Symbol,
    graph: Graph,
    tables: Mapping[str, Value],
    columns: Mapping[str, Sequence[str]] | None = None,
    given: Callable[[Expr], Value | None] | None = None,
) -> Emitted:
    """Put a frame or series of rows into a graph of one's own; several of one graph share what they have in common.

    Parameters
    ----------
    value : DataFrame or Series
        Rows; bool comes as 0 and 1 in f64.
    graph : Graph
        Where to put it.
    tables : mapping of str to Value
        For each dataset a value ``f64 [rows, columns]`` of the graph.
    columns : mapping of str to sequence of str, optional
        The names of those columns; by default those of ``reads(value)``.
    given : callable, optional
        Returns the graph's value of an expression that is known from an earlier round, or None; see :meth:`Rounds.given`.

    Returns
    -------
    Emitted
        Rows that were not kept are still there, and their values mean nothing: use ``keep``, and mask NaN yourself.

    Raises
    ------
    ValueError
        The value needs a dataset that is not given, or a sum over the members: compute that in a round before.
    """
    names = columns or reads(value)
    emitter = Emitter(graph, {d: (v, names[d]) for d, v in tables.items()}, given)
    rows = block(value).rows
    keep = emitter.emit(rows.keep) if rows is not None and rows.keep is not None else None
    return Emitted(emitter.emit(block(value).x), keep)
