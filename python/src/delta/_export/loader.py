"""The dataloader of a traced ``train``, and how the record of it is cut."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from types import FrameType
from typing import Any

import torch
import torch.fx as fx
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from .branches import Branches
from .conditions import Conditional, Conditions
from .errors import ExportError, author_frame, author_of, is_author_file
from .schedules import When
from .source import Loop, plain_values
from .trace import Trace

_MARKS = 7
DRAWS = (torch.ops.aten.rand.default, torch.ops.aten.randn.default)


class Loader:
    """The dataloader of a traced ``train``: two symbolic batches, which are one and the same."""

    def __init__(
        self,
        make: Callable[[], Any],
        now: Callable[[str], dict[str, Tensor]],
        put: Callable[[str], None] | None = None,
        conditions: Conditions | None = None,
    ) -> None:
        """``make()``: a batch. ``now(moment)``: copies of the state. ``put(moment)``: take the state from inputs of that name.

        ``conditions``: those on the number of the batch, once it is known that there are some.
        """
        self._make, self._now, self._put, self._conditions = make, now, put, conditions
        self.running = False
        self.outputs: dict[str, Tensor] = {}
        self._marks: list[fx.Node] = []

    def __iter__(self) -> Iterator[Any]:
        """Yield the same symbolic batch twice."""
        frame = sys._getframe(1)
        if self._marks:
            raise ExportError(
                "a second loop over dataloader", "one call of train() goes once over the batches",
                instead="let the strategy repeat: merge_epoch=...", location=author_frame(frame),
            )  # fmt: skip
        return self._batches(frame)

    def _batches(self, frame: FrameType) -> Iterator[Any]:
        loop, conditions = Loop.around(frame), self._conditions
        loop.refuse_ends()
        if conditions is not None:
            # A function that is made anew each time is not the one that was rewritten.
            loop.rewritten = conditions.branches.lines if loop.frame.f_code is conditions.branches.code else ()
        elif self._put is not None and (branches := Branches.of(loop)) is not None:
            raise Conditional(branches)
        values = [plain_values(loop.frame)]
        self._mark()
        if self._put is not None:
            self.outputs |= self._now(".before")
            self._put("")
        self._mark()
        self.running = True
        for number in range(2):
            yield self._make()
            if conditions is not None:
                conditions.settle(batch=True)
            self._mark()
            values.append(plain_values(loop.frame))
            if number == 0:
                self.outputs |= self._now(".next")
                self._mark()
        if conditions is not None and conditions.lasting:
            conditions.last(self._end)
            yield self._make()
        self.running = False
        if conditions is None or not conditions.leapt:
            self._end()
        if conditions is not None:
            conditions.over()
        begun, one, two = values
        differs = {n for n in two if one.get(n) != two[n]} | {n for n in begun if one.get(n) != begun[n]}
        loop.refuse_decisions(differs)

    def _end(self) -> None:
        """Go on with the state at the end of the loop."""
        self._mark()
        if self._put is not None:
            self._put(".end")
        self._mark()

    def __len__(self) -> int:
        """Refuse: every member has its own number. Bars do without."""
        place = author_frame(frame := sys._getframe(1))
        if not is_author_file(frame.f_code.co_filename) or place is None or "len(" not in place.source:
            raise TypeError("every member has its own number of batches")
        raise ExportError(
            "len(dataloader)", "every member has its own number of batches", instead="remove it: the node counts the batches",
            location=place,
        )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        """Refuse what only a loader with data has."""
        raise ExportError(
            f"dataloader.{name}",
            "the data is at the nodes",
            instead="only iterate over it",
            location=author_frame(sys._getframe(1)),
        )

    def _mark(self) -> None:
        mode = get_proxy_mode()
        if mode is None:
            raise RuntimeError("not tracing")
        self._marks.append(mode.tracer.graph._root.prev)

    def where(self) -> When | None:
        """In the loop over the batches, after it (where rounds are counted), or before it."""
        return "step" if self.running else "round" if self._marks else None

    def ended(self) -> None:
        """Check that the loop went through."""
        if len(self._marks) < _MARKS:
            raise ExportError(
                "train()",
                "it does not go through the dataloader to its end",
                instead="for x, y in dataloader: ... without break",
            )

    def cut(self, recorded: Trace, *, asides: bool) -> None:
        """Take the second batch out of the record, after comparing it with the first; without ``asides`` also what follows."""
        graph = recorded.graph.graph
        order = list(graph.nodes)
        # Between the second batch and the leap is what a third one did before that of which only the end counts.
        outside, start, first, kept, second, leap, end = (order.index(m) for m in self._marks)
        taint = _tainted(order)
        one = [n for n in order[start + 1 : first + 1] if n in taint]
        two = [n for n in order[kept + 1 : second + 1] if n in taint]
        state = {_base(n) for n in order[outside + 1 : start + 1] if _writes(n)} if asides else _inputs_of(order)
        if asides:
            # Under privacy a batch changes nothing, and all of it counts.
            seen = _of_consequence(two, state)
            seen |= _of_consequence(one, state, [n for n in two if n not in seen])
            one, two = [n for n in one if n in seen], [n for n in two if n in seen]
        _refuse_carry(one, two, state if asides else set(order[: start + 1]))
        _refuse_unlike(recorded, one, two)
        around = [n for n in order[: outside + 1] + order[end + 1 :] if n in taint or n.target in DRAWS]
        # What is computed after the loop and goes nowhere, as into what train() returns, is no matter.
        behind = [n for n in order[end + 1 :] if n.op == "call_function"]
        goes = _of_consequence(behind, state)
        around = [n for n in around if n in goes or n not in behind]
        for node in reversed([n for n in behind if n not in goes]):
            if not node.users:
                graph.erase_node(node)
        if asides:
            _refuse_grown(order[: start + 1], order[start + 1 : second + 1], {*one, *two, *around}, state)
        _refuse_around(around, set(order[start + 1 : leap + 1]), state, asides=asides)
        for node in reversed(order[kept + 1 : leap + 1] if asides else order[kept + 1 :]):
            if node.op != "call_function" and not (node.op == "get_attr" and not node.users):
                continue
            if node.users and node in taint and _writes(node):
                node.replace_all_uses_with(_root(node))
            if not node.users:
                graph.erase_node(node)


def _tainted(order: Sequence[fx.Node]) -> dict[fx.Node, None]:
    """Tensor operators that depend on an input, in order: sizes and constants are left out."""
    out: dict[fx.Node, None] = {}
    seen: set[fx.Node] = set()
    for node in order:
        if node.op == "placeholder" or any(n in seen for n in node.all_input_nodes):
            seen.add(node)
            if node.op == "call_function" and not isinstance(
                node.meta.get("val"), torch.SymInt | torch.SymFloat | torch.SymBool
            ):
                out[node] = None
    return out


def _writes(node: fx.Node) -> bool:
    """Whether an operator writes into its first argument."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _written(node: fx.Node) -> fx.Node | None:
    """What an operator writes into: its first argument, or ``out=``."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return None
    schema: Any = node.target._schema
    for i, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = node.kwargs.get(argument.name, node.args[i] if i < len(node.args) else None)
            return value if isinstance(value, fx.Node) else None
    return None


def _root(node: fx.Node) -> fx.Node:
    """What an in-place operator wrote into."""
    while (written := _written(node)) is not None:
        node = written
    return node


def _base(node: fx.Node) -> fx.Node:
    """The tensor whose memory an operator's result shares."""
    while isinstance(node.target, torch._ops.OpOverload):
        if (written := _written(node)) is not None:
            node = written
            continue
        schema: Any = getattr(node.target, "_schema")  # noqa: B009
        returns = schema.returns
        shared = returns and returns[0].alias_info is not None and node.args
        if not shared or not isinstance(node.args[0], fx.Node):
            return node
        node = node.args[0]
    return node


def _inputs_of(order: Sequence[fx.Node]) -> set[fx.Node]:
    """Copies of the inputs: the state, where nothing else is marked."""
    return {n for n in order if any(i.op == "placeholder" for i in n.all_input_nodes)}


def _numbers(node: fx.Node) -> list[Any]:
    return [a for a in (*node.args, *node.kwargs.values()) if isinstance(a, int | float | bool | str)]


def _refuse_carry(one: Sequence[fx.Node], two: Sequence[fx.Node], state: set[fx.Node]) -> None:
    """Refuse what goes from batch to batch beside the state."""
    first = set(one)
    for node in two:
        for used in node.all_input_nodes:
            if used not in first or not isinstance(used.meta.get("val"), Tensor | tuple | list):
                continue
            if _root(used) in first or _base(used) not in state:
                raise _carried(node, used)


def _refuse_grown(before: Sequence[fx.Node], loop: Sequence[fx.Node], read: set[fx.Node], state: set[fx.Node]) -> None:
    """Refuse what was made before the loop, is written into in it, and read by what counts: it would grow from batch to batch."""
    outside = set(before) - state
    used = {_base(n) for user in read for n in user.all_input_nodes if not (_writes(user) and _base(user) is _base(n))}
    for node in loop:
        if _writes(node) and (base := _base(node)) in outside and base in used:
            raise ExportError(
                "train()", "a value of one batch is used in the next", location=author_of(node.meta.get("stack_trace")),
                instead="only parameters, buffers and optimizer state go on; sums to look at belong into validate() or metrics",
            )  # fmt: skip


def _of_consequence(batch: Sequence[fx.Node], state: set[fx.Node], unseen: Collection[fx.Node] = ()) -> set[fx.Node]:
    """What changes the state, and what that is made of: gradients of a copied model grow unseen from batch to batch."""
    own, out, read = {*batch, *unseen}, set[fx.Node](), set[fx.Node]()
    for node in reversed(batch):
        written = _writes(node) and (_base(node) in state or _base(node) in read)
        if written or any(user in out or user not in own for user in node.users):
            out.add(node)
            read |= {_base(n) for n in node.all_input_nodes}
    return out


def _carried(node: fx.Node, used: fx.Node) -> ExportError:
    place = author_of(node.meta.get("stack_trace")) or author_of(used.meta.get("stack_trace"))
    if place is not None and "backward" in place.source:
        return ExportError(
            "loss.backward()", "gradients of one batch are added to those of the batch before",
            instead="call self.optimizer.zero_grad() in the loop before loss.backward()", location=place,
        )  # fmt: skip
    return ExportError(
        "train()", "a value of one batch is used in the next", location=place,
        instead="only parameters, buffers and optimizer state go on; sums to look at belong into validate() or metrics",
    )  # fmt: skip


def _refuse_unlike(recorded: Trace, one: Sequence[fx.Node], two: Sequence[fx.Node]) -> None:
    """Refuse a second batch that is treated otherwise than the first."""
    alike = dict(zip(one, two, strict=False))
    for a, b in alike.items():
        if a.target is not b.target or _numbers(a) != _numbers(b) or not _same_inputs(recorded, alike, a, b):
            raise ExportError(
                "train()", "it does not treat every batch alike", location=author_of(b.meta.get("stack_trace")),
                instead="do the same in every batch; a schedule or a warm-up belongs into a torch.optim.lr_scheduler",
            )  # fmt: skip
    if len(one) != len(two):
        longer = max(one, two, key=len)[min(len(one), len(two))]
        raise ExportError(
            "train()", "it does not treat every batch alike", location=author_of(longer.meta.get("stack_trace")),
            instead="do the same in every batch; to accumulate gradients, if (i + 1) % k == 0: of enumerate(dataloader)",
        )  # fmt: skip


def _same_inputs(recorded: Trace, alike: dict[fx.Node, fx.Node], a: fx.Node, b: fx.Node) -> bool:
    """Whether two operators read the same: constants of the same value, and of their batches the same."""
    for mine, theirs in zip(a.all_input_nodes, b.all_input_nodes, strict=False):
        if mine.op != theirs.op and "get_attr" in (mine.op, theirs.op):
            return False
        if mine.op == "get_attr" and mine.target != theirs.target:
            x, y = (getattr(recorded.graph, str(n.target), None) for n in (mine, theirs))
            if isinstance(x, Tensor) and isinstance(y, Tensor) and not _equal(x, y):
                return False
        if mine in alike and alike[mine] is not theirs and not _writes(theirs):
            return False
        if mine not in alike and mine.op == theirs.op == "call_function" and _base(mine) is not _base(theirs):
            # Made of constants: a counter that is a tensor, say.
            constants = not any(n.op == "placeholder" for n in (*_above(mine), *_above(theirs)))
            if constants and (mine.target is not theirs.target or _numbers(mine) != _numbers(theirs)):
                return False
            if constants and not _same_inputs(recorded, alike, mine, theirs):
                return False
    return True


def _above(node: fx.Node) -> set[fx.Node]:
    """What a value is made of, and itself."""
    found, left = {node}, [node]
    while left:
        for used in left.pop().all_input_nodes:
            if used not in found:
                found.add(used)
                left.append(used)
    return found


def _equal(x: Tensor, y: Tensor) -> bool:
    return x is y or (x.dtype == y.dtype and x.shape == y.shape and bool(torch.equal(x, y)))


def _refuse_around(around: Sequence[fx.Node], loop: set[fx.Node], state: set[fx.Node], *, asides: bool) -> None:
    """Refuse what the code outside of the loop cannot have: a batch's values, and random numbers."""
    for node in around:
        place = author_of(node.meta.get("stack_trace"))
        if any(n in loop and _base(n) not in state for n in node.all_input_nodes):
            if place is None or not asides:
                continue
            raise ExportError(
                "train()", "a value of the last batch is used after the loop", location=place,
                instead="only parameters, buffers and optimizer state are there; numbers to look at belong into validate()",
            )  # fmt: skip
        if not asides and place is not None and _writes(node) and _base(node) in state:
            raise ExportError(
                "train()", "it changes parameters outside of the loop, and under privacy a round is one step",
                instead="leave it out, or do it in the loop", location=place,
            )  # fmt: skip
        if node.target in DRAWS:
            raise ExportError(
                "random numbers", "nodes draw them for each row of a batch, and here is none", location=place,
                instead="draw in the loop, or before build() in __init__",
            )  # fmt: skip
