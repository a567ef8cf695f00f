"""numpy's functions on symbols, by their names in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._base import Symbol, block, number, truth, wrap
from ._binary import binary
from ._expr import Expr, ops


def extreme(name: str, a: Any, b: Any) -> Any:
    """Compute numpy's maximum and minimum: missing if either is."""
    chosen = binary("ge" if name == "maximum" else "le", a, b)
    like = block(binary("add", a, b))
    x, y = (block(v).x if isinstance(v, Symbol) else number(v).x for v in (a, b))
    value = ops.where(truth(block(chosen).x), x, y)
    return wrap(like.with_(x=ops.where(ops.or_(ops.is_nan(x), ops.is_nan(y)), float("nan"), value)))


def _log1p(x: Expr) -> Expr:
    u = ops.add(x, 1.0)
    small = ops.equal(u, 1.0)
    return ops.where(small, x, ops.div(ops.mul(ops.log(u), x), ops.where(small, 1.0, ops.sub(u, 1.0))))


def _expm1(x: Expr) -> Expr:
    series = ops.mul(x, ops.add(1.0, ops.mul(x, ops.add(0.5, ops.mul(x, 1 / 6)))))
    return ops.where(ops.less(ops.abs(x), 1e-5), series, ops.sub(ops.exp(x), 1.0))


UNARY: dict[str, tuple[Callable[[Expr], Expr], bool]] = {
    "exp": (ops.exp, False),
    "log": (ops.log, False),
    "sqrt": (ops.sqrt, False),
    "expm1": (_expm1, False),
    "log1p": (_log1p, False),
    "log2": (lambda x: ops.div(ops.log(x), float(np.log(2.0))), False),
    "log10": (lambda x: ops.div(ops.log(x), float(np.log(10.0))), False),
    "exp2": (lambda x: ops.pow(2.0, x), False),
    "tanh": (ops.tanh, False),
    "reciprocal": (lambda x: ops.div(1.0, x), False),
    "rint": (ops.round, False),
    "floor": (ops.floor, True),
    "ceil": (ops.ceil, True),
    "absolute": (ops.abs, True),
    "fabs": (ops.abs, False),
    "negative": (ops.neg, True),
    "positive": (lambda x: x, True),
    "square": (ops.square, True),
    "sign": (lambda x: ops.where(ops.is_nan(x), x, ops.sign(x)), True),
}
BINARY = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "truediv",
    "true_divide": "truediv",
    "floor_divide": "floordiv",
    "remainder": "mod",
    "power": "pow",
    "equal": "eq",
    "not_equal": "ne",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
    "bitwise_and": "and",
    "bitwise_or": "or",
    "bitwise_xor": "xor",
}
