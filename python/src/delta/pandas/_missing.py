"""Missing values: where they are, and what to put there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ._base import Symbol, as_number, block, number, position, repeat
from ._cells import Cells, number_dtype
from ._expr import ops

Self = TypeVar("Self", bound="Missing")


class Missing(Cells):
    """Missing values of frames, series and numbers."""

    def isna(self: Self) -> Self:
        """Whether each value is missing.

        Returns
        -------
        same kind
            Of bool.
        """
        b = block(self)
        return self._with(as_number(ops.is_nan(b.x)), repeat("bool", b.dtypes))

    isnull = isna

    def notna(self: Self) -> Self:
        """Whether each value is there.

        Returns
        -------
        same kind
            Of bool.
        """
        b = block(self)
        return self._with(as_number(ops.is_number(b.x)), repeat("bool", b.dtypes))

    notnull = notna

    def fillna(self: Self, value: Any) -> Self:
        """Replace missing values.

        Parameters
        ----------
        value : number, Scalar, Series or dict
            What to put there; of a DataFrame also by column, in a dict or a Series by column. A column that a dict does not
            name stays as it is.

        Returns
        -------
        same kind
            With the same dtypes.

        Raises
        ------
        TypeError
            A dict for a Series, or bool among numbers.
        """
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
