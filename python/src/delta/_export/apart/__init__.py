"""A batch taken apart: from operators on a whole batch to the same for each record, with the records on an axis of their own.

The graph of a training step on a batch is read again as the step on a batch of one record, and done for all records at
once. So a gradient, which sums over the batch there, has one block for each record here. ``torch.func.vmap`` would do the
same, but merges records with other axes on the way, where a node loses sight of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.fx as fx
from torch import Tensor

from ..decompositions import decomposition_table
from ..errors import ExportError, author_of
from ..trace import Trace, make, prune, refuse_fixed_batch
from ..watch import explained
from . import picking, products
from .rules import Call, apply
from .values import Outer, Rows, first_rows, rows_of

__all__ = ["Outer", "Rows", "apart"]
_ = (picking, products)  # imported for their rules

Finish = Callable[[Mapping[str, Rows]], Mapping[str, Tensor]]


def apart(batch: Trace, finish: Finish) -> Trace:
    """Take a batch apart.

    ``batch`` is functional. ``finish`` makes the outputs of what each record gives; each has the records first.

    Raises :class:`ExportError` naming the author's line for an operator that cannot be done record by record.
    """
    names: list[str] = []

    def run(*flat: Tensor) -> list[Tensor]:
        given = [Rows(t.unsqueeze(1)) if i.batch_dims else t for t, i in zip(flat, batch.inputs, strict=True)]
        made = _One(batch.graph).run(*given)
        one = first_rows(given)
        out = finish({n: rows_of(m, one) for n, m in zip(batch.outputs, made, strict=True)})
        names.extend(out)
        return list(out.values())

    with explained():
        graph, env = make(run, batch.inputs, decomposition_table("records"), None)
        refuse_fixed_batch(env)
    prune(graph.graph)
    graph.recompile()
    return Trace(graph, list(batch.inputs), names)


class _One(fx.Interpreter):
    """Runs the graph of a batch as one of one record, for all records."""

    def run_node(self, n: fx.Node) -> Any:
        """Do one operator."""
        if n.op != "call_function":
            return super().run_node(n)
        value = n.meta.get("val")
        if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return _at_one(value)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        leaves = [a for v in (*args, *kwargs.values()) for a in (v if isinstance(v, (list, tuple)) else [v])]
        if not any(isinstance(a, Rows) for a in leaves) or n.target is getattr:
            return super().run_node(n)
        if getattr(n.target, "__name__", "") == "getitem":
            return args[0][args[1]]
        shape = [_at_one(d) for d in value.shape] if isinstance(value, Tensor) else []
        try:
            made = apply(Call(n.target, shape), *args, **kwargs)
        except ExportError as error:
            raise error.at(author_of(n.meta.get("stack_trace"))) from None
        if isinstance(made, Rows) and isinstance(value, Tensor):
            if made.shape != shape:
                raise RuntimeError(f"{n.target}: blocks of {made.shape} for {shape}")
            if made.tensor.dtype != value.dtype:
                # A number for each record is no single number any more, whose type would not count.
                made = Rows(made.tensor.to(value.dtype))
        return made


def _at_one(value: Any) -> Any:
    """A size, in a batch of one record."""
    if not isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return value
    expr = value.node.expr
    expr = expr.subs({s: 1 for s in expr.free_symbols})
    return (
        int(expr)
        if isinstance(value, torch.SymInt)
        else float(expr)
        if isinstance(value, torch.SymFloat)
        else bool(expr)
    )
