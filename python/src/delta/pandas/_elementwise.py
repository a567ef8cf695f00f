"""Everything that is done to each value alone: operators, their methods, missing values, numpy's functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from ._base import (
    Block,
    DType,
    Rows,
    Symbol,
    as_number,
    block,
    check_axis,
    is_list,
    is_number,
    number,
    numbers_of,
    position,
    repeat,
    truth,
    wrap,
)
from ._binary import ARITHMETIC, COMPARISON, binary, same_rows
from ._expr import Expr, ops
from ._functions import BINARY, UNARY, extreme

Self = TypeVar("Self", bound="Elementwise")


class Elementwise(Symbol):
    """Operators and element-wise methods of frames, series and numbers."""

    # ------------------------------------------------ operators
    def __add__(self, o: Any) -> Any:
        return binary("add", self, o)

    def __radd__(self, o: Any) -> Any:
        return binary("add", o, self)

    def __sub__(self, o: Any) -> Any:
        return binary("sub", self, o)

    def __rsub__(self, o: Any) -> Any:
        return binary("sub", o, self)

    def __mul__(self, o: Any) -> Any:
        return binary("mul", self, o)

    def __rmul__(self, o: Any) -> Any:
        return binary("mul", o, self)

    def __truediv__(self, o: Any) -> Any:
        return binary("truediv", self, o)

    def __rtruediv__(self, o: Any) -> Any:
        return binary("truediv", o, self)

    def __floordiv__(self, o: Any) -> Any:
        return binary("floordiv", self, o)

    def __rfloordiv__(self, o: Any) -> Any:
        return binary("floordiv", o, self)

    def __mod__(self, o: Any) -> Any:
        return binary("mod", self, o)

    def __rmod__(self, o: Any) -> Any:
        return binary("mod", o, self)

    def __pow__(self, o: Any) -> Any:
        return binary("pow", self, o)

    def __rpow__(self, o: Any) -> Any:
        return binary("pow", o, self)

    def __eq__(self, o: Any) -> Any:
        return binary("eq", self, o)

    def __ne__(self, o: Any) -> Any:
        return binary("ne", self, o)

    def __lt__(self, o: Any) -> Any:
        return binary("lt", self, o)

    def __le__(self, o: Any) -> Any:
        return binary("le", self, o)

    def __gt__(self, o: Any) -> Any:
        return binary("gt", self, o)

    def __ge__(self, o: Any) -> Any:
        return binary("ge", self, o)

    def __and__(self, o: Any) -> Any:
        return binary("and", self, o)

    def __rand__(self, o: Any) -> Any:
        return binary("and", o, self)

    def __or__(self, o: Any) -> Any:
        return binary("or", self, o)

    def __ror__(self, o: Any) -> Any:
        return binary("or", o, self)

    def __xor__(self, o: Any) -> Any:
        return binary("xor", self, o)

    def __rxor__(self, o: Any) -> Any:
        return binary("xor", o, self)

    def __invert__(self: Self) -> Self:
        b = block(self)
        if set(b.dtypes) != {"bool"}:
            raise TypeError("~ needs bool: compare first, or use astype(bool)")
        return self._with(as_number(ops.not_(truth(b.x))), b.dtypes)

    def __neg__(self: Self) -> Self:
        return self._with(ops.neg(self._numeric("-").x), block(self).dtypes)

    def __pos__(self: Self) -> Self:
        return self._with(self._numeric("+").x, block(self).dtypes)

    def __abs__(self: Self) -> Self:
        return self.abs()

    # ------------------------------------------------ helpers
    def _with(self: Self, x: Expr, dtypes: tuple[DType, ...]) -> Self:
        return wrap(block(self).with_(x=x, dtypes=dtypes))  # type: ignore[no-any-return]

    def _numeric(self, what: str) -> Block:
        b = block(self)
        if "bool" in b.dtypes:
            raise TypeError(f"{what} has no meaning for bool; use astype(int) or, for the opposite, ~")
        return b

    def _operand(self, value: Any, what: str) -> Expr:
        """Return another operand of the same kind and rows, or a number, as an expression to broadcast."""
        if not isinstance(value, Symbol):
            return number(value, what).x
        b, other = block(self), block(value)
        if other.index is not None:
            if (b.columns is None) != (other.columns is None) or b.columns != other.columns:
                raise ValueError(
                    f"{what}: must be a number, or have the same kind and columns as what it is applied to"
                )
            same_rows(b, other, what)
        return other.x

    # ------------------------------------------------ methods
    def abs(self: Self) -> Self:
        """Take the absolute value."""
        return self._with(ops.abs(block(self).x), block(self).dtypes)

    def copy(self: Self, deep: bool = True) -> Self:
        """Return the same again; changing one (``df["c"] = ...``) leaves the other alone."""
        return wrap(block(self))  # type: ignore[no-any-return]

    def isna(self: Self) -> Self:
        """Whether each value is missing."""
        b = block(self)
        return self._with(as_number(ops.is_nan(b.x)), repeat("bool", b.dtypes))

    isnull = isna

    def notna(self: Self) -> Self:
        """Whether each value is there."""
        b = block(self)
        return self._with(as_number(ops.is_number(b.x)), repeat("bool", b.dtypes))

    notnull = notna

    def fillna(self: Self, value: Any) -> Self:
        """Replace missing values by a number or a Scalar, in a frame also by column: a dict or a Series by column."""
        b = block(self)
        if isinstance(value, Mapping):
            if b.columns is None:
                raise TypeError("fillna: a dict names columns; a Series is filled with one number")
            known = [position(b.columns, c) for c in value]
            parts = [
                number(value[c], "fill value").x if i in known else ops.constant(float("nan"), "f64")
                for i, c in enumerate(b.columns)
            ]
            fill = ops.stack(*parts, axis=0)
        elif isinstance(value, Symbol) and b.columns is not None and block(value).index == b.columns:
            fill = block(value).x
        else:
            fill = self._operand(value, "fillna")
            if number_dtype(value) == "bool" and "float64" in b.dtypes:
                raise TypeError("fillna: pandas would mix numbers and bool in one column; fill with 0 or 1")
        return self._with(ops.where(ops.is_nan(b.x), fill, b.x), b.dtypes)

    def clip(self: Self, lower: Any = None, upper: Any = None) -> Self:
        """Move values below ``lower`` and above ``upper`` (numbers or Scalars) to these; missing ones stay missing."""
        b = self._numeric("clip")
        if is_number(lower) and is_number(upper) and lower > upper:
            lower, upper = upper, lower
        x, dtypes = b.x, b.dtypes
        for bound, beyond in ((lower, ops.less), (upper, ops.greater)):
            if bound is None or (is_number(bound) and bound != bound):
                continue
            if is_list(bound) or (isinstance(bound, Symbol) and block(bound).index is not None):
                raise TypeError(
                    "clip: bounds are single numbers here; use where() for bounds that differ from row to row"
                )
            edge = self._operand(bound, "clip")
            x = ops.where(beyond(x, edge), edge, x)
            if number_dtype(bound) == "float64":
                dtypes = repeat("float64", dtypes)
        return self._with(x, dtypes)

    def round(self: Self, decimals: int = 0) -> Self:
        """Round to decimal places, ties to even, as numpy does."""
        b = self._numeric("round")
        if not isinstance(decimals, (int, np.integer)):
            raise TypeError("round: decimals is one whole number")
        if "float64" not in b.dtypes and decimals >= 0:
            return self._with(b.x, b.dtypes)
        if "int64" in b.dtypes:
            raise TypeError("round: use astype(float) on the whole-number columns first")
        scale = 10.0 ** abs(int(decimals))
        if decimals >= 0:
            return self._with(ops.div(ops.round(ops.mul(b.x, scale)), scale), b.dtypes)
        return self._with(ops.mul(ops.round(ops.div(b.x, scale)), scale), b.dtypes)

    def __round__(self: Self, decimals: int = 0) -> Self:
        """Compute ``round(df, 2)``."""
        return self.round(decimals)

    def where(self: Self, cond: Any, other: Any = None) -> Self:
        """Keep values where ``cond`` (bool, same shape) holds, elsewhere take ``other`` (a number, Scalar or the same shape)."""
        return self._choose(cond, other, "where")

    def mask(self: Self, cond: Any, other: Any = None) -> Self:
        """Take ``other`` where ``cond`` holds and keep values elsewhere."""
        if not isinstance(cond, Elementwise):
            raise TypeError("mask: the condition is a delta Series or DataFrame of bool")
        return self._choose(~cond, other, "mask")

    def _choose(self: Self, cond: Any, other: Any, what: str) -> Self:
        b = block(self)
        if (
            not isinstance(cond, Symbol)
            or set(block(cond).dtypes) != {"bool"}
            or (block(cond).columns is None) != (b.columns is None)
        ):
            raise TypeError(
                f"{what}: the condition must be bool and of the same kind: a DataFrame for a DataFrame, a Series for a Series"
            )
        test = truth(self._operand(cond, what))
        taken = self._operand(other, what)
        theirs = block(other).dtypes if isinstance(other, Symbol) else (number_dtype(other),)
        theirs = theirs if len(theirs) == len(b.dtypes) else theirs * len(b.dtypes)
        if any(mine != their and "bool" in (mine, their) for mine, their in zip(b.dtypes, theirs, strict=True)):
            raise TypeError(
                f"{what}: bool and numbers do not mix in one column; give other=True or other=False, or use astype()"
            )
        dtypes = tuple(mine if mine == their else "float64" for mine, their in zip(b.dtypes, theirs, strict=True))
        return self._with(ops.where(test, b.x, taken), dtypes)

    def isin(self: Self, values: Any) -> Self:
        """Whether each value is one of a list of numbers; NaN in the list finds missing values."""
        if not is_list(values) and not isinstance(values, (set, frozenset)):
            raise TypeError("isin: give a list of numbers")
        b = block(self)
        data, _ = numbers_of(
            sorted(values, key=lambda v: (v != v, v)) if isinstance(values, (set, frozenset)) else values,
            "list in isin",
        )
        found = ops.is_nan(b.x) if np.isnan(data).any() else ops.and_(ops.is_nan(b.x), ops.is_number(b.x))
        for v in np.unique(data[~np.isnan(data)]):
            found = ops.or_(found, ops.equal(b.x, float(v)))
        return self._with(as_number(found), repeat("bool", b.dtypes))

    def astype(self: Self, dtype: Any) -> Self:
        """Convert to ``float``, ``int`` (towards zero) or ``bool`` (missing values are True, as in pandas).

        To ``int``, missing values stay missing, where pandas raises an error: nobody can know beforehand whether there are any.
        """
        target = _dtype(dtype)
        b = block(self)
        x = b.x
        if target == "bool":
            x = as_number(truth(x))
        elif target == "int64" and "float64" in b.dtypes:
            x = ops.where(ops.less(x, 0.0), ops.ceil(x), ops.floor(x))
        return self._with(x, repeat(target, b.dtypes))

    # ------------------------------------------------ numpy's functions
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Compute ``np.exp(df)`` and the like."""
        if method != "__call__" or any(v is not None for v in kwargs.values()):
            raise TypeError(
                f"np.{ufunc.__name__} can only be called plainly on delta frames, without out=, where= or .{method}"
            )
        name = ufunc.__name__
        if name in BINARY:
            return binary(BINARY[name], *inputs)
        if name in ("maximum", "minimum"):
            return extreme(name, *inputs)
        if name == "invert":
            return ~self
        if name == "isnan":
            return self.isna()
        if name.startswith("logical_"):
            raise TypeError(f"np.{name}: use & | ^ ~ on bool instead")
        if name not in UNARY:
            known = ", ".join(sorted({*UNARY, *BINARY, "maximum", "minimum"}))
            raise TypeError(f"np.{name} is not among the functions that nodes compute: {known}")
        b = self._numeric(f"np.{name}")
        compute, whole = UNARY[name]
        return self._with(compute(b.x), b.dtypes if whole else repeat("float64", b.dtypes))


def number_dtype(value: Any) -> DType:
    """Return the dtype of a number or symbol."""
    return block(value).common if isinstance(value, Symbol) else number(value).dtype


def _dtype(dtype: Any) -> DType:
    known: dict[str, DType] = {"float64": "float64", "int64": "int64", "bool": "bool"}
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in known:
        raise TypeError(f"astype({dtype!r}): nodes compute with float (float64), int (int64) and bool")
    return known[name]


def _method(op: str, *, reflected: bool = False, series: bool) -> Callable[..., Any]:
    name = ("r" if reflected else "") + op
    fills = series or op in ARITHMETIC

    def method(self: Any, other: Any, axis: Any = None, fill_value: Any = None) -> Any:
        if series and axis is not None and check_axis(axis) != 0:
            raise ValueError(f"{name}: a Series has only axis 0")
        if fill_value is not None and not fills:
            raise TypeError(f"{name}: fill_value is for arithmetic; use fillna() on both sides first")
        if series and isinstance(other, Symbol) and block(other).columns is not None:
            raise TypeError(f"{name}: use df.{name}(series) to combine with a DataFrame")
        pair = (other, self) if reflected else (self, other)
        return binary(op, *pair, axis=axis, fill_value=fill_value)

    method.__name__ = method.__qualname__ = name
    matched = "" if series else ' ``axis="index"`` matches a Series by row, the default ``"columns"`` by column.'
    filled = " ``fill_value`` stands in where one side is missing; where both are, the result is." if fills else ""
    formula = f"other {op} self" if reflected else f"self {op} other"
    method.__doc__ = f"Compute ``{formula}`` as pandas does.{matched}{filled}"
    return method


def add_methods(cls: type, *, series: bool) -> None:
    """Add ``add``, ``radd``, ``eq`` and all others like them."""
    for op in ARITHMETIC:
        setattr(cls, op, _method(op, series=series))
        setattr(cls, "r" + op, _method(op, reflected=True, series=series))
    for op in COMPARISON:
        setattr(cls, op, _method(op, series=series))
    cls.div = cls.divide = cls.truediv  # type: ignore[attr-defined]
    cls.rdiv = cls.rtruediv  # type: ignore[attr-defined]
    cls.subtract, cls.multiply = cls.sub, cls.mul  # type: ignore[attr-defined]


def select(b: Block, keep: Expr) -> Block:
    """Keep the rows where ``keep`` (bool ``[rows]``) holds, of those kept before."""
    rows = b.rows
    if rows is None:
        raise TypeError(
            "a result cannot be filtered by its own values: its labels must be known now; filter rows first, or use where()"
        )
    return b.with_(index=Rows(rows.dataset, keep if rows.keep is None else ops.and_(rows.keep, keep)))
