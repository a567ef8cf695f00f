"""What element-wise operations share: the same labels with other values, operands that fit, selections of rows."""

from __future__ import annotations

from typing import Any, TypeVar

from ._base import Block, DType, Rows, Symbol, block, need_numbers, number, wrap
from ._binary import same_rows
from ._expr import Expr, ops

Self = TypeVar("Self", bound="Cells")


class Cells(Symbol):
    """A symbol whose values are each computed alone."""

    def _with(self: Self, x: Expr, dtypes: tuple[DType, ...]) -> Self:
        need_numbers(block(self), "each value of a frame")
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


def number_dtype(value: Any) -> DType:
    """Return the dtype of a number or symbol."""
    return block(value).common if isinstance(value, Symbol) else number(value).dtype


def select(b: Block, keep: Expr) -> Block:
    """Keep the rows where ``keep`` (bool ``[rows]``) holds, of those kept before."""
    rows = b.rows
    if rows is None:
        raise TypeError(
            "a result cannot be filtered by its own values: its labels must be known now; filter rows first, or use where()"
        )
    kept = keep if rows.keep is None else ops.and_(rows.keep, keep)
    return b.with_(index=Rows(rows.dataset, kept), typed=b.typed)
