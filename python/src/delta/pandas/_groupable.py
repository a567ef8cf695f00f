"""``groupby`` itself: its keys and their categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._along import rows_only
from ._base import Block, Symbol, block, position
from ._binary import same_rows
from ._categories import Categories
from ._expr import column, columns
from ._group import GroupBy
from ._levels import Category
from ._typed import Column


class Groupable(Symbol):
    """``groupby`` of frames and series."""

    def groupby(
        self,
        by: Any = None,
        *,
        categories: Any = None,
        sort: bool = True,
        dropna: bool = True,
        as_index: bool = True,
        observed: bool = False,
    ) -> GroupBy:
        """Group rows over declared categories.

        Parameters
        ----------
        by : label, Series of the same rows, or list of these
            The keys; a label names a column.
        categories : sequence, dict or list of sequences
            The values of the key, in the order of the result; for several keys a dict by column, or a list of lists.
        sort : bool
            As in pandas; groups stand in the order declared.
        dropna, as_index : {True}
            Nothing else.
        observed : {False}
            Nothing else: groups without rows are there.

        Returns
        -------
        GroupBy
            To be aggregated.

        Raises
        ------
        TypeError
            A key is none, no categories are declared, or an argument has a value that there is not.
        ValueError
            Keys and lists of categories do not go together.
        """
        rows_only(self, "groupby")
        if not dropna or not as_index or observed:
            raise TypeError("groupby: only dropna=True, as_index=True and observed=False")
        b = block(self)
        several = isinstance(by, list)
        wanted = by if several else [by]
        keys, used = [], []
        levels: dict[int, Category] = {}
        for key in wanted:
            if isinstance(key, Symbol):
                k = block(key)
                if k.columns is not None or k.index is None:
                    raise TypeError("groupby: a key is a column's name or a Series of rows")
                same_rows(b, k, "groupby")
                keys.append(k)
                continue
            if isinstance(key, Column) or (b.columns is not None and any(key == name for name, _ in b.typed)):
                of_type = key if isinstance(key, Column) else self[key]  # type: ignore[index]
                if not isinstance(of_type, Category):
                    raise TypeError(f"groupby: {of_type.name!r} has dates; group by a part of them, such as .dt.year")
                same_rows(b, of_type._block, "groupby")
                levels[len(keys)] = of_type
                keys.append(of_type._block)
                used.append(of_type.name)
                continue
            if b.columns is None:
                raise TypeError("groupby: a Series is grouped by a Series of the same rows")
            i = position(b.columns, key)
            keys.append(Block(column(b.x, i), (b.dtypes[i],), b.index, None, b.columns[i]))
            used.append(key)
        if isinstance(categories, Mapping):
            lacking = [k.name for i, k in enumerate(keys) if k.name not in categories and i not in levels]
            if lacking:
                raise ValueError(f"groupby: no categories for {lacking[0]!r}")
            declared: list[Any] = [categories.get(k.name) for k in keys]
        elif categories is None:
            declared = [None] * len(keys)
        else:
            declared = list(categories) if several and len(keys) > 1 else [categories]
        if (
            several
            and len(keys) == 1
            and not isinstance(categories, Mapping)
            and categories
            and isinstance(categories[0], (list, tuple))
        ):
            declared = list(categories)
        if len(declared) != len(keys):
            raise ValueError(f"groupby: {len(keys)} keys need {len(keys)} lists of categories, not {len(declared)}")
        c = Categories(keys, declared, "groupby", levels)
        if b.columns is None:
            return GroupBy(b, c)
        rest = [i for i, name in enumerate(b.columns) if name not in used]
        if not rest:
            return GroupBy(b.with_(columns=None, name=None, x=keys[0].x, dtypes=("float64",)), c)
        kept = b.with_(
            x=columns(b.x, rest),
            dtypes=tuple(b.dtypes[i] for i in rest),
            columns=tuple(b.columns[i] for i in rest),
            typed=tuple((name, column) for name, column in b.typed if name not in used),
        )
        return GroupBy(kept, c)
