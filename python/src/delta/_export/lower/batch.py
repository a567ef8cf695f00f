"""The batch dimension: finding its symbol, and refusing graphs that fit one batch size only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sympy  # type: ignore[import-untyped]
import torch
from torch.fx import Node

from ..errors import ExportError, Location, is_author_file

_INSTEAD = (
    "write the step so that it works for any number of rows: no len(x), no loops over rows, no reshape to a count"
)
_TRIED = (2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 127, 128, 200, 255, 256, 257, 1000, 1024, 4099, 65536)


class GraphInput(NamedTuple):
    """An input of a graph: its name, an example, and the dimensions of it that are the batch."""

    name: str
    tensor: torch.Tensor
    batch_dims: tuple[int, ...] = ()


def batch_symbol(
    placeholders: Sequence[Node], inputs: Sequence[GraphInput]
) -> tuple[sympy.Symbol | None, tuple[str, int] | None]:
    """The symbol of the batch, and an input and dimension to read it from; nothing when no input has a batch.

    Raises
    ------
    ExportError
        The batch became a number while tracing, or there is more than one symbol.
    """
    symbol: sympy.Symbol | None = None
    source: tuple[str, int] | None = None
    for node, described in zip(placeholders, inputs, strict=True):
        value = node.meta["val"]
        for dim in described.batch_dims:
            size = value.shape[dim]
            expr = size.node.expr if isinstance(size, torch.SymInt) else sympy.Integer(int(size))
            if not isinstance(expr, sympy.Symbol):
                raise ExportError(
                    f"input {described.name}", f"the step works for a batch of {expr} rows only", instead=_INSTEAD
                )
            if symbol is None:
                symbol, source = expr, (described.name, dim)
            elif symbol != expr:
                raise ExportError(f"input {described.name}", "two batch sizes in one graph", instead=_INSTEAD)
    return symbol, source


def refuse_fixed_batch(placeholders: Sequence[Node], symbol: sympy.Symbol | None) -> None:
    """Refuses a graph for which tracing took a decision that does not hold for every batch size from 2 on."""
    if symbol is None:
        return
    environment = next(
        (
            size.node.shape_env
            for node in placeholders
            for size in getattr(node.meta["val"], "shape", ())
            if isinstance(size, torch.SymInt)
        ),
        None,
    )
    if environment is None:
        return
    for old, new in environment.replacements.items():
        if new.is_number:
            raise ExportError("batch size", f"tracing fixed {old} to {new}", instead=_INSTEAD)
    for guard in environment.guards:
        place = _place(guard)
        if place is None or guard.expr.free_symbols != {symbol}:
            continue
        for size in _TRIED:
            if guard.expr.subs(symbol, size) == sympy.false:
                readable = str(guard.expr).replace(str(symbol), "batch")
                raise ExportError(
                    "batch size", f"the step decides by {readable}, which is false for {size} rows",
                    instead=_INSTEAD, location=place,
                )  # fmt: skip


def _place(guard: Any) -> Location | None:
    """The author's line that took a decision; nothing for decisions inside torch, which choose between equal ways.

    Under `Lift` every call of torch passes through this package, so the innermost frame is the author's only when the
    comparison itself stands in the author's code.
    """
    frame = getattr(getattr(guard, "sloc", None), "framework_loc", None)
    if frame is None or isinstance(frame, str) or not is_author_file(frame.filename):
        return None
    return Location(frame.filename, frame.lineno or 0)
