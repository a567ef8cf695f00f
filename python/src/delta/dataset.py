"""What a task wants to read at each node: a file or folder of its ``data_dir``, by name, and what it must look like.

delta-task found out at the node; here the author says it beforehand, because a data owner reads it before taking part.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from . import _joins

__all__ = ["DataFrame", "Dataset"]


def number_of(text: str) -> float | None:
    """Return what a text is as a number; ``None`` where it is none, or a code that others are read as, too."""
    if not text or not set(text) <= set("0123456789+-.eE"):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number + 0.0 if abs(number) < 2**53 else None


def column_types(
    dataset: str,
    columns: Sequence[str],
    levels: Mapping[str, Sequence[str]],
    dates: Sequence[str],
    times: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Return the types of columns as the manifest has them.

    Raises ``ValueError`` for a column that is not there, has two types, or levels that are none.
    """
    made: dict[str, dict[str, Any]] = {}
    for given, kind in ((dates, "date"), (times, "time")):
        if isinstance(given, str):
            raise ValueError(f"{dataset!r}: {kind}s is a list of columns, not {given!r}")
        made |= {str(c): {"type": kind} for c in given}
    for column, texts in levels.items():
        if isinstance(texts, str) or not texts or not all(isinstance(t, str) for t in texts):
            raise ValueError(f"{dataset!r}: levels of {column!r} are a list of texts, such as ['f', 'm']")
        if len(set(texts)) != len(texts) or any(t != t.strip() or not t for t in texts):
            raise ValueError(f"{dataset!r}: each level of {column!r} stands once, has a text, and no blanks around it")
        numbers = [n for n in map(number_of, texts) if n is not None]
        if len(set(numbers)) != len(numbers):
            raise ValueError(
                f"{dataset!r}: two levels of {column!r} are one number; a cell that is a number would be either"
            )
        made[str(column)] = {"type": "category", "levels": list(texts)}
    if len(made) != len({*levels, *dates, *times}) or len(made) != len(levels) + len(dates) + len(times):
        raise ValueError(f"{dataset!r}: a column has two types")
    if absent := [c for c in made if c not in columns]:
        raise ValueError(f"{dataset!r}: {absent[0]!r} has a type and is none of the columns {', '.join(columns)}")
    return made


class DataFrame:
    """A table (``.csv``, ``.tsv``, ``.txt``), for analytics and regressions.

    Parameters
    ----------
    dataset : str
        The file's name in each node's data folder.
    columns : sequence of str
        The columns that the task may read, all numeric; an empty cell is NaN.
    header : bool
        Whether the first line holds the names; otherwise they are ``"0"``, ``"1"``, and so on.
    levels : mapping of str to sequence of str, optional
        The texts of columns of texts. Other texts are counted together.
    dates, times : sequence of str
        Columns of dates, and of dates with a time of day.

    Attributes
    ----------
    types : dict
        The columns that are no numbers, as the manifest has them.
    joins : tuple
        What its rows look up in other tables, see :meth:`join`.

    Raises
    ------
    ValueError
        No column is named, or one that is not there has a type.

    Examples
    --------
    >>> DataFrame("wages.csv", columns=["wage", "age"]).columns
    ['wage', 'age']
    >>> DataFrame("stays.csv", columns=["ward", "admitted"], levels={"ward": ["A", "B"]}, dates=["admitted"]).types["ward"]
    {'type': 'category', 'levels': ['A', 'B']}
    """

    def __init__(
        self,
        dataset: str,
        columns: Sequence[str],
        *,
        header: bool = True,
        levels: Mapping[str, Sequence[str]] | None = None,
        dates: Sequence[str] = (),
        times: Sequence[str] = (),
    ) -> None:
        if isinstance(columns, str) or not columns:
            raise ValueError(f"DataFrame({dataset!r}): name the columns that the task reads, columns=[...]")
        self.dataset, self.columns, self.header = dataset, [str(c) for c in columns], header
        self.types = column_types(dataset, self.columns, levels or {}, dates, times)
        self.joins: tuple[_joins.Join, ...] = ()

    @property
    def names(self) -> list[str]:
        """All columns that the task reads of a row: its own, and those that it looks up."""
        return [*self.columns, *(c for join in self.joins for c in join.columns)]

    @property
    def all_types(self) -> dict[str, dict[str, Any]]:
        """Those of :attr:`names` that are no numbers."""
        return self.types | {c: kind for join in self.joins for c, kind in join.types.items()}

    def join(
        self,
        other: DataFrame,
        on: str,
        *,
        right_on: str | None = None,
        how: Literal["left", "inner"] = "left",
        columns: Sequence[str] | None = None,
    ) -> DataFrame:
        """Let each row look up columns of another table of the same node, as ``merge(validate="many_to_one")`` does.

        Keys are compared as whole numbers, or else as texts. A missing key finds nothing, not even another missing one. Each
        key may stand once in the other table, and owners say by which columns their tables may be joined.

        Parameters
        ----------
        other : DataFrame
            The other table, with the columns that are read of it. It needs no data of the other nodes.
        on : str
            The column of this table that is compared. It need not be among ``columns``: being a key, it reaches no graph.
        right_on : str, optional
            Its name in the other table, if it is another one.
        how : {"left", "inner"}
            Whether rows that find none are kept, with missing values, or are left out.
        columns : sequence of str, optional
            What is looked up; by default all columns of ``other`` but its key.

        Returns
        -------
        DataFrame
            This table with more columns.

        Raises
        ------
        ValueError
            A column is not there or would stand twice, ``other`` has joins itself, or nothing is looked up.

        Examples
        --------
        >>> patients = DataFrame("patients.csv", columns=["age"])
        >>> DataFrame("visits.csv", columns=["pressure"]).join(patients, on="patient").names
        ['pressure', 'age']
        """
        what = f"DataFrame({self.dataset!r}).join"
        made = copy.copy(self)
        made.joins = (
            *self.joins,
            _joins.made(what, self.columns, self.types, self.joins, other, on, right_on, how, columns),
        )
        return made


class Dataset:
    """Samples, for learning: an image folder, class folders, ``.npy``, ``.npz``, or columns of a table.

    Give ``shape`` for samples or ``columns`` for a table, not both.

    Parameters
    ----------
    dataset : str
        The file's or folder's name in each node's data folder.
    shape : sequence of int, optional
        The shape of one sample. Of images: channels, height, width; values as stored, 0 to 255.
    classes : sequence of str
        The names of the classes in the order of the labels; leave it out when samples have no label.
    columns : sequence of str, optional
        The columns of a table that are the inputs, ``float32 [columns]`` for each row.
    target : str, optional
        The column of a table that is the label.
    target_dtype : {"int64", "float32"}
        How ``target`` is read.
    header : bool
        Whether the table's first line holds the names; otherwise they are ``"0"``, ``"1"``, and so on.
    levels : mapping of str to sequence of str, optional
        The texts of columns of texts, of ``target`` too: its labels are their places in the list.
    split : bool
        Whether the folder has the parts ``train/`` and ``val/``, for training and for validation. Only samples have.

    Attributes
    ----------
    joins : tuple
        What the rows of a table look up in other tables, see :meth:`join`.

    Raises
    ------
    ValueError
        Neither or both of ``shape`` and ``columns`` are given, or ``split`` with a table.

    Examples
    --------
    >>> Dataset("digits", shape=[1, 8, 8], classes=[str(d) for d in range(10)]).shape
    [1, 8, 8]
    """

    def __init__(
        self,
        dataset: str,
        *,
        shape: Sequence[int] | None = None,
        classes: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        target: str | None = None,
        target_dtype: Literal["int64", "float32"] = "int64",
        header: bool = True,
        split: bool = False,
        levels: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        if (shape is None) == (columns is None):
            raise ValueError(
                f"Dataset({dataset!r}): give shape=(channels, height, width) for samples, or columns=[...] for a table"
            )
        if split and shape is None:
            raise ValueError(f"Dataset({dataset!r}): only samples have a train/ and a val/ part, not a table")
        self.dataset, self.header, self.split = dataset, header, split
        self.shape = None if shape is None else [int(d) for d in shape]
        self.classes = [str(c) for c in classes]
        self.columns = None if columns is None else [str(c) for c in columns]
        self.target, self.target_dtype = target, target_dtype
        read = [*(self.columns or ()), *([target] if target is not None else [])]
        self.types = column_types(dataset, read, levels or {}, (), ())
        self.joins: tuple[_joins.Join, ...] = ()

    def join(
        self,
        other: DataFrame,
        on: str,
        *,
        right_on: str | None = None,
        how: Literal["left", "inner"] = "left",
        columns: Sequence[str] | None = None,
    ) -> Dataset:
        """Let each row of a table look up further inputs in another table of the same node, see :meth:`DataFrame.join`.

        Parameters
        ----------
        other : DataFrame
            The other table, with the columns that are read of it.
        on : str
            The column of this table that is compared; it becomes no input.
        right_on : str, optional
            Its name in the other table, if it is another one.
        how : {"left", "inner"}
            Whether rows that find none are kept, with NaN for inputs, or are left out.
        columns : sequence of str, optional
            The further inputs, behind those of the table; by default all columns of ``other`` but its key.

        Returns
        -------
        Dataset
            This one with more inputs.

        Raises
        ------
        ValueError
            This is no table, a column is not there or would stand twice, ``other`` has joins itself, or nothing is looked up.

        Examples
        --------
        >>> people = DataFrame("people.csv", columns=["age"])
        >>> Dataset("visits.csv", columns=["pressure"], target="ill").join(people, on="id", how="inner").columns
        ['pressure', 'age']
        """
        what = f"Dataset({self.dataset!r}).join"
        if self.columns is None:
            raise ValueError(f"{what}: only a table is joined, and these are samples")
        own = [*self.own, *([self.target] if self.target is not None else [])]
        join = _joins.made(what, own, self.types, self.joins, other, on, right_on, how, columns)
        made = copy.copy(self)
        made.columns, made.joins = [*self.columns, *join.columns], (*self.joins, join)
        return made

    @property
    def own(self) -> list[str]:
        """The inputs that are columns of the table itself."""
        looked_up = {c for join in self.joins for c in join.columns}
        return [c for c in self.columns or () if c not in looked_up]
