"""Columns that the rows of a table look up in another one of the same node, and what a draft declares for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .dataset import DataFrame
    from .manifest import Draft

How = Literal["left", "inner"]
MOST = 8
"""Most joins of a table."""


@dataclass(frozen=True)
class Join:
    """What is looked up in another table."""

    other: DataFrame
    key: str
    other_key: str
    how: How
    columns: tuple[str, ...]

    @property
    def types(self) -> dict[str, dict[str, Any]]:
        """The looked up columns that are no numbers, as the manifest has them."""
        return {c: kind for c, kind in self.other.types.items() if c in self.columns}

    def declare(self, draft: Draft, name: str) -> None:
        """Declare the other table, and that the one of this name looks up in it."""
        # A table has a column, whatever is looked up.
        read = list(self.columns) or self.other.columns[:1]
        typed_key = [c for c in (self.other_key,) if c in self.other.types and c not in read]
        draft.table(self.other.dataset, [*read, *typed_key], self.other.header, self.other.types)
        draft.join(name, self.other.dataset, self.key, self.columns, how=self.how, right_key=self.other_key)

    @property
    def said(self) -> tuple[Any, ...]:
        """All that a manifest says of it."""
        return self.other.dataset, self.key, self.other_key, self.how, self.columns

    def reading(self, columns: Collection[str]) -> Join | None:
        """The same with these columns alone; None where it then does nothing."""
        read = tuple(c for c in self.columns if c in columns)
        return replace(self, columns=read) if read or self.how == "inner" else None


def made(
    what: str,
    own: Sequence[str],
    types: Mapping[str, Any],
    before: Sequence[Join],
    other: DataFrame,
    on: str,
    right_on: str | None,
    how: How,
    columns: Sequence[str] | None,
) -> Join:
    """Return a join; ``what`` names the table in messages, ``own`` and ``types`` are its columns.

    Raises ``ValueError`` for what no node would join.
    """
    other_key = on if right_on is None else right_on
    if isinstance(on, (list, tuple)) or not on or not other_key:
        raise ValueError(f"{what}: on={on!r} must be the name of one column")
    if how not in ("left", "inner"):
        raise ValueError(f"{what}: how={how!r}; nodes join 'left' and 'inner'")
    if other.joins:
        raise ValueError(f"{what}: {other.dataset!r} has joins of its own; join each table to this one")
    if len(before) >= MOST:
        raise ValueError(f"{what}: at most {MOST} tables can be joined")
    if isinstance(columns, str):
        raise ValueError(f"{what}: columns is a list of names, not {columns!r}")
    wanted = [c for c in other.columns if c != other_key] if columns is None else [str(c) for c in columns]
    if absent := [c for c in wanted if c not in other.columns]:
        raise ValueError(
            f"{what}: {other.dataset!r} has no column {absent[0]!r}; it has {', '.join(map(repr, other.columns))}"
        )
    if not wanted and how == "left":
        raise ValueError(f"{what}: a left join without columns does nothing; name some of {other.dataset!r}")
    taken = [*own, *(c for join in before for c in join.columns)]
    if twice := [c for i, c in enumerate(wanted) if c in taken or c in wanted[:i]]:
        raise ValueError(f"{what}: two columns would be called {twice[0]!r}; leave one of them out with columns=[...]")
    if types.get(on) != other.types.get(other_key):
        raise ValueError(
            f"{what}: the key {on!r} has another type in {other.dataset!r}; declare it alike in both tables"
        )
    return Join(other, on, other_key, how, tuple(wanted))


def alike(dataset: str, tables: Sequence[tuple[Join, ...]]) -> tuple[Join, ...]:
    """Return the joins that all tables over one dataset have: it is read in one way by all of them.

    Raises ``ValueError`` where they differ.
    """
    first, *others = tables
    for joins in others:
        if [j.said for j in joins] != [j.said for j in first]:
            raise ValueError(f"{dataset}: is read with different joins; all tables over one file have the same")
    return first
