"""``DataFrame``: columns under names, over the rows of the members or with known labels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from . import _levels, _moments  # noqa: F401  # they say what becomes of typed columns
from ._arithmetic import add_methods
from ._base import (
    Block,
    DType,
    Label,
    Labels,
    Rows,
    Symbol,
    block,
    check_axis,
    check_label,
    is_list,
    need_bool,
    number,
    position,
    repeat,
    truth,
    wrap,
)
from ._binary import same_rows
from ._cells import select
from ._describe import Describable
from ._elementwise import Elementwise
from ._expr import Expr, column, columns, ops, side_by_side, source
from ._groupable import Groupable
from ._order import Searches
from ._pairs import FramePairs
from ._reduce import Reductions
from ._remedies import REMEDIES
from ._typed import typed


class DataFrame(Reductions, Searches, FramePairs, Groupable, Describable, Elementwise, kind="frame"):
    """A frame of ``pandas`` that exists only as an expression: the same names, arguments and treatment of missing values.

    ``execute()`` gets one for each dataset. What is not supported raises an error that says so while the task is written.
    """

    @property
    def columns(self) -> Labels:
        """The names of the columns."""
        b = block(self)
        return Labels([*(b.columns or ()), *(name for name, _ in b.typed)])

    @property
    def index(self) -> Labels:
        """The labels of a result; rows at the nodes have none."""
        return labels(self)

    def _column(self, name: Label) -> Any:
        b = block(self)
        for label, of_type in b.typed:
            if label == name and b.rows is not None:
                return of_type.of(b.rows, label)
        i = position(b.columns or (), name)
        return wrap(Block(column(b.x, i), (b.dtypes[i],), b.index, None, name))

    def _columns(self, names: Sequence[Label]) -> Any:
        b = block(self)
        if not names:
            raise ValueError("name at least one column")
        of_type = dict(b.typed)
        kept = tuple((n, of_type[n]) for n in names if isinstance(n, Hashable) and n in of_type)
        numeric = [n for n in names if not (isinstance(n, Hashable) and n in of_type)]
        at = [position(b.columns or (), n) for n in numeric]
        if len(set(at)) != len(at) or len(dict(kept)) != len(kept):
            raise ValueError(f"a column stands twice in {list(names)}")
        dtypes = tuple(b.dtypes[i] for i in at)
        return wrap(b.with_(x=columns(b.x, at), dtypes=dtypes, columns=tuple(numeric), typed=kept))

    def __getitem__(self, key: Any) -> Any:
        """Select a column by name, columns by a list of names, rows by a bool Series, values by a bool DataFrame."""
        if isinstance(key, Symbol):
            need_bool(block(key), "selecting by a mask")
            if block(key).columns is not None:
                return self.where(key)
            return wrap(select(block(self), mask_for(block(self), block(key))))
        if isinstance(key, slice):
            raise TypeError(
                "rows have no order across members and cannot be selected by position; select them by a condition, df[df.a > 0]"
            )
        if isinstance(key, list) and key and all(isinstance(k, bool) for k in key):
            raise TypeError(
                "a list of bool has one entry for each row, but each member has rows of its own; use a condition, df[df.a > 0]"
            )
        return self._columns(key) if isinstance(key, list) else self._column(key)

    def merge(self, right: Any, *args: Any, **kwargs: Any) -> None:
        """Refuse: a table is joined where it is declared, so that its owner reads it there.

        Parameters
        ----------
        right : DataFrame
            The other table.
        *args, **kwargs : object
            As in pandas.

        Raises
        ------
        TypeError
            Always; it says what to write instead.
        """
        raise TypeError(
            "frames are joined where their tables are declared, in dataset(): "
            'DataFrame("a.csv", columns=[...]).join(DataFrame("b.csv", columns=[...]), on="key")'
        )

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.columns:
            return self._column(name)
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            if name.startswith("_") or name in REMEDIES:
                raise
            raise AttributeError(f"{error}; its columns are {', '.join(map(repr, self.columns))}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f'to set a column write df["{name}"] = ..., as in pandas')

    def __setitem__(self, key: Any, value: Any) -> None:
        """Set or add a column."""
        if not isinstance(key, Hashable) or isinstance(key, Symbol):
            raise TypeError("set one column at a time, df[name] = ...; use where() or mask() to change some values")
        object.__setattr__(self, "_block", block(self._assign_one(check_label(key), value)))

    def _assign_one(self, name: Label, value: Any) -> Any:
        """Return a copy with one column set to a Series of the same rows or a number."""
        b = block(self)
        have = list(b.columns or ())
        x, dtype = self._new_column(value)
        parts = {c: column(b.x, i) for i, c in enumerate(have)} | {name: x}
        dtypes: dict[Label, DType] = dict(zip(have, b.dtypes, strict=True)) | {name: dtype}
        kept = tuple((n, t) for n, t in b.typed if n != name)
        x = side_by_side(list(parts.values()))
        return wrap(b.with_(x=x, dtypes=tuple(dtypes.values()), columns=tuple(parts), typed=kept))

    def _new_column(self, value: Any) -> tuple[Expr, DType]:
        b = block(self)
        if isinstance(value, Symbol) and block(value).index is not None:
            v = block(value)
            if v.columns is not None:
                raise TypeError("a column is set to a Series or a number, not to a DataFrame")
            same_rows(b, v, "setting a column")
            return v.x, v.dtype
        if is_list(value):
            raise TypeError(
                "a column is set to a Series of the same rows or to a number; a list has an entry for each row"
            )
        v = block(value) if isinstance(value, Symbol) else number(value, "new column")
        # The same number for each row: there is no other way to repeat it as often as there are rows.
        first = column(b.x, 0) if b.dtypes else b.typed[0][1].x
        return ops.where(ops.is_nan(first), v.x, v.x), v.dtype

    def assign(self, **new: Any) -> Any:
        """Return a copy with columns set.

        Parameters
        ----------
        **new : Series of the same rows, number, Scalar, or function
            By name; a function gets the frame as it is by then.

        Returns
        -------
        DataFrame
            The copy.
        """
        out: Any = self
        for name, value in new.items():
            out = out._assign_one(name, value(out) if callable(value) else value)
        return out

    def drop(self, labels: Any = None, *, axis: Any = 0, columns: Any = None) -> Any:
        """Return a copy without some columns.

        Parameters
        ----------
        labels : label or list of labels, optional
            With ``axis=1``, the columns.
        axis : {1}
            Rows have no labels.
        columns : label or list of labels, optional
            The columns.

        Returns
        -------
        DataFrame
            The copy.

        Raises
        ------
        TypeError
            Rows are asked for.
        KeyError
            There is no such column.
        """
        gone = columns if columns is not None else labels
        if columns is None and check_axis(axis) != 1:
            raise TypeError("drop: rows have no labels; use axis=1 for columns, or select rows by a condition")
        gone = list(gone) if isinstance(gone, (list, tuple, set)) else [gone]
        for name in gone:
            position(self.columns, name)
        return self._columns([c for c in self.columns if c not in gone])

    def rename(self, *, columns: Mapping[Label, Label] | Callable[[Any], Any]) -> Any:
        """Return a copy with other names of columns.

        Parameters
        ----------
        columns : dict or function
            From old to new.

        Returns
        -------
        DataFrame
            The copy.

        Raises
        ------
        ValueError
            Two columns would have the same name.
        """
        b = block(self)
        names = [check_label(columns(c) if callable(columns) else columns.get(c, c)) for c in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"rename: two columns would have the same name in {names}")
        split = len(b.columns or ())
        kept = tuple((new, t) for new, (_, t) in zip(names[split:], b.typed, strict=True))
        return wrap(b.with_(columns=tuple(names[:split]), typed=kept))

    def dropna(self, *, axis: Any = 0, how: str | None = None, thresh: int | None = None, subset: Any = None) -> Any:
        """Keep rows by how many of their values are there.

        Parameters
        ----------
        axis : {0}
            Rows; which columns have missing values is not known while the task is written.
        how : {"any", "all"}, optional
            Leave out rows in which any value is missing (the default), or all.
        thresh : int, optional
            Keep rows in which so many values are there.
        subset : label or list of labels, optional
            The columns that are looked at.

        Returns
        -------
        DataFrame
            The rows that are left.

        Raises
        ------
        TypeError
            Columns are asked for, or both ``how`` and ``thresh`` are given.
        ValueError
            ``how`` is none.
        """
        if check_axis(axis) != 0:
            raise TypeError(
                "dropna: which columns have missing values is not known while the task is written; use axis=0, or select columns"
            )
        if how is not None and thresh is not None:
            raise TypeError("dropna: give how or thresh, not both")
        if how not in (None, "any", "all"):
            raise ValueError(f"dropna: how={how!r}; use 'any' or 'all'")
        looked: DataFrame = (
            self if subset is None else self._columns(list(subset) if isinstance(subset, (list, tuple)) else [subset])
        )
        b = block(looked)
        there = ops.count(ops.is_number(b.x), 1) if b.dtypes else ops.constant(0.0)
        for _, other in b.typed:
            there = ops.add(there, ops.cast(ops.is_number(other.x), "f64"))
        need = thresh if thresh is not None else 1 if how == "all" else len(b.dtypes) + len(b.typed)
        return wrap(select(block(self), ops.greater_equal(there, float(need))))

    @property
    def T(self) -> Any:
        """A result turned: columns become labels."""
        b = block(self)
        if not isinstance(b.index, tuple):
            raise TypeError("rows at the nodes cannot become columns")
        return wrap(b.with_(x=ops.transpose(b.x), index=b.columns, columns=b.index, dtypes=repeat(b.common, b.index)))


add_methods(DataFrame, series=False)


def labels(symbol: Symbol) -> Labels:
    """Return the labels of a result."""
    index = block(symbol).index
    if isinstance(index, tuple):
        return Labels(index)
    raise TypeError("rows at the nodes have no labels")


def mask_for(b: Block, mask: Block) -> Expr:
    """Return the mask for these rows; a mask over all rows of the dataset also fits a selection of them."""
    mine, theirs = b.rows, mask.rows
    whole = mine is not None and theirs is not None and mine.dataset == theirs.dataset and theirs.keep is None
    if not whole:
        same_rows(b, mask, "selecting by a mask")
    return truth(mask.x)


def table(dataset: str, names: Sequence[str], types: Mapping[str, Mapping[str, Any]] | None = None) -> DataFrame:
    """Make the frame of a dataset, one row for each row of each member's table.

    Parameters
    ----------
    dataset : str
        The file's name at the nodes.
    names : sequence of str
        Its columns.
    types : mapping, optional
        Of the columns that are no numbers, as the manifest has them.

    Returns
    -------
    DataFrame
        Of ``float64``, and of the declared types.
    """
    types = types or {}
    whole, numeric = source(dataset, names), [n for n in names if n not in types]
    of_type = tuple((n, typed(column(whole, i), types[n])) for i, n in enumerate(names) if n in types)
    x = columns(whole, [i for i, n in enumerate(names) if n not in types])
    made: DataFrame = wrap(Block(x, repeat("float64", numeric), Rows(dataset), tuple(numeric), typed=of_type))
    return made
