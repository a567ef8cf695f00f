"""What is done to each value alone: rounding, choosing, converting, numpy's functions."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from ._arithmetic import Arithmetic
from ._base import DType, Symbol, as_number, block, is_list, is_number, numbers_of, repeat, truth, wrap
from ._binary import binary
from ._cells import number_dtype
from ._expr import ops
from ._functions import BINARY, UNARY, extreme
from ._missing import Missing

Self = TypeVar("Self", bound="Elementwise")


class Elementwise(Arithmetic, Missing):
    """Operators and element-wise methods of frames, series and numbers."""

    def abs(self: Self) -> Self:
        """Take the absolute value.

        Returns
        -------
        same kind
            With the same dtypes.
        """
        return self._with(ops.abs(block(self).x), block(self).dtypes)

    def __abs__(self: Self) -> Self:
        return self.abs()

    def copy(self: Self, deep: bool = True) -> Self:
        """Return the same again; changing one (``df["c"] = ...``) leaves the other alone.

        Parameters
        ----------
        deep : bool
            As in pandas; it makes no difference.

        Returns
        -------
        same kind
            The copy.
        """
        return wrap(block(self))  # type: ignore[no-any-return]

    def clip(self: Self, lower: Any = None, upper: Any = None) -> Self:
        """Move values below ``lower`` and above ``upper`` to these; missing ones stay missing.

        Parameters
        ----------
        lower, upper : number or Scalar, optional
            The bounds.

        Returns
        -------
        same kind
            With the same dtypes, and ``float64`` where a bound is.

        Raises
        ------
        TypeError
            A bound differs from row to row, or the values are bool.
        """
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
        """Round to decimal places, ties to even, as numpy does.

        Parameters
        ----------
        decimals : int
            Places behind the point; negative ones in front of it.

        Returns
        -------
        same kind
            With the same dtypes.

        Raises
        ------
        TypeError
            ``decimals`` is no whole number, or whole numbers are rounded to tens.
        """
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
        """Keep values where a condition holds, and take others elsewhere.

        Parameters
        ----------
        cond : same kind, of bool
            Of the same rows and columns.
        other : number, Scalar or same kind, optional
            By default missing.

        Returns
        -------
        same kind
            ``float64`` where the dtypes differ.
        """
        return self._choose(cond, other, "where")

    def mask(self: Self, cond: Any, other: Any = None) -> Self:
        """Take other values where a condition holds, and keep them elsewhere.

        Parameters
        ----------
        cond : same kind, of bool
            Of the same rows and columns.
        other : number, Scalar or same kind, optional
            By default missing.

        Returns
        -------
        same kind
            ``float64`` where the dtypes differ.

        Raises
        ------
        TypeError
            The condition is not bool.
        """
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
        """Whether each value is one of a list.

        Parameters
        ----------
        values : list or set of number
            NaN in it finds missing values.

        Returns
        -------
        same kind
            Of bool.

        Raises
        ------
        TypeError
            ``values`` is no list of numbers.
        """
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
        """Convert to another dtype.

        Parameters
        ----------
        dtype : float, int, bool, or their names
            To ``int`` towards zero; to ``bool`` missing values are True, as in pandas.

        Returns
        -------
        same kind
            Of that dtype. To ``int``, missing values stay missing, where pandas raises an error: nobody can know beforehand
            whether there are any.
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


def _dtype(dtype: Any) -> DType:
    known: dict[str, DType] = {"float64": "float64", "int64": "int64", "bool": "bool"}
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in known:
        raise TypeError(f"astype({dtype!r}): nodes compute with float (float64), int (int64) and bool")
    return known[name]
