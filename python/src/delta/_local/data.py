"""The data of simulated members: tables and samples in memory, read as the node reads its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .cells import coded
from .joins import Found, join, looked_up

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


class Rows(Protocol):
    """One member's part of a dataset."""

    found: Sequence[Found]
    """What its rows have looked up in other tables."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def read(self, field: Any, rows: Ints) -> Array:
        """Return a field of some rows, in the given order, as the node hands it to a graph."""
        ...

    def there(self, rows: Ints) -> Ints:
        """Return those of some rows that are there: one that finds no partner in an inner join is not."""
        ...


class Table:
    """Named columns of numbers."""

    def __init__(self, columns: Mapping[str, Array], found: Sequence[Found] = ()) -> None:
        """Take columns of one length, and what their rows look up."""
        looked_up = {name: values for one in found for name, values in one.columns.items()}
        self._columns, self.found = {**columns, **looked_up}, found

    def joined(self, found: Sequence[Found]) -> Table:
        """Return the same with what its rows look up."""
        return Table(self._columns, found)

    def picked(self, name: str, rows: Ints) -> Array:
        """Return what some rows have in a column; NaN where a row is -1."""
        column = self._columns[name]
        return np.where(rows >= 0, column[rows], np.nan) if len(column) else np.full(len(rows), np.nan)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self._columns.values())))

    def there(self, rows: Ints) -> Ints:
        """Return those of some rows that find one in each inner join."""
        for one in (one for one in self.found if one.inner):
            rows = rows[one.rows[rows] >= 0]
        return rows

    def read(self, field: Any, rows: Ints) -> Array:
        """Return columns as ``f64``/``f32`` ``[rows, columns]`` or one as ``i64 [rows]``."""
        ((kind, names),) = field.items()
        if kind == "column_i64":
            column = self._columns[names][rows]
            with np.errstate(invalid="ignore"):
                made: Array = column.astype(np.int64)
            if (wrong := made != column).any():
                at = int(np.flatnonzero(wrong)[0])
                raise ValueError(f"row {rows[at]} (from 0), column {names!r}: {column[at]} is not a whole number")
            return made
        table = np.stack([self._columns[n][rows] for n in names], axis=1)
        return table.astype(np.float64 if kind == "columns" else np.float32)


class Samples:
    """Samples of one shape, with or without labels."""

    def __init__(self, x: Array, y: Array | None) -> None:
        """Take samples ``[rows, ...]`` and labels ``[rows]``."""
        self._x, self._y = x, y
        self.found: Sequence[Found] = ()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._x)

    def there(self, rows: Ints) -> Ints:
        """Return all of them."""
        return rows

    def read(self, field: Any, rows: Ints) -> Array:
        """Return samples as ``f32`` or labels as ``i64``."""
        if field == "x":
            return self._x[rows].astype(np.float32)
        if self._y is None:
            raise ValueError("the task reads labels, but the data given has none: pass a pair (x, y)")
        return self._y[rows].astype(np.int64)


def split(manifest: Mapping[str, Any], data: Mapping[str, Any], parts: int) -> list[dict[str, Rows]]:
    """Split what the user gave over ``parts`` members, by dataset name.

    ``data`` names a dataset by its file name, by its argument's name in the task, or, when the task has one dataset, by
    any name. A list is taken as one value a member; anything else is cut into ``parts`` pieces of consecutive rows. A table in
    which others look up and that no step reads by itself is given to each member whole.

    Raises ``ValueError`` when a dataset is missing, unknown, or has other columns or shapes than the task says.
    """
    wanted: dict[str, Any] = dict(manifest["datasets"])
    out: list[dict[str, Rows]] = [{} for _ in range(parts)]
    given: dict[str, list[Any]] = {}
    whole = looked_up(manifest)
    for key, content in data.items():
        name = dataset_of(manifest, key)
        if name is None:
            raise ValueError(f"the task has no dataset {key!r}; it has {', '.join(wanted) or 'none'}")
        cut = [content] * parts if name in whole else None
        pieces = content if isinstance(content, list) else cut or _split(content, parts)
        if len(pieces) != parts:
            least = manifest["strategy"]["min_clients"]
            way = f"pass parts={len(pieces)}" if len(pieces) >= least else f"the task needs {least} (min_clients)"
            raise ValueError(f"{key}: a list of {len(pieces)} for {parts} members; {way}")
        given[name] = pieces
        for member, piece in zip(out, pieces, strict=True):
            member[name] = _rows(piece, wanted[name], key)
    missing = [n for n in wanted if n not in out[0]]
    if missing:
        raise ValueError(f"no data for {', '.join(missing)}: pass it as {missing[0].rsplit('.', 1)[0]}=...")
    for i, member in enumerate(out):
        join(manifest, member, {name: pieces[i] for name, pieces in given.items()})
    return out


def dataset_of(manifest: Mapping[str, Any], key: str) -> str | None:
    """Return the dataset that a name of the user's stands for; ``None`` where it stands for none."""
    wanted = manifest["datasets"]
    aliases = dict(manifest.get("options", {}).get("inputs", {})) | {n.rsplit(".", 1)[0]: n for n in wanted}
    name = key if key in wanted else aliases.get(key, next(iter(wanted)) if len(wanted) == 1 else None)
    return name if name in wanted else None


def _split(content: Any, parts: int) -> list[Any]:
    if isinstance(content, tuple):
        return list(zip(*(_split(c, parts) for c in content), strict=True))
    if isinstance(content, Mapping):
        pieces = {k: _split(_cells(v), parts) for k, v in content.items()}
        return [{k: v[i] for k, v in pieces.items()} for i in range(parts)]
    if hasattr(content, "iloc"):
        edges = np.linspace(0, len(content), parts + 1).astype(int)
        return [content.iloc[a:b] for a, b in pairwise(edges)]
    if not isinstance(content, np.ndarray) and hasattr(content, "__getitem__") and hasattr(content, "__len__"):
        return _split(_collect(content), parts)
    return list(np.array_split(np.asarray(content), parts))


def _cells(column: Any) -> Array:
    made = np.asarray(column)
    # numpy makes a text of a missing number beside texts.
    return np.asarray(column, object) if made.dtype.kind in "US" and not isinstance(column, np.ndarray) else made


def _rows(piece: Any, spec: Mapping[str, Any], key: str) -> Rows:
    if spec["kind"] == "table":
        columns: Sequence[str] = spec["columns"]
        names = list(piece.columns) if hasattr(piece, "columns") else list(piece)
        lacking = [c for c in columns if c not in [str(n) for n in names]]
        if lacking:
            raise ValueError(f"{key}: the task reads column {lacking[0]!r}, the data has {', '.join(map(str, names))}")
        by_name = {str(n): n for n in names}
        types = spec.get("types", {})
        made = {c: coded(piece[by_name[c]], types[c], f"{key}: column {c!r}") for c in columns if c in types}
        return Table({c: made[c] if c in made else np.asarray(piece[by_name[c]], np.float64) for c in columns})
    x, y = piece if isinstance(piece, tuple) else (piece, None)
    if y is None and not isinstance(x, np.ndarray) and hasattr(x, "__getitem__") and not hasattr(x, "shape"):
        x, y = _collect(x)
    x, y = np.asarray(x), None if y is None else _labels(np.asarray(y), len(x), len(spec.get("classes") or ()), key)
    shape = list(spec["shape"])
    if list(x.shape[1:]) != shape:
        raise ValueError(f"{key}: samples have shape {list(x.shape[1:])}, the task says {shape}")
    return Samples(x, y)


def _labels(y: Array, count: int, classes: int, key: str) -> Array:
    """Labels as a node takes them, in its words where it does not: whole numbers from 0, below the number of classes."""
    if y.shape not in ((count,), (count, 1)):
        raise ValueError(f"{key}: its labels must be {count} whole numbers; they have shape {list(y.shape)}")
    y = y.reshape(count)
    if y.dtype.kind not in "biuf":
        raise ValueError(f"{key}: its labels must be whole numbers; they have the type {y.dtype}")
    with np.errstate(invalid="ignore"):
        made = y.astype(np.int64)
    wrong = (made != y) | (made < 0) | ((made >= classes) if classes else False)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        label, whole = y[row], made[row] == y[row]
        few = (
            f"is none of the {classes} classes (0 to {classes - 1})" if classes else "is negative; labels count from 0"
        )
        raise ValueError(f"{key}: label {label} of sample {row} {few if whole else 'is no whole number'}")
    return made


def _collect(samples: Any) -> tuple[Array, Array]:
    """Gather a map-style torch dataset of ``(x, y)`` into two arrays."""
    pairs = [samples[i] for i in range(len(samples))]
    return np.stack([np.asarray(x) for x, _ in pairs]), np.array([np.asarray(y).reshape(()) for _, y in pairs])
