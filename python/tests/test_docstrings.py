"""Every public object says what it takes, returns and raises, in NumPy's form; examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import delta
from docstrings import faults, public_modules, public_objects

MODULES = public_modules()


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_public_objects_are_documented(module: ModuleType) -> None:
    assert module.__doc__
    lacking = {name: found for name, thing in public_objects(module) if (found := list(faults(thing)))}
    assert not lacking


def test_enough_is_looked_at() -> None:
    names = {name for module in MODULES for name, _ in public_objects(module)}
    assert {"delta.DeltaNode.wait", "delta.pandas.Series.radd", "delta.task.FedAvg", "delta.debug"} <= names
    assert len(names) > 400


def test_examples_run() -> None:
    """Those of modules with an underscore, too: what is public is written there."""
    ran = {
        m.name: doctest.testmod(importlib.import_module(m.name))
        for m in pkgutil.walk_packages(delta.__path__, "delta.")
    }
    assert not [name for name, result in ran.items() if result.failed]
    assert sum(result.attempted for result in ran.values()) >= 15


def explained(a: int, *rest: int, b: float = 0.0, _inner: int = 0) -> float:
    """Add up.

    Parameters
    ----------
    a, b : float
        What is added.
    *rest : int
        The rest.

    Returns
    -------
    float
        The sum.

    Raises
    ------
    ValueError
        There is none.
    """
    if a < 0:
        raise ValueError("below 0")
    return a + b + sum(rest)


def half(a: int, b: int) -> int:
    """Add up.

    Parameters
    ----------
    a, c : int
        What is added.
    """
    if a < 0:
        raise ValueError("below 0")
    return a + b


def silent(a: int) -> None:
    pass


class Plain:
    def __init__(self, a: int) -> None:
        self.a = a


def test_what_a_docstring_lacks_is_found() -> None:
    for thing in (explained, half, silent):
        thing.__module__ = "delta.example"
    Plain.__module__ = "delta.example"
    assert list(faults(explained)) == []
    assert list(faults(half)) == [
        "does not explain b",
        "explains c, which it does not take",
        "does not say what it returns",
        "does not say when it raises ValueError",
    ]
    assert list(faults(silent)) == ["has no docstring"]
    assert list(faults(Plain)) == ["has no docstring"]
    Plain.__doc__ = "Plain."
    assert list(faults(Plain)) == ["does not explain a"]
    assert list(faults(property(lambda self: 1))) == ["has no docstring"]
