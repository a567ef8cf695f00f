"""The operators of graphs, once for graphs under construction and once for expressions that become graphs later.

Only operators that both of the nodes' runtimes execute in ``f64`` are used; where one of them lacks an operator
(``Sigmoid``, ``Round``, ``IsNaN``), the method is written with others.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ._shapes import DTYPES, Dim, Type, axis_of

Array = npt.NDArray[Any]


class Typed(Protocol):
    """A value that knows its type."""

    @property
    def type(self) -> Type:
        """The dtype and shape."""


V = TypeVar("V", bound=Typed)


class Operators(abc.ABC, Generic[V]):
    """All operators, over anything that can apply one and hold a constant.

    Every method takes values of this builder, numpy arrays or Python numbers.
    """

    @abc.abstractmethod
    def apply(self, op: str, inputs: Sequence[V], **attributes: Any) -> V:
        """Apply one ONNX operator of the table above; attributes are numbers, texts or tuples of them."""

    @abc.abstractmethod
    def constant(self, value: Array | float | Sequence[Any], dtype: str | None = None) -> V:
        """Hold a constant; ``dtype`` in the manifest's names."""

    def lift(self, *operands: Any) -> list[V]:
        """Turn numbers and arrays into constants; Python numbers take the dtype of the first operand that has one."""
        fixed = [
            o.dtype.name
            if isinstance(o, (np.ndarray, np.generic))
            else getattr(getattr(o, "type", None), "dtype", None)
            for o in operands
        ]
        known = next((DTYPES.get(d, d) for d in fixed if d is not None), "f64")
        return [
            o if hasattr(o, "type") else self.constant(o, None if d else known)
            for o, d in zip(operands, fixed, strict=True)
        ]

    def _do(self, op: str, *operands: Any, **attributes: Any) -> V:
        return self.apply(op, self.lift(*operands), **attributes)

    # Arithmetic.
    def add(self, a: Any, b: Any) -> V:
        """``a + b``."""
        return self._do("Add", a, b)

    def sub(self, a: Any, b: Any) -> V:
        """``a - b``."""
        return self._do("Sub", a, b)

    def mul(self, a: Any, b: Any) -> V:
        """``a * b``."""
        return self._do("Mul", a, b)

    def div(self, a: Any, b: Any) -> V:
        """``a / b``; floats follow IEEE 754."""
        return self._do("Div", a, b)

    def pow(self, a: Any, b: Any) -> V:
        """``a ** b``."""
        return self._do("Pow", a, b)

    def fmod(self, a: Any, b: Any) -> V:
        """Take the remainder with the sign of ``a``, as C's ``fmod``."""
        return self._do("Mod", a, b, fmod=1)

    def minimum(self, a: Any, b: Any) -> V:
        """Take the smaller one, element by element. NaN is not handled alike by all runtimes: mask it first."""
        return self._do("Min", a, b)

    def maximum(self, a: Any, b: Any) -> V:
        """Take the larger one, element by element. NaN is not handled alike by all runtimes: mask it first."""
        return self._do("Max", a, b)

    def neg(self, a: Any) -> V:
        """``-a``."""
        return self._do("Neg", a)

    def abs(self, a: Any) -> V:
        """``|a|``."""
        return self._do("Abs", a)

    def sqrt(self, a: Any) -> V:
        """Take the square root."""
        return self._do("Sqrt", a)

    def exp(self, a: Any) -> V:
        """``e ** a``."""
        return self._do("Exp", a)

    def log(self, a: Any) -> V:
        """Take the natural logarithm."""
        return self._do("Log", a)

    def floor(self, a: Any) -> V:
        """Take the largest whole number that is not larger."""
        return self._do("Floor", a)

    def ceil(self, a: Any) -> V:
        """Take the smallest whole number that is not smaller."""
        return self._do("Ceil", a)

    def sign(self, a: Any) -> V:
        """-1, 0 or 1."""
        return self._do("Sign", a)

    def round(self, a: Any) -> V:
        """Round to a whole number, ties to even (no node has ``Round`` in f64 for certain)."""
        (a,) = self.lift(a)
        low = self.floor(a)
        rest = self.sub(a, low)
        odd = self.greater(self.sub(low, self.mul(self.floor(self.mul(low, 0.5)), 2.0)), 0.5)
        up = self.or_(self.greater(rest, 0.5), self.and_(self.equal(rest, 0.5), odd))
        return self.add(low, self.cast(up, a.type.dtype))

    def square(self, a: Any) -> V:
        """``a * a``."""
        return self.mul(a, a)

    def sigmoid(self, a: Any) -> V:
        """``1 / (1 + exp(-a))``, without overflow to NaN."""
        return self.div(1.0, self.add(1.0, self.exp(self.neg(a))))

    def softplus(self, a: Any) -> V:
        """``log(1 + exp(a))``, without overflow."""
        return self.add(self.maximum(a, 0.0), self.log(self.add(1.0, self.exp(self.neg(self.abs(a))))))

    def tanh(self, a: Any) -> V:
        """Take the hyperbolic tangent."""
        return self._do("Tanh", a)

    # Comparison and logic.
    def equal(self, a: Any, b: Any) -> V:
        """``a == b``."""
        return self._do("Equal", a, b)

    def not_equal(self, a: Any, b: Any) -> V:
        """``a != b``."""
        return self.not_(self.equal(a, b))

    def less(self, a: Any, b: Any) -> V:
        """``a < b``."""
        return self._do("Less", a, b)

    def less_equal(self, a: Any, b: Any) -> V:
        """``a <= b``."""
        return self._do("LessOrEqual", a, b)

    def greater(self, a: Any, b: Any) -> V:
        """``a > b``."""
        return self._do("Greater", a, b)

    def greater_equal(self, a: Any, b: Any) -> V:
        """``a >= b``."""
        return self._do("GreaterOrEqual", a, b)

    def and_(self, a: Any, b: Any) -> V:
        """``a and b``, both bool."""
        return self._do("And", a, b)

    def or_(self, a: Any, b: Any) -> V:
        """``a or b``, both bool."""
        return self._do("Or", a, b)

    def xor(self, a: Any, b: Any) -> V:
        """Either ``a`` or ``b``, both bool."""
        return self._do("Xor", a, b)

    def not_(self, a: Any) -> V:
        """``not a``, bool."""
        return self._do("Not", a)

    def is_nan(self, a: Any) -> V:
        """Whether a float is NaN (``IsNaN`` is typed wrongly on some nodes)."""
        return self.not_(self.equal(a, a))

    def is_number(self, a: Any) -> V:
        """Whether a float is not NaN."""
        return self.equal(a, a)

    def where(self, condition: V, a: Any, b: Any) -> V:
        """Take ``a`` where the condition holds, else ``b``."""
        a, b = self.lift(a, b)
        return self.apply("Where", [condition, a, b])

    def cast(self, a: V, dtype: str) -> V:
        """Convert to another dtype; nothing is done when it is that dtype."""
        return a if a.type.dtype == dtype else self.apply("Cast", [a], to=dtype)

    # Reductions.
    def sum(self, a: V, *axes: int, keepdims: bool = False) -> V:
        """Sum over the axes (all of them when none is named). The sum over no rows is 0."""
        return self._reduce("ReduceSum", a, axes, keepdims)

    def max(self, a: V, *axes: int, keepdims: bool = False) -> V:
        """Take the maximum over the axes. Not over rows: a member may have none."""
        return self._reduce("ReduceMax", a, axes, keepdims)

    def min(self, a: V, *axes: int, keepdims: bool = False) -> V:
        """Take the minimum over the axes. Not over rows: a member may have none."""
        return self._reduce("ReduceMin", a, axes, keepdims)

    def _reduce(self, op: str, a: V, axes: tuple[int, ...], keepdims: bool) -> V:
        axes = tuple(axis_of(op, a.type, i) for i in axes) or tuple(range(a.type.rank))
        open_ended = [i for i in axes if isinstance(a.type.shape[i], str)]
        if op != "ReduceSum" and open_ended:
            raise ValueError(
                f"{op}: a member may have no rows, and then there is no extreme; add a row with a neutral value first"
            )
        if open_ended == [a.type.rank - 1]:
            # tract divides by the length of the last axis when it sums over it, which may be 0: put another one behind.
            last = a.type.rank
            return self.take(self._reduce(op, self.unsqueeze(a, last), axes, keepdims), 0, -1)
        if open_ended and len(axes) > len(open_ended):
            first = self._reduce(op, a, tuple(open_ended), True)
            rest = self.apply(op, [first], axes=tuple(i for i in axes if i not in open_ended), keepdims=1)
            return (
                rest if keepdims else self.reshape(rest, *(d for i, d in enumerate(rest.type.shape) if i not in axes))
            )
        return self.apply(op, [a], axes=axes, keepdims=int(keepdims)) if axes else a

    def cumsum(self, a: V, axis: int) -> V:
        """Sum up to and including each element along an axis."""
        return self.apply("CumSum", [a], axis=axis)

    def count(self, a: V, axis: int = 0, dtype: str = "f64") -> V:
        """Count what holds along an axis of a bool value, as a float (whole outputs trouble one of the runtimes)."""
        return self.sum(self.cast(a, dtype), axis)

    def matmul(self, a: Any, b: Any) -> V:
        """Multiply matrices (f64 or f32, two dimensions or more)."""
        return self._do("MatMul", a, b)

    def gram(self, a: V, b: V) -> V:
        """``a.T @ b`` for two matrices with the same rows."""
        return self.matmul(self.transpose(a), b)

    # Shapes.
    def transpose(self, a: V, perm: Sequence[int] | None = None) -> V:
        """Reorder the axes; by default all of them backwards."""
        return self.apply("Transpose", [a], perm=tuple(perm if perm is not None else reversed(range(a.type.rank))))

    def reshape(self, a: V, *shape: Dim) -> V:
        """Give another shape with as many elements; at most one dimension may be a name."""
        names = [d for d in shape if isinstance(d, str)]
        if len(names) > 1:
            raise ValueError(f"Reshape: at most one dimension of {list(shape)} may be unknown")
        return self.apply(
            "Reshape", [a], shape=tuple(-1 if isinstance(d, str) else d for d in shape), result=tuple(shape)
        )

    def expand(self, a: Any, *shape: int) -> V:
        """Repeat along dimensions of length 1, and new ones in front."""
        return self._do("Expand", a, shape=tuple(shape))

    def unsqueeze(self, a: V, *axes: int) -> V:
        """Insert dimensions of length 1."""
        return self.apply("Unsqueeze", [a], axes=axes)

    def concat(self, *values: Any, axis: int) -> V:
        """Put values behind each other along an axis."""
        lifted = self.lift(*values)
        return lifted[0] if len(lifted) == 1 else self.apply("Concat", lifted, axis=axis)

    def stack(self, *values: Any, axis: int) -> V:
        """Put values of one shape behind each other along a new axis."""
        return self.concat(*(self.unsqueeze(v, axis) for v in self.lift(*values)), axis=axis)

    def take(self, a: V, indices: Any, axis: int) -> V:
        """Select along an axis, by whole numbers known now or an i64 value."""
        if not hasattr(indices, "type"):
            indices = self.constant(np.asarray(indices, np.int64))
        return self.apply("Gather", [a, indices], axis=axis)

    def slice(self, a: V, start: int, end: int, axis: int) -> V:
        """Select a range along an axis of known length."""
        return self.apply("Slice", [a], starts=(start,), ends=(end,), axes=(axis % a.type.rank,))

    def scatter_add(self, into: Any, indices: V, updates: V, axis: int = 0) -> V:
        """Add each update to the element that its index names along an axis; indices are i64, of the updates' shape."""
        (into,) = self.lift(into)
        return self.apply("ScatterElements", [into, indices, updates], axis=axis, reduction="add")
