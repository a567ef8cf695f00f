"""What functions of the package take: columns of rows, edges of bins, grids of times, groups and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..pandas import DataFrame, Series
from ..pandas.symbolic import block

ALTERNATIVES = ("two-sided", "less", "greater")


def rows(value: Any, what: str, which: str) -> Any:
    """Return a column of the members' rows, with bool as 0 and 1."""
    if isinstance(value, Series) and block(value).rows is not None:
        return value.astype(float) if value.dtype == "bool" else value
    if isinstance(value, Series):
        raise TypeError(f"{what}: {which} is a result; give a column of rows")
    if is_levels(value):
        raise TypeError(f"{what}: {which} has levels, which are no numbers; write them as numbers with .map({{...}})")
    raise TypeError(f"{what}: {which} is a {type(value).__name__}; give a column of rows, such as df['a']")


def frame(value: Any, what: str) -> Any:
    """Return a frame of the members' rows."""
    if not isinstance(value, DataFrame) or block(value).rows is None:
        raise TypeError(f"{what}: give a DataFrame of rows, not a {type(value).__name__}")
    return value


def is_levels(value: Any) -> bool:
    """Whether a value is a column of declared levels."""
    return isinstance(getattr(value, "levels", None), list) and not isinstance(value, (Series, DataFrame))


def one_of(value: Any, allowed: Sequence[Any], what: str, name: str) -> None:
    """Refuse anything else."""
    if not any(value is a or (isinstance(a, str) and value == a) for a in allowed):
        raise ValueError(f"{what}: {name}={value!r}; use {' or '.join(map(repr, allowed))}")


def is_real(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float, np.integer, np.floating)) and bool(np.isfinite(value))


def rising(values: Any, what: str, name: str, least: int) -> list[float]:
    """Return finite numbers that rise."""
    try:
        array = np.asarray(list(values), np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{what}: {name} is a list of numbers that rise, not {values!r}") from None
    if array.ndim != 1 or len(array) < least or not np.isfinite(array).all() or not (np.diff(array) > 0).all():
        raise ValueError(f"{what}: {name} must be at least {least} finite numbers, and rise")
    return [float(v) for v in array]


def edges(bins: Any, extent: Any, what: str) -> list[float]:
    """Return the edges of bins, as numpy's histogram takes them."""
    if isinstance(bins, (bool, str)) or bins is None:
        raise TypeError(f"{what}: bins={bins!r}; give the edges, or a number of bins and range=(low, high)")
    if isinstance(bins, (int, np.integer)):
        if extent is None or len(extent) != 2 or not all(map(is_real, extent)) or bins < 1 or extent[0] >= extent[1]:
            raise TypeError(f"{what}: a number of bins needs range=(low, high): the extent of the data is not known")
        return [float(v) for v in np.linspace(extent[0], extent[1], int(bins) + 1)]
    return rising(bins, what, "bins", 2)


def binned(values: Any, at: Sequence[float]) -> Any:
    """Count values in bins that hold their left edge; those beyond the ends count in the first bin and the last."""
    return values.clip(at[0], at[-1]).histogram(list(at))


def cut(values: Any, inner: Sequence[float]) -> Any:
    """Number bins that hold their right edge, from 0; missing stays missing."""
    code = values * 0
    for edge in inner:
        code = code + (values > edge).astype(float)
    return code.where(values.notna())


def level(confidence_level: float) -> float:
    """Check how often an interval is to hold the true value.

    Raises ``ValueError`` for what is not between 0 and 1.
    """
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level={confidence_level!r}: must be between 0 and 1, such as 0.95")
    return confidence_level


def yes_or_no(value: Any, what: str, which: str, counts: Any) -> tuple[Any, Any]:
    """Return a column of 0 and 1, and whether each value is something else, where it may be.

    ``counts``: which rows do; what stands in the others says nothing.
    """
    known_to_be = isinstance(value, Series) and value.dtype == "bool"
    column = rows(value, what, which)
    return column, None if known_to_be else column.notna() & (column != 0) & (column != 1) & counts


def refuse(parts: Mapping[str, Any], key: str, text: str) -> None:
    """Refuse a result whose rows are not what they must be."""
    if key in parts and not float(parts[key]) < 0.5:
        raise ValueError(text.format(n=round(float(parts[key]))))


def groups(of: Any, key: Any, categories: Any, what: str) -> list[tuple[Any, Any]]:
    """Return each category of a key, and which rows are in it."""
    if is_levels(key):
        wanted = key.levels if categories is None else list(categories)
        made = [(level, key == level) for level in wanted]
    else:
        column = rows(key, what, "group")
        if categories is None or isinstance(categories, str):
            raise TypeError(f"{what}: declare the groups, categories=[...]: which values occur is not known beforehand")
        wanted = list(categories)
        if not all(map(is_real, wanted)):
            raise TypeError(f"{what}: categories are numbers, not {wanted}")
        made = [(value.item() if isinstance(value, np.generic) else value, column == value) for value in wanted]
    if len(made) < 2 or len({value for value, _ in made}) != len(made):
        raise ValueError(f"{what}: categories must be at least two, each once, not {wanted}")
    return made
