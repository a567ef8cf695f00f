"""Columns of dates and times: their parts, comparisons and differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._dates import seconds_of
from ._binary import same_rows
from ._expr import Expr, ops
from ._typed import Column

DAY = 86_400.0


class Moment(Column, kinds=["date", "time"]):
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
        """Its parts: ``year month day dayofweek ...``.

        Of a time whose cell has an offset they are those of UTC: 00:30+02:00 has the hour 22 of the day before. pandas takes
        those of the offset.
        """
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
    """Parts of dates, in the Gregorian calendar; a missing date has none. Series of ``float64``.

    Times with an offset are kept in UTC, and so are their parts.
    """

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
        """The hour, from 0; of times, and in UTC where they have an offset."""
        return self._of_day(3600.0, 24.0)

    @property
    def minute(self) -> Any:
        """The minute, from 0; of times, and in UTC where they have an offset."""
        return self._of_day(60.0, 60.0)

    def __getattr__(self, name: str) -> Any:
        have = sorted(n for n in dir(type(self)) if not n.startswith("_"))
        raise AttributeError(f"dates have no part {name!r} here; there are {', '.join(have)}")
