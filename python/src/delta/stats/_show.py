"""How results are shown: single numbers first, then a table for each group, column, bin or time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import _html

_HIDDEN = ("privacy", "rounds")
_FEW = 6


class Table(NamedTuple):
    """Fields whose entries belong together.

    Parameters
    ----------
    label : str
        The field that names the entries; empty where they are numbered.
    fields : tuple of str
        One column each; a field with two axes has a table of its own.
    across : str
        The field that names the second axis of such a one.
    """

    label: str
    fields: tuple[str, ...]
    across: str = ""


class Shown(NamedTuple):
    """What there is to show.

    Parameters
    ----------
    facts : list of (str, object)
        Single numbers.
    tables : list of (str, list of str, list of list)
        A title, headings, and a label and numbers a row.
    """

    facts: list[tuple[str, Any]]
    tables: list[tuple[str, list[str], list[list[Any]]]]


def shown(result: Any) -> Shown:
    """Sort a result's public fields."""
    fields = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if not f.name.startswith("_")}
    used, tables = set(_HIDDEN), []
    for t in result._tables:
        values = {n: np.asarray(fields[n]) for n in t.fields}
        used |= {t.label, t.across, *t.fields}
        first = next(iter(values.values()))
        names: list[Any] = list(range(len(first)))
        if t.label:
            names = [""] if fields[t.label] is None else list(fields[t.label])
        if first.ndim == 1:
            tables.append(("", [t.label.rstrip("_"), *values], _rows(names, np.stack([*values.values()], axis=1))))
            continue
        for n, v in values.items():
            across = map(str, fields[t.across]) if t.across else map(str, range(v.shape[1]))
            tables.append((n, [t.label.rstrip("_"), *across], _rows(names, v)))
    single = [(k, v) for k, v in fields.items() if k not in used]
    return Shown([(k, tuple(map(_plain, v)) if isinstance(v, tuple) else _plain(v)) for k, v in single], tables)


def _rows(names: list[Any], values: Any) -> list[list[Any]]:
    return [[name, *map(_plain, row)] for name, row in zip(names, values, strict=True)]


def text(result: Any) -> str:
    """Return a result as several lines."""
    made = shown(result)
    wide = max((len(k) for k, _ in made.facts), default=0)
    lines = [type(result).__name__, *(f"  {k:<{wide}}  {_short(v)}" for k, v in made.facts)]
    for title, headings, rows in made.tables:
        cells = [headings, *([str(r[0]), *map(_short, r[1:])] for r in rows)]
        lines += ["", *([title] if title else []), *_aligned(cells)]
    return "\n".join(lines)


def short(result: Any) -> str:
    """Return a result as one line: of long arrays their shapes."""
    fields = [(f.name, getattr(result, f.name)) for f in dataclasses.fields(result) if f.repr]
    return f"{type(result).__name__}({', '.join(f'{k}={_brief(v)}' for k, v in fields)})"


def page(result: Any) -> str:
    """Return a result for a notebook."""
    made = shown(result)
    out = _html.pairs(type(result).__name__, [(k, _short(v)) for k, v in made.facts])
    for title, headings, rows in made.tables:
        table = _html.table(headings, [[r[0], *map(_short, r[1:])] for r in rows])
        out += f"<div><b>{_html.text(title)}</b>{table}</div>"
    return f"<div>{out}{_html.rounds(result.rounds)}</div>"


def _plain(value: Any) -> Any:
    return (
        value.item() if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0) else value
    )


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"array{list(value.shape)}" if value.size > _FEW or value.ndim > 1 else str(value.tolist())
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}"
    return repr(tuple(map(_plain, value))) if isinstance(value, tuple) else repr(_plain(value))


def _aligned(cells: list[list[str]]) -> list[str]:
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join([c[0].ljust(wide[0]), *(v.rjust(w) for v, w in zip(c[1:], wide[1:], strict=True))]) for c in cells
    ]
