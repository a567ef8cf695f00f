"""Numbers and truths that hang on the number of the batch: what conditions on it are made of while they are traced."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from .errors import ExportError, author_frame

Of = Callable[[Tensor], Any]
"""From the number of the batch, from 0, as ``float64``."""
_WAYS = (
    "compare arithmetic of the batch's number with a number: if (i + 1) % 4 == 0: ...; and, or and not may join such"
)


def _refused(what: str) -> ExportError:
    return ExportError(
        what, "the batch's number is counted at the node", instead=_WAYS, location=author_frame(sys._getframe(2))
    )


class Number:
    """A whole number that is made of the batch's. ``shift``: what it is more than that, where it is that much more in all."""

    def __init__(self, of: Of, shift: int | None = None) -> None:
        """``of(count)`` is its value."""
        self.of, self.shift = of, shift

    def _with(self, other: Any, way: Of, shift: int | None = None) -> Number:
        if isinstance(other, bool) or not isinstance(other, Real) or float(other) != int(float(other)):
            raise _refused("arithmetic with the batch's number")
        return Number(way, shift)

    def __add__(self, other: Any) -> Number:
        """As of numbers."""
        shift = self.shift + int(other) if self.shift is not None and isinstance(other, int) else None
        return self._with(other, lambda n: self.of(n) + float(other), shift)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Number:
        """As of numbers."""
        shift = self.shift - int(other) if self.shift is not None and isinstance(other, int) else None
        return self._with(other, lambda n: self.of(n) - float(other), shift)

    def __rsub__(self, other: Any) -> Number:
        """As of numbers."""
        return self._with(other, lambda n: float(other) - self.of(n))

    def __mul__(self, other: Any) -> Number:
        """As of numbers."""
        return self._with(other, lambda n: self.of(n) * float(other))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Number:
        """As of numbers."""
        return self._with(_positive(other), lambda n: torch.floor(self.of(n) / float(other)))

    def __mod__(self, other: Any) -> Number:
        """As of numbers: the sign is that of ``other``, which is above 0."""
        size = float(_positive(other))
        return self._with(other, lambda n: self.of(n) - torch.floor(self.of(n) / size) * size)

    def _compared(self, other: Any, way: Callable[[Any, Any], Any]) -> Truth:
        if isinstance(other, Length):
            return other.compared(self, _TURNED[way])
        if not isinstance(other, Real):
            raise _refused("a comparison with the batch's number")
        return Truth(lambda n: way(self.of(n), float(other)))

    def __eq__(self, other: Any) -> Any:
        """As of numbers."""
        return self._compared(other, operator.eq)

    def __ne__(self, other: Any) -> Any:
        """As of numbers."""
        return self._compared(other, operator.ne)

    def __lt__(self, other: Any) -> Any:
        """As of numbers."""
        return self._compared(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        """As of numbers."""
        return self._compared(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        """As of numbers."""
        return self._compared(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        """As of numbers."""
        return self._compared(other, operator.ge)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        """Refuse it as a plain value."""
        raise _refused("a decision on the batch's number")


def _positive(number: Any) -> Any:
    if not isinstance(number, Real) or number <= 0:
        raise _refused("division of the batch's number")
    return number


_TURNED: dict[Any, Any] = {
    operator.eq: operator.eq,
    operator.ne: operator.ne,
    operator.lt: operator.gt,
    operator.le: operator.ge,
    operator.gt: operator.lt,
    operator.ge: operator.le,
}


class Length:
    """How many batches a round has, and some more: nodes learn it when the last one is over."""

    def __init__(self, more: int = 0) -> None:
        """``more`` than there are."""
        self.more = more

    def __add__(self, other: Any) -> Length:
        """As of numbers."""
        if not isinstance(other, int):
            raise _refused("arithmetic with len(dataloader)")
        return Length(self.more + other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Length:
        """As of numbers."""
        return self.__add__(-other)

    def _refuse(self, *others: Any) -> Any:
        raise _refused("arithmetic with len(dataloader)")

    __mul__ = __rmul__ = __truediv__ = __floordiv__ = __mod__ = __rsub__ = _refuse

    def compared(self, number: Any, way: Callable[[Any, Any], Any]) -> Truth:
        """Compare it with the batch's number: only whether that is the last is known, and only at the end."""
        if not isinstance(number, Number) or number.shift is None or self.more - number.shift != -1:
            raise _refused("a comparison with len(dataloader)")
        # The last batch is the one where both are equal; before it the length is the larger one.
        return Truth(lambda n: way(1, 0), lambda n: way(0, 0))

    def __eq__(self, other: Any) -> Any:
        """As of numbers."""
        return self.compared(other, operator.eq)

    def __ne__(self, other: Any) -> Any:
        """As of numbers."""
        return self.compared(other, operator.ne)

    def __lt__(self, other: Any) -> Any:
        """As of numbers."""
        return self.compared(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        """As of numbers."""
        return self.compared(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        """As of numbers."""
        return self.compared(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        """As of numbers."""
        return self.compared(other, operator.ge)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        """Refuse it as a plain value."""
        raise _refused("len(dataloader)")


@dataclass(frozen=True)
class Truth:
    """Whether something is so. ``usual``: in a batch that is not the last one; ``end``: in the last one, where that differs."""

    usual: Of
    end: Of | None = None

    @classmethod
    def plain(cls, value: bool) -> Truth:
        """What hangs on nothing."""
        return cls(lambda n: value)

    @property
    def hangs_on_the_end(self) -> bool:
        """Whether the last batch is another."""
        return self.end is not None

    @property
    def holds_at_the_end(self) -> bool:
        """Whether it holds in the last batch whatever its number is."""
        return self.end is not None and self.end(torch.zeros((), dtype=torch.float64)) is True

    def at_the_end(self, count: Tensor) -> Any:
        """Whether it is so in the last batch, which has this number."""
        return (self.end or self.usual)(count)

    def inverted(self) -> Truth:
        """The opposite."""
        return Truth(_not(self.usual), None if self.end is None else _not(self.end))

    def joined(
        self, other: Truth, tensors: Callable[[Tensor, Tensor], Tensor], plain: Callable[[Any, Any], Any]
    ) -> Truth:
        """``and`` or ``or`` of two."""

        def way(one: Of, two: Of) -> Of:
            def of(count: Tensor) -> Any:
                a, b = one(count), two(count)
                if isinstance(a, Tensor) and isinstance(b, Tensor):
                    return tensors(a, b)
                # One of them is plain: it decides, or the other does.
                plainly, left = (a, b) if isinstance(a, bool) else (b, a)
                return plain(plainly, left)

            return of

        end = None
        if self.end is not None or other.end is not None:
            end = way(self.end or self.usual, other.end or other.usual)
        return Truth(way(self.usual, other.usual), end)

    def __bool__(self) -> bool:
        """Refuse it as a plain value."""
        raise _refused("a decision on the batch's number")


def _not(way: Of) -> Of:
    def of(count: Tensor) -> Any:
        made = way(count)
        return torch.logical_not(made) if isinstance(made, Tensor) else not made

    return of


def truth(value: Any) -> Truth | None:
    """A value as a truth, where it hangs on the number of the batch."""
    if isinstance(value, Truth):
        return value
    return value != 0 if isinstance(value, Number) else None
