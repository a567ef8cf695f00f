"""From a member's sum to what each of its rows adds to it: the form that nodes can prove safe (driver ``records``).

:func:`per_record` looks at how a client expression is made. Where it is a sum over rows, or picks and turns of one, it returns
the expression of one row's share, with the rows as its first axis; where it is anything else (a maximum, a bucket that is
picked), there is no such form. What the proof at the nodes follows is in ``docs/protocol/graphs.md``, "Records kept apart".
"""

from __future__ import annotations

import numpy as np

from .._shapes import Dim
from ._expr import ELEMENTWISE, Array, Expr, ops


def per_record(x: Expr) -> Expr | None:
    """Return what each row adds to ``x``, ``[rows, *x.shape]``; ``None`` when ``x`` is no sum over rows."""
    made = _share(x)
    return made if made is not None and _apart(made) else None


def triangle(x: Expr) -> tuple[Expr, Array] | None:
    """For products of columns with themselves, what each row adds to the upper triangle, and where each entry of ``x`` is in it.

    ``f64 [rows, n (n + 1) / 2]``, and ``[n * n]`` places. ``None`` for anything else: every number that leaves counts.
    """
    if x.op != "MatMul" or x.args[0].op != "Transpose" or x.args[0].args[0] is not x.args[1]:
        return None
    a = x.args[1]
    if not _rows_first(a) or a.type.rank != 2:
        return None
    n = int(a.shape[1])
    first, second = np.triu_indices(n)
    at = np.zeros((n, n), np.int64)
    at[first, second] = at[second, first] = np.arange(len(first))
    made = ops.mul(ops.take(a, first, 1), ops.take(a, second, 1))
    return (made, at.ravel()) if _apart(made) else None


def counts(x: Expr) -> bool:
    """Whether all values of an expression are 0 or 1."""
    if x.data is not None:
        return bool(np.isin(x.data, (0, 1)).all())
    if x.op == "Cast":
        return x.args[0].type.dtype == "bool"
    if x.op == "Where":
        return counts(x.args[1]) and counts(x.args[2])
    if x.op in ("Mul", "Concat"):
        return all(counts(a) for a in x.args)
    return x.op in ("Unsqueeze", "Slice", "Gather", "Transpose") and counts(x.args[0])


def _share(x: Expr) -> Expr | None:
    made = {"ReduceSum": _sum, "MatMul": _products, "ScatterElements": _places}.get(x.op, lambda _: None)(x)
    return made if made is not None else _turned(x)


def _sum(x: Expr) -> Expr | None:
    """A sum down the rows: the rows themselves."""
    (a,) = x.args
    if not _rows_first(a) or tuple(x.get("axes")) != (0,):
        return None
    return ops.unsqueeze(a, 1) if x.get("keepdims") else a


def _products(x: Expr) -> Expr | None:
    """``a.T @ b``: each row's products of all pairs."""
    turned, b = x.args
    if turned.op != "Transpose" or turned.type.rank != 2 or b.type.rank != 2:
        return None
    (a,) = turned.args
    if not (_rows_first(a) and _rows_first(b)):
        return None
    return ops.mul(ops.unsqueeze(a, 2), ops.unsqueeze(b, 1))


def _places(x: Expr) -> Expr | None:
    """Values added up by their place: each row's value where its place is, 0 elsewhere."""
    into, indices, updates = x.args
    if into.data is None or into.data.any() or x.get("axis") != 0 or x.get("reduction") != "add":
        return None
    if not (_rows_first(indices) and _rows_first(updates)) or indices.op != "Cast":
        return None
    # The places before they became i64: whole numbers as f64.
    code = ops.unsqueeze(indices.args[0], 1)
    places = np.arange(float(int(into.shape[0]))).reshape(-1, *[1] * (updates.type.rank - 1))
    here = ops.equal(code, places)
    return ops.where(here, ops.unsqueeze(updates, 1), 0.0)


def _turned(x: Expr) -> Expr | None:
    """Picks, cuts, joins and turns of sums: the same of each row's share, one axis further on."""
    if x.place != "client" or x.op not in ("Gather", "Unsqueeze", "Slice", "Concat", "Transpose", "ReduceSum"):
        return None
    if x.op == "Gather" and x.args[1].local:
        return None
    shares = [_share(a) if a.local else a for a in x.args]
    if any(s is None for s in shares) or (x.op == "Concat" and not all(a.local for a in x.args)):
        return None
    kept = [s for s in shares if s is not None]
    attributes = dict(x.attributes)
    if x.op in ("Gather", "Concat"):
        attributes["axis"] = attributes["axis"] % x.args[0].type.rank + 1
    elif x.op == "Transpose":
        attributes["perm"] = (0, *(p + 1 for p in attributes["perm"]))
    elif x.op == "Unsqueeze":
        attributes["axes"] = tuple(a % x.type.rank + 1 for a in attributes["axes"])
    else:
        attributes["axes"] = tuple(a % x.args[0].type.rank + 1 for a in attributes["axes"])
    return ops.apply(x.op, kept, **attributes)


def _rows_first(x: Expr) -> bool:
    named: list[Dim] = [d for d in x.shape if isinstance(d, str)]
    return x.local and len(named) == 1 and isinstance(x.shape[0], str)


def _apart(root: Expr) -> bool:
    """Whether rows stay on the first axis all the way, and nothing of a member but the row itself goes in."""
    stack, seen = [root], set()
    while stack:
        x = stack.pop()
        if x in seen or not x.local:
            continue
        seen.add(x)
        if not _rows_first(x) or not _keeps(x):
            return False
        stack.extend(x.args)
    return True


def _keeps(x: Expr) -> bool:
    if x.op in ("Columns", "Column", "Identity"):
        return True
    if x.op in ELEMENTWISE:
        return all(
            a.type.rank == x.type.rank if a.local else a.type.rank < x.type.rank or a.shape[0] == 1 for a in x.args
        )
    rank = x.args[0].type.rank
    if x.op in ("ReduceSum", "ReduceMax", "ReduceMin", "Slice"):
        return all(a % rank != 0 for a in x.get("axes"))
    if x.op == "Unsqueeze":
        return all(a % x.type.rank != 0 for a in x.get("axes"))
    if x.op in ("CumSum", "Concat"):
        return x.get("axis") % rank != 0 and all(a.local for a in x.args)
    if x.op == "Transpose":
        return bool(x.get("perm")[0] == 0)
    if x.op == "Gather":
        picks_of_row = x.args[0].local and not x.args[1].local and x.get("axis") % rank != 0
        looks_up = not x.args[0].local and x.args[1].local and x.get("axis") % rank == 0
        return picks_of_row or looks_up
    return x.op == "MatMul" and x.args[0].local and not x.args[1].local and rank == 2
