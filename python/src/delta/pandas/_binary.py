"""Arithmetic, comparison and logic of two operands, with the alignment, dtypes and missing values of pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ._base import (
    Block,
    DType,
    Rows,
    Symbol,
    as_number,
    block,
    check_axis,
    is_list,
    need_numbers,
    number,
    numbers_of,
    repeat,
    truth,
    wrap,
)
from ._expr import Expr, ops

ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
COMPARISON = ("eq", "ne", "lt", "le", "gt", "ge")
LOGIC = ("and", "or", "xor")


class Operands(NamedTuple):
    """Two operands that fit together: what the result looks like, and both expressions, ready to broadcast."""

    like: Block
    a: Expr
    b: Expr
    a_dtypes: tuple[DType, ...]
    b_dtypes: tuple[DType, ...]


def binary(op: str, a: Any, b: Any, *, axis: Any = None, fill_value: Any = None) -> Any:
    """Compute ``a op b``; one of them is a symbol. ``axis`` is that of the pandas method, ``None`` for an operator."""
    for operand in (a, b):
        if isinstance(operand, Symbol):
            need_numbers(block(operand), op)
    o = _align(a, b, check_axis(axis, 1), op)
    x, y = o.a, o.b
    if fill_value is not None:
        x, y = _fill(o, a, b, fill_value)
    if op in LOGIC:
        if {*o.a_dtypes, *o.b_dtypes} != {"bool"}:
            raise TypeError(f"{op}: both sides must be bool, not {_both(o)}; compare first, or use astype(bool)")
        value = as_number({"and": ops.and_, "or": ops.or_, "xor": ops.xor}[op](truth(x), truth(y)))
        dtypes: tuple[DType, ...] = repeat("bool", o.like.dtypes)
    elif op in COMPARISON:
        table = {
            "eq": ops.equal,
            "ne": ops.not_equal,
            "lt": ops.less,
            "le": ops.less_equal,
            "gt": ops.greater,
            "ge": ops.greater_equal,
        }
        value, dtypes = as_number(table[op](x, y)), repeat("bool", o.like.dtypes)
    else:
        dtypes = _dtypes(op, o, fill_value)
        value = _COMPUTE[op](x, y)
    return wrap(o.like.with_(x=value, dtypes=dtypes))


def _both(o: Operands) -> str:
    return " and ".join("/".join(sorted(set(d))) for d in (o.a_dtypes, o.b_dtypes))


# ---------------------------------------------------------------- alignment


def _align(a: Any, b: Any, axis: int, op: str) -> Operands:
    if isinstance(a, Symbol):
        here, there = block(a), _operand(b, block(a), axis, op)
    else:
        there = block(b)
        here = _operand(a, there, axis, op)
    if here.index is None and there.index is None:
        return Operands(here.with_(name=None), here.x, there.x, here.dtypes, there.dtypes)
    if _rank(here) >= _rank(there):
        like, x, y, dtypes = _broadcast(here, there, axis, op)
        return Operands(like, x, y, here.dtypes, dtypes)
    like, y, x, dtypes = _broadcast(there, here, axis, op)
    return Operands(like, x, y, dtypes, there.dtypes)


def _rank(b: Block) -> int:
    return 0 if b.index is None else 1 if b.columns is None else 2


def _operand(value: Any, other: Block, axis: int, op: str) -> Block:
    """Turn anything beside a symbol into a block with the labels of the other."""
    if isinstance(value, Symbol):
        return block(value)
    if not is_list(value):
        return number(value, f"operand of {op}")
    labels = other.columns if other.columns is not None and axis == 1 else other.index
    if labels is None:
        raise TypeError(f"{op}: a single number and a list do not go together here; use a Series")
    if isinstance(labels, Rows):
        raise TypeError(
            f"{op}: a list has one entry for each row, but each member has rows of its own; use a number or a Series"
        )
    data, dtype = numbers_of(value, f"list in {op}")
    if len(data) != len(labels):
        raise ValueError(f"{op}: the list has {len(data)} entries, {len(labels)} are needed, for {list(labels)}")
    return Block(ops.constant(data), (dtype,), labels)


def _broadcast(big: Block, small: Block, axis: int, op: str) -> tuple[Block, Expr, Expr, tuple[DType, ...]]:
    if small.index is None:
        return big, big.x, small.x, small.dtypes * len(big.dtypes)
    if big.columns is None or small.columns is not None:
        same_rows(big, small, op)
        if big.columns != small.columns:
            raise ValueError(
                f"{op}: the columns differ, {list(big.columns or ())} and {list(small.columns or ())}; select the same ones"
            )
        name = big.name if big.name == small.name else None
        return big.with_(name=name), big.x, small.x, small.dtypes
    if axis == 1:
        if isinstance(small.index, Rows):
            raise ValueError(
                f'{op}: a Series of rows is matched with columns here; use .{op}(series, axis="index") to match rows'
            )
        if small.index != big.columns:
            raise ValueError(
                f"{op}: the Series has the labels {list(small.index)}, the DataFrame the columns {list(big.columns)}"
            )
        return big, big.x, small.x, small.dtypes * len(big.dtypes)
    same_rows(big, small, op)
    return big, big.x, ops.unsqueeze(small.x, 1), small.dtypes * len(big.dtypes)


def same_rows(a: Block, b: Block, op: str) -> None:
    """Refuse operands whose first axes differ; pandas would put NaN where one has no partner."""
    if a.index == b.index:
        return
    if isinstance(a.index, Rows) and isinstance(b.index, Rows):
        if a.index.dataset != b.index.dataset:
            raise ValueError(
                f"{op}: rows of {a.index.dataset!r} and of {b.index.dataset!r} do not belong together; aggregate them first"
            )
        raise ValueError(
            f"{op}: the operands hold different selections of rows; compute first, or select both with one mask"
        )
    if isinstance(a.index, Rows) or isinstance(b.index, Rows):
        raise ValueError(f"{op}: rows at the nodes meet a result with labels; take one number of it, result['label']")
    raise ValueError(f"{op}: the labels differ, {list(a.index or ())} and {list(b.index or ())}; they must be the same")


# ---------------------------------------------------------------- missing values and dtypes


def _fill(o: Operands, a: Any, b: Any, fill_value: Any) -> tuple[Expr, Expr]:
    value = number(fill_value, "fill_value").x
    shapes = {_rank(block(s)) for s in (a, b) if isinstance(s, Symbol)}
    if shapes == {1, 2} or (2 in shapes and (is_list(a) or is_list(b))):
        raise NotImplementedError(
            "fill_value with a DataFrame and a Series: pandas has none either; use fillna() on both first"
        )
    lonely = not isinstance(a, Symbol) or not isinstance(b, Symbol) or min(shapes) == 0
    missing_a, missing_b = ops.is_nan(o.a), ops.is_nan(o.b)
    if lonely and not (is_list(a) or is_list(b)):
        # A single number beside: pandas fills the other one.
        alone = o.b if isinstance(a, Symbol) and _rank(block(a)) > 0 else o.a
        if alone.data is not None and alone.data != alone.data:
            raise ValueError("fill_value with NaN as the operand: use fillna() instead")
        return (o.a, ops.where(missing_b, value, o.b)) if alone is o.a else (ops.where(missing_a, value, o.a), o.b)
    either = ops.xor(missing_a, missing_b)
    return ops.where(ops.and_(missing_a, either), value, o.a), ops.where(ops.and_(missing_b, either), value, o.b)


def _dtypes(op: str, o: Operands, fill_value: Any) -> tuple[DType, ...]:
    out: list[DType] = []
    for x, y in zip(o.a_dtypes, o.b_dtypes, strict=True):
        if x == y == "bool":
            raise TypeError(f"{op}: both sides are bool; use & | ^, or astype(int) to compute with 0 and 1")
        if "float64" in (x, y) or op == "truediv":
            out.append("float64")
        elif op in ("add", "sub", "mul"):
            out.append("int64")
        elif o.b.data is None:
            raise TypeError(
                f"{op}: whether whole numbers stay whole here depends on the data; use astype(float) on one side first"
            )
        elif op == "pow" and (o.b.data < 0).any():
            raise ValueError("pow: whole numbers have no negative powers; use astype(float) first")
        else:
            out.append("int64" if op == "pow" or (o.b.data != 0).all() else "float64")
    return tuple(out)


# ---------------------------------------------------------------- values


def mod(a: Expr, b: Expr) -> Expr:
    """Compute the remainder as Python does, with the sign of ``b``."""
    rest = ops.fmod(a, b)
    wrong = ops.and_(ops.not_equal(rest, 0.0), ops.xor(ops.less(rest, 0.0), ops.less(b, 0.0)))
    return ops.where(wrong, ops.add(rest, b), rest)


def floordiv(a: Expr, b: Expr) -> Expr:
    """Divide and round down as numpy does: by way of the remainder; by zero as ``/``."""
    exact = ops.div(ops.sub(a, mod(a, b)), b)
    low = ops.floor(exact)
    whole = ops.add(low, ops.cast(ops.greater(ops.sub(exact, low), 0.5), "f64"))
    return ops.where(ops.equal(b, 0.0), ops.div(a, b), whole)


_COMPUTE: dict[str, Callable[[Expr, Expr], Expr]] = {
    "add": ops.add,
    "sub": ops.sub,
    "mul": ops.mul,
    "truediv": ops.div,
    "floordiv": floordiv,
    "mod": mod,
    "pow": ops.pow,
}
