"""Dates and times as nodes read them (``src/domain/calendar.rs``), as far as they are written here."""

from __future__ import annotations

import datetime
import numbers
import re
from typing import Any, NamedTuple

import numpy as np

_DAY, _EPOCH = 86_400, datetime.date(1970, 1, 1).toordinal()
_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<offset>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_DIGITS = re.compile(r"\d{8}", re.ASCII)
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?: (\d\d:\d\d(?::\d\d)?))?", re.ASCII)
# Digits of a second's fraction.
_FINER = {"ms": 3, "us": 6, "ns": 9, "ps": 12, "fs": 15, "as": 18}


class Moment(NamedTuple):
    """A date or time: the day that its clock shows, since 1970-01-01, and that clock's seconds.

    An offset is taken off the seconds: with one they may be below 0 or beyond the day.
    """

    days: int
    clock: float

    @property
    def seconds(self) -> float:
        """Seconds since 1970-01-01T00:00:00."""
        return float(self.days * _DAY) + self.clock


def seconds_of(value: Any) -> float | None:
    """Return a date or time as seconds since 1970-01-01T00:00:00, in UTC where it has an offset; ``None`` where it is none.

    All digits of a second count, as far as a double has them: in our century to a quarter of a microsecond.
    """
    moment = moment_of(value)
    return None if moment is None else moment.seconds


def moment_of(value: Any) -> Moment | None:
    """Return a date or time; ``None`` where it is none."""
    if isinstance(value, numbers.Real):
        return None
    if isinstance(value, str):
        return _of_text(value.strip())
    if isinstance(value, np.datetime64):
        return _of_numpy(value)
    # Of pandas' NaT nothing equals itself.
    if not isinstance(value, datetime.date) or value != value:
        return None
    days = value.toordinal() - _EPOCH
    if not isinstance(value, datetime.datetime):
        return Moment(days, 0.0)
    offset = value.utcoffset() or datetime.timedelta()
    # pandas has nanoseconds beside.
    fraction = f"{value.microsecond:06}{getattr(value, 'nanosecond', 0):03}"
    return Moment(days, _seconds(value.hour, value.minute, value.second, fraction, offset.total_seconds()))


def has_offset(value: Any) -> bool:
    """Whether a date or time says how far its clock is from UTC."""
    if isinstance(value, str):
        found = _MOMENT.fullmatch(value.strip())
        return found is not None and found["offset"] is not None
    return isinstance(value, datetime.datetime) and value.utcoffset() is not None


def _of_text(text: str) -> Moment | None:
    if _DIGITS.fullmatch(text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    elif dotted := _DOTTED.fullmatch(text):
        day, month, year, clock = dotted.groups()
        text = f"{year}-{int(month):02}-{int(day):02}" + (f"T{clock}" if clock else "")
    # As nodes read it, and nothing that numpy makes of other words.
    if (found := _MOMENT.fullmatch(text)) is None:
        return None
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    offset = (found["offset"] or "Z").replace(":", "").replace("Z", "+0000")
    away = int(offset[1:3]), int(offset[3:])
    if hour > 23 or minute > 59 or second > 59 or away[0] > 14 or away[1] > 59:
        return None
    try:
        days = datetime.date.fromisoformat(found["date"]).toordinal() - _EPOCH
    except ValueError:
        return None
    seconds = float(away[0] * 3600 + away[1] * 60)
    return Moment(
        days, _seconds(hour, minute, second, found["fraction"] or "0", -seconds if offset[0] == "-" else seconds)
    )


def _of_numpy(value: np.datetime64) -> Moment | None:
    if np.isnat(value):
        return None
    unit = np.datetime_data(value)[0]
    whole = value.astype("datetime64[s]")
    digits = _FINER.get(unit, 0)
    fraction = int((value.astype(f"datetime64[{unit}]") - whole).astype(np.int64)) if digits else 0
    days, second = divmod(int(whole.astype(np.int64)), _DAY)
    return Moment(days, _seconds(0, 0, second, f"{fraction:0{digits}}", 0.0))


def _seconds(hour: int, minute: int, second: int, fraction: str, offset: float) -> float:
    """Add up in the order of nodes, so that the last bit is theirs."""
    return float(hour * 3600 + minute * 60) + (second + float(f"0.{fraction}")) - offset
