"""What a traced value is once records are kept apart: one block for each record, or the same for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..operators import SQUARES


class Rows:
    """A block for each record: ``tensor`` is ``[records, *shape]``, where ``shape`` is what a batch of one record has."""

    def __init__(self, tensor: Tensor) -> None:
        """Take the blocks."""
        self._tensor: Tensor | None = tensor

    @property
    def tensor(self) -> Tensor:
        """All blocks, the records first."""
        assert self._tensor is not None
        return self._tensor

    @property
    def shape(self) -> list[int]:
        """Of one block."""
        return [int(d) for d in self.tensor.shape[1:]]

    def reshaped(self, shape: Sequence[int]) -> Rows:
        """The same elements in blocks of another shape."""
        return self if list(shape) == self.shape else Rows(self.tensor.reshape([self.tensor.shape[0], *shape]))

    def aligned(self, rank: int) -> Tensor:
        """All blocks, with axes of length 1 in front of theirs until a block has ``rank``."""
        return self.reshaped([1] * (rank - len(self.shape)) + self.shape).tensor

    def squares(self) -> Tensor:
        """The sum of squares of each block, ``[records]``."""
        squares: Tensor = SQUARES(self.tensor)
        return squares

    def scaled(self, factor: Tensor) -> Tensor:
        """Each block times its record's factor, ``[records]``."""
        return self.tensor * factor.to(self.tensor.dtype).reshape([-1, *[1] * len(self.shape)])


class Outer(Rows):
    """The products of all pairs of two vectors of each record, not multiplied out before somebody asks for them.

    Such is the weight gradient of a linear layer. Its sum of squares is the product of the vectors' own, and a factor goes
    into the shorter one: neither needs a pass over the products.
    """

    def __init__(self, left: Tensor, right: Tensor) -> None:
        """Take ``[records, p]`` and ``[records, r]``."""
        self._tensor, self.left, self.right = None, left, right

    @property
    def tensor(self) -> Tensor:
        """The products, ``[records, p, r]``."""
        if self._tensor is None:
            self._tensor = self._product(self.left)
        return self._tensor

    @property
    def shape(self) -> list[int]:
        """Of one block."""
        return [int(self.left.shape[1]), int(self.right.shape[1])]

    def turned(self) -> Outer:
        """The transpose of each block."""
        return Outer(self.right, self.left)

    def squares(self) -> Tensor:
        """The sum of squares of each block, ``[records]``."""
        squares: Tensor = SQUARES(self.left) * SQUARES(self.right)
        return squares

    def scaled(self, factor: Tensor) -> Tensor:
        """Each block times its record's factor, ``[records]``."""
        left, _ = self.scaled_sides(factor)
        return self._product(left)

    def scaled_sides(self, factor: Tensor) -> tuple[Tensor, Tensor]:
        """The two vectors of each record, whose product is its block times its factor."""
        return self.left * factor.to(self.left.dtype).reshape([-1, 1]), self.right

    def _product(self, left: Tensor) -> Tensor:
        return left.unsqueeze(2) * self.right.unsqueeze(1)


def rows_of(value: Any, like: Rows) -> Rows:
    """A value as a block for each record; what is the same for all is repeated."""
    if isinstance(value, Rows):
        return value
    return Rows(value.unsqueeze(0).expand([like.tensor.shape[0], *value.shape]))


def first_rows(values: Sequence[Any]) -> Rows:
    """The first value that differs from record to record."""
    return next(v for v in values if isinstance(v, Rows))


def rank_of(value: Any) -> int:
    """How many axes a value has in a batch of one record."""
    return len(value.shape) if isinstance(value, Rows) else value.dim() if isinstance(value, Tensor) else 0
