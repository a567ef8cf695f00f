"""Operators that treat each element alone."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import Node

from ..errors import ExportError
from .builder import ELEMENT
from .context import Lowering
from .registry import Translation, overloads, translates

aten = torch.ops.aten

_UNARY = {
    "neg": "Neg", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "reciprocal": "Reciprocal", "abs": "Abs", "sign": "Sign",
    "tanh": "Tanh", "relu": "Relu", "sin": "Sin", "cos": "Cos", "tan": "Tan", "atan": "Atan", "asin": "Asin",
    "acos": "Acos", "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh",
    "floor": "Floor", "ceil": "Ceil",
}  # fmt: skip
_BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "maximum": "Max", "minimum": "Min", "pow": "Pow"}
_COMPARE = {
    "eq": ("Equal", False), "ne": ("Equal", True), "lt": ("Less", False), "le": ("LessOrEqual", False),
    "gt": ("Greater", False), "ge": ("GreaterOrEqual", False),
}  # fmt: skip
_LOGIC = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}
_BITS = {"bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor"}


_ONLY_FLOAT32 = {"Tan", "Atan", "Asin", "Acos", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"}
"""onnxruntime has these for float32 alone."""


def _unary(op: str) -> Translation:
    def translation(lo: Lowering, node: Node, x: Any) -> str:
        dtype = lo.dtype(node)
        if dtype == torch.float64 and op in _ONLY_FLOAT32:
            raise ExportError(str(node.target), "onnxruntime has it for float32 only", instead="compute it in float32")
        if not dtype.is_floating_point and op in ("Floor", "Ceil"):
            return lo.tensor(x)
        if not dtype.is_floating_point and op == "Relu":
            return lo.node("Max", lo.tensor(x), lo.constant(0, dtype))
        return lo.node(op, lo.tensor(x, dtype))

    return translation


def _binary(op: str) -> Translation:
    def translation(lo: Lowering, node: Node, a: Any, b: Any, alpha: Any = 1) -> str:
        dtype = lo.dtype(node)
        right = lo.tensor(b, dtype)
        if alpha != 1:
            right = lo.node("Mul", right, lo.tensor(alpha, dtype))
        if dtype == torch.bool:
            return lo.node({"Add": "Or", "Mul": "And", "Max": "Or", "Min": "And"}[op], lo.tensor(a, dtype), right)
        return lo.node(op, lo.tensor(a, dtype), right)

    return translation


for _name, _op in _UNARY.items():
    translates(*overloads(_name, "default"))(_unary(_op))
for _name, _op in _BINARY.items():
    translates(*overloads(_name, "Tensor", "Scalar", "default", "Tensor_Tensor"))(_binary(_op))


@translates(aten.addcmul.default)
def _addcmul(lo: Lowering, node: Node, shift: Any, x: Any, factor: Any, value: Any = 1) -> str:
    """``shift + x * factor``; where both are numbers of a channel, onnxruntime's batch norm does it in one pass."""
    dtype, shape = lo.dtype(node), lo.shape(node)
    same = lo.shape(x) == shape and lo.shape(shift) == lo.shape(factor)
    if lo.runtime == "onnxruntime" and same and dtype == torch.float32 and value == 1 and len(shape) > 2:
        rows = [*shape[:2], *[1] * (len(shape) - 2)]
        if lo.shape(factor) == rows and all(isinstance(d, int) for d in shape[2:]):
            flat = lo.node("Reshape", lo.tensor(x), lo.constant([1, -1, math.prod(shape[2:])]))
            return lo.reshape(_by_channel(lo, flat, shift, factor), shape)
        if lo.shape(factor) == [1, *rows[1:]]:
            return _by_channel(lo, lo.tensor(x), shift, factor)
    product = lo.node("Mul", lo.tensor(x, dtype), lo.tensor(factor, dtype))
    if value != 1:
        product = lo.node("Mul", product, lo.tensor(value, dtype))
    return lo.node("Add", product, lo.tensor(shift, dtype))


def _by_channel(lo: Lowering, x: str, shift: Any, factor: Any) -> str:
    a, b = (lo.node("Reshape", lo.tensor(v, torch.float32), lo.constant([-1])) for v in (factor, shift))
    size = lo.node("Shape", a)
    mean, variance = (lo.node("Expand", lo.constant([v], torch.float32), size) for v in (0.0, 1.0))
    return lo.node("BatchNormalization", x, a, b, mean, variance, epsilon=0.0)


@translates(*overloads("div", "Tensor", "Scalar", "Tensor_mode", "Scalar_mode"))
def _div(lo: Lowering, node: Node, a: Any, b: Any, rounding_mode: str | None = None) -> str:
    dtype = lo.dtype(node)
    if dtype.is_floating_point and rounding_mode == "floor":
        return _floor_of(lo, lo.tensor(a, dtype), lo.tensor(b, dtype), dtype)
    if dtype.is_floating_point or rounding_mode is None:
        quotient = lo.node("Div", lo.tensor(a, dtype), lo.tensor(b, dtype))
        if rounding_mode == "trunc":
            return lo.node("Mul", lo.node("Sign", quotient), lo.node("Floor", lo.node("Abs", quotient)))
        return quotient
    left, right = lo.tensor(a, dtype), lo.tensor(b, dtype)
    if rounding_mode == "trunc":
        return lo.node("Div", left, right)
    # Mod takes the sign of the divisor, so what is left divides without a rest.
    return lo.node("Div", lo.node("Sub", left, lo.node("Mod", left, right)), right)


def _floor_of(lo: Lowering, left: str, right: str, dtype: torch.dtype) -> str:
    """How often a divisor fits, as torch has it: by the exact rest, as the quotient may be rounded up to a whole number."""
    zero, one, half = (lo.constant(v, dtype) for v in (0.0, 1.0, 0.5))
    none = lo.node("Equal", right, zero)
    rest = lo.node("Mod", left, lo.node("Where", none, one, right), fmod=1)
    whole = lo.node("Div", lo.node("Sub", left, rest), right)
    # The rest has the sign of the dividend; where the divisor has another one, it fits once less.
    other = lo.node("Less", lo.node("Mul", lo.node("Sign", rest), lo.node("Sign", right)), zero)
    whole = lo.node("Where", other, lo.node("Sub", whole, one), whole)
    down = lo.node("Floor", whole)
    near = lo.node("Greater", lo.node("Sub", whole, down), half)
    return lo.node("Where", none, lo.node("Div", left, right), lo.node("Where", near, lo.node("Add", down, one), down))


@translates(*overloads("floor_divide", "default", "Scalar"))
def _floor_divide(lo: Lowering, node: Node, a: Any, b: Any) -> str:
    return _div(lo, node, a, b, rounding_mode="floor")


@translates(aten.round.default)
def _round(lo: Lowering, node: Node, x: Any) -> str:
    if not lo.dtype(node).is_floating_point:
        return lo.tensor(x)
    if lo.dtype(node) != torch.float64:
        return lo.node("Round", lo.tensor(x))
    # Half to even without Round, which tract lacks for float64: adding and taking away 1.5 * 2^52 rounds.
    big, name = lo.constant(1.5 * 2.0**52, torch.float64), lo.tensor(x)
    rounded = lo.node("Sub", lo.node("Add", name, big), big)
    small = lo.node("Less", lo.node("Abs", name), lo.constant(2.0**51, torch.float64))
    return lo.node("Where", small, rounded, name)


@translates(aten.trunc.default)
def _trunc(lo: Lowering, node: Node, x: Any) -> str:
    name = lo.tensor(x)
    if not lo.dtype(node).is_floating_point:
        return name
    return lo.node("Mul", lo.node("Sign", name), lo.node("Floor", lo.node("Abs", name)))


@translates(aten.sigmoid.default)
def _sigmoid(lo: Lowering, node: Node, x: Any) -> str:
    dtype = lo.dtype(node)
    if dtype != torch.float64:
        return lo.node("Sigmoid", lo.tensor(x, dtype))
    # tract has no float64 Sigmoid.
    return lo.node("Reciprocal", lo.node("Add", lo.node("Exp", lo.node("Neg", lo.tensor(x))), lo.constant(1.0, dtype)))


@translates(aten.erf.default)
def _erf(lo: Lowering, node: Node, x: Any) -> str:
    if lo.dtype(node) == torch.float64:
        raise ExportError("aten.erf.default", "no runtime has erf for float64", instead="compute it in float32")
    return lo.node("Erf", lo.tensor(x, lo.dtype(node)))


@translates(*overloads("rsub", "Scalar", "Tensor"))
def _rsub(lo: Lowering, node: Node, a: Any, b: Any, alpha: Any = 1) -> str:
    dtype = lo.dtype(node)
    left = lo.tensor(a, dtype)
    if alpha != 1:
        left = lo.node("Mul", left, lo.tensor(alpha, dtype))
    return lo.node("Sub", lo.tensor(b, dtype), left)


@translates(aten.pow.Tensor_Scalar)
def _pow(lo: Lowering, node: Node, x: Any, exponent: Any) -> str:
    dtype = lo.dtype(node)
    base = lo.tensor(x, dtype)
    if exponent == 2:
        return lo.node("Mul", base, base)
    if exponent == 3:
        return lo.node("Mul", lo.node("Mul", base, base), base)
    if exponent == 1:
        return base
    if exponent == 0.5:
        return lo.node("Sqrt", base)
    if exponent == -1:
        return lo.node("Reciprocal", base)
    if exponent == -0.5:
        return lo.node("Reciprocal", lo.node("Sqrt", base))
    return lo.node("Pow", base, lo.tensor(exponent, dtype))


@translates(aten.pow.Scalar)
def _pow_scalar(lo: Lowering, node: Node, base: Any, exponent: Any) -> str:
    dtype = lo.dtype(node)
    return lo.node("Pow", lo.tensor(base, dtype), lo.tensor(exponent, dtype))


@translates(aten.rsqrt.default)
def _rsqrt(lo: Lowering, node: Node, x: Any) -> str:
    return lo.node("Reciprocal", lo.node("Sqrt", lo.tensor(x, lo.dtype(node))))


@translates(aten.exp2.default)
def _exp2(lo: Lowering, node: Node, x: Any) -> str:
    return lo.node("Pow", lo.constant(2.0, lo.dtype(node)), lo.tensor(x, lo.dtype(node)))


@translates(aten.expm1.default)
def _expm1(lo: Lowering, node: Node, x: Any) -> str:
    """exp(x) - 1 without losing digits near 0: tanh(x/2) * (exp(x) + 1)."""
    dtype = lo.dtype(node)
    name, one = lo.tensor(x, dtype), lo.constant(1.0, dtype)
    e = lo.node("Exp", name)
    near = lo.node("Less", lo.node("Abs", name), one)
    half = lo.node("Tanh", lo.node("Mul", name, lo.constant(0.5, dtype)))
    return lo.node("Where", near, lo.node("Mul", half, lo.node("Add", e, one)), lo.node("Sub", e, one))


@translates(aten.log1p.default)
def _log1p(lo: Lowering, node: Node, x: Any) -> str:
    """log(1 + x) without losing digits near 0: Kahan's log(u) * x / (u - 1) with u = 1 + x, and x where u is 1."""
    dtype = lo.dtype(node)
    name, one = lo.tensor(x, dtype), lo.constant(1.0, dtype)
    u = lo.node("Add", name, one)
    d = lo.node("Sub", u, one)
    tiny = lo.node("Equal", d, lo.constant(0.0, dtype))
    large = lo.node("Greater", u, lo.constant(1e10, dtype))
    ratio = lo.node("Div", name, lo.node("Where", tiny, one, d))
    scaled = lo.node("Mul", lo.node("Log", u), lo.node("Where", large, one, ratio))
    return lo.node("Where", tiny, name, scaled)


for _base, _scale in (("log2", 1.4426950408889634), ("log10", 0.4342944819032518)):

    def _log_base(lo: Lowering, node: Node, x: Any, scale: float = _scale) -> str:
        return lo.node("Mul", lo.node("Log", lo.tensor(x, lo.dtype(node))), lo.constant(scale, lo.dtype(node)))

    translates(*overloads(_base, "default"))(_log_base)


@translates(*overloads("fmod", "Tensor", "Scalar"))
def _fmod(lo: Lowering, node: Node, a: Any, b: Any) -> str:
    return lo.node("Mod", lo.tensor(a, lo.dtype(node)), lo.tensor(b, lo.dtype(node)), fmod=1)


@translates(*overloads("remainder", "Tensor", "Scalar"))
def _remainder(lo: Lowering, node: Node, a: Any, b: Any) -> str:
    dtype = lo.dtype(node)
    left, right = lo.tensor(a, dtype), lo.tensor(b, dtype)
    if not dtype.is_floating_point:
        return lo.node("Mod", left, right)
    # The rest has the sign of the dividend; torch wants that of the divisor.
    rest = lo.node("Mod", left, right, fmod=1)
    other = lo.node("Less", lo.node("Mul", rest, right), lo.constant(0.0, dtype))
    return lo.node("Where", other, lo.node("Add", rest, right), rest)


@translates(*overloads("clamp", "default", "Tensor"))
def _clamp(lo: Lowering, node: Node, x: Any, low: Any = None, high: Any = None) -> str:
    dtype = lo.dtype(node)
    name = lo.tensor(x, dtype)
    if low is not None:
        name = lo.node("Max", name, lo.tensor(low, dtype))
    return name if high is None else lo.node("Min", name, lo.tensor(high, dtype))


@translates(*overloads("clamp_min", "default", "Tensor"))
def _clamp_min(lo: Lowering, node: Node, x: Any, low: Any) -> str:
    return _clamp(lo, node, x, low)


@translates(*overloads("clamp_max", "default", "Tensor"))
def _clamp_max(lo: Lowering, node: Node, x: Any, high: Any) -> str:
    return _clamp(lo, node, x, None, high)


def _compare(op: str, negate: bool) -> Translation:
    def translation(lo: Lowering, node: Node, a: Any, b: Any) -> str:
        left, right = lo.dtype(a), lo.dtype(b)
        if lo.is_tensor(b):
            dtype = torch.promote_types(left, right)
        else:
            dtype = torch.float32 if right.is_floating_point and not left.is_floating_point else left
        if dtype in (torch.bool, torch.uint8):
            dtype = torch.int32
        result = lo.node(op, lo.tensor(a, dtype), lo.tensor(b, dtype))
        return lo.node("Not", result) if negate else result

    return translation


for _name, (_op, _negate) in _COMPARE.items():
    translates(*overloads(_name, "Scalar", "Tensor"))(_compare(_op, _negate))


def _logic(op: str, bits: bool) -> Translation:
    def translation(lo: Lowering, node: Node, a: Any, b: Any) -> str:
        if bits and lo.dtype(node) != torch.bool:
            raise ExportError(str(node.target), "ONNX opset 17 has no bitwise operators", instead="use %, // and *")
        return lo.node(op, lo.tensor(a, torch.bool), lo.tensor(b, torch.bool))

    return translation


for _name, _op in _LOGIC.items():
    translates(*overloads(_name, "default"))(_logic(_op, False))
for _name, _op in _BITS.items():
    translates(*overloads(_name, "Tensor", "Scalar"))(_logic(_op, True))


@translates(aten.logical_not.default)
def _logical_not(lo: Lowering, node: Node, a: Any) -> str:
    return lo.node("Not", lo.tensor(a, torch.bool))


@translates(aten.bitwise_not.default)
def _bitwise_not(lo: Lowering, node: Node, a: Any) -> str:
    if lo.dtype(node) != torch.bool:
        return lo.node("Sub", lo.constant(-1, lo.dtype(node)), lo.tensor(a))
    return lo.node("Not", lo.tensor(a))


@translates(aten.isnan.default)
def _isnan(lo: Lowering, node: Node, a: Any) -> str:
    # tract types the output of IsNaN wrongly.
    if not lo.dtype(a).is_floating_point:
        return lo.node("Not", lo.node("Equal", lo.tensor(a, torch.int32), lo.tensor(a, torch.int32)))
    return lo.node("Not", lo.node("Equal", lo.tensor(a), lo.tensor(a)))


@translates(aten.isinf.default)
def _isinf(lo: Lowering, node: Node, a: Any) -> str:
    name = lo.tensor(a)
    return lo.node("Equal", lo.node("Abs", name), lo.constant(float("inf"), lo.dtype(a)))


@translates(aten._to_copy.default, torch.ops.prims.convert_element_type.default)
def _convert(lo: Lowering, node: Node, x: Any, *args: Any, **kwargs: Any) -> str:
    source, target = lo.dtype(x), lo.dtype(node)
    if target == torch.bool and source != torch.bool:
        return lo.node("Not", lo.node("Equal", lo.tensor(x), lo.constant(0, source)))
    return lo.node("Cast", lo.tensor(x), to=ELEMENT[target]) if source != target else lo.tensor(x)


@translates(
    aten.clone.default, aten.alias.default, aten.detach.default, aten.lift_fresh_copy.default, aten.contiguous.default,
    aten.lift_fresh.default, aten.detach_.default,
)  # fmt: skip
def _same(lo: Lowering, node: Node, x: Any, **kwargs: Any) -> str:
    return lo.tensor(x)
