"""Arithmetic and functions, element by element."""

from __future__ import annotations

from typing import Any

from .base import V
from .logic import Logic


class Arithmetic(Logic[V]):
    """Arithmetic and functions, element by element."""

    def add(self, a: Any, b: Any) -> V:
        """``a + b``.

        Parameters
        ----------
        a, b : value, array or number
            Numbers of one dtype, not bool, in shapes that broadcast.

        Returns
        -------
        value
            Of their dtype, in the broadcast shape.
        """
        return self._do("Add", a, b)

    def sub(self, a: Any, b: Any) -> V:
        """``a - b``.

        Parameters
        ----------
        a, b : value, array or number
            Numbers of one dtype, not bool, in shapes that broadcast.

        Returns
        -------
        value
            Of their dtype, in the broadcast shape.
        """
        return self._do("Sub", a, b)

    def mul(self, a: Any, b: Any) -> V:
        """``a * b``.

        Parameters
        ----------
        a, b : value, array or number
            Numbers of one dtype, not bool, in shapes that broadcast.

        Returns
        -------
        value
            Of their dtype, in the broadcast shape.
        """
        return self._do("Mul", a, b)

    def div(self, a: Any, b: Any) -> V:
        """``a / b``; floats follow IEEE 754.

        Parameters
        ----------
        a, b : value, array or number
            Numbers of one dtype, not bool, in shapes that broadcast.

        Returns
        -------
        value
            Of their dtype, in the broadcast shape.
        """
        return self._do("Div", a, b)

    def pow(self, a: Any, b: Any) -> V:
        """``a ** b``.

        Parameters
        ----------
        a, b : value, array or number
            Numbers of one dtype, not bool, in shapes that broadcast.

        Returns
        -------
        value
            Of their dtype, in the broadcast shape.
        """
        return self._do("Pow", a, b)

    def fmod(self, a: Any, b: Any) -> V:
        """Take the remainder of ``a / b`` with the sign of ``a``, as C's ``fmod``.

        Parameters
        ----------
        a, b : value, array or number
            Numbers of one dtype, not bool, in shapes that broadcast.

        Returns
        -------
        value
            Of their dtype, in the broadcast shape.
        """
        return self._do("Mod", a, b, fmod=1)

    def minimum(self, a: Any, b: Any) -> V:
        """Take the smaller one. NaN is not handled alike by all runtimes: mask it first.

        Parameters
        ----------
        a, b : value, array or number
            Numbers of one dtype, not bool, in shapes that broadcast.

        Returns
        -------
        value
            Of their dtype, in the broadcast shape.
        """
        return self._do("Min", a, b)

    def maximum(self, a: Any, b: Any) -> V:
        """Take the larger one. NaN is not handled alike by all runtimes: mask it first.

        Parameters
        ----------
        a, b : value, array or number
            Numbers of one dtype, not bool, in shapes that broadcast.

        Returns
        -------
        value
            Of their dtype, in the broadcast shape.
        """
        return self._do("Max", a, b)

    def neg(self, a: Any) -> V:
        """``-a``.

        Parameters
        ----------
        a : value, array or number
            Of numbers, not bool.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self._do("Neg", a)

    def abs(self, a: Any) -> V:
        """``|a|``.

        Parameters
        ----------
        a : value, array or number
            Of numbers, not bool.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self._do("Abs", a)

    def sqrt(self, a: Any) -> V:
        """Take the square root; NaN below 0.

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self._do("Sqrt", a)

    def exp(self, a: Any) -> V:
        """``e ** a``.

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self._do("Exp", a)

    def log(self, a: Any) -> V:
        """Take the natural logarithm; NaN below 0, ``-inf`` at 0.

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self._do("Log", a)

    def floor(self, a: Any) -> V:
        """Take the largest whole number that is not larger.

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self._do("Floor", a)

    def ceil(self, a: Any) -> V:
        """Take the smallest whole number that is not smaller.

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self._do("Ceil", a)

    def sign(self, a: Any) -> V:
        """Take -1, 0 or 1.

        Parameters
        ----------
        a : value, array or number
            Of numbers, not bool.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self._do("Sign", a)

    def round(self, a: Any) -> V:
        """Round to a whole number, ties to even (no node has ``Round`` in f64 for certain).

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        (a,) = self.lift(a)
        low = self.floor(a)
        rest = self.sub(a, low)
        odd = self.greater(self.sub(low, self.mul(self.floor(self.mul(low, 0.5)), 2.0)), 0.5)
        up = self.or_(self.greater(rest, 0.5), self.and_(self.equal(rest, 0.5), odd))
        return self.add(low, self.cast(up, a.type.dtype))

    def square(self, a: Any) -> V:
        """``a * a``.

        Parameters
        ----------
        a : value, array or number
            Of numbers, not bool.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self.mul(a, a)

    def sigmoid(self, a: Any) -> V:
        """``1 / (1 + exp(-a))``, without overflow to NaN.

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self.div(1.0, self.add(1.0, self.exp(self.neg(a))))

    def softplus(self, a: Any) -> V:
        """``log(1 + exp(a))``, without overflow.

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self.add(self.maximum(a, 0.0), self.log(self.add(1.0, self.exp(self.neg(self.abs(a))))))

    def tanh(self, a: Any) -> V:
        """Take the hyperbolic tangent.

        Parameters
        ----------
        a : value, array or number
            Of ``f64`` or ``f32``.

        Returns
        -------
        value
            Of the same dtype and shape.
        """
        return self._do("Tanh", a)
