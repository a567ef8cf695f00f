"""Conditions on the number of a batch, as in ``if (i + 1) % 4 == 0: optimizer.step()``: rewritten so that both ways are recorded.

A graph has no branches. Both ways are computed, and the number of the batch, which the graph counts, decides which is kept. So
while it is traced, ``if test: body`` in the loop over the batches runs as ::

    chosen = test                       # with a number that is a tensor
    if when.enters(chosen):             # always, where it is one
        with when.given(chosen):        # keeps what body changes where chosen is so, and what was there before elsewhere
            body

(:mod:`.conditions` has ``when``). Nothing else of the function changes, and its lines keep their numbers.
"""

from __future__ import annotations

import ast
import gc
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any

from .errors import ExportError, Location
from .source import Loop, loads, only_shows, own_statements, shows, stores

WHEN = "__delta_when__"
_CHOSEN = "__delta_chosen_"
_OUTSIDE = (
    "set it in every batch, or choose with torch.where; parameters, buffers and gradients may change under a condition"
)


@dataclass
class Branches:
    """A function whose conditions on the number of a batch are rewritten.

    ``lines``: of the statements that are. ``code``: what it runs meanwhile.
    """

    functions: list[FunctionType]
    code: CodeType
    lines: frozenset[int]

    @classmethod
    def of(cls, loop: Loop) -> Branches | None:
        """Rewrite the function that a loop is in; ``None`` where nothing in it is to be, or can be."""
        old, counted = loop.frame.f_code, loop.counted()
        functions = [f for f in gc.get_referrers(old) if isinstance(f, FunctionType) and f.__code__ is old]
        if loop.node is None or counted is None or not functions:
            return None
        try:
            lines, first = inspect.getsourcelines(old)
            tree = ast.parse(textwrap.dedent("".join(lines)))
        except (OSError, TypeError, SyntaxError):
            return None
        if any(isinstance(n, ast.Name | ast.Attribute) and _is_mangled(n) for n in ast.walk(tree)):
            return None
        writer = _Writer(tree, counted, old.co_filename, max(first, 1) - 1)
        writer.function(loop.node.lineno)
        if not writer.conditional:
            return None
        ast.fix_missing_locations(tree)
        ast.increment_lineno(tree, max(first, 1) - 1)
        code = _compiled(tree, old)
        return None if code is None else cls(functions, code, frozenset(writer.lines))

    @contextmanager
    def running(self, when: Any) -> Iterator[None]:
        """Let the functions run the rewritten code, with ``when`` to be found by it."""
        kept = [(f, f.__code__) for f in self.functions]
        try:
            for function, _ in kept:
                function.__globals__[WHEN] = when
                function.__code__ = self.code
            yield
        finally:
            for function, code in kept:
                function.__code__ = code
                function.__globals__.pop(WHEN, None)


def _is_mangled(node: ast.Name | ast.Attribute) -> bool:
    """Whether a name means another one within its class."""
    name = node.id if isinstance(node, ast.Name) else node.attr
    return name.startswith("__") and not name.endswith("__")


def _compiled(tree: ast.Module, old: CodeType) -> CodeType | None:
    """The code of the function in a module of it alone, with the same free variables as before."""
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    function.decorator_list = []
    if old.co_freevars:
        source = f"def _delta_free({', '.join(old.co_freevars)}):\n    pass\n"
        (outer,) = ast.parse(source).body
        assert isinstance(outer, ast.FunctionDef)
        outer.body = [function]
        tree.body = [outer]
    made = compile(tree, old.co_filename, "exec")
    for part in _codes(made):
        if part.co_name == old.co_name and part.co_freevars == old.co_freevars:
            return part
    return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield part
            yield from _codes(part)


@dataclass
class _Writer:
    """Rewrites the conditions of one function in place."""

    tree: ast.Module
    counted: tuple[str, ast.expr | None]
    """The variable that ``enumerate`` sets, and what it begins with."""
    file: str
    shift: int
    lines: set[int] = field(default_factory=set)
    conditional: bool = False
    """Whether there is a condition, and not only what could be part of one."""
    plain: dict[str, ast.expr] = field(default_factory=dict)
    """What is made of the number by arithmetic alone, by variable."""

    def function(self, line: int) -> None:
        """Rewrite the loop at a line, and what follows it."""
        self.root = self.tree.body[0]
        times: dict[str, int] = {}
        for node in ast.walk(self.root):
            for name in stores(node):
                times[name] = times.get(name, 0) + 1
        self.once = {name for name, count in times.items() if count == 1}
        for node in ast.walk(self.root):
            for field_ in ("body", "orelse", "finalbody"):
                block = getattr(node, field_, None)
                if not isinstance(block, list):
                    continue
                at = next((k for k, s in enumerate(block) if isinstance(s, ast.For) and s.lineno == line), None)
                if at is not None:
                    self.loop = loop = block[at]
                    loop.body = self.block(loop.body, whole=True)
                    block[at + 1 :] = self.block(block[at + 1 :])
                    return

    def block(self, statements: list[ast.stmt], *, whole: bool = False) -> list[ast.stmt]:
        """Rewrite some statements in a row; ``whole``: they go to the end of the loop's body."""
        out: list[ast.stmt] = []
        for position, statement in enumerate(statements):
            if (
                isinstance(statement, ast.If)
                and self.hangs(statement.test)
                and not only_shows(statement, self.changing)
            ):
                rest = statements[position + 1 :]
                if whole and not statement.orelse and isinstance(statement.body[-1], ast.Continue):
                    inner = ast.If(ast.UnaryOp(ast.Not(), statement.test), rest or [ast.Pass()], statement.body[:-1])
                    # What leaves a batch on one way must not leave out the other.
                    if not _leaves([*inner.body, *inner.orelse], None if inner.orelse else ast.Continue):
                        return [*out, *self.chosen(ast.copy_location(inner, statement), whole=True)]
                if _leaves([*statement.body, *statement.orelse]):
                    out.append(statement)
                    continue
                out += self.chosen(statement)
                continue
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                self.assigned(statement)
            for name in ("body", "orelse", "finalbody"):
                if isinstance(statement, ast.If | ast.With | ast.Try) and getattr(statement, name, None):
                    setattr(statement, name, self.block(getattr(statement, name), whole=False))
            out.append(statement)
        return out

    @property
    def changing(self) -> set[str]:
        return {self.counted[0], *self.plain}

    def hangs(self, test: ast.expr) -> bool:
        """Whether a condition hangs on the number of the batch."""
        return bool(loads(test) & self.changing)

    def assigned(self, statement: ast.Assign) -> None:
        """Remember a variable that is made of the number; one that asks for the last batch is rewritten itself."""
        (target,) = statement.targets
        if not (isinstance(target, ast.Name) and target.id in self.once and self.hangs(statement.value)):
            return
        kinds = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Constant, ast.Name, ast.Attribute, ast.Call)
        parts = [n for n in ast.walk(statement.value) if isinstance(n, ast.expr)]
        lengths = [n for n in parts if isinstance(n, ast.Call)]
        if not all(isinstance(n, kinds) for n in parts) or not all(_is_length(n) for n in lengths):
            return
        self.lines.add(statement.lineno + self.shift)
        if lengths:
            statement.value = self.test(statement.value)
        else:
            self.plain[target.id] = statement.value

    def chosen(self, statement: ast.If, *, whole: bool = False) -> list[ast.stmt]:
        """Both ways of a condition."""
        self.refuse_names(statement)
        self.conditional = True
        self.lines.add(statement.lineno + self.shift)
        name = f"{_CHOSEN}{len(self.lines)}_{statement.lineno}"
        made: list[ast.stmt] = [ast.Assign([ast.Name(name, ast.Store())], self.test(statement.test))]
        for ask, way, body in (("enters", "given", statement.body), ("leaves", "otherwise", statement.orelse)):
            if body:
                inner: ast.stmt = ast.With(
                    [ast.withitem(_call(way, ast.Name(name, ast.Load())))],
                    self.block(body, whole=whole and way == "given"),
                )
                made.append(ast.If(_call(ask, ast.Name(name, ast.Load())), [ast.copy_location(inner, statement)], []))
        return [ast.copy_location(s, statement) for s in made]

    def refuse_names(self, statement: ast.If) -> None:
        """Refuse variables that are set under a condition and read elsewhere.

        Raises :class:`ExportError` with the line.
        """
        inside = {id(n) for s in [*statement.body, *statement.orelse] for n in ast.walk(s)}
        fine = {id(n) for c in ast.walk(self.root) if isinstance(c, ast.Call) and shows(c.func) for n in ast.walk(c)}
        fine |= set(_own_names(self.root, self.loop))
        elsewhere = {
            n.id
            for n in ast.walk(self.root)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and id(n) not in inside | fine
        }
        for part in [*statement.body, *statement.orelse]:
            for node in ast.walk(part):
                if names := [n for n in stores(node) if n in elsewhere and id(node) not in fine]:
                    raise ExportError(
                        f"{names[0]} =", "it is set under a condition on the number of the batch, and read elsewhere",
                        instead=_OUTSIDE, location=Location(self.file, getattr(node, "lineno", 0) + self.shift),
                    )  # fmt: skip

    def test(self, node: ast.expr) -> ast.expr:
        """A condition with a number that is a tensor, and ``and``, ``or`` and ``not`` that take one."""
        name, start = self.counted
        if isinstance(node, ast.Name) and node.id == name:
            return ast.copy_location(_call("number", *([] if start is None else [start])), node)
        if isinstance(node, ast.Name) and node.id in self.plain:
            return self.test(self.plain[node.id])
        if isinstance(node, ast.BoolOp):
            way = "either" if isinstance(node.op, ast.Or) else "both"
            made = self.test(node.values[0])
            for value in node.values[1:]:
                # Of plain values the first decides, as ever; only of tensors both are asked.
                kept = f"{_CHOSEN}{len(self.lines)}_{node.lineno}_{node.col_offset}_{value.col_offset}"
                first = ast.NamedExpr(ast.Name(kept, ast.Store()), made)
                sure = _call("sure", first, ast.Constant(isinstance(node.op, ast.Or)))
                both = _call(way, ast.Name(kept, ast.Load()), self.test(value))
                made = ast.IfExp(sure, ast.Name(kept, ast.Load()), both)
            return ast.copy_location(made, node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ast.copy_location(_call("no", self.test(node.operand)), node)
        if _is_length(node):
            assert isinstance(node, ast.Call)
            return ast.copy_location(_call("length", node.args[0]), node)
        if isinstance(node, ast.BinOp):
            return ast.copy_location(ast.BinOp(self.test(node.left), node.op, self.test(node.right)), node)
        if isinstance(node, ast.Compare):
            parts = [self.test(c) for c in node.comparators]
            return ast.copy_location(ast.Compare(self.test(node.left), node.ops, parts), node)
        return node


def _own_names(root: ast.AST, batches: ast.AST) -> Iterator[int]:
    """The names that loops and comprehensions set for themselves, where these read them; not so the loop over batches."""
    for node in ast.walk(root):
        parts: list[ast.AST] = []
        if isinstance(node, ast.For) and node is not batches:
            parts, targets = list(node.body), [node.target]
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            parts, targets = [node], [g.target for g in node.generators]
        own = {n for t in targets for p in ast.walk(t) for n in stores(p)} if parts else set[str]()
        for part in parts:
            yield from (id(n) for n in ast.walk(part) if isinstance(n, ast.Name) and n.id in own)


def _call(name: str, *given: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(ast.Name(WHEN, ast.Load()), name, ast.Load()), list(given), [])


def _is_length(node: ast.AST) -> bool:
    """Whether it asks how many there are of something that has a name."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"
    return called and len(node.args) == 1 and isinstance(node.args[0], ast.Name | ast.Attribute)  # type: ignore[attr-defined]


def _leaves(body: list[ast.stmt], but: type[ast.stmt] | None = None) -> bool:
    """Whether statements leave the loop, or a batch."""
    ends = (ast.Break, ast.Continue, ast.Return, ast.Raise, ast.Global, ast.Nonlocal, ast.Delete)
    return any(isinstance(n, ends) and (but is None or not isinstance(n, but)) for n in own_statements(body))
