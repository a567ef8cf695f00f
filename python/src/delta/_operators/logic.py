"""Comparison, logic and choice."""

from __future__ import annotations

from typing import Any

from .base import Base, V


class Logic(Base[V]):
    """Comparison, logic and choice, element by element."""

    def equal(self, a: Any, b: Any) -> V:
        """``a == b``; NaN equals nothing.

        Parameters
        ----------
        a, b : value, array or number
            Of one dtype, in shapes that broadcast.

        Returns
        -------
        value
            Of bool, in the broadcast shape.
        """
        return self._do("Equal", a, b)

    def not_equal(self, a: Any, b: Any) -> V:
        """``a != b``; true where one is NaN.

        Parameters
        ----------
        a, b : value, array or number
            Of one dtype, in shapes that broadcast.

        Returns
        -------
        value
            Of bool, in the broadcast shape.
        """
        return self.not_(self.equal(a, b))

    def less(self, a: Any, b: Any) -> V:
        """``a < b``; false where one is NaN.

        Parameters
        ----------
        a, b : value, array or number
            Of one dtype, in shapes that broadcast.

        Returns
        -------
        value
            Of bool, in the broadcast shape.
        """
        return self._do("Less", a, b)

    def less_equal(self, a: Any, b: Any) -> V:
        """``a <= b``; false where one is NaN.

        Parameters
        ----------
        a, b : value, array or number
            Of one dtype, in shapes that broadcast.

        Returns
        -------
        value
            Of bool, in the broadcast shape.
        """
        return self._do("LessOrEqual", a, b)

    def greater(self, a: Any, b: Any) -> V:
        """``a > b``; false where one is NaN.

        Parameters
        ----------
        a, b : value, array or number
            Of one dtype, in shapes that broadcast.

        Returns
        -------
        value
            Of bool, in the broadcast shape.
        """
        return self._do("Greater", a, b)

    def greater_equal(self, a: Any, b: Any) -> V:
        """``a >= b``; false where one is NaN.

        Parameters
        ----------
        a, b : value, array or number
            Of one dtype, in shapes that broadcast.

        Returns
        -------
        value
            Of bool, in the broadcast shape.
        """
        return self._do("GreaterOrEqual", a, b)

    def and_(self, a: Any, b: Any) -> V:
        """``a and b``.

        Parameters
        ----------
        a, b : value, array or number
            Of bool, in shapes that broadcast.

        Returns
        -------
        value
            Of bool, in the broadcast shape.
        """
        return self._do("And", a, b)

    def or_(self, a: Any, b: Any) -> V:
        """``a or b``.

        Parameters
        ----------
        a, b : value, array or number
            Of bool, in shapes that broadcast.

        Returns
        -------
        value
            Of bool, in the broadcast shape.
        """
        return self._do("Or", a, b)

    def xor(self, a: Any, b: Any) -> V:
        """Either ``a`` or ``b``, not both.

        Parameters
        ----------
        a, b : value, array or number
            Of bool, in shapes that broadcast.

        Returns
        -------
        value
            Of bool, in the broadcast shape.
        """
        return self._do("Xor", a, b)

    def not_(self, a: Any) -> V:
        """``not a``.

        Parameters
        ----------
        a : value, array or number
            Of bool.

        Returns
        -------
        value
            Of bool, in the same shape.
        """
        return self._do("Not", a)

    def is_nan(self, a: Any) -> V:
        """Whether a float is NaN (``IsNaN`` is typed wrongly on some nodes).

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of bool, in the same shape.
        """
        return self.not_(self.equal(a, a))

    def is_number(self, a: Any) -> V:
        """Whether a float is not NaN.

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of bool, in the same shape.
        """
        return self.equal(a, a)

    def where(self, condition: V, a: Any, b: Any) -> V:
        """Take ``a`` where the condition holds, else ``b``.

        Parameters
        ----------
        condition : value
            Of bool.
        a, b : value, array or number
            Of one dtype; the shapes of all three broadcast.

        Returns
        -------
        value
            Of the dtype of ``a`` and ``b``, in the broadcast shape.
        """
        a, b = self.lift(a, b)
        return self.apply("Where", [condition, a, b])

    def cast(self, a: V, dtype: str) -> V:
        """Convert to another dtype; nothing is done when it is that dtype.

        Parameters
        ----------
        a : value
            Of any dtype.
        dtype : str
            ``f32``, ``f64``, ``i32``, ``i64``, ``u8`` or ``bool``. To whole numbers towards zero, to bool whether not zero.

        Returns
        -------
        value
            Of that dtype, in the same shape.
        """
        return a if a.type.dtype == dtype else self.apply("Cast", [a], to=dtype)
