"""Random numbers that are not torch's are refused while an author's code is traced: a recording would hold one draw for ever."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from .errors import ExportError, author_frame, is_author_file

_TORCH = "draw with torch: torch.rand_like(x), torch.randn(x.shape), dropout; nodes draw those anew for every row"


@contextmanager
def refused(task: Any) -> Iterator[None]:
    """While active, drawing with ``random`` or ``numpy.random`` raises :class:`ExportError` with the author's line.

    Functions that were imported by themselves, and generators among the attributes of ``task``, are found by their state
    afterwards, and then without a line.
    """
    kept: list[tuple[ModuleType, str, Any]] = []
    before = _states(task)
    for module in (random, np.random):
        for name in dir(module):
            function = getattr(module, name)
            if name.startswith("_") or not callable(function) or name in ("getstate", "get_state", "BitGenerator"):
                continue
            if isinstance(function, type) and name not in ("Random", "SystemRandom", "RandomState"):
                continue
            kept.append((module, name, function))
            refusing = _refusing(f"{module.__name__}.{name}", function)
            # What is asked for instances of it must be told as before.
            made = type(name, (function,), {"__new__": refusing}) if isinstance(function, type) else refusing
            setattr(module, name, made)
    try:
        yield
    finally:
        for module, name, function in kept:
            setattr(module, name, function)
    for name, state in _states(task).items():
        if name in before and before[name] != state:
            raise ExportError(name, "a recording would hold one draw for ever", instead=_TORCH)


def _refusing(name: str, function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        frame = sys._getframe(1)
        if is_author_file(frame.f_code.co_filename):
            place = author_frame(frame)
            raise ExportError(name, "a recording would hold one draw for ever", instead=_TORCH, location=place)
        return function(*(args[1:] if isinstance(function, type) else args), **kwargs)

    return call


def _states(task: Any) -> dict[str, str]:
    """What generators are at, as texts."""
    states = {"random": repr(random.getstate()), "numpy.random": repr(np.random.get_state())}
    for name, value in vars(task).items():
        if isinstance(value, random.Random):
            states[f"self.{name}"] = repr(value.getstate())
        elif isinstance(value, np.random.Generator):
            states[f"self.{name}"] = repr(value.bit_generator.state)
        elif isinstance(value, np.random.RandomState):
            states[f"self.{name}"] = repr(value.get_state())
    return states
