"""What of an author's a method can reach: to see what it changes there, and to find the clocks and dice that it uses.

A node runs a recording. A counter in a module, in a function's closure or in an object of the author's own would be another
number in every batch or round, and be gone without a word; so what is plain is noted before a method runs, and compared.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import operator
import random
import sys
import textwrap
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes

from .errors import ExportError, Location, is_author_file

PLAIN = (bool, int, float, complex, str, bytes, type(None))
_BEGINNINGS = (ast.Constant, ast.List, ast.Dict, ast.Set, ast.Tuple)
_MOST, _LONG = 20_000, 400
_KEPT = "keep numbers that go on in a buffer of the model (register_buffer); nodes count rounds and batches"
_TORCH = "draw with torch: torch.rand_like(x), torch.randn(x.shape), dropout; nodes draw those anew for every row"


def is_own(kind: type) -> bool:
    """Whether a class is the author's."""
    return is_authors_module(sys.modules.get(kind.__module__))


def is_authors_module(module: Any) -> bool:
    """Whether a module is the author's, or what he types into a prompt."""
    if module is None:
        return False
    file = getattr(module, "__file__", None)
    return is_author_file(str(file)) if file else getattr(module, "__name__", "") == "__main__"


def _is_own_function(function: types.FunctionType) -> bool:
    file = function.__code__.co_filename
    return is_author_file(file) or (
        file.startswith("<") and not file.startswith("<frozen") and "eval_with_key" not in file
    )


class Reach:
    """What a task's methods can reach. ``values``: what is plain, by name; ``dice``: the states of generators."""

    def __init__(self, task: Any, methods: tuple[str, ...]) -> None:
        """Look at the task's attributes, its own classes, and what its methods name."""
        self.values: dict[str, Any] = {}
        self.dice: dict[str, str] = {"random": repr(random.getstate()), "numpy.random": repr(np.random.get_state())}
        self.spaces: dict[int, dict[str, Any]] = {}
        self.functions: list[types.FunctionType] = []
        self._seen: set[int] = set()
        self._kept: list[Any] = []
        self._left: list[tuple[str, Any]] = []
        for name, value in vars(task).items():
            self._note(f"self.{name}", value)
        self._class(type(task))
        self._left += [(name, getattr(type(task), name, None)) for name in methods]
        while self._left and len(self._seen) < _MOST:
            self._look(*self._left.pop())

    # ---- what one thing has
    def _note(self, name: str, value: Any) -> None:
        """A value under a name: what is plain is kept, what has parts is looked at."""
        if isinstance(value, PLAIN):
            self.values[name] = value
        elif isinstance(value, torch.SymInt | torch.SymFloat):
            self.values[name] = str(value.node.expr)
        elif isinstance(value, list | tuple | set | dict):
            self.values[name] = type(value).__name__, len(value)
            self._left.append((name, value))
        elif isinstance(value, Tensor):
            self.values[name] = id(value), None if value.is_inference() else value._version
            self._kept.append(value)
        elif isinstance(value, np.ndarray) and value.nbytes <= 1 << 20:
            self.values[name] = hashlib.blake2b(value.tobytes()).hexdigest() if value.dtype.kind != "O" else id(value)
        else:
            self._left.append((name, value))

    def _look(self, name: str, value: Any) -> None:
        if id(value) in self._seen or value is None:
            return
        self._seen.add(id(value))
        self._kept.append(value)
        if isinstance(value, types.FunctionType):
            self._function(name, value)
        elif isinstance(value, types.MethodType | functools.partial | staticmethod | classmethod | property):
            self._parts(name, value)
        elif isinstance(value, type):
            if is_own(value):
                self._class(value)
        elif isinstance(value, random.Random | np.random.Generator | np.random.RandomState | torch.Generator):
            self.dice[name] = _state(value)
        elif isinstance(value, nn.Module):
            self._module(name, value)
        elif isinstance(value, dict):
            for key, part in list(value.items())[:_LONG]:
                self._note(f"{name}[{key!r}]", part)
        elif isinstance(value, list | tuple | set):
            parts = list(value)
            for i, part in enumerate(parts[:_LONG] + parts[-_LONG:] if len(parts) > 2 * _LONG else parts):
                self._note(f"{name}[{i}]", part)
        elif isinstance(value, types.GeneratorType):
            self.values[name] = value.gi_frame.f_lasti if value.gi_frame is not None else None
            for key, part in (value.gi_frame.f_locals if value.gi_frame is not None else {}).items():
                self._note(f"{name}.{key}", part)
        elif type(value).__module__ in ("itertools", "builtins") and hasattr(type(value), "__next__"):
            self.values[name] = repr(value) if type(value).__name__ == "count" else operator.length_hint(value, -1)
        elif "__wrapped__" in getattr(value, "__dict__", {}):
            self._left.append((name, value.__dict__["__wrapped__"]))
        elif is_own(type(value)) and hasattr(value, "__dict__"):
            self._class(type(value))
            for key, part in vars(value).items():
                self._note(f"{name}.{key}", part)

    def _parts(self, name: str, value: Any) -> None:
        found = ("__func__", "__self__", "func", "args", "keywords", "fget")
        self._left += [(name, getattr(value, part)) for part in found if getattr(value, part, None) is not None]

    def _module(self, name: str, module: nn.Module) -> None:
        """Its own attributes; parameters and buffers are state that nodes keep."""
        if is_own(type(module)):
            self._class(type(module))
        hidden = ("training", "_parameters", "_buffers", "_modules", "_flat_weights", "_parameters_swapped")
        for key, part in vars(module).items():
            if key not in hidden and not isinstance(part, Tensor):
                self._note(f"{name}.{key}", part)
        self._left += [(f"{name}.{key}", part) for key, part in module._modules.items()]

    def _class(self, kind: type) -> None:
        for one in kind.__mro__:
            if id(one) in self._seen or not is_own(one):
                continue
            self._seen.add(id(one))
            for key, value in list(vars(one).items()):
                # What __init__ names is of the time before.
                if not key.startswith("__") or key == "__call__":
                    self._note(f"{one.__name__}.{key}", value)

    def _function(self, name: str, function: types.FunctionType) -> None:
        if not _is_own_function(function):
            if (inner := getattr(function, "__wrapped__", None)) is not None:
                self._left.append((name, inner))
            return
        self.functions.append(function)
        space = function.__globals__
        self.spaces[id(space)] = space
        named = _names(function.__code__)
        for key in sorted(named & space.keys()):
            value = space[key]
            if isinstance(value, types.ModuleType):
                if is_authors_module(value):
                    self.spaces[id(vars(value))] = vars(value)
                    for inner in sorted(named & vars(value).keys()):
                        self._note(f"{key}.{inner}", vars(value)[inner])
            else:
                self._note(key, value)
        for key, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            try:
                self._note(key, cell.cell_contents)
            except ValueError:
                continue
        for i, value in enumerate(function.__defaults__ or ()):
            self._note(f"{function.__name__}'s default {i}", value)
        for key, value in {**(function.__kwdefaults__ or {}), **function.__dict__}.items():
            self._note(f"{function.__name__}.{key}", value)

    # ---- two of them
    def unchanged(self, task: Any, methods: tuple[str, ...]) -> None:
        """Look again, and refuse what is another now.

        Raises :class:`ExportError` with its name and the line that changes it, where the source shows one.
        """
        now = Reach(task, methods)
        for name, state in now.dice.items():
            if self.dice.get(name, state) != state:
                raise ExportError(
                    name,
                    "a recording would hold one draw for ever",
                    instead=_TORCH,
                    location=now.line(name, False),
                )
        for name, value in now.values.items():
            if self.values[name] != value if name in self.values else _is_new(name, self.values):
                raise ExportError(
                    name, f"{methods[0]}() changes it, and nodes run a recording that never sees the change", instead=_KEPT,
                    location=now.line(name),
                )  # fmt: skip

    def line(self, name: str, changed: bool = True) -> Location | None:
        """The author's line that changes, or uses, what a name ends with."""
        last = name.split("[")[0].split(".")[-1]
        found = [
            (isinstance(node, ast.Assign) and isinstance(node.value, _BEGINNINGS), line, function)
            for function in self.functions
            for node, line in _statements(function)
            if _mentions(node, last, changed)
        ]
        if not found:
            return None
        # What is set to a constant or an empty list is rather how it begins.
        _, line, function = min(found, key=lambda f: f[0])
        return Location(function.__code__.co_filename, line)


def _is_new(name: str, known: dict[str, Any]) -> bool:
    """Whether a name that was not there is one of a thing that was: an attribute of an object that has others."""
    parent = name.rsplit(".", 1)[0] if "[" not in name.rsplit(".", 1)[-1] else name.rsplit("[", 1)[0]
    return parent == "self" or any(k == parent or k.startswith((f"{parent}.", f"{parent}[")) for k in known)


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            found |= _names(part)
    return found


def _state(value: Any) -> str:
    if isinstance(value, random.Random):
        return "" if isinstance(value, random.SystemRandom) else repr(value.getstate())
    if isinstance(value, torch.Generator):
        with torch._C.DisableTorchFunction(), _disable_current_modes():
            return hashlib.blake2b(value.get_state().numpy().tobytes()).hexdigest()
    return repr(value.bit_generator.state) if isinstance(value, np.random.Generator) else repr(value.get_state())


def _statements(function: types.FunctionType) -> Iterator[tuple[ast.AST, int]]:
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            yield node, int(node.lineno) + max(first, 1) - 1


def _last(node: ast.AST) -> str:
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _mentions(node: ast.AST, name: str, changed: bool) -> bool:
    """Whether a statement assigns to a name, or calls a method of it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _last(node.func.value) == name:
        return True
    if isinstance(node, ast.Call) and any(_last(a) == name for a in node.args):
        return True
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    return changed and any(_last(t) == name for t in targets)
