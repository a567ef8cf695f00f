"""Expressions in formulas: read as Python, computed by names that are known, of rows at the nodes or of rows that are here.

Nothing is evaluated that is not on the lists below. So a formula may come from anywhere: a result's comes back from a node.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
NUMPY = (
    "log", "log1p", "log2", "log10", "exp", "expm1", "exp2", "sqrt", "square", "abs", "absolute", "fabs", "sign", "floor",
    "ceil", "rint", "tanh", "reciprocal", "maximum", "minimum", "power",
)  # fmt: skip
"""Functions of numpy that a formula may call, as ``np.log(x)`` or, as in R, ``log(x)``."""
_PARTS = ("year", "month", "day", "hour", "minute", "second", "dayofweek", "dayofyear")
_REMEDIES = {
    "center": "needs the mean of all rows, which no node knows: write I({x} - 40), with a number near it",
    "scale": "needs mean and spread of all rows, which no node knows: write I(({x} - 40) / 10), with numbers",
    "standardize": "needs mean and spread of all rows, which no node knows: write I(({x} - 40) / 10), with numbers",
    "poly": "needs all rows to make powers orthogonal: write {x} + I({x}**2)",
    "cr": "needs all rows to place its knots: use bs({x}, knots=[...], lower_bound=..., upper_bound=...)",
    "cc": "needs all rows to place its knots: use bs({x}, knots=[...], lower_bound=..., upper_bound=...)",
    "te": "needs all rows to place its knots: write products of bs(...)",
    "lag": "needs the row before: make it a column of the table",
    "hashed": "makes columns of unknown texts: declare the levels, C({x}, levels=[...])",
}


class FormulaError(ValueError):
    """A term that nodes cannot compute."""


def call_of(expression: str) -> tuple[str, ast.Call] | None:
    """Return the name and the call, where an expression is one of ``C`` and ``bs``."""
    tree = _parsed(expression)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in ("C", "bs"):
        return tree.func.id, tree
    return None


def value(expression: str, columns: Mapping[str, Any]) -> Any:
    """Compute an expression.

    Raises :class:`FormulaError` for what is no column, and for what nodes cannot compute.
    """
    if expression in columns:
        return columns[expression]
    tree = _parsed(expression)
    try:
        return _value(tree, columns, expression)
    except FormulaError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise FormulaError(f"{expression}: {error}") from None


def names(expression: str) -> set[str]:
    """Return the columns that an expression reads; all of it where it is no Python."""
    try:
        tree = _parsed(expression)
    except FormulaError:
        return {expression}
    if isinstance(tree, ast.Name):
        return {tree.id}
    made: set[str] = set()
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", "")
            # Contrasts and the like of C are no columns, and what Q quotes is one.
            inner = node.args[:1] if name in ("C", "bs") else node.args
            made |= {a.value for a in inner if name == "Q" and isinstance(a, ast.Constant) and isinstance(a.value, str)}
            stack += inner
        elif isinstance(node, ast.Name):
            made.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr not in _PARTS and _dotted(node):
            # A name with a point in it, as in R.
            made.add(ast.unparse(node))
        else:
            stack += ast.iter_child_nodes(node)
    return made - {"np", "numpy", "True", "False"}


def constants(node: ast.expr, what: str) -> Any:
    """Return a number, a text, or a list of them, as it is written.

    Raises :class:`FormulaError` for anything else.
    """
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise FormulaError(
            f"{what}={ast.unparse(node)}: write the values themselves, such as [1, 2]; an f-string puts a variable's there"
        ) from None


def arguments(call: ast.Call, order: Sequence[str], what: str) -> dict[str, ast.expr]:
    """Return a call's arguments by name."""
    if len(call.args) > len(order) or any(isinstance(a, ast.Starred) for a in call.args):
        raise FormulaError(f"{ast.unparse(call)}: {what} takes {', '.join(order)}")
    made = dict(zip(order, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg not in order or keyword.arg in made:
            raise FormulaError(f"{ast.unparse(call)}: {what} has no {keyword.arg!r}; it takes {', '.join(order)}")
        made[keyword.arg] = keyword.value
    return made


def no_column(name: str, columns: Collection[str]) -> FormulaError:
    """Say that a column is not there, and what may be meant."""
    near = difflib.get_close_matches(name, list(columns), 1)
    return FormulaError(
        f"{name!r} is no column; there are {', '.join(columns)}"
        + (
            f". Do you mean {near[0]!r}?"
            if near
            else ". A value of your own is written into the formula by an f-string"
        )
    )


def _dotted(node: ast.expr) -> bool:
    """Whether this is names with points between them, and nothing else."""
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _dotted(node.value))


def _parsed(expression: str) -> ast.expr:
    try:
        return ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise FormulaError(f"{expression!r} is no column, and no Python") from None


def _value(node: ast.expr, columns: Mapping[str, Any], term: str) -> Any:
    if isinstance(node, ast.Name):
        if node.id not in columns:
            raise no_column(node.id, columns.keys())
        return columns[node.id]
    if isinstance(node, ast.Constant):
        # Whole numbers as floats: powers of them have an end.
        whole = isinstance(node.value, int) and not isinstance(node.value, bool)
        if isinstance(node.value, (int, float, str)):
            return float(node.value) if whole else node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_value(node.left, columns, term), _value(node.right, columns, term))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_value(node.operand, columns, term))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        return _COMPARE[type(node.ops[0])](_value(node.left, columns, term), _value(node.comparators[0], columns, term))
    if isinstance(node, ast.Call):
        return _called(node, columns, term)
    if isinstance(node, ast.Attribute):
        if (whole_name := ast.unparse(node)) in columns:
            return columns[whole_name]
        if node.attr in _PARTS and isinstance(node.value, ast.Attribute) and node.value.attr == "dt":
            return getattr(_value(node.value.value, columns, term).dt, node.attr)
    raise FormulaError(
        f"{term}: nodes do not compute {ast.unparse(node)!r} in a formula; it may have columns, numbers, + - * / ** < > ==, and "
        f"{', '.join(NUMPY[:6])} and the like. Make other columns in preprocess, and call delta.statsmodel.design there"
    )


def _called(node: ast.Call, columns: Mapping[str, Any], term: str) -> Any:
    function = node.func
    numpy = isinstance(function, ast.Attribute) and getattr(function.value, "id", "") in ("np", "numpy")
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = ast.unparse(node.args[0]) if node.args else "x"
    if name in ("C", "bs"):
        raise FormulaError(f"{term}: {name}(...) stands by itself, or in a product a:b, not within another expression")
    if name in _REMEDIES and not numpy:
        raise FormulaError(f"{term}: {name}() {_REMEDIES[name].format(x=first)}")
    plain = isinstance(function, ast.Name) or numpy
    if node.keywords or not plain or (name not in NUMPY and (numpy or name not in ("I", "Q"))):
        raise FormulaError(
            f"{term}: nodes have no {ast.unparse(function)}(); a formula may call {', '.join(NUMPY)}, I, C, Q and bs"
        )
    if name == "Q":
        quoted = node.args[0].value if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
        if not isinstance(quoted, str) or quoted not in columns:
            raise no_column(str(quoted), columns.keys())
        return columns[quoted]
    given = [_value(a, columns, term) for a in node.args]
    if len(given) != (2 if name in ("maximum", "minimum", "power") else 1):
        raise FormulaError(f"{term}: {name}() takes one argument" + ("" if name == "I" else " of its own"))
    return given[0] if name == "I" else getattr(np, name)(*given)
