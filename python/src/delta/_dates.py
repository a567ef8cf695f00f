"""Dates and times as nodes read them (``src/domain/calendar.rs``), as far as they are written here."""

from __future__ import annotations

import datetime
import numbers
import re
from typing import Any

import numpy as np

EPOCH = np.datetime64("1970-01-01T00:00:00", "us")


def seconds_of(value: Any) -> float | None:
    """Return a date or time as seconds since 1970-01-01T00:00:00, in UTC where it has an offset; ``None`` where it is none."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    if isinstance(value, numbers.Real) or not isinstance(value, (str, datetime.date, np.datetime64)):
        return None
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d{8}", text):
            text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
        elif dotted := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?: (\d\d:\d\d(?::\d\d)?))?", text):
            day, month, year, clock = dotted.groups()
            text = f"{year}-{int(month):02}-{int(day):02}" + (f"T{clock}" if clock else "")
        # As nodes read it, and nothing that numpy makes of other words.
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?", text):
            return None
        try:
            value = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            return None
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    try:
        moment: Any = np.datetime64(value, "us")
    except ValueError:
        return None
    return None if np.isnat(moment) else float((moment - EPOCH) / np.timedelta64(1, "s"))
