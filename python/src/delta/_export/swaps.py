"""Functions and methods of libraries that are others while an author's code is traced."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

_NONE = object()
Swap = tuple[Any, str, Any]
"""An object, the name of one of its attributes, and what it is meanwhile."""


@contextmanager
def swapped(swaps: Sequence[Swap]) -> Iterator[None]:
    """Replace attributes of modules and classes; afterwards they are what they were."""
    kept: list[Swap] = []
    try:
        for owner, name, value in swaps:
            kept.append((owner, name, vars(owner).get(name, _NONE)))
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(kept):
            if value is _NONE:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


@contextmanager
def running(functions: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """Let functions run others: authors import them by name, so it is what they run that changes, and not a name."""
    kept = []
    try:
        for given, other in functions:
            function = inspect.unwrap(given)
            assert isinstance(function, FunctionType)
            name = f"_delta_{function.__name__}"
            kept.append((function, name, function.__code__, function.__defaults__, function.__kwdefaults__))
            function.__globals__[name] = other
            made: dict[str, Any] = {}
            exec(f"def run(*args, **kwargs):\n    return {name}(*args, **kwargs)\n", made)
            function.__code__, function.__defaults__, function.__kwdefaults__ = made["run"].__code__, None, None
        yield
    finally:
        for function, name, code, defaults, keywords in reversed(kept):
            function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, keywords
            del function.__globals__[name]
