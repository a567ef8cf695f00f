"""What a task wants to read at each node: a file or folder of its ``data_dir``, by name, and what it must look like.

delta-task found out at the node; here the author says it beforehand, because a data owner reads it before taking part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


class DataFrame:
    """A table (``.csv``, ``.tsv``, ``.txt``), for analytics and regressions.

    ``dataset``: the file's name in each node's data folder. ``columns``: the columns that the task may read, all numeric;
    an empty cell is NaN. ``header``: whether the first line holds the names (otherwise they are ``"0"``, ``"1"``, ...).

    Raises ``ValueError`` when no column is named.
    """

    def __init__(self, dataset: str, columns: Sequence[str], *, header: bool = True) -> None:
        """Name the file and its columns."""
        if isinstance(columns, str) or not columns:
            raise ValueError(f"DataFrame({dataset!r}): name the columns that the task reads, columns=[...]")
        self.dataset, self.columns, self.header = dataset, [str(c) for c in columns], header


class Dataset:
    """Samples, for learning: an image folder, class folders, ``.npy``, ``.npz``, or columns of a table.

    Samples: ``shape`` of one sample (images: channels, height, width; values as stored, images 0 to 255) and ``classes``,
    the class names in label order. Leave ``classes`` out when samples have no label. ``split``: the folder has the parts
    ``train/`` and ``val/``, for training and for validation.
    Table: ``columns`` are the inputs, ``target`` the label's column, read as ``int64`` or, with ``target_dtype="float32"``,
    as a number.

    Raises ``ValueError`` when neither ``shape`` nor ``columns`` is given, or both.
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
        """Name the file or folder and what is in it."""
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
