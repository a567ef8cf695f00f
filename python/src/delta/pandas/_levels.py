"""Columns of texts: equality, counts and groups over the levels that the author declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._base import Block, Label, as_number, block, number, repeat, wrap
from ._expr import ops
from ._typed import Column


class Category(Column, kinds=["category"]):
    """Texts of declared levels; any other text is one more, and counted as such."""

    _what = "levels"

    @property
    def levels(self) -> list[str]:
        """The declared texts, in their order."""
        return list(self._typed.levels)

    @property
    def other(self) -> str:
        """What any other text is called in counts."""
        return "other" if "other" not in self._typed.levels else "(other)"

    def _code(self, level: Any) -> float:
        if level not in self._typed.levels:
            raise ValueError(
                f"{self._name!r} has no level {level!r}; declared are {', '.join(map(repr, self._typed.levels))}: what is not "
                "declared cannot be told from other texts"
            )
        return float(self._typed.levels.index(level))

    def __eq__(self, level: Any) -> Any:
        return self._bool(ops.equal(self._typed.x, self._code(level)))

    def __ne__(self, level: Any) -> Any:
        return self._bool(ops.not_equal(self._typed.x, self._code(level)))

    def isin(self, values: Sequence[Any]) -> Any:
        """Whether each text is one of some levels.

        Parameters
        ----------
        values : sequence of str
            Declared levels.

        Returns
        -------
        Series
            Of bool.

        Raises
        ------
        ValueError
            One is no level.
        """
        if isinstance(values, str):
            raise TypeError("isin: give a list of levels")
        found = ops.less(self._typed.x, -1.0)
        for value in values:
            found = ops.or_(found, ops.equal(self._typed.x, self._code(value)))
        return self._bool(found)

    def map(self, numbers: Mapping[str, float]) -> Any:
        """Write levels as numbers, as an ordinal scale needs it.

        Parameters
        ----------
        numbers : mapping of str to number
            By level; a level that is left out, and any other text, becomes missing.

        Returns
        -------
        Series
            Of ``float64``.

        Raises
        ------
        ValueError
            One is no level.
        """
        out = ops.mul(self._typed.x, float("nan"))
        for level, value in numbers.items():
            data = number(value, "value in map").x
            out = ops.where(ops.equal(self._typed.x, self._code(level)), data, out)
        return self._numbers(out)

    def get_dummies(self, drop_first: bool = False) -> Any:
        """Make a column of 0 and 1 for each level, as regressions need it; a missing cell and any other text have 0 in all.

        Parameters
        ----------
        drop_first : bool
            Leave the first level out: it is what the others are compared with.

        Returns
        -------
        DataFrame
            Of ``float64``, named by the column and the level, ``sex_f``.
        """
        levels = self._typed.levels[1:] if drop_first else self._typed.levels
        if not levels:
            raise ValueError("get_dummies: no level is left")
        parts = [ops.unsqueeze(as_number(ops.equal(self._typed.x, self._code(level))), 1) for level in levels]
        x = parts[0] if len(parts) == 1 else ops.concat(*parts, axis=1)
        names = tuple(f"{self._name}_{level}" for level in levels)
        return wrap(Block(x, repeat("float64", levels), self._index, names))

    def value_counts(self, normalize: bool = False, sort: bool = False, dropna: bool = True) -> Any:
        """Count the rows of each level in the order declared, and those of all other texts together. One round.

        Parameters
        ----------
        normalize : bool
            Whether shares of all texts are wanted.
        sort : {False}
            The order must be known beforehand: sort the result.
        dropna : {True}
            Count missing cells with ``isna().sum()``.

        Returns
        -------
        Series
            By level and, last, ``"other"``: ``int64``, or ``float64`` for shares.
        """
        places = list(range(len(self._typed.levels) + 1))
        made = self._numbers(self._typed.x).value_counts(normalize, sort, dropna, categories=places)
        return wrap(block(made).with_(index=(*self._typed.levels, self.other), rest=self.other))

    def nunique(self) -> Any:
        """Count which levels occur, any other text as one more. One round.

        Returns
        -------
        Scalar
            ``int64``.
        """
        return self._numbers(self._typed.x).nunique(categories=list(range(len(self._typed.levels) + 1)))

    def groups(self, wanted: Any) -> tuple[list[int], list[Label]]:
        """Return the numbers of levels and their texts: of all, or of those that are wanted."""
        if isinstance(wanted, str) or (wanted is not None and (len(wanted) == 0 or len(set(wanted)) != len(wanted))):
            raise ValueError(f"groupby: categories of {self._name!r} are a list of levels, each once, not {wanted!r}")
        labels = list(self._typed.levels) if wanted is None else list(wanted)
        return [int(self._code(level)) for level in labels], list(labels)
