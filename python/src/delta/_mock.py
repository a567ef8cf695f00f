"""Rows that nobody has: drawn from what nodes publish about a dataset, never from data."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._catalogue import Column, Listing

Array = npt.NDArray[Any]
# What numbers are drawn from where nobody says what can be.
_NUMBERS, _DAYS, _PIXELS = ("0", "100"), ("2000-01-01", "2024-12-31"), ("0", "255")
# Whole numbers that a double has exactly.
_LARGEST = 2**53


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
    """Draw rows; a column is the same whatever others there are."""
    return Mock({name: _column(column, rows, _chance(seed, name)) for name, column in columns.items()})


def samples(listing: Listing, rows: int, seed: int) -> Any:
    """Draw samples ``[rows, *shape]``, and labels where there are classes."""
    low, high = (float(end) for end in listing.range or _PIXELS)
    chance, shape = _chance(seed, "x"), (rows, *(listing.shape or ()))
    if low.is_integer() and high.is_integer():
        x: Array = chance.integers(_whole(low), _whole(high) + 1, shape).astype(np.float32)
    else:
        x = chance.uniform(low, high, shape).astype(np.float32)
    if not listing.classes:
        return x
    return x, _chance(seed, "y").integers(0, len(listing.classes), rows)


def levels(column: Column) -> Array | None:
    """Return a category's levels as numbers where all are numbers or truth values; None where they are texts."""
    try:
        numbers = [{"true": 1.0, "false": 0.0}.get(level.lower()) for level in column.levels]
        found = [float(level) if n is None else n for n, level in zip(numbers, column.levels, strict=True)]
    except ValueError:
        return None
    whole = all(x.is_integer() for x in found)
    return np.array(found, np.int64 if whole else np.float64)


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
        least, most = (_whole(float(end)) for end in column.range or _NUMBERS)
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
        first, last = (np.datetime64(end, "D") for end in column.range or _DAYS)
        return first + chance.integers(0, int((last - first).astype(int)) + 1, rows)
    low, high = (float(end) for end in column.range or _NUMBERS)
    return chance.uniform(low, high, rows)


def _whole(number: float) -> int:
    return int(min(max(number, -_LARGEST), _LARGEST))


def _cell(value: Any) -> Any:
    if value is None or value != value:
        return ""
    return value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
