"""Results that nodes cannot finish: which aggregates they are made of, and how."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ._base import Symbol

if TYPE_CHECKING:
    from ..manifest import Draft
    from ._rounds import Rounds

CHECKS = ("invalid", "outside", "missing")
"""Parts that count rows which are not what they must be; under noise there are none, and nothing is refused.
Parts of a part are named ``a.b``."""


class Loop(abc.ABC):
    """Rounds that are repeated after all others of a task, until a result is found: of a :class:`Recipe` that has one."""

    @abc.abstractmethod
    def rows(self) -> Sequence[Symbol]:
        """Return what members read in these rounds.

        Returns
        -------
        sequence of DataFrame or Series
            Of rows, with whatever earlier rounds find.
        """

    @abc.abstractmethod
    def add(self, draft: Draft, before: Rounds, prefix: str) -> Mapping[str, str]:
        """Append the rounds, which sum the same members as those before.

        Parameters
        ----------
        draft : Draft
            Where rounds, graphs and variables go.
        before : Rounds
            What is known by then: see :meth:`Rounds.given`.
        prefix : str
            What names in the draft begin with.

        Returns
        -------
        mapping of str to str
            Further parts of the result, and their variables.
        """


class Recipe:
    """A result that its author's machine makes of several aggregates: ``HorizontalAnalytics.execute`` may return one.

    Nodes compute the aggregates; what becomes of them is the business of a kind of :mod:`delta.results`.

    Parameters
    ----------
    kind : str
        As registered by :func:`delta.results.register`.
    parts : mapping of str to DataFrame, Series or Scalar
        The aggregates. The kind finds the name of each one's array in ``spec["values"]``.
    loop : Loop, optional
        Rounds of its own, that find further parts.
    **spec : object
        What else the kind needs to know, in values that JSON has.
    """

    def __init__(self, kind: str, parts: Mapping[str, Symbol], loop: Loop | None = None, **spec: Any) -> None:
        self._kind, self._parts, self._loop, self._spec = kind, dict(parts), loop, spec

    @property
    def kind(self) -> str:
        """The kind of result."""
        return self._kind

    @property
    def parts(self) -> dict[str, Symbol]:
        """The aggregates that it is made of."""
        return dict(self._parts)

    @property
    def loop(self) -> Loop | None:
        """Its own rounds, if it has some."""
        return self._loop

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
