"""Rows that nobody has: drawn from what nodes publish about a dataset, never from data."""

from __future__ import annotations

import csv
import hashlib
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._catalogue import Column, Listing
from .dataset import number_of

Array = npt.NDArray[Any]
# What numbers are drawn from where nobody says what can be.
_NUMBERS, _DAYS, _PIXELS = ("0", "100"), ("2000-01-01", "2024-12-31"), ("0", "255")
# Whole numbers that a double has exactly, and what two numbers of 32 bits are apart at most.
_LARGEST, _WIDEST = 2**53, 1e38
MOST_BYTES = 2 * 1024**3
# Of arrays of any numpy, less the one of the rows.
_DIMENSIONS = 31


class Mock(dict[str, Array]):
    """A table of made-up rows: a dict of columns, which :func:`delta.debug` takes as it is.

    Numbers are arrays of numbers, NaN where a value is missing; texts are arrays of objects with None there; days are
    ``datetime64[D]`` with NaT.
    """

    def frame(self) -> Any:
        """Return the rows as a DataFrame of pandas.

        Returns
        -------
        pandas.DataFrame
            With the same columns.

        Raises
        ------
        ImportError
            pandas is missing.
        """
        import pandas

        return pandas.DataFrame(dict(self))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as a ``.csv``, as a node's owner might have them.

        Parameters
        ----------
        path : path
            Where to.
        """
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self)
            writer.writerows([_cell(value) for value in row] for row in zip(*self.values(), strict=True))


def table(columns: Mapping[str, Column], rows: int, seed: int) -> Mock:
    """Draw rows; a column is the same whatever others there are. ``ValueError`` for more than ``MOST_BYTES``."""
    if 8 * rows * len(columns) > MOST_BYTES:
        raise ValueError(
            f"{rows} rows of {len(columns)} columns are more than {MOST_BYTES >> 30} GiB: ask for fewer rows"
        )
    return Mock({name: _column(column, rows, _chance(seed, name)) for name, column in columns.items()})


def samples(listing: Listing, rows: int, seed: int, node: str) -> Any:
    """Draw samples ``[rows, *shape]``, and labels where there are classes.

    Raises ``ValueError``, with what ``node`` publishes, for a shape that no array has or of more than ``MOST_BYTES``.
    """
    shape = listing.shape or ()
    said = f"{node} publishes samples of shape {list(shape)}"
    if len(shape) > _DIMENSIONS or min(shape, default=1) < 1:
        raise ValueError(f"{said}: an array has at most {_DIMENSIONS} dimensions beside the rows, each above 0")
    if (size := 4 * rows * math.prod(shape)) > MOST_BYTES:
        raise ValueError(
            f"{said}: {rows} of them have {size:.2g} bytes, and at most {MOST_BYTES} (2 GiB) are made up; ask for fewer rows"
        )
    low, high = _ends(listing.range, _PIXELS)
    low, high = max(low, -_WIDEST), min(high, _WIDEST)
    whole = low.is_integer() and high.is_integer()
    x = _chance(seed, "x").random((rows, *shape), np.float32)
    x *= np.float32(high - low + whole)
    if whole:
        np.floor(x, out=x)
    x += np.float32(low)
    np.clip(x, low, high, out=x)
    if not listing.classes:
        return x
    return x, _chance(seed, "y").integers(0, len(listing.classes), rows)


def levels(column: Column) -> Array | None:
    """Return a category's levels as numbers where all are numbers or truth values; None where they are texts.

    Numbers as cells are read: a level of 2^53 and more is a text.
    """
    truths = {"true": 1.0, "false": 0.0}
    found = [truths.get(level.lower(), number_of(level)) for level in column.levels]
    numbers = [number for number in found if number is not None]
    if len(numbers) < len(found):
        return None
    return np.array(numbers, np.int64 if all(x.is_integer() for x in numbers) else np.float64)


def _chance(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")])


def _column(column: Column, rows: int, chance: np.random.Generator) -> Array:
    made = _values(column, rows, chance)
    if not column.missing:
        return made
    gaps = chance.random(rows) < column.missing
    if made.dtype.kind == "M":
        made[gaps] = np.datetime64("NaT")
    elif made.dtype == object:
        made[gaps] = None
    else:
        made = made.astype(np.float64)
        made[gaps] = np.nan
    return made


def _values(column: Column, rows: int, chance: np.random.Generator) -> Array:
    identifies = column.role == "identifier" and column.range is None
    if column.type == "integer" and identifies:
        return np.arange(1, rows + 1)
    if column.type == "integer":
        least, most = map(_whole, _ends(column.range, _NUMBERS))
        return chance.integers(least, most + 1, rows)
    if column.type == "boolean":
        return chance.integers(0, 2, rows).astype(bool)
    if column.type == "category":
        numbers = levels(column) if column.levels else np.arange(3)
        return chance.choice(np.array(column.levels, object) if numbers is None else numbers, rows)
    if column.type == "string":
        places = np.arange(1, rows + 1) if identifies else chance.integers(1, 10, rows)
        return np.array([f"{column.name} {n}" for n in places], object)
    if column.type == "date":
        first, last = _days(column.range)
        return first + chance.integers(0, int((last - first).astype(int)) + 1, rows)
    low, high = _ends(column.range, _NUMBERS)
    return chance.uniform(low, high, rows)


def _ends(told: tuple[str, str] | None, otherwise: tuple[str, str]) -> tuple[float, float]:
    """The ends of a range of numbers; of one that is none, what is drawn from where nobody says it."""
    for ends in (told, otherwise):
        try:
            low, high = (float(end) for end in ends or ())
        except ValueError:
            continue
        # The width is finite, too.
        if math.isfinite(high - low) and low <= high:
            return low, high
    raise ValueError(f"{otherwise} is no range")


def _days(told: tuple[str, str] | None) -> tuple[np.datetime64, np.datetime64]:
    try:
        first, last = (np.datetime64(end, "D") for end in told or _DAYS)
        if first <= last:
            return first, last
    except ValueError:
        pass
    return np.datetime64(_DAYS[0], "D"), np.datetime64(_DAYS[1], "D")


def _whole(number: float) -> int:
    return int(min(max(number, -_LARGEST), _LARGEST))


def _cell(value: Any) -> Any:
    if value is None or value != value:
        return ""
    return value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
