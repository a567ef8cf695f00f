"""What all operators rest on: applying one ONNX operator, and holding a constant."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .._shapes import DTYPES, Type

Array = npt.NDArray[Any]


class Typed(Protocol):
    """A value that knows its type."""

    @property
    def type(self) -> Type:
        """The dtype and shape."""


V = TypeVar("V", bound=Typed)


class Base(abc.ABC, Generic[V]):
    """Something that can apply an operator and hold a constant."""

    @abc.abstractmethod
    def apply(self, op: str, inputs: Sequence[V], **attributes: Any) -> V:
        """Apply one ONNX operator.

        Parameters
        ----------
        op : str
            Its name, such as ``Add``.
        inputs : sequence of value
            All of this builder.
        **attributes : number, str, or tuple of them
            As ONNX names them. What opset 17 takes as an input but must be known (``axes``, ``shape``) is an
            attribute, too.

        Returns
        -------
        value
            The operator's one output.

        Raises
        ------
        ValueError
            The inputs do not fit the operator.
        """

    @abc.abstractmethod
    def constant(self, value: Array | float | Sequence[Any], dtype: str | None = None) -> V:
        """Hold a constant.

        Parameters
        ----------
        value : array, number or nested sequence
            What it is.
        dtype : str, optional
            ``f32``, ``f64``, ``i32``, ``i64``, ``u8`` or ``bool``; by default the array's own.

        Returns
        -------
        value
            Of that dtype and the array's shape.
        """

    def lift(self, *operands: Any) -> list[V]:
        """Turn numbers and arrays into constants; values stay as they are.

        Parameters
        ----------
        *operands : value, array or number
            Python numbers take the dtype of the first operand that has one, and ``f64`` when none has.

        Returns
        -------
        list of value
            One for each operand.
        """
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
