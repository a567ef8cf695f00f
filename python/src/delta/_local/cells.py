"""Cells that are no numbers, as nodes read them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._dates import has_offset, moment_of
from ..dataset import number_of

Array = npt.NDArray[Any]

# What pandas, and nodes, take for a missing value.
_MARKERS = "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null"
MISSING = frozenset(["", *_MARKERS.split("|")])


def coded(cells: Any, kind: Mapping[str, Any], what: str) -> Array:
    """Return the numbers that nodes write for cells that are none (``src/domain/manifest/column_type.rs``)."""
    levels = {text: float(i) for i, text in enumerate(kind.get("levels", ()))}
    numbers = {n: i for text, i in levels.items() if (n := number_of(text)) is not None}

    clocks: set[bool] = set()

    def number(cell: Any) -> float:
        # Before it is a text: a level may be called like what is missing.
        if is_missing(cell):
            return float("nan")
        text = str(cell).strip()
        if text not in levels and text in MISSING:
            return float("nan")
        if kind["type"] == "category":
            if isinstance(cell, (bool, np.bool_)):
                text = next((t for t in (text, text.lower(), text.upper()) if t in levels), text)
            if text in levels or (number := number_of(text)) is None:
                return levels.get(text, float(len(levels)))
            return numbers.get(number, float(len(levels)))
        moment = moment_of(cell)
        if moment is None:
            raise ValueError(f"{what}: {cell!r} is no date; give datetimes or texts such as '2026-11-29'")
        if kind["type"] == "date":
            if moment.clock != 0:
                raise ValueError(f"{what}: {cell!r} has a time of day; the task asks for dates alone")
            return float(moment.days)
        clocks.add(has_offset(cell))
        if len(clocks) > 1:
            raise ValueError(
                f"{what}: {cell!r} and another time have clocks of two kinds, one with its offset to UTC; write all alike"
            )
        return moment.seconds

    return np.array([number(cell) for cell in cells], np.float64)


def is_missing(cell: Any) -> bool:
    """Whether a cell is none, and no text that says so."""
    if cell is None or isinstance(cell, str):
        return cell is None
    # Its values are those of a module that is there already.
    pandas = sys.modules.get("pandas")
    found: Any = cell != cell if pandas is None else pandas.isna(cell)
    return found is True or (isinstance(found, np.bool_) and bool(found))
