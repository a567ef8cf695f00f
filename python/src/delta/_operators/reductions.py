"""Reductions over axes, and products of matrices."""

from __future__ import annotations

from typing import Any

from .._shapes import axis_of
from .base import V
from .logic import Logic
from .shaping import Shaping


class Reductions(Shaping[V], Logic[V]):
    """Reductions over axes, and products of matrices."""

    def sum(self, a: V, *axes: int, keepdims: bool = False) -> V:
        """Sum over axes. The sum over no rows is 0.

        Parameters
        ----------
        a : value
            Of numbers.
        *axes : int
            Which; all of them when none is named.
        keepdims : bool
            Whether the axes stay, with length 1.

        Returns
        -------
        value
            Of the same dtype.
        """
        return self._reduce("ReduceSum", a, axes, keepdims)

    def max(self, a: V, *axes: int, keepdims: bool = False) -> V:
        """Take the maximum over axes.

        Parameters
        ----------
        a : value
            Of numbers.
        *axes : int
            Which; all of them when none is named. Not that of the rows: a member may have none.
        keepdims : bool
            Whether the axes stay, with length 1.

        Returns
        -------
        value
            Of the same dtype.

        Raises
        ------
        ValueError
            An axis has an unknown length.
        """
        return self._reduce("ReduceMax", a, axes, keepdims)

    def min(self, a: V, *axes: int, keepdims: bool = False) -> V:
        """Take the minimum over axes.

        Parameters
        ----------
        a : value
            Of numbers.
        *axes : int
            Which; all of them when none is named. Not that of the rows: a member may have none.
        keepdims : bool
            Whether the axes stay, with length 1.

        Returns
        -------
        value
            Of the same dtype.

        Raises
        ------
        ValueError
            An axis has an unknown length.
        """
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
        """Sum up to and including each element along an axis.

        Parameters
        ----------
        a : value
            Of numbers.
        axis : int
            The axis; negative ones count from the last.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self.apply("CumSum", [a], axis=axis)

    def count(self, a: V, axis: int = 0, dtype: str = "f64") -> V:
        """Count what holds along an axis, as a float (whole outputs trouble one of the runtimes).

        Parameters
        ----------
        a : value
            Of bool.
        axis : int
            The axis; negative ones count from the last.
        dtype : {"f64", "f32"}
            Of the count.

        Returns
        -------
        value
            Of ``dtype``, without the axis.
        """
        return self.sum(self.cast(a, dtype), axis)

    def matmul(self, a: Any, b: Any) -> V:
        """Multiply matrices.

        Parameters
        ----------
        a, b : value or array
            ``[..., n, k]`` and ``[..., k, m]`` of ``f64`` or ``f32``; dimensions in front broadcast.

        Returns
        -------
        value
            ``[..., n, m]`` of their dtype.
        """
        return self._do("MatMul", a, b)

    def gram(self, a: V, b: V) -> V:
        """``a.T @ b`` for two matrices with the same rows.

        Parameters
        ----------
        a, b : value
            ``[rows, n]`` and ``[rows, m]`` of ``f64`` or ``f32``.

        Returns
        -------
        value
            ``[n, m]`` of their dtype.
        """
        return self.matmul(self.transpose(a), b)
