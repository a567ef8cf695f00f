"""What an author's ``preprocess`` returns, and the tables that it is read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import _tables
from .. import manifest as m
from .._joins import alike
from ..dataset import DataFrame as Table
from ..graph import Graph, Value
from ..pandas import DataFrame, Series
from ..pandas.symbolic import Symbol, block, emit, reads


@dataclass(frozen=True)
class Inputs:
    """What each row has.

    Parameters
    ----------
    x, y : Symbol
        Columns that explain, and what is explained.
    more : mapping of str to Symbol
        Offsets, weights and the like; of ``groups`` a column of 0 and 1 for each level.
    levels : sequence of str
        Of ``groups``.
    """

    x: Symbol
    y: Symbol
    more: Mapping[str, Symbol] = field(default_factory=dict)
    levels: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [str(c) for c in block(self.x).columns or (block(self.x).name,)]

    @property
    def target(self) -> str:
        """The name of what is explained."""
        return str(block(self.y).name or (block(self.y).columns or ("y",))[0])

    def reads(self) -> tuple[str, list[str]]:
        """Return the dataset, and the columns of it."""
        ((dataset, columns),) = reads(self.x, self.y, *self.more.values()).items()
        return dataset, columns

    def emit(self, g: Graph, rows: Value) -> tuple[dict[str, Value], Value | None]:
        """Return each as ``f64 [rows, ...]`` by its name, and which rows count."""
        dataset, columns = self.reads()
        made = {n: emit(v, g, {dataset: rows}, {dataset: columns}) for n, v in self._all().items()}
        return {n: v.value if v.value.type.rank == 2 else g.unsqueeze(v.value, 1) for n, v in made.items()}, made[
            "x"
        ].keep

    def _all(self) -> dict[str, Symbol]:
        return {"x": self.x, "y": self.y, **self.more}


def inputs(preprocess: Callable[..., Any], tables: Mapping[str, Table], allowed: Sequence[str]) -> Inputs:
    """Call ``preprocess`` and check what it returns; ``allowed``: names that the mapping behind x and y may have.

    Raises ``ValueError`` for what does not fit together.
    """
    try:
        made = preprocess(**_tables.frames(tables, preprocess))
    except _tables.Unfit as error:
        raise ValueError(str(error)) from None
    both, third = (made[:2], made[2]) if isinstance(made, tuple) and len(made) == 3 else (made, {})
    if not (isinstance(both, tuple) and len(both) == 2 and all(isinstance(v, (DataFrame, Series)) for v in both)):
        raise ValueError("preprocess: return (x, y), delta frames or series made of the arguments")
    if not isinstance(third, Mapping) or set(third) - set(allowed):
        raise ValueError(f"preprocess: what is returned third must be a dict, with keys among {', '.join(allowed)}")
    x, y = both
    more = dict(third)
    levels: Sequence[str] = ()
    if "groups" in more:
        levels, more["groups"] = _groups(more["groups"])
    bx = block(x)
    for name, v in {"x": x, "y": y, **more}.items():
        _numbers(name, v)
        if block(v).rows != bx.rows:
            raise ValueError(
                f"preprocess: x has {bx.rows}, {name} has {block(v).rows}; select the same rows of the same table"
            )
        columns = block(v).columns
        if name not in ("x", "groups") and columns is not None and len(columns) != 1:
            raise ValueError(f"preprocess: {name} has {len(columns)} columns; it must be one series")
    return Inputs(x, y, more, levels)


def _groups(given: Any) -> tuple[Sequence[str], Symbol]:
    levels = getattr(given, "levels", None)
    if not isinstance(levels, list):
        raise ValueError(
            "preprocess: groups must be a column of texts whose levels are declared, DataFrame(..., levels={'ward': [...]}): no "
            "node knows which groups the others have"
        )
    if len(levels) < 2:
        raise ValueError(f"preprocess: groups has {len(levels)} levels; there must be 2 at least")
    dummies = given.get_dummies()
    # A missing group is a gap, and no group that is not declared.
    gap = given.isna()
    for name in dummies.columns:
        dummies[name] = dummies[name].mask(gap)
    return levels, dummies


def _numbers(name: str, v: Any) -> None:
    if not isinstance(v, (DataFrame, Series)):
        raise ValueError(f"preprocess: {name} must be a series made of the arguments")
    b = block(v)
    if left := [str(n) for n, _ in b.typed]:
        raise ValueError(
            f"preprocess: {', '.join(left)}: no numbers; leave such columns out, or use get_dummies() or map() of levels, "
            "and a part or a difference of dates"
        )
    if b.rows is None:
        raise ValueError(f"preprocess: {name} has no rows of the members' tables; do not sum or count it")


def declare(draft: m.Draft, tables: Mapping[str, Table], dataset: str, columns: list[str]) -> None:
    """Declare the table that is read, and those that its rows are looked up in.

    Raises ``ValueError`` where it is declared twice, differently.
    """
    mine = {name: t for name, t in tables.items() if t.dataset == dataset}
    types: dict[str, m.Json | None] = {}
    joins = alike(dataset, [t.joins for t in mine.values()])
    for t in mine.values():
        for c in (c for c in t.names if c in columns):
            if types.setdefault(c, t.all_types.get(c)) != t.all_types.get(c):
                raise ValueError(f"{dataset}: column {c!r} is declared twice, with different types")
    typed = {c: kind for c, kind in types.items() if kind is not None}
    looked_up = {c for join in joins for c in join.columns}
    # A table has a column of its own, whatever is looked up.
    typed |= {j.key: t.types[j.key] for t in mine.values() for j in joins if j.key in t.types}
    own = [c for c in dict.fromkeys([*columns, *typed]) if c not in looked_up]
    own = own or next(iter(mine.values())).columns[:1]
    draft.table(dataset, own, header=all(t.header for t in mine.values()), types=typed)
    for join in filter(None, (j.reading(columns) for j in joins)):
        join.declare(draft, dataset)
    draft.options["inputs"] = dict.fromkeys(mine, dataset)
