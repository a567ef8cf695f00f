"""What a client raises. Users know these classes as ``delta.DeltaNodeError`` and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

#: Answers of a node, or of what stands before it, that may be others a moment later.
PASSING = frozenset({429, 502, 503, 504})


class DeltaNodeError(Exception):
    """A node could not be reached, refused a request, or gave no answer of a node; the text says which node and why.

    Attributes
    ----------
    code : int or None
        The HTTP status of the answer, where there was one.
    passing : bool
        Whether it may be over a moment later: the connection was lost, or the node is busy or starting. ``wait`` asks again then.
    """

    __module__ = "delta"

    code: int | None = None
    passing: bool = False

    @classmethod
    def _of(cls, text: str, code: int | None = None, passing: bool = False) -> Self:
        error = cls(text)
        error.code, error.passing = code, passing
        return error


class ResumeWarning(UserWarning):
    """A task goes on with another one's result, and something that members kept in that one does not come back."""

    __module__ = "delta"


class TaskFailed(DeltaNodeError):
    """A task ended in an error; the text has the node's reason, each one once, with its word: ``... (no_such_data)``."""

    __module__ = "delta"


class TaskTimeout(DeltaNodeError):
    """A task was not over in the time that the caller gave it. It goes on at the node."""

    __module__ = "delta"
