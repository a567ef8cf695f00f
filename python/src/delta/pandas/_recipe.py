"""Results that nodes cannot finish: which aggregates they are made of, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from ._base import Symbol

CHECKS = ("invalid", "outside")
"""Parts that count rows which are not what they must be; under noise there are none, and nothing is refused."""


class Recipe:
    """A result that its author's machine makes of several aggregates: ``HorizontalAnalytics.execute`` may return one.

    Nodes compute the aggregates; what becomes of them is the business of a kind of :mod:`delta.results`.

    Parameters
    ----------
    kind : str
        As registered by :func:`delta.results.register`.
    parts : mapping of str to DataFrame, Series or Scalar
        The aggregates. The kind finds the name of each one's array in ``spec["values"]``.
    **spec : object
        What else the kind needs to know, in values that JSON has.
    """

    def __init__(self, kind: str, parts: Mapping[str, Symbol], **spec: Any) -> None:
        self._kind, self._parts, self._spec = kind, dict(parts), spec

    @property
    def kind(self) -> str:
        """The kind of result."""
        return self._kind

    @property
    def parts(self) -> dict[str, Symbol]:
        """The aggregates that it is made of."""
        return dict(self._parts)

    @property
    def spec(self) -> dict[str, Any]:
        """What else the kind needs to know."""
        return dict(self._spec)

    def __repr__(self) -> str:
        """Show the kind and the parts."""
        return f"<delta {self._kind} of {', '.join(self._parts)}>"

    def __bool__(self) -> NoReturn:
        raise TypeError("this result does not exist while the task is written; return it from execute() to see it")

    def __iter__(self) -> NoReturn:
        raise TypeError("this result does not exist while the task is written; return it from execute() to see it")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"there is no {name!r} while the task is written: this result is made of the sums when they are there; return it "
            "from execute()"
        )
