"""What a task wants to read at each node: a file or folder of its ``data_dir``, by name, and what it must look like.

delta-task found out at the node; here the author says it beforehand, because a data owner reads it before taking part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

__all__ = ["DataFrame", "Dataset"]


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

    Raises
    ------
    ValueError
        No column is named.

    Examples
    --------
    >>> DataFrame("wages.csv", columns=["wage", "age"]).columns
    ['wage', 'age']
    """

    def __init__(self, dataset: str, columns: Sequence[str], *, header: bool = True) -> None:
        if isinstance(columns, str) or not columns:
            raise ValueError(f"DataFrame({dataset!r}): name the columns that the task reads, columns=[...]")
        self.dataset, self.columns, self.header = dataset, [str(c) for c in columns], header


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
    split : bool
        Whether the folder has the parts ``train/`` and ``val/``, for training and for validation. Only samples have.

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
