"""Python's operators on frames, series and numbers, and the methods of the same meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ._base import Symbol, as_number, block, check_axis, truth
from ._binary import ARITHMETIC, COMPARISON, binary
from ._cells import Cells
from ._expr import ops

Self = TypeVar("Self", bound="Arithmetic")
SIGNS = dict(
    zip(ARITHMETIC + COMPARISON, ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">="], strict=True)
)


class Arithmetic(Cells):
    """Operators of frames, series and numbers."""

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

    sign = SIGNS[op]
    method.__name__ = method.__qualname__ = name
    method.__doc__ = _docstring(f"other {sign} self" if reflected else f"self {sign} other", series=series, fills=fills)
    return method


def _docstring(formula: str, *, series: bool, fills: bool) -> str:
    kinds = "number, Scalar, or Series of the same rows" + (
        "" if series else ", or DataFrame of the same rows and columns"
    )
    axis = "{0}" if series else '{"columns", "index"}'
    matched = "A Series has no other." if series else "Whether a Series is matched by column or by row."
    filled = (
        "Stands in where one side is missing; where both are, the result is." if fills else "Only arithmetic has one."
    )
    return f"""Compute ``{formula}`` as pandas does.

    Parameters
    ----------
    other : {kinds}
        The other operand.
    axis : {axis}, optional
        {matched}
    fill_value : number, optional
        {filled}

    Returns
    -------
    {"Series" if series else "DataFrame"}
        Of bool for comparisons, else of numbers.

    Raises
    ------
    TypeError
        The dtypes have no such operation, or an argument is none.
    ValueError
        Rows, labels or columns differ.
    """


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
