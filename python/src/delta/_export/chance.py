"""Random numbers that are not torch's, and clocks, while an author's code is traced: a recording would hold one value for ever.

They are found by what they are, not by their names: ``from time import time`` is the same function.
"""

from __future__ import annotations

import datetime
import os
import random
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from .errors import ExportError, author_frame, is_author_file
from .swaps import Swap, swapped

_DRAW = "draw with torch: torch.rand_like(x), torch.randn(x.shape), dropout; nodes draw those anew for every row"
_CLOCK = "leave it out: result.rounds says how many seconds each round took; how long to train is the strategy's"
_CLOCKS = (
    "time",
    "time_ns",
    "perf_counter",
    "perf_counter_ns",
    "monotonic",
    "monotonic_ns",
    "process_time",
    "thread_time",
)
_OTHERS: list[tuple[ModuleType, tuple[str, ...]]] = [
    (os, ("urandom", "getrandom")),
    (secrets, ("token_bytes", "token_hex", "token_urlsafe", "randbelow", "randbits", "choice", "SystemRandom")),
    (uuid, ("uuid1", "uuid4", "uuid6", "uuid7")),
]


@contextmanager
def refused(spaces: Iterable[dict[str, Any]] = ()) -> Iterator[None]:
    """While active, drawing with anything but torch raises :class:`ExportError` with the author's line, and so does computing
    with what a clock says; showing it is no matter.

    ``spaces``: globals of the author's, in which the functions may have names of their own.
    """
    others: dict[int, Any] = {}
    kept: list[Any] = []
    swaps: list[Swap] = []

    def swap(module: ModuleType, name: str, other: Any) -> None:
        own = getattr(module, name)
        kept.append(own)
        others[id(own)] = other
        swaps.append((module, name, other))

    for module in (random, np.random):
        for name in dir(module):
            function = getattr(module, name)
            if name.startswith("_") or not callable(function) or name in ("getstate", "get_state", "BitGenerator"):
                continue
            if isinstance(function, type) and name not in ("Random", "SystemRandom", "RandomState"):
                continue
            refusing = _refusing(f"{module.__name__}.{name}", function)
            # What is asked for instances of it must be told as before.
            swap(
                module, name, type(name, (function,), {"__new__": refusing}) if isinstance(function, type) else refusing
            )
    for module, names in _OTHERS:
        for name in names:
            if hasattr(module, name) and id(getattr(module, name)) not in others:
                swap(module, name, _refusing(f"{module.__name__}.{name}", getattr(module, name)))
    for name in _CLOCKS:
        if hasattr(time, name):
            swap(time, name, _clock(getattr(time, name)))
    for name in ("datetime", "date"):
        swap(datetime, name, _calendar(getattr(datetime, name)))
    with swapped(swaps):
        changed = [(s, k, v) for s in spaces for k, v in s.items() if id(v) in others]
        for space, key, value in changed:
            space[key] = others[id(value)]
        try:
            yield
        finally:
            for space, key, value in changed:
                space[key] = value


def _refusing(name: str, function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        frame = sys._getframe(1)
        if is_author_file(frame.f_code.co_filename):
            place = author_frame(frame)
            raise ExportError(name, "a recording would hold one draw for ever", instead=_DRAW, location=place)
        return function(*(args[1:] if isinstance(function, type) else args), **kwargs)

    return call


# ---------------------------------------------------------------- clocks
class Shown(float):
    """A number that may be shown and not computed with: what a clock says, a learning rate that a schedule changes."""

    why, instead = "it is what a clock says here, not at a node", _CLOCK

    def refuse(self, what: str) -> ExportError:
        """What is said where it would go into a graph, or decide."""
        return ExportError(what, self.why, instead=self.instead, location=author_frame(sys._getframe(2)))

    def _like(self, value: float) -> Shown:
        made = Shown(value)
        made.why, made.instead = self.why, self.instead
        return made


def _arithmetic(name: str) -> Callable[..., Any]:
    function = getattr(float, name)

    def call(self: Shown, *others: Any) -> Any:
        made = function(self, *others)
        return self._like(made) if isinstance(made, float | int) and made is not NotImplemented else made

    return call


def _deciding(name: str) -> Callable[..., Any]:
    def call(self: Shown, *others: Any) -> Any:
        raise self.refuse("a decision on a clock" if self.why is Shown.why else "a decision on a rate")

    return call


for _name in (
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "truediv",
    "rtruediv",
    "mod",
    "rmod",
    "floordiv",
    "rfloordiv",
    "pow",
):
    setattr(Shown, f"__{_name}__", _arithmetic(f"__{_name}__"))
for _name in ("neg", "abs", "pos", "round"):
    setattr(Shown, f"__{_name}__", _arithmetic(f"__{_name}__"))
for _name in ("lt", "le", "gt", "ge", "bool", "int", "float", "trunc", "floor", "ceil"):
    setattr(Shown, f"__{_name}__", _deciding(f"__{_name}__"))


def _clock(function: Callable[[], float]) -> Callable[[], float]:
    def call() -> float:
        now = function()
        return Shown(now) if is_author_file(sys._getframe(1).f_code.co_filename) else now

    return call


def _calendar(kind: type) -> type:
    """A class of dates that says nothing of today."""

    class Meta(type(kind)):  # type: ignore[misc]
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, kind)

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            return kind(*args, **kwargs)

    def today(*args: Any, **kwargs: Any) -> Any:
        frame = sys._getframe(1)
        if is_author_file(frame.f_code.co_filename):
            raise ExportError(f"datetime.{kind.__name__}", Shown.why, instead=_CLOCK, location=author_frame(frame))
        return kind.now(*args, **kwargs) if hasattr(kind, "now") else kind.today()  # type: ignore[attr-defined]

    found = {name: staticmethod(today) for name in ("now", "utcnow", "today") if hasattr(kind, name)}
    return Meta(kind.__name__, (kind,), dict(found))


def shown(value: Any) -> Shown | None:
    """The first number in arguments of torch that may only be shown."""
    if isinstance(value, Shown):
        return value
    if isinstance(value, list | tuple):
        return next((s for s in map(shown, value) if s is not None), None)
    return None
