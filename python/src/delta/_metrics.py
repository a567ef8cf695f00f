"""Metrics that are arrays: rounds show single numbers, of an array as many, ``confusion[0,1]``, which are put together again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_ENTRY = re.compile(r"(.+)\[(\d{1,6}(?:,\d{1,6})*)\]", re.S)
#: How many numbers the metrics of a round have at most.
MOST = 4096


def entry(name: str, place: tuple[int, ...]) -> str:
    """What one number of an array is called."""
    return f"{name}[{','.join(map(str, place))}]"


def is_entry(name: str) -> bool:
    """Whether a name looks like that of a number of an array."""
    return _ENTRY.fullmatch(name) is not None


def folded(flat: Mapping[str, float]) -> dict[str, float | Array]:
    """Put arrays together of which every number is there; in the order of the names."""
    parts: dict[str, dict[tuple[int, ...], float]] = {}
    for name, value in flat.items():
        if found := _ENTRY.fullmatch(name):
            parts.setdefault(found[1], {})[tuple(map(int, found[2].split(",")))] = value
    whole = {name: made for name, each in parts.items() if name not in flat and (made := _array(each)) is not None}
    out: dict[str, float | Array] = {}
    for name, value in flat.items():
        found = _ENTRY.fullmatch(name)
        if found and found[1] in whole:
            out[found[1]] = whole[found[1]]
        else:
            out[name] = value
    return out


def _array(entries: Mapping[tuple[int, ...], float]) -> Array | None:
    ranks = {len(place) for place in entries}
    if len(ranks) != 1:
        return None
    shape = tuple(max(place[axis] for place in entries) + 1 for axis in range(ranks.pop()))
    if len(entries) != np.prod(shape, dtype=object):
        return None
    out = np.empty(shape)
    for place, value in entries.items():
        out[place] = value
    return out


def brief(value: Any) -> str:
    """A metric in few characters."""
    if isinstance(value, np.ndarray):
        return (
            f"[{', '.join(f'{v:.4g}' for v in value)}]"
            if value.shape and value.size <= 4 and value.ndim == 1
            else (f"array of {' x '.join(map(str, value.shape))}")
        )
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def table(history: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]], before: int = 0) -> Any:
    """A pandas DataFrame with a row for each round, without pandas a list of dicts; ``before``: rounds of earlier tasks."""
    rows = []
    for i in range(max(len(history), len(told))):
        values = history[i] if i < len(history) else {}
        one = told[i] if i < len(told) else {}
        # A metric of such a name is the author's own.
        rows.append({"round": before + i + 1} | {k: one[k] for k in ("members", "seconds") if k in one} | dict(values))
    names = list(dict.fromkeys(name for values in history for name in values))
    order = ["round", *(n for n in names if n != "round"), *(n for n in ("members", "seconds") if n not in names)]
    try:
        import pandas
    except ImportError:
        return [{name: row[name] for name in order if name in row} for row in rows]
    there = [name for name in order if name == "round" or any(name in row for row in rows)]
    return pandas.DataFrame(rows, columns=there)
