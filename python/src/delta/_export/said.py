"""What an author is told about code that a graph does not need: a warning with its line, once for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from .errors import Location, author_frame

_SAID: ContextVar[dict[str, None] | None] = ContextVar("said", default=None)


class ExportWarning(UserWarning):
    """Something in a task that nodes do otherwise than the code says, with the same result; or that they leave out."""


def say(what: str, why: str, frame: FrameType | None = None) -> None:
    """Note a word to the author: what it is about, what nodes do, and the line of ``frame``."""
    said = _SAID.get()
    if said is not None:
        said[told(what, why, author_frame(frame))] = None


def told(what: str, why: str, place: Location | None) -> str:
    """The text of a word."""
    text = f"{what}: {why}"
    return text if place is None else f"{text}\n  at {place}\n    {place.source}".rstrip()


@contextmanager
def collected() -> Iterator[dict[str, None]]:
    """Collect what is said meanwhile, each once, in order."""
    said: dict[str, None] = {}
    token = _SAID.set(said)
    try:
        yield said
    finally:
        _SAID.reset(token)
