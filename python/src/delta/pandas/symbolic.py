"""Frames as what they are, expressions with labels: all that a kind of task may ask of :mod:`delta.pandas`.

Analytics and regressions are written on the names below and on the classes of :mod:`delta.pandas`; a kind of task of your
own can be, too. Modules of the package that begin with an underscore may change at any time, these names do not.

1. :func:`table` makes a frame for each dataset. Its rows are those of all members.
2. The author's code computes with it. What comes back is a :class:`Symbol`: a DataFrame, a Series or a Scalar.
3. :func:`block` says what a symbol stands for: a :class:`Block`, that is an :class:`Expr` and the labels around it.
   ``block(s).rows`` tells rows at the members from results; two symbols have the same rows when these compare equal.
4. ``ops`` has the operators of :class:`delta.graph.Operators` on expressions, :func:`pooled` sums one over the members, and
   :func:`wrap` makes a symbol of a block again.
5. :func:`reads` says which columns of which datasets symbols need, and :func:`emit` puts rows into a graph of one's own.
6. :class:`Recipe` is a result that several aggregates make, on its author's machine; ``execute`` may return one,
   and one of them may have a :class:`Loop`, rounds that are repeated until it is found.
7. :class:`Rounds` adds the rounds to a draft after which results (sums over the members, and what follows from them) are
   known to the coordinator.

For example, rows by a condition, in a graph::

    frame = table("spector.csv", ["GPA", "PSI"])
    x = frame[frame.GPA > 2]
    reads(x)                                              # {"spector.csv": ["GPA", "PSI"]}
    graph = delta.graph.Graph()
    rows = graph.input("rows", "f64", ["rows", 2])        # those columns, in that order
    out = emit(x, graph, {"spector.csv": rows})
    out.value, out.keep                                   # f64 [rows, 2]; bool [rows]

Numbers are ``f64`` throughout and a missing value is NaN. Rows that a mask left out are still in ``out.value``; ``out.keep``
says which ones count.
"""

from __future__ import annotations

from ._base import Block, Label, Rows, Symbol, block, wrap
from ._emit import Emitted, emit, reads
from ._expr import Expr, ops, pooled
from ._frame import table
from ._recipe import CHECKS, Loop, Recipe
from ._rounds import Rounds

__all__ = [
    "CHECKS",
    "Block",
    "Emitted",
    "Expr",
    "Label",
    "Loop",
    "Recipe",
    "Rounds",
    "Rows",
    "Symbol",
    "block",
    "emit",
    "ops",
    "pooled",
    "reads",
    "table",
    "wrap",
]
