"""The tables of a task: as frames for the author's function, and as the draft declares them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ._joins import alike
from .dataset import DataFrame as Table
from .manifest import Draft
from .pandas import DataFrame
from .pandas.symbolic import table


class Unfit(TypeError):
    """The author's function does not take the tables."""


def frames(tables: Mapping[str, Table], function: Callable[..., Any]) -> dict[str, DataFrame]:
    """Return a frame for each table, by the names of the function's arguments.

    Raises :class:`Unfit` where the function does not take them.
    """
    made = {name: table(t.dataset, t.names, t.all_types) for name, t in tables.items()}
    try:
        inspect.signature(function).bind(**made)
    except TypeError as error:
        raise Unfit(
            f"{getattr(function, '__name__', 'the function')}() must take the tables of dataset(), {', '.join(made)}: {error}"
        ) from None
    return made


def declare(draft: Draft, tables: Mapping[str, Table]) -> dict[str, Table]:
    """Declare all of them, with what they look up, and return what is known of each dataset."""
    by_file: dict[str, Table] = {}
    for t in tables.values():
        draft.table(t.dataset, t.columns, t.header, t.types)
        before = by_file[t.dataset].columns if t.dataset in by_file else []
        merged = [*before, *(c for c in t.names if c not in before)]
        by_file[t.dataset] = Table(t.dataset, merged, header=t.header)
    for dataset in by_file:
        for join in alike(dataset, [t.joins for t in tables.values() if t.dataset == dataset]):
            join.declare(draft, dataset)
    return by_file
