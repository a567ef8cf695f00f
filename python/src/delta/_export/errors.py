"""What an author sees when a step cannot become a graph: the operator, the line that called it, and what to write instead."""

from __future__ import annotations

import linecache
import re
import sysconfig
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_OURS = str(Path(__file__).resolve().parent.parent)
_RECORDS = str(Path(__file__).resolve().parent / "trace.py"), "run"
"""Who called this is not what is recorded."""
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_PROMPTS = ("<stdin>", "<console>", "<ipython-input-")
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)


class Location(NamedTuple):
    """A line of the author's code."""

    file: str
    line: int

    @property
    def source(self) -> str:
        """The text of the line, or nothing when the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


def is_author_file(file: str) -> bool:
    """Whether `file` is neither Python's, an installed package's nor this package's; what is typed into a prompt is, too."""
    return file.startswith(_PROMPTS) or not (
        file.startswith("<") or file.startswith(_OURS) or file.startswith(_LIBRARIES)
    )


def author_of(stack_trace: str | None) -> Location | None:
    """The innermost line of the author in a trace as `fx` keeps it in `node.meta["stack_trace"]`."""
    for match in reversed(list(_FRAME.finditer(stack_trace or ""))):
        if is_author_file(match["file"]):
            return Location(match["file"], int(match["line"]))
    return None


def author_frame(frame: FrameType | None) -> Location | None:
    """The innermost line of the author among `frame` and its callers."""
    while frame is not None and (frame.f_code.co_filename, frame.f_code.co_name) != _RECORDS:
        if is_author_file(frame.f_code.co_filename):
            return Location(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


class ExportError(Exception):
    """A step that cannot become a graph. The text has the operator, the author's line, and what to write instead.

    Parameters
    ----------
    operator : str
        What is not supported, as torch names it (``aten.cholesky.default``), or a short phrase.
    reason : str
        Why.
    instead : str, optional
        What to write instead, when there is an answer.
    location : Location, optional
        The author's line that called it, when known: ``file`` and ``line``.
    """

    def __init__(
        self, operator: str, reason: str, *, instead: str | None = None, location: Location | None = None
    ) -> None:
        self.operator, self.reason, self.instead, self.location = operator, reason, instead, location
        super().__init__(operator, reason)

    def __str__(self) -> str:
        """Operator and reason, place and source line, and the way out."""
        text = f"{self.operator}: {self.reason}"
        if self.location is not None:
            text += f"\n  at {self.location}"
            if self.location.source:
                text += f"\n    {self.location.source}"
        if self.instead:
            text += f"\n  instead: {self.instead}"
        return text

    def at(self, location: Location | None) -> ExportError:
        """Give the error a place, unless it has one already.

        Parameters
        ----------
        location : Location or None
            The author's line.

        Returns
        -------
        ExportError
            The same error.
        """
        if self.location is None:
            self.location = location
        return self
