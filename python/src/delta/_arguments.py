"""Arguments of tasks that make their own strategy: written once, as dataclasses, for signatures and for use.

The strategy's own come from :mod:`delta.strategy`. :func:`takes` turns the fields into the parameters of an ``__init__``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from .privacy import Privacy
from .strategy import AnalyticsStrategy, Members, Numbers, ProofWaits, Waits

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")


@dataclass
class Named:
    """What the task is called."""

    name: str


@dataclass
class AnalyticsArguments(Numbers, Waits, Members, Named):
    """Those of analytics."""

    description: str = field(default="", kw_only=True)
    privacy: Privacy | None = field(default=None, kw_only=True)

    def strategy(self) -> AnalyticsStrategy:
        """Make the strategy.

        Raises ``ValueError`` naming the argument when a value cannot work.
        """
        return AnalyticsStrategy(**{k: v for k, v in shared(self, AnalyticsStrategy).items() if k != "name"})


@dataclass
class RegressionArguments(AnalyticsArguments, ProofWaits):
    """Those of regressions."""

    enable_verify: bool = False
    bounds: Mapping[str, tuple[float, float]] | None = field(default=None, kw_only=True)
    verify_tolerance: float = field(default=1e-4, kw_only=True)


@dataclass
class ClassesArguments(RegressionArguments):
    """Those of regressions with several classes."""

    n_classes: int = field(kw_only=True)


def shared(given: Any, kind: Any) -> dict[str, Any]:
    """Return the values of a dataclass that another one has fields for, too."""
    return {f.name: getattr(given, f.name) for f in fields(given) if f.name in {k.name for k in fields(kind)}}


def takes(arguments: Callable[P, A]) -> Callable[[Callable[[T, A], None]], Callable[Concatenate[T, P], None]]:
    """Let an ``__init__(self, given)`` be called with the arguments that make ``given``.

    Type checkers, editors and ``help()`` see the fields of the dataclass ``arguments`` as parameters, in their order.
    """
    signature = inspect.signature(arguments)

    def decorate(init: Callable[[T, A], None]) -> Callable[Concatenate[T, P], None]:
        def called(self: T, /, *args: P.args, **kwargs: P.kwargs) -> None:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{type(self).__name__}: {error}") from None
            init(self, arguments(*args, **kwargs))

        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        shown = signature.replace(parameters=[own, *signature.parameters.values()])
        update_wrapper(called, init)
        called.__signature__ = shown  # type: ignore[attr-defined]
        return called

    return decorate
