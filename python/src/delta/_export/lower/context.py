"""From fx values to ONNX values: types, shapes, and sizes that depend on the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import sympy  # type: ignore[import-untyped]
import torch
from torch.fx import Node

from ..errors import ExportError
from .builder import ELEMENT, Attribute, Builder
from .registry import Value

Runtime = Literal["portable", "onnxruntime"]
LAST = (1 << 63) - 1
"""The end of a slice that goes to the end."""


class Lowering:
    """The state of one translation.

    `batch_source` is a graph input and the dimension of it that is the batch: the one symbol sizes may depend on.
    """

    def __init__(self, runtime: Runtime, batch_source: tuple[str, int] | None, symbol: sympy.Symbol | None) -> None:
        """An empty graph that reads the batch size from `batch_source`."""
        self.builder = Builder()
        self.runtime: Runtime = runtime
        self.values: dict[Node, Value] = {}
        self._batch_source, self._symbol = batch_source, symbol

    # ---- what fx knows about an argument
    def value(self, arg: Any) -> Any:
        """The fake tensor, symbolic number or plain value of an argument."""
        return arg.meta["val"] if isinstance(arg, Node) else arg

    def dtype(self, arg: Any) -> torch.dtype:
        """The element type of a tensor; int64, float32 or bool for numbers."""
        value = self.value(arg)
        if isinstance(value, torch.Tensor):
            return value.dtype
        if isinstance(value, (bool, torch.SymBool)):
            return torch.bool
        return torch.int64 if isinstance(value, (int, torch.SymInt)) else torch.float32

    def is_tensor(self, arg: Any) -> bool:
        """Whether an argument is a tensor, not a number."""
        return isinstance(self.value(arg), torch.Tensor)

    def shape(self, arg: Any) -> list[Any]:
        """The shape: an int for each fixed dimension, a SymInt for the others."""
        return [fixed(d) for d in self.value(arg).shape]

    def rank(self, arg: Any) -> int:
        """The number of dimensions."""
        return int(self.value(arg).dim())

    def is_static(self, arg: Any) -> bool:
        """Whether no dimension depends on the batch."""
        return all(isinstance(d, int) for d in self.shape(arg))

    def axis(self, arg: Any, dim: int) -> int:
        """`dim` counted from the front; 0 for scalars."""
        return dim % max(self.rank(arg), 1)

    def axes(self, arg: Any, dim: Any) -> list[int]:
        """Dimensions counted from the front; all of them for None or an empty list, as in torch."""
        if dim is None or (isinstance(dim, (list, tuple)) and not dim):
            return list(range(self.rank(arg)))
        return [self.axis(arg, d) for d in ([dim] if isinstance(dim, int) else dim)]

    # ---- values
    def node(self, op: str, *inputs: str, **attributes: Attribute) -> str:
        """One operator with one result."""
        return self.builder.node(op, *inputs, **attributes)

    def constant(self, value: Any, dtype: torch.dtype = torch.int64) -> str:
        """A constant; int64 when not said otherwise."""
        return self.builder.constant(value, dtype)

    def cast(self, name: str, source: torch.dtype, target: torch.dtype) -> str:
        """`name` as `target`; itself when it is that already."""
        if source == target:
            return name
        if target not in ELEMENT:
            raise ExportError(
                str(target), "nodes do not read this element type", instead="use float32, float64, int32, int64 or bool"
            )
        return self.node("Cast", name, to=ELEMENT[target])

    def name(self, arg: Node) -> str:
        """The ONNX name of a node with one result."""
        found = self.values[arg]
        if not isinstance(found, str):
            raise ExportError(str(arg.target), "a list of results is used as one value")
        return found

    def tensor(self, arg: Any, dtype: torch.dtype | None = None) -> str:
        """Any argument as a tensor of `dtype` (its own when not given)."""
        value = self.value(arg)
        if isinstance(value, torch.Tensor):
            return self.cast(self.name(arg), value.dtype, dtype or value.dtype)
        target = dtype or self.dtype(arg)
        value = fixed(value)
        if isinstance(value, (torch.SymInt, torch.SymFloat)):
            kind = torch.int64 if isinstance(value, torch.SymInt) else torch.float64
            scalar = self.node("Squeeze", self.size(value), self.constant([0]))
            return self.cast(scalar, kind, target)
        if isinstance(value, torch.SymBool):
            raise ExportError("symbolic condition", "the graph would depend on the batch size")
        return self.constant(value, target)

    def size(self, value: Any) -> str:
        """An int, SymInt or SymFloat (or a node of one) as a vector of length 1: int64, or float64 for SymFloat."""
        value = fixed(self.value(value))
        if isinstance(value, (int, float)):
            return self.constant([value], torch.int64 if isinstance(value, int) else torch.float64)
        return self._expression(value.node.expr)[0]

    def _expression(self, expr: Any) -> tuple[str, torch.dtype]:
        """A sympy expression of the batch symbol, and whether it is int64 or float64."""
        if expr.is_Symbol:
            if self._batch_source is None or expr != self._symbol:
                raise ExportError(str(expr), "a size depends on the data, not on the batch alone")
            source, dim = self._batch_source
            shape = self.node("Shape", source)
            return self.node(
                "Slice", shape, self.constant([dim]), self.constant([dim + 1]), self.constant([0])
            ), torch.int64
        if expr.is_Integer:
            return self.constant([int(expr)]), torch.int64
        if expr.is_number:
            return self.constant([float(expr)], torch.float64), torch.float64
        kind = expr.func.__name__
        parts = [self._expression(a) for a in expr.args]
        if kind in ("ToFloat", "TruncToInt"):
            target = torch.float64 if kind == "ToFloat" else torch.int64
            return self.cast(parts[0][0], parts[0][1], target), target
        operators = {
            "Add": "Add", "Mul": "Mul", "FloatTrueDiv": "Div", "IntTrueDiv": "Div", "FloorDiv": "Div",
            "CleanDiv": "Div", "Max": "Max", "Min": "Min", "Mod": "Mod", "PythonMod": "Mod", "Pow": "Pow",
            "PowByNatural": "Pow", "FloatPow": "Pow",
        }  # fmt: skip
        if kind not in operators:
            raise ExportError(str(expr), "this arithmetic on the batch size has no translation")
        wide = kind in ("FloatTrueDiv", "IntTrueDiv", "FloatPow") or any(d == torch.float64 for _, d in parts)
        target = torch.float64 if wide else torch.int64
        names = [self.cast(n, d, target) for n, d in parts]
        result = names[0]
        for other in names[1:]:
            result = self.node(operators[kind], result, other)
        return result, target

    def dims(self, sizes: Sequence[Any]) -> str:
        """A shape as an int64 vector."""
        known = [fixed(self.value(s)) for s in sizes]
        if all(isinstance(s, int) for s in known):
            return self.constant(np.array(known, np.int64))
        parts: list[str] = []
        run: list[int] = []
        for s in [*known, None]:
            if isinstance(s, int):
                run.append(s)
                continue
            if run:
                parts.append(self.constant(run))
                run = []
            if s is not None:
                parts.append(self.size(s))
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def vector(self, sizes: Sequence[str]) -> str:
        """Vectors of length 1 as one vector."""
        known = [self.builder.array(s) for s in sizes]
        if all(a is not None for a in known):
            return self.constant(np.concatenate([a for a in known if a is not None]))
        return self.node("Concat", *sizes, axis=0)

    def reshape(self, name: str, sizes: Sequence[Any]) -> str:
        """A reshape; one dimension that depends on the batch is left to the runtime."""
        known = [fixed(self.value(s)) for s in sizes]
        free = [i for i, s in enumerate(known) if not isinstance(s, int) or s == -1]
        if len(free) == 1 and 0 not in known:
            known[free[0]] = -1
        return self.node("Reshape", name, self.dims(known))

    def expand(self, name: str, arg: Any) -> str:
        """`name` broadcast to the shape of `arg`."""
        return self.node("Expand", name, self.dims(self.shape(arg)))

    def permute(self, name: str, order: Sequence[int]) -> str:
        """`name` with its dimensions in `order`."""
        return name if list(order) == sorted(order) else self.node("Transpose", name, perm=list(order))

    def slice(self, name: str, start: Any, end: Any, axis: int, step: int = 1) -> str:
        """Elements `start` to `end` along one axis."""
        return self.node("Slice", name, self.size(start), self.size(end), self.constant([axis]), self.constant([step]))


def fixed(value: Any) -> Any:
    """A symbolic number that has only one value as that number."""
    if isinstance(value, (torch.SymInt, torch.SymFloat)):
        expr = value.node.expr
        if expr.is_Integer:
            return int(expr)
        if expr.is_number:
            return float(expr)
    return value


def product(sizes: Sequence[Any]) -> Any:
    """The number of elements, symbolic when a size is."""
    return math.prod(sizes)
