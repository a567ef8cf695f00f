"""What an author says with a ``DataLoader``, and what a node hands to the graphs for each batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, default_collate
from torch.utils.data import Dataset as TorchDataset

from .._export.errors import ExportError, Location
from .._export.said import say
from .._export.step import Batch
from ..dataset import Dataset
from ..manifest import Draft, Json, column_i64, columns, data

_ROWS = 1 << 20


class Placeholder(TorchDataset[Any]):
    """Stands for a node's data while a ``DataLoader`` is made: its declared shape, and no rows to look at."""

    def __init__(self, declared: Dataset) -> None:
        """Stand for the declared dataset."""
        self.declared = declared

    def __len__(self) -> int:
        """Some number of rows; the nodes have theirs."""
        return _ROWS

    def __getitem__(self, index: object) -> Any:
        """Refuse: the data is at the nodes."""
        raise ExportError(
            f"dataset {self.declared.dataset!r}", "its rows are at the nodes and cannot be read while the task is built",
            instead="write what happens to a batch as preprocess(self, x, y), in torch operations",
        )  # fmt: skip


@dataclass
class Loading:
    """How a node goes through a dataset."""

    batch_size: int
    shuffle: bool
    drop_last: bool


def loading(make: Callable[[TorchDataset[Any]], Any], declared: Dataset) -> Loading:
    """Read off what ``make(dataset)`` says.

    Raises :class:`ExportError` for what a node cannot do: a ``collate_fn``, other samplers, wrapped datasets.
    """
    placeholder = Placeholder(declared)
    loader = make(placeholder)
    place = where(make)
    name = getattr(make, "__name__", "the loader")
    if not isinstance(loader, DataLoader):
        raise ExportError(
            name, f"it returns {type(loader).__name__}", instead="return a torch.utils.data.DataLoader", location=place
        )
    if loader.dataset is not placeholder:
        raise ExportError(
            name, "it changes the dataset", location=place,
            instead="give the dataset to the DataLoader as it is; transformations belong into preprocess(self, x, y)",
        )  # fmt: skip
    if loader.collate_fn is not default_collate:
        function = getattr(loader.collate_fn, "__name__", type(loader.collate_fn).__name__)
        raise ExportError(
            f"collate_fn={function}", "it runs Python on single samples, and nodes run graphs on batches",
            instead="write it as preprocess(self, x, y) in torch operations on a batch (x is float32 as stored, pixels 0 to 255; "
            "y the class numbers), and leave collate_fn out",
            location=where(loader.collate_fn) or place,
        )  # fmt: skip
    sampler = loader.sampler
    if not isinstance(sampler, (RandomSampler, SequentialSampler)) or getattr(sampler, "replacement", False):
        raise ExportError(
            name, f"the sampler {type(sampler).__name__}", instead="shuffle=True or shuffle=False", location=place
        )
    if loader.generator is not None and isinstance(sampler, RandomSampler):
        say("generator=", "nodes shuffle by the task's own seed, HorizontalLearning(seed=...)")
    if loader.batch_size is None:
        raise ExportError(name, "batch_size=None", instead="give batch_size", location=place)
    return Loading(loader.batch_size, isinstance(sampler, RandomSampler), loader.drop_last)


def where(function: Any) -> Location | None:
    """The line of a function, when its source is there."""
    try:
        file, (_, line) = inspect.getsourcefile(function), inspect.getsourcelines(function)
    except (TypeError, OSError):
        return None
    return Location(file, line) if file else None


def batch_of(declared: Dataset, preprocess: Callable[..., Any]) -> Batch:
    """The batch that nodes hand over, with the author's preprocessing."""
    if declared.columns is None:
        assert declared.shape is not None
        fields = {"x": torch.zeros(2, *declared.shape)}
        if declared.classes:
            fields["y"] = torch.zeros(2, dtype=torch.int64)
        return Batch(fields, preprocess, len(declared.classes) or None)
    fields = {"x": torch.zeros(2, len(declared.columns))}
    if declared.target is None:
        return Batch(fields, preprocess)
    if declared.target_dtype == "int64":
        levels = declared.types.get(declared.target, {}).get("levels")
        return Batch(fields | {"y": torch.zeros(2, dtype=torch.int64)}, preprocess, len(levels) if levels else None)

    def prepare(x: Tensor, y: Tensor) -> Any:
        return preprocess(x, y.squeeze(1))

    return Batch(fields | {"y": torch.zeros(2, 1)}, prepare)


def declared_by(task: Any) -> Dataset:
    """What a task's ``dataset()`` returns.

    Raises :class:`ExportError` where it is no :class:`Dataset`.
    """
    declared = task.dataset()
    if not isinstance(declared, Dataset):
        raise ExportError(
            "dataset()", f"it returns {type(declared).__name__}", location=where(task.dataset),
            instead='return delta.dataset.Dataset("name", shape=[...], classes=[...]), or with columns=[...], target="..."',
        )  # fmt: skip
    return declared


def declare(draft: Draft, declared: Dataset) -> dict[str, Json]:
    """Declare the dataset in a draft and return where the fields of a batch come from."""
    name = declared.dataset
    if declared.columns is None:
        assert declared.shape is not None
        draft.samples(name, declared.shape, declared.classes)
        return {"x": data(name, "x"), "y": data(name, "y")}
    target = [declared.target] if declared.target is not None else []
    # A table has a column of its own, whatever is looked up.
    own = [*declared.own, *target] or [declared.joins[0].key]
    draft.table(name, own, declared.header, declared.types)
    for join in declared.joins:
        join.declare(draft, name)
    sources = {"x": data(name, columns(declared.columns, "f32"))}
    if declared.target is not None:
        whole = declared.target_dtype == "int64"
        sources["y"] = data(name, column_i64(declared.target) if whole else columns([declared.target], "f32"))
    return sources
