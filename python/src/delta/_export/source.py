"""What an author's loop decides by Python's own values: seen in its source, because one recording cannot show it.

A recording holds two batches. ``if i == 100`` and ``break`` after an hour would not show in it, and be gone without a word.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from .errors import ExportError, Location, author_frame

_PLAIN = (bool, int, float, str, type(None))
_SHOWS = ("print", "str", "repr", "len", "set_postfix", "set_description", "debug", "info", "warning", "write")
_ENDS = "every member goes through all its batches; how many a round has is the strategy's: merge_epoch=0, merge_iteration=..."
_COUNTS = (
    "do the same in every batch: a warm-up or a schedule is a torch.optim.lr_scheduler, how many batches a round has is the "
    "strategy's merge_iteration"
)


def plain_values(frame: FrameType) -> dict[str, Any]:
    """The numbers, texts and sizes of lists among a function's variables."""
    out: dict[str, Any] = {}
    for name, value in frame.f_locals.items():
        if isinstance(value, _PLAIN):
            out[name] = value
        elif type(value) in (list, dict, set):
            out[name] = len(value)
    return out


@dataclass
class Loop:
    """The statement ``for ... in dataloader`` that a frame is about to run, as far as its source is known."""

    frame: FrameType
    """Of the function that it is in."""
    shift: int
    """Added to the lines of ``node``."""
    node: ast.For | None

    @classmethod
    def around(cls, frame: FrameType) -> Loop:
        """Find it by the line that the nearest frame of the author is at."""
        place = author_frame(frame)
        while frame.f_back is not None and place is not None and frame.f_code.co_filename != place.file:
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
        return cls(frame, shift, max(loops, key=lambda n: n.lineno, default=None))

    def refuse_ends(self) -> None:
        """Refuse what ends the loop before the data does."""
        for node in _own([] if self.node is None else self.node.body):
            if isinstance(node, ast.Break | ast.Return):
                word = "break" if isinstance(node, ast.Break) else "return"
                raise self._refused(
                    node, f"{word} in the loop over dataloader", "a recording has no end of its own", _ENDS
                )

    def refuse_decisions(self, changed: Collection[str]) -> None:
        """Refuse what is decided by numbers that differ from batch to batch.

        ``changed``: variables of which it is known. The one that ``enumerate`` sets is found here.
        """
        changing = set(changed) | self._counted()
        for statement in [] if self.node is None or not changing else self.node.body:
            for node in ast.walk(statement):
                self._refuse_decisions(node, changing)

    def _counted(self) -> set[str]:
        """The variable that ``enumerate`` sets."""
        if self.node is None:
            return set()
        call, target = self.node.iter, self.node.target
        counts = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "enumerate"
        first = target.elts[0] if counts and isinstance(target, ast.Tuple) and target.elts else None
        return {first.id} if isinstance(first, ast.Name) else set()

    def _refuse_decisions(self, node: ast.AST, changing: set[str]) -> None:
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            names = _names(node.test) & changing
            if names:
                what = f"a decision on {sorted(names)[0]}"
                raise self._refused(node.test, what, "it is another number in every batch", _COUNTS)
        if isinstance(node, ast.Call) and not _shows(node.func):
            given = [*node.args, *(k.value for k in node.keywords)]
            names = {n for a in given for n in _names(a)} & changing
            if names:
                what = f"{sorted(names)[0]} is given to a function"
                raise self._refused(node, what, "it is another number in every batch", _COUNTS)
        if isinstance(node, ast.Subscript) and _names(node.slice) & changing:
            name = sorted(_names(node.slice) & changing)[0]
            raise self._refused(node, f"an element chosen by {name}", "it is another number in every batch", _COUNTS)

    def _refused(self, node: ast.AST, what: str, why: str, instead: str) -> ExportError:
        place = Location(self.frame.f_code.co_filename, getattr(node, "lineno", 0) + self.shift)
        return ExportError(what, why, instead=instead, location=place)


def _own(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The statements of a loop that are not in a loop or function inside it; ``return`` counts in loops, too."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(statement, ast.For | ast.While):
            yield from (n for n in ast.walk(statement) if isinstance(n, ast.Return))
            yield from _own(statement.orelse)
            continue
        for field in ("body", "orelse", "finalbody"):
            yield from _own(getattr(statement, field, []))
        for part in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
            yield from _own(part.body)


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _shows(function: ast.expr) -> bool:
    """Whether a function only shows what it is given."""
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in _SHOWS


class Attributes:
    """The plain values among a task's attributes, before its method runs."""

    def __init__(self, task: Any) -> None:
        """Note them."""
        self._before = _noted(task)

    def unchanged(self, task: Any) -> None:
        """Refuse one that is another now: a node has no attributes, and every round begins with the same recording."""
        after = _noted(task)
        for name in after:
            if name not in self._before or after[name] != self._before[name]:
                raise ExportError(
                    f"self.{name}", "train() changes it, and nodes run a recording that never sees the change",
                    instead="keep numbers that go on in a buffer of the model (register_buffer); nodes count rounds and batches",
                )  # fmt: skip


def _noted(task: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in vars(task).items():
        if isinstance(value, _PLAIN):
            out[name] = value
        elif type(value) in (list, dict, set):
            out[name] = (type(value).__name__, len(value))
    return out
