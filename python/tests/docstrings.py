"""What is public, and what its docstrings lack."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import delta

SECTION = re.compile(r"^(\w[\w ]*)\n-+$", re.M)


def public_modules() -> list[ModuleType]:
    """All modules of the package without an underscore in their name."""
    found = [m.name for m in pkgutil.walk_packages(delta.__path__, "delta.")]
    return [importlib.import_module(n) for n in ["delta", *found] if not any(p.startswith("_") for p in n.split("."))]


def public_objects(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The classes and functions of a module's ``__all__``, and the methods and properties of the classes."""
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing) and ours(thing):
            yield f"{module.__name__}.{name}", thing
            yield from ((f"{module.__name__}.{name}.{n}", m) for n, m in members(thing))
        elif inspect.isfunction(thing):
            yield f"{module.__name__}.{name}", thing


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class has of its own or from bases of the package."""
    seen: set[str] = set()
    for base in cls.__mro__:
        for name, member in vars(base).items():
            if ours(base) and not name.startswith("_") and name not in seen:
                seen.add(name)
                member = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
                if inspect.isfunction(member) or isinstance(member, property):
                    yield name, getattr(cls, name) if inspect.isfunction(member) else member


def ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] == "delta"


def faults(thing: Any) -> Iterator[str]:
    """What the docstring of a class, function or property lacks."""
    text = own_docstring(thing)
    if not text:
        yield "has no docstring"
        return
    have = sections(text)
    if isinstance(thing, property):
        return
    wanted, named = parameters(thing), entries(have.get("Parameters", ""))
    if lacking := [p for p in wanted if p not in named]:
        yield f"does not explain {', '.join(lacking)}"
    if stale := [p for p in named if p not in wanted]:
        yield f"explains {', '.join(stale)}, which it does not take"
    if not inspect.isclass(thing) and gives(thing) and not have.keys() & {"Returns", "Yields"}:
        yield "does not say what it returns"
    if unsaid := raised(thing) - set(entries(have.get("Raises", ""))):
        yield f"does not say when it raises {', '.join(sorted(unsaid))}"


def own_docstring(thing: Any) -> str | None:
    if inspect.isclass(thing):
        text = vars(thing).get("__doc__")
        # What dataclasses and named tuples write themselves.
        return inspect.cleandoc(text) if text and not text.startswith(f"{thing.__name__}(") else None
    return inspect.getdoc(thing)


def sections(text: str) -> dict[str, str]:
    """The sections of a docstring of NumPy's form, by their headings."""
    parts = SECTION.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section: str) -> list[str]:
    """The names that a section explains: those of ``a, b : int`` are a and b."""
    heads = [line.split(" : ")[0] for line in section.splitlines() if line and not line.startswith(" ")]
    return [name.strip() for head in heads for name in head.split(",")]


def parameters(thing: Any) -> list[str]:
    """The parameters of a function, or of the making of a class of the package; those with an underscore are nobody's."""
    if inspect.isclass(thing) and not any(ours(c) and vars(c).keys() & {"__init__", "__new__"} for c in thing.__mro__):
        return []
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    taken = inspect.signature(thing).parameters.values()
    return [stars.get(p.kind, "") + p.name for p in taken if p.name not in ("self", "cls") and p.name[0] != "_"]


def gives(function: Callable[..., Any]) -> bool:
    return inspect.signature(function).return_annotation not in (None, "None", inspect.Signature.empty)


def raised(thing: Any) -> set[str]:
    """The exceptions that the body itself raises."""
    own = [vars(thing).get(n) for n in ("__init__", "__post_init__")] if inspect.isclass(thing) else [thing]
    out: set[str] = set()
    for function in own:
        function = inspect.unwrap(function) if function is not None else None
        if not inspect.isfunction(function) or not function.__module__.startswith("delta"):
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        except OSError:
            # The __init__ of a dataclass has no source.
            continue
        for node in ast.walk(body):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                out.add(node.exc.func.id)
    return out
