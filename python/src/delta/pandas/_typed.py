"""Columns that are no numbers: texts of declared levels, dates and times.

Nodes write each cell as a number: the place of its level (one more than the last for any other text), days or seconds since
1970-01-01; what a column's texts are never leaves a node. So these columns have what has a meaning for them and nothing else:
no mean of levels, no sum of dates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from .._dates import seconds_of
from ._base import Block, Label, Rows, Symbol, as_number, block, need_bool, number, repeat, truth, wrap
from ._binary import same_rows
from ._expr import Expr, ops

DAY = 86_400.0
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Typed:
    """A column of rows whose numbers stand for something else.

    Parameters
    ----------
    x : Expr
        ``f64 [rows]``: what the node writes for each cell.
    kind : {"category", "date", "time"}
        What it stands for.
    levels : tuple of str
        Of a category.
    """

    x: Expr
    kind: str
    levels: tuple[str, ...] = ()

    def of(self, index: Rows, name: Label) -> Column:
        """Return the column over some rows."""
        return (Category if self.kind == "category" else Moment)(self, index, name)


def typed(x: Expr, spec: Json) -> Typed:
    """Return a column as a task declares it."""
    return Typed(x, spec["type"], tuple(spec.get("levels", ())))


class Column:
    """What such columns have in common."""

    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 1000

    def __init__(self, column: Typed, index: Rows, name: Label) -> None:
        self._typed, self._index, self._name = column, index, name

    @property
    def name(self) -> Label:
        """The column's name."""
        return self._name

    @property
    def _block(self) -> Block:
        """The numbers behind it, for what may be done with them."""
        return Block(self._typed.x, ("float64",), self._index, None, self._name)

    def _bool(self, x: Expr) -> Any:
        return wrap(Block(as_number(x), ("bool",), self._index, None, self._name))

    def _numbers(self, x: Expr) -> Any:
        return wrap(Block(x, ("float64",), self._index, None, self._name))

    def __bool__(self) -> NoReturn:
        raise TypeError("a delta column has no value while the task is written; use & | ~, where(), or a mask")

    def __iter__(self) -> NoReturn:
        raise TypeError("a delta column cannot be iterated: its values are at the nodes")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        have = sorted(n for n in dir(type(self)) if not n.startswith("_"))
        raise AttributeError(f"a column of {self._what} has no {name!r}; it has {', '.join(have)}")

    _what = "another type"

    def __getitem__(self, mask: Any) -> Any:
        """Select rows by a bool Series."""
        if not isinstance(mask, Symbol):
            raise TypeError("rows at the nodes have no labels; select them by a condition")
        need_bool(block(mask), "selecting by a mask")
        theirs = block(mask).rows
        if theirs is None or theirs.dataset != self._index.dataset or theirs.keep is not None:
            same_rows(self._block, block(mask), "selecting by a mask")
        keep = truth(block(mask).x)
        if self._index.keep is not None:
            keep = ops.and_(self._index.keep, keep)
        return type(self)(self._typed, Rows(self._index.dataset, keep), self._name)

    def isna(self) -> Any:
        """Whether each cell is missing.

        Returns
        -------
        Series
            Of bool.
        """
        return self._bool(ops.is_nan(self._typed.x))

    def notna(self) -> Any:
        """Whether each cell is there.

        Returns
        -------
        Series
            Of bool.
        """
        return self._bool(ops.is_number(self._typed.x))

    isnull, notnull = isna, notna

    def count(self) -> Any:
        """Count the cells that are not missing. One round.

        Returns
        -------
        Scalar
            ``int64``.
        """
        return self.notna().sum()


class Category(Column):
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
        return wrap(block(made).with_(index=(*self._typed.levels, self.other)))

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


class Moment(Column):
    """Dates (days since 1970-01-01), or times (seconds)."""

    _what = "dates and times"

    @property
    def _day(self) -> float:
        """How many units a day has."""
        return 1.0 if self._typed.kind == "date" else DAY

    def _operand(self, value: Any, what: str) -> Expr:
        if isinstance(value, Moment):
            same_rows(self._block, value._block, what)
            if value._typed.kind == self._typed.kind:
                return value._typed.x
            return ops.mul(value._typed.x, self._day / value._day)
        return ops.constant(self._constant(value))

    def _constant(self, value: Any) -> float:
        seconds = seconds_of(value)
        if seconds is None:
            raise TypeError(f"{value!r} is no date: use '2026-11-29', a datetime, or a column of dates")
        units = seconds / DAY * self._day
        if self._typed.kind == "date" and units != np.floor(units):
            raise ValueError(f"{value!r} has a time of day, and {self._name!r} has dates alone")
        return float(units)

    def _compare(self, op: Callable[[Expr, Expr], Expr], value: Any, what: str) -> Any:
        return self._bool(op(self._typed.x, self._operand(value, what)))

    def __eq__(self, o: Any) -> Any:
        return self._compare(ops.equal, o, "==")

    def __ne__(self, o: Any) -> Any:
        return self._compare(ops.not_equal, o, "!=")

    def __lt__(self, o: Any) -> Any:
        return self._compare(ops.less, o, "<")

    def __le__(self, o: Any) -> Any:
        return self._compare(ops.less_equal, o, "<=")

    def __gt__(self, o: Any) -> Any:
        return self._compare(ops.greater, o, ">")

    def __ge__(self, o: Any) -> Any:
        return self._compare(ops.greater_equal, o, ">=")

    def between(self, left: Any, right: Any) -> Any:
        """Whether each lies between two, both of which belong to it.

        Parameters
        ----------
        left, right : str, datetime or column of dates
            The bounds.

        Returns
        -------
        Series
            Of bool.
        """
        return (self >= left) & (self <= right)

    def __sub__(self, other: Any) -> Span:
        return Span(self, ops.sub(self._typed.x, self._operand(other, "-")))

    def __rsub__(self, other: Any) -> Span:
        return Span(self, ops.sub(self._operand(other, "-"), self._typed.x))

    @property
    def dt(self) -> Parts:
        """Its parts: ``year month day dayofweek ...``."""
        return Parts(self)


class Span:
    """How long it is from one date to another."""

    def __init__(self, like: Moment, x: Expr) -> None:
        self._like, self._x = like, x

    @property
    def dt(self) -> Span:
        """As in pandas: ``span.dt.days``."""
        return self

    @property
    def days(self) -> Any:
        """Whole days, rounded down, as in pandas: Series of ``float64``."""
        return self._like._numbers(ops.floor(ops.div(self._x, self._like._day)))

    def total_seconds(self) -> Any:
        """Return seconds.

        Returns
        -------
        Series
            Of ``float64``.
        """
        return self._like._numbers(ops.mul(self._x, DAY / self._like._day))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a difference of dates has no {name!r}; it has dt.days and dt.total_seconds()")


class Parts:
    """Parts of dates, in the Gregorian calendar; a missing date has none. Series of ``float64``."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._days = ops.floor(ops.div(moment._typed.x, moment._day))

    def _civil(self) -> tuple[Expr, Expr, Expr]:
        """Year, month, day. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days."""

        def over(a: Expr, b: float) -> Expr:
            return ops.floor(ops.div(a, b))

        z = ops.add(self._days, 719_468.0)
        era = over(z, 146_097.0)
        doe = ops.sub(z, ops.mul(era, 146_097.0))
        leaps = ops.sub(ops.sub(over(doe, 36_524.0), over(doe, 1460.0)), over(doe, 146_096.0))
        yoe = over(ops.add(doe, leaps), 365.0)
        doy = ops.sub(doe, ops.sub(ops.add(ops.mul(yoe, 365.0), over(yoe, 4.0)), over(yoe, 100.0)))
        mp = over(ops.add(ops.mul(doy, 5.0), 2.0), 153.0)
        day = ops.add(ops.sub(doy, over(ops.add(ops.mul(mp, 153.0), 2.0), 5.0)), 1.0)
        month = ops.where(ops.less(mp, 9.5), ops.add(mp, 3.0), ops.sub(mp, 9.0))
        year = ops.add(yoe, ops.mul(era, 400.0))
        year = ops.where(ops.less(month, 2.5), ops.add(year, 1.0), year)
        return year, month, day

    @property
    def year(self) -> Any:
        """The year."""
        return self._moment._numbers(self._civil()[0])

    @property
    def month(self) -> Any:
        """The month, from 1."""
        return self._moment._numbers(self._civil()[1])

    @property
    def day(self) -> Any:
        """The day of the month, from 1."""
        return self._moment._numbers(self._civil()[2])

    @property
    def quarter(self) -> Any:
        """The quarter of the year, from 1."""
        return self._moment._numbers(ops.floor(ops.div(ops.add(self._civil()[1], 2.0), 3.0)))

    @property
    def dayofweek(self) -> Any:
        """The day of the week, Monday 0."""
        days = ops.add(self._days, 3.0)
        return self._moment._numbers(ops.sub(days, ops.mul(ops.floor(ops.div(days, 7.0)), 7.0)))

    weekday = dayofweek

    def _of_day(self, unit: float, most: float) -> Any:
        if self._moment._typed.kind == "date":
            raise TypeError("dates have no time of day; declare the column under times=")
        whole = ops.floor(ops.div(self._moment._typed.x, unit))
        return self._moment._numbers(ops.sub(whole, ops.mul(ops.floor(ops.div(whole, most)), most)))

    @property
    def hour(self) -> Any:
        """The hour, from 0; of times."""
        return self._of_day(3600.0, 24.0)

    @property
    def minute(self) -> Any:
        """The minute, from 0; of times."""
        return self._of_day(60.0, 60.0)

    def __getattr__(self, name: str) -> Any:
        have = sorted(n for n in dir(type(self)) if not n.startswith("_"))
        raise AttributeError(f"dates have no part {name!r} here; there are {', '.join(have)}")
