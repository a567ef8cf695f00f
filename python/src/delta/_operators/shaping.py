"""Shapes: reordering, joining, selecting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._shapes import Dim
from .base import Base, V


class Shaping(Base[V]):
    """Shapes: reordering, joining, selecting."""

    def transpose(self, a: V, perm: Sequence[int] | None = None) -> V:
        """Reorder the axes.

        Parameters
        ----------
        a : value
            Of any dtype and shape.
        perm : sequence of int, optional
            For each axis of the result the one of ``a`` that it was; by default all of them backwards.

        Returns
        -------
        value
            Of the same dtype.
        """
        return self.apply("Transpose", [a], perm=tuple(perm if perm is not None else reversed(range(a.type.rank))))

    def reshape(self, a: V, *shape: Dim) -> V:
        """Give another shape with as many elements.

        Parameters
        ----------
        a : value
            Of any dtype and shape.
        *shape : int or str
            The new dimensions; one of them may be a name, for what only the data tell.

        Returns
        -------
        value
            Of the same dtype and that shape.

        Raises
        ------
        ValueError
            More than one dimension is a name.
        """
        names = [d for d in shape if isinstance(d, str)]
        if len(names) > 1:
            raise ValueError(f"Reshape: at most one dimension of {list(shape)} may be unknown")
        return self.apply(
            "Reshape", [a], shape=tuple(-1 if isinstance(d, str) else d for d in shape), result=tuple(shape)
        )

    def expand(self, a: Any, *shape: int) -> V:
        """Repeat along dimensions of length 1, and new ones in front.

        Parameters
        ----------
        a : value, array or number
            Of any dtype, in a shape that broadcasts to the new one.
        *shape : int
            The new dimensions.

        Returns
        -------
        value
            Of the same dtype, in the broadcast shape.
        """
        return self._do("Expand", a, shape=tuple(shape))

    def unsqueeze(self, a: V, *axes: int) -> V:
        """Insert dimensions of length 1.

        Parameters
        ----------
        a : value
            Of any dtype and shape.
        *axes : int
            Where they stand in the result.

        Returns
        -------
        value
            Of the same dtype.
        """
        return self.apply("Unsqueeze", [a], axes=axes)

    def concat(self, *values: Any, axis: int) -> V:
        """Put values behind each other along an axis.

        Parameters
        ----------
        *values : value, array or number
            Of one dtype, and of one shape but for ``axis``.
        axis : int
            The axis; negative ones count from the last.

        Returns
        -------
        value
            Of their dtype; as long along ``axis`` as all together.
        """
        lifted = self.lift(*values)
        return lifted[0] if len(lifted) == 1 else self.apply("Concat", lifted, axis=axis)

    def stack(self, *values: Any, axis: int) -> V:
        """Put values of one shape behind each other along a new axis.

        Parameters
        ----------
        *values : value, array or number
            Of one dtype and shape.
        axis : int
            Where the new axis stands in the result.

        Returns
        -------
        value
            Of their dtype, with one axis more.
        """
        return self.concat(*(self.unsqueeze(v, axis) for v in self.lift(*values)), axis=axis)

    def take(self, a: V, indices: Any, axis: int) -> V:
        """Select along an axis.

        Parameters
        ----------
        a : value
            Of any dtype and shape.
        indices : int, array or value
            Which elements: whole numbers known now, or a value of ``i64``. A single number drops the axis.
        axis : int
            The axis; negative ones count from the last.

        Returns
        -------
        value
            Of the dtype of ``a``; the axis is replaced by those of ``indices``.
        """
        if not hasattr(indices, "type"):
            indices = self.constant(np.asarray(indices, np.int64))
        return self.apply("Gather", [a, indices], axis=axis)

    def slice(self, a: V, start: int, end: int, axis: int) -> V:
        """Select a range along an axis of known length.

        Parameters
        ----------
        a : value
            Of any dtype and shape.
        start, end : int
            The first element, and the one behind the last; negative ones count from the end.
        axis : int
            The axis; negative ones count from the last.

        Returns
        -------
        value
            Of the same dtype and rank.
        """
        return self.apply("Slice", [a], starts=(start,), ends=(end,), axes=(axis % a.type.rank,))

    def scatter_add(self, into: Any, indices: V, updates: V, axis: int = 0) -> V:
        """Add each update to the element that its index names along an axis.

        Parameters
        ----------
        into : value or array
            What is added to.
        indices : value
            Of ``i64``, in the shape of ``updates``; each is less than the length of ``into`` along ``axis``.
        updates : value
            Of the dtype of ``into``.
        axis : int
            The axis; negative ones count from the last.

        Returns
        -------
        value
            Of the dtype and shape of ``into``.
        """
        (into,) = self.lift(into)
        return self.apply("ScatterElements", [into, indices, updates], axis=axis, reduction="add")
