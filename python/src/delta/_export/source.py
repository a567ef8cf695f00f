"""What an author's loop decides by Python's own values: seen in its source, because one recording cannot show it.

A recording holds two batches. ``if i == 100`` and ``break`` after an hour would not show in it, and be gone without a word.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from .chance import Shown
from .errors import ExportError, Location, author_frame, is_author_file
from .reach import PLAIN, is_own

_DEPTH = 4
_SHOWS = ("print", "str", "repr", "len", "set_postfix", "set_description", "debug", "info", "warning", "write")
_CUTS = (
    "list", "tuple", "sorted", "reversed", "cycle", "chain", "zip", "islice", "takewhile", "dropwhile", "filter",
    "filterfalse", "compress", "map",
)  # fmt: skip
_ENDS = "every member goes through all its batches; how many a round has is the strategy's: merge_epoch=0, merge_iteration=..."
_STOPS = "leave it out: a graph cannot stop, and a member whose numbers are not finite sends nothing"
_ACCUMULATED = (
    "count with for i, (x, y) in enumerate(dataloader): and write if (i + 1) % k == 0:; or give the loader a batch_size k times "
    "as large, which is the same"
)
_COUNTS = (
    "do the same in every batch: a warm-up or a schedule is a torch.optim.lr_scheduler, how many batches a round has is the "
    "strategy's merge_iteration"
)


def told(value: Any, depth: int = _DEPTH) -> Any:
    """What is plain in a value: numbers, texts, sizes, and those inside lists, dicts and objects of an author's own classes."""
    if isinstance(value, Shown):
        return "shown"
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, torch.SymInt | torch.SymFloat):
        return str(value.node.expr)
    if depth == 0 or isinstance(value, Tensor | torch.nn.Module | torch.optim.Optimizer):
        return None
    if isinstance(value, dict):
        return "dict", [(told(k, depth - 1), told(v, depth - 1)) for k, v in value.items()]
    if isinstance(value, list | tuple | set):
        return type(value).__name__, [told(v, depth - 1) for v in value]
    if type(value).__module__ == "itertools":
        return repr(value)
    if is_own(type(value)) and hasattr(value, "__dict__"):
        return type(value).__name__, [(k, told(v, depth - 1)) for k, v in vars(value).items()]
    return None


def plain_values(frame: FrameType) -> dict[str, Any]:
    """What is plain in a function's variables, but for the task itself, whose attributes are looked at by themselves."""
    return {n: told(v) for n, v in frame.f_locals.items() if n != "self"}


@dataclass
class Loop:
    """The statement ``for ... in dataloader`` that a frame is about to run, as far as its source is known."""

    frame: FrameType
    """Of the function that it is in."""
    shift: int
    """Added to the lines of ``node``."""
    node: ast.For | None

    after: list[ast.stmt] = field(default_factory=list)
    """What follows it in the function."""
    rewritten: Collection[int] = ()
    """The lines of statements that hang on the number of the batch and are recorded both ways (:mod:`.branches`)."""

    @classmethod
    def around(cls, frame: FrameType, *, alone: bool = True) -> Loop:
        """Find it by the line that the nearest frame of the author is at.

        Raises :class:`ExportError` where the batches are taken in another way; unless it must stand ``alone``, a comprehension
        over all of them is as good.
        """
        place = author_frame(frame)
        # What has no file of its own is the author's, too: out of exec, or a prompt.
        while frame.f_back is not None and not (
            is_author_file(name := frame.f_code.co_filename) or name.startswith("<")
        ):
            frame = frame.f_back
        try:
            lines, first = inspect.getsourcelines(frame.f_code)
            tree = ast.parse(textwrap.dedent("".join(lines)))
        except (OSError, TypeError, SyntaxError):
            return cls(frame, 0, None)
        shift = max(first, 1) - 1
        at = frame.f_lineno - shift
        loops = [
            n
            for n in ast.walk(tree)
            if isinstance(n, ast.For) and n.lineno <= at <= (n.iter.end_lineno or n.iter.lineno)
        ]
        found = cls(frame, shift, max(loops, key=lambda n: n.lineno, default=None))
        if (found.node is None and alone) or (found.node is not None and found._is_cut(found.node.iter)):
            raise ExportError(
                "the loop over dataloader", "batches are taken from it in another way than one after the other",
                instead="write for x, y in dataloader: or for i, (x, y) in enumerate(dataloader):", location=place,
            )  # fmt: skip
        found.after = [] if found.node is None else _following(tree, found.node)
        return found

    @staticmethod
    def _is_cut(taken: ast.expr) -> bool:
        """Whether a loop goes over a part of the batches, or over something beside them that may end first."""
        if isinstance(taken, ast.Call):
            name = taken.func.attr if isinstance(taken.func, ast.Attribute) else getattr(taken.func, "id", "")
            return name in _CUTS
        return isinstance(taken, ast.GeneratorExp | ast.ListComp)

    def refuse_ends(self, instead: str = _ENDS) -> None:
        """Refuse what ends the loop before the data does."""
        for node in own_statements([] if self.node is None else self.node.body):
            if isinstance(node, ast.Break | ast.Return | ast.Raise):
                word = type(node).__name__.lower()
                way = _STOPS if isinstance(node, ast.Raise) else instead
                raise self._refused(
                    node, f"{word} in the loop over dataloader", "a recording has no end of its own", way
                )

    def refuse_tests(self, changed: Collection[str]) -> None:
        """Refuse decisions on plain values that differ from batch to batch; computing with them is no matter here."""
        changing = set(changed) | self._numbers()
        for node in [n for s in ([] if self.node is None else self.node.body) for n in ast.walk(s)]:
            if isinstance(node, ast.Assign) and loads(node.value) & changing and _is_plain(node.value, changing):
                changing |= {t.id for t in node.targets if isinstance(t, ast.Name)}
            if not isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
                continue
            if isinstance(node, ast.If) and only_shows(node, changing):
                continue
            if names := loads(node.test) & changing:
                raise self._refused(
                    node,
                    f"{sorted(names)[0]} decides",
                    "it is another value in every batch",
                    "do the same in every batch",
                )

    def refuse_decisions(self, changed: Collection[str]) -> None:
        """Refuse what hangs on plain values that differ from batch to batch.

        ``changed``: variables of which it is known. The one that ``enumerate`` sets is found here, and what is made of them.
        """
        changing = set(changed) | self._numbers()
        if self.node is None or not changing:
            return
        changing = {n for n in changing if not n.startswith("__delta_")}
        shared = sorted(changing & set(self.frame.f_code.co_cellvars))
        if shared:
            raise self._refused(
                self.node, f"{shared[0]} is counted in a function", "it is another value in every batch", _COUNTS
            )
        self._look(self.node.body, changing)
        self._look([s for s in self.after if not isinstance(s, ast.Return)], changing)

    def _look(self, body: Sequence[ast.stmt], changing: set[str]) -> None:
        for statement in body:
            if isinstance(statement, ast.If) and only_shows(statement, changing):
                continue
            known = statement.lineno + self.shift in self.rewritten
            if known and isinstance(statement, ast.Assign):
                changing |= {t.id for t in statement.targets if isinstance(t, ast.Name)}
            inner: list[ast.stmt] = []
            for name in ("body", "orelse", "finalbody"):
                inner += getattr(statement, name, [])
            for part in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
                inner += part.body
            for part in ast.iter_child_nodes(statement):
                if part not in inner and not known and not isinstance(part, ast.ExceptHandler | ast.match_case):
                    self._look_at(part, statement, changing)
            self._look(inner, changing)

    def _look_at(self, part: ast.AST, statement: ast.stmt, changing: set[str]) -> None:
        """One part of a statement: only what shows, or counts, may read what changes."""
        names = loads(part) & changing
        if not names or (isinstance(part, ast.Call) and shows(part.func)):
            return
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if part is target and _root_name(target) in changing and loads(target) <= {_root_name(target)}:
                return
            if part is getattr(statement, "value", None) and isinstance(target, ast.Name) and _is_plain(part, changing):
                changing.add(target.id)
                return
        if isinstance(statement, ast.Expr) and isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            given = [*part.args, *(k.value for k in part.keywords)]
            if _root_name(part.func) in changing and not any(loads(a) & changing for a in given):
                return
        what, way = f"{sorted(names)[0]} is used", _COUNTS
        if isinstance(statement, ast.If) and any(_calls(s, "step") for s in statement.body):
            way = f"to accumulate gradients, {_ACCUMULATED}"
        raise self._refused(part, what, "it is another value in every batch", way)

    def counted(self) -> tuple[str, ast.expr | None] | None:
        """The variable that ``enumerate`` sets, also within a bar, and what it begins with where that is not 0."""
        if self.node is None:
            return None
        call, target = self.node.iter, self.node.target
        while isinstance(call, ast.Call) and not (isinstance(call.func, ast.Name) and call.func.id == "enumerate"):
            call = next((a for a in call.args if isinstance(a, ast.Call)), ast.Constant(None))
        first = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else None
        if not (isinstance(call, ast.Call) and isinstance(first, ast.Name)):
            return None
        starts = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "start")]
        return first.id, next(iter(starts), None)

    def _numbers(self) -> set[str]:
        counted = self.counted()
        return set() if counted is None else {counted[0]}

    def _refused(self, node: ast.AST, what: str, why: str, instead: str) -> ExportError:
        place = Location(self.frame.f_code.co_filename, getattr(node, "lineno", 0) + self.shift)
        return ExportError(what, why, instead=instead, location=place)


def own_statements(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The statements of a loop that are not in a loop or function inside it; ``return`` counts in loops, too."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(statement, ast.For | ast.While):
            yield from (n for n in ast.walk(statement) if isinstance(n, ast.Return))
            yield from own_statements(statement.orelse)
            continue
        for block in ("body", "orelse", "finalbody"):
            yield from own_statements(getattr(statement, block, []))
        for part in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
            yield from own_statements(part.body)


def _calls(node: ast.AST, name: str) -> bool:
    """Whether a method of a name is called in a statement."""
    return any(
        isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr == name for n in ast.walk(node)
    )


def loads(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def stores(node: ast.AST) -> list[str]:
    """The variables that a node sets, without those inside it."""
    return [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else []


def _root_name(node: ast.expr) -> str:
    """The variable that an attribute or element belongs to."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_plain(node: ast.AST, changing: set[str]) -> bool:
    """Whether a value is made of what changes, and of constants."""
    return (
        not any(isinstance(n, ast.Call | ast.Attribute | ast.Subscript) for n in ast.walk(node))
        and loads(node) <= changing
    )


def only_shows(statement: ast.If, changing: set[str]) -> bool:
    """Whether a decision is about what is shown, and nothing else."""
    for inner in [*statement.body, *statement.orelse]:
        shown = isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call) and shows(inner.value.func)
        counted = (
            isinstance(inner, ast.Assign)
            and isinstance(inner.value, ast.Constant)
            and all(isinstance(t, ast.Name) and t.id in changing for t in inner.targets)
        )
        if not (shown or counted or isinstance(inner, ast.Pass)):
            return False
    return True


def _following(tree: ast.AST, loop: ast.stmt) -> list[ast.stmt]:
    """The statements behind a loop, in all blocks that it is in."""
    out: list[ast.stmt] = list(getattr(loop, "orelse", []))
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if not isinstance(block, list):
                continue
            at = next((i for i, s in enumerate(block) if s is loop or any(n is loop for n in ast.walk(s))), None)
            if at is not None and isinstance(node, ast.FunctionDef | ast.With | ast.Try | ast.If):
                out += block[at + 1 :]
    return out


def shows(function: ast.expr) -> bool:
    """Whether a function only shows what it is given."""
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in _SHOWS
