"""What rows of a table look up in another, by the rules of nodes (``src/adapters/onnx/datasets/keys.rs``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._release import records_steps
from ..dataset import number_of
from .cells import MISSING, coded, is_missing

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Json = Mapping[str, Any]
Key = float | str | None
Cell = tuple[float | None, str] | None
"""A key as a whole number, where it is one, and as a text."""
# Decimal digits that no two doubles share.
_EXACT_DIGITS = 15


@dataclass(frozen=True)
class Found:
    """What the rows of a table have found in another: its columns by row, and which row each has found, or -1."""

    dataset: str
    columns: Mapping[str, Array]
    rows: Ints
    inner: bool

    def shared(self, rows: Ints, units: Array | None) -> str | None:
        """Say which row is found by records of several units, where one is: no node releases what is made of it."""
        owners: dict[int, Any] = {}
        for row, unit in zip(rows.tolist(), (rows if units is None else units).tolist(), strict=True):
            found = int(self.rows[row])
            if found >= 0 and owners.setdefault(found, unit) != unit:
                return f"row {found + 1} of {self.dataset} is found by records of several units; make them persons by the key"
        return None


def looked_up(manifest: Json) -> set[str]:
    """Return the datasets that no step reads but through the rows of others."""
    read: set[str] = set()
    for step in (s for spec in manifest["rounds"] for s in spec["map"]["steps"]):
        read |= {source["dataset"] for source in step["inputs"].values() if source["from"] == "data"}
        read |= {step["driver"]["dataset"]} if "dataset" in step.get("driver", {}) else set()
    joined = {join["dataset"] for spec in manifest["datasets"].values() for join in spec.get("joins", ())}
    return joined - read


def join(manifest: Json, member: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Let the tables of a member look up what the task says; ``given``: what they were made of, by dataset.

    Raises ``ValueError`` for what no node would join.
    """
    noised = {step["driver"]["dataset"] for step in records_steps(manifest) if "noise" in step["driver"]}
    for name, spec in manifest["datasets"].items():
        found = [_find(manifest, name, j, member, given, lenient=name in noised) for j in spec.get("joins", ())]
        if found:
            member[name] = member[name].joined(found)


def _find(
    manifest: Json, name: str, join: Json, member: Mapping[str, Any], given: Mapping[str, Any], *, lenient: bool
) -> Found:
    other, datasets = join["dataset"], manifest["datasets"]
    own = _cells(given[name], name, join["key"], datasets[name])
    theirs = _cells(given[other], other, join.get("right_key", join["key"]), datasets[other])
    keys, others = (_each(own), _each(theirs)) if lenient else (_alike(own), _alike(theirs))
    where = f"{name} joined with {other}"
    kinds = [{type(key) for key in some if key is not None} for some in (keys, others)]
    if not lenient and all(kinds) and kinds[0] != kinds[1]:
        texts, numbers = (name, other) if kinds[0] == {str} else (other, name)
        raise ValueError(f"{where}: keys are texts in {texts} and whole numbers in {numbers}; write both alike")
    places: dict[Key, int] = {}
    for row, key in enumerate(others):
        before = places.setdefault(key, row)
        if key is not None and before != row and not lenient:
            raise ValueError(
                f"{where}: row {row + 1} of {other} has the key of row {before + 1}; each may stand once there"
            )
    rows = np.array([-1 if key is None else places.get(key, -1) for key in keys], np.int64)
    return Found(other, {c: member[other].picked(c, rows) for c in join["columns"]}, rows, join["how"] == "inner")


def _each(cells: Sequence[Cell]) -> list[Key]:
    """Each key as what it is by itself: under noise no row decides how another is read."""
    return [None if cell is None else cell[1] if cell[0] is None else cell[0] for cell in cells]


def _alike(cells: Sequence[Cell]) -> list[Key]:
    """All keys as numbers, or all as texts."""
    if all(cell is None or cell[0] is not None for cell in cells):
        return _each(cells)
    return [None if cell is None else cell[1] for cell in cells]


def _cells(piece: Any, dataset: str, key: str, spec: Json) -> list[Cell]:
    """Return each key as a whole number, where a double holds it, and as a text; None where it is missing."""
    names = {str(n).strip(): n for n in (piece.columns if hasattr(piece, "columns") else piece)}
    if key.strip() not in names:
        raise ValueError(f"{dataset}: the task joins by column {key!r}, the data has {', '.join(names)}")
    column = piece[names[key.strip()]]
    kind = spec.get("types", {}).get(key)
    if kind is None:
        return [_cell(cell) for cell in column]
    numbers = coded(column, kind, f"{dataset}: column {key!r}")
    # Texts that are no level are many, and none of them is another.
    other = float(len(kind["levels"])) if kind["type"] == "category" else math.nan
    return [None if math.isnan(n) or n == other else (n, "") for n in numbers.tolist()]


def _cell(cell: Any) -> Cell:
    if is_missing(cell):
        return None
    if isinstance(cell, (bool, np.bool_)):
        return None, str(cell)
    if isinstance(cell, (int, float, np.integer, np.floating)):
        value = cell.item() if isinstance(cell, np.generic) else cell
        whole = abs(value) < 2**53 and float(value).is_integer()
        return (float(value) + 0.0 if whole else None), str(int(value) if float(value).is_integer() else value)
    text = str(cell).strip()
    if text in MISSING:
        return None
    number = number_of(text)
    plain = not set(text) & set(".eE")
    exact = number is not None and number.is_integer() and (plain or sum(c.isdigit() for c in text) <= _EXACT_DIGITS)
    return (number if exact else None), text
