"""Whether a loss is a sum or a mean over its rows: a look at numbers, to tell an author where rows are mixed.

A graph of records that are kept apart computes what the author wrote on each record alone. That is his gradient only where
his loss is the sum or the mean of the losses of single rows. So his step is run here on a few made-up rows together and on
each of them alone, and compared operator by operator; the first that differs has his line. What nodes prove does not rest on
this: it is about the meaning of a task, not about its safety.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.fx as fx
from torch import Tensor

from .errors import ExportError, author_of
from .trace import Trace

ROWS = 5
_CLOSE = 2e-3


def check(recorded: Trace, loss: str, gradients: Sequence[str], state: Mapping[str, Tensor]) -> None:
    """Compare one pass over some rows with a pass over each.

    ``recorded``: the author's step. ``loss``, ``gradients``: among its outputs. ``state``: values of its other inputs.

    Raises :class:`ExportError` at the first operator that does not treat rows each on its own.
    """
    results = recorded.results
    forward = _above(results[loss])
    ran, failure = 0, ""
    for rows in _made_up(recorded):
        try:
            together = _run(recorded, state, rows)
            alone = [_run(recorded, state, [r[i : i + 1] for r in rows]) for i in range(ROWS)]
        except Exception as error:  # made-up rows need not be any that a model takes: an index outside of a table
            failure = str(error).splitlines()[0]
            continue
        ran += 1
        for node, value in together.items():
            if node in forward and not _agree(node, value, [a[node] for a in alone]):
                raise _mixed(node)
        # A gradient that should be 0 has what rounding leaves: it is measured by the others.
        largest = max([float(together[results[n]].abs().nan_to_num().max()) for n in gradients], default=0.0)
        for name in gradients:
            node = results[name]
            if not _agree(node, together[node], [a[node] for a in alone], largest):
                raise ExportError(
                    "train()", "gradients are changed between loss.backward() and optimizer.step(), together for all rows",
                    instead="leave bounds to privacy.clip and weight decay to the optimizer",
                )  # fmt: skip
    if not ran:
        raise ExportError(
            "train()", f"it ends with an error on made-up rows, so that nobody can tell whether it mixes them: {failure}",
            instead="let preprocess() take any numbers: clamp indices to what an embedding has",
        )  # fmt: skip


def _mixed(node: fx.Node) -> ExportError:
    rows = any(isinstance(s, torch.SymInt) for s in getattr(node.meta.get("val"), "shape", ()))
    if rows:
        return ExportError(
            str(node.target), "what it makes of a row depends on the other rows of the batch, which no record has under privacy",
            instead="work on each row by itself: LayerNorm or GroupNorm for batch norm, constants for means over the batch",
            location=author_of(node.meta.get("stack_trace")),
        )  # fmt: skip
    return ExportError(
        str(node.target), "it is neither the sum nor the mean of what single rows give",
        location=author_of(node.meta.get("stack_trace")),
        instead="take the mean or the sum over the rows last, of one number for each row: a loss with reduction='mean' or 'sum', "
        "without class weights",
    )  # fmt: skip


def _above(node: fx.Node) -> set[fx.Node]:
    """A node, and all that it is computed from."""
    found, waiting = {node}, [node]
    while waiting:
        for n in waiting.pop().all_input_nodes:
            if n not in found:
                found.add(n)
                waiting.append(n)
    return found


def _made_up(recorded: Trace) -> Iterator[list[Tensor]]:
    """Rows of several kinds: pixels, reals, zeros and ones; whole numbers of two classes."""
    generator = torch.Generator().manual_seed(0)
    given = [i for i in recorded.inputs if i.batch_dims]
    kinds: tuple[Callable[[list[int]], Tensor], ...] = (
        lambda s: torch.randn(s, generator=generator),
        lambda s: torch.rand(s, generator=generator) * 255,
        lambda s: (torch.rand(s, generator=generator) > 0.5).float(),
    )
    for kind in kinds:
        made = []
        for i in given:
            shape = [ROWS, *i.tensor.shape[1:]]
            whole = not i.tensor.dtype.is_floating_point
            made.append((torch.arange(ROWS) % 2 if whole and len(shape) == 1 else kind(shape)).to(i.tensor.dtype))
        yield made


def _run(recorded: Trace, state: Mapping[str, Tensor], rows: Sequence[Tensor]) -> dict[fx.Node, Any]:
    """The value of each operator, as it was when the operator had run."""
    given = iter(rows)
    values = [next(given) if i.batch_dims else state.get(i.name, i.tensor).detach().clone() for i in recorded.inputs]
    noting = _Noting(recorded.graph)
    with torch.no_grad():
        noting.run(*[v.clone() for v in values])
    return noting.seen


class _Noting(fx.Interpreter):
    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.seen: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run it, and copy what it made: later operators may write into it."""
        made = super().run_node(n)
        # Memory that nothing has been written to yet has any numbers.
        if n.op == "call_function" and isinstance(made, Tensor) and "empty" not in str(n.target):
            self.seen[n] = made.clone()
        return made


def _agree(node: fx.Node, together: Tensor, alone: Sequence[Tensor], least: float = 1e-6) -> bool:
    """Whether a value is that of each single row by itself, or their sum or mean."""
    if not together.dtype.is_floating_point:
        return True
    axis = next((i for i, s in enumerate(node.meta["val"].shape) if isinstance(s, torch.SymInt)), None)
    if axis is not None:
        # Rows may be merged with another axis, in front of it or behind it.
        parts = together.shape[axis] // ROWS
        wide = together.movedim(axis, 0)
        first = wide.reshape(ROWS, parts, *wide.shape[1:])
        second = wide.reshape(parts, ROWS, *wide.shape[1:]).transpose(0, 1)
        own = torch.stack([a.movedim(axis, 0) for a in alone])
        return _same(first, own, least) or _same(second, own, least)
    total = torch.stack(list(alone)).sum(0)
    return all(_same(together, a, least) for a in alone) or any(_same(together, total / n, least) for n in (1, ROWS))


def _same(a: Tensor, b: Tensor, least: float) -> bool:
    """Whether two values are near, by the size of the larger, or by ``least`` where both are smaller."""
    if a.shape != b.shape:
        return False
    a, b = a.double(), b.double()
    known = torch.isfinite(a)
    if not torch.equal(known, torch.isfinite(b)):
        return False
    if not bool(known.any()):
        return True
    a, b = torch.where(known, a, 0.0), torch.where(known, b, 0.0)
    size = max(float(b.abs().max()), float(a.abs().max()), least, 1e-6)
    return float((a - b).abs().max()) <= _CLOSE * size
